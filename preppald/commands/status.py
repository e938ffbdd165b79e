"""``preppald status``: shows what runs on this host: interviews, debts, troubles."""

import argparse
from collections.abc import Iterator
from pathlib import Path
import sys
import time
from typing import Any

import msgspec

from preppald.commands.arguments import number
from preppald.commands.daemons import Daemon, NotRunning, found, named
from preppald.commands.listing import as_json, printable, span, table
from preppald.core.interview import Phase
from preppald.daemon.orders import Action, Order, StatusNow
from preppald.errors import EX_UNAVAILABLE, PreppaldError
from preppald.interview.now import InterviewNow
from preppald.journal.archive import Archive
from preppald.journal.reader import Which

WATCH_SECONDS = 2.0
AILING = 1
MS = 1000
# A backend that restarts is back by then.
LONG_OWED_SECONDS = 60.0
# ECMA-48: erase the page, and go to its first place.
CLEAR = "\x1b[2J\x1b[H"

EPILOG = """\
columns:
  FLOOR     who has the word: candidate, interviewer, nobody (Gemini is away)
  BROWSER   here, or how long the candidate has been away
  GEMINI    here, or how long Gemini has been away
  LEFT      until the interview's time is up
  COST      estimated, in US dollars, by PREPPALD_PRICES

examples:
  preppald status
  preppald status --watch                      again every two seconds, until Ctrl-C
  preppald status --json | jq '.instances[].interviews[].interview'

exit status:
  0   all that run are well
  1   one asks for an operator: it is degraded, its journal cannot be written, or the backend
      refused deliveries (`preppald outbox list`)
  69  no daemon runs

What the journal holds of interviews that are over: `preppald interviews`.
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare ``status`` among the commands."""
    parser = subparsers.add_parser(
        "status",
        help="show what runs: interviews, debts, troubles",
        description="Show what runs on this host: interviews, what the backend is owed, what is wrong.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--instance", metavar="NAME", help="only this one (PREPPALD_INSTANCE)")
    parser.add_argument("--json", action="store_true", help="print a JSON object; with --watch, one a line")
    parser.add_argument(
        "--watch",
        metavar="SECONDS",
        type=number(at_least=0.2, at_most=3600),
        nargs="?",
        const=WATCH_SECONDS,
        help="show it again and again (default every %(const)g seconds)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, state_dir: Path) -> int:
    """Show it; returns the exit status."""
    if arguments.watch is None:
        return _show(arguments, state_dir)
    while True:
        if not arguments.json and sys.stdout.isatty():
            sys.stdout.write(CLEAR)
        _show(arguments, state_dir)
        sys.stdout.flush()
        time.sleep(arguments.watch)


def _show(arguments: argparse.Namespace, state_dir: Path) -> int:
    there = found(state_dir)
    if arguments.instance is not None:
        there = [named(there, arguments.instance, state_dir)]
    running: list[StatusNow] = []
    others: list[dict[str, Any]] = []
    for daemon in there:
        try:
            running.append(daemon.order(Order(action=Action.STATUS), StatusNow))
        except NotRunning:
            others.append(_stopped(daemon))
        except PreppaldError as error:
            others.append({"instance": daemon.instance, "running": True, "unreachable": str(error)})
    if arguments.json:
        _print_json(running, others, state_dir, one_line=arguments.watch is not None)
    else:
        _print(running, others, state_dir)
    if not running and not any(it["running"] for it in others):
        return EX_UNAVAILABLE
    return 0 if all(it.well for it in running) and not any(it["running"] for it in others) else AILING


def _stopped(daemon: Daemon) -> dict[str, Any]:
    """Return what a stopped instance has left: its live interviews go on when it, or another one, starts."""
    live = Archive(daemon.state_dir).interviews(Which(phase=Phase.LIVE))
    return {
        "instance": daemon.instance,
        "running": False,
        "left_live": sum(it.instance == daemon.instance for it in live),
    }


def _print_json(
    running: list[StatusNow], others: list[dict[str, Any]], state_dir: Path, *, one_line: bool
) -> None:
    instances = [{"running": True, "well": it.well, **msgspec.to_builtins(it)} for it in running]
    found_here = {"state_dir": str(state_dir), "instances": instances + others}
    print(msgspec.json.encode(found_here).decode() if one_line else as_json(found_here))


def _print(running: list[StatusNow], others: list[dict[str, Any]], state_dir: Path) -> None:
    for it in running:
        print("\n".join(map(printable, _lines(it))))
        if it.interviews:
            print()
            table(
                ("INTERVIEW", "USER", "AGE", "LEFT", "FLOOR", "BROWSER", "GEMINI", "COST"),
                [_row(one) for one in it.interviews],
            )
        print()
    for other in others:
        print(printable(_other(other)))
    if not running and not others:
        print(f"no daemon has run on {state_dir}: is PREPPALD_STATE_DIR what the daemon has?")


def _lines(it: StatusNow) -> Iterator[str]:
    """Yield the state of one daemon, the most urgent first."""
    state = "stopping" if it.stopping else "draining" if it.draining else "running"
    yield f"instance {it.instance}: {state}, preppald {it.version}, pid {it.pid}, up {_span(it.up_seconds)}"
    for words in it.degraded:
        yield f"  degraded:    {words}"
    if it.journal.fault:
        yield f"  journal:     {it.journal.fault}"
    if it.unready and not it.draining:
        yield f"  not ready:   {it.unready}: no interview begins"
    away = f", {it.waiting} without a browser" if it.waiting else ""
    yield f"  live:        {len(it.interviews)}{away}"
    if it.carried:
        yield f"  carried:     {it.carried} connections for another instance"
    yield f"  owed:        {_owed(it)}"
    if it.journal.damaged_rows or it.journal.left_files:
        yield (
            f"  damage:      {it.journal.damaged_rows} rows set aside, {it.journal.left_files} files left: "
            "`preppald journal check`"
        )


def _owed(it: StatusNow) -> str:
    owed = it.owed
    words = [f"{owed.pending} to the backend" if owed.pending else "nothing to the backend"]
    if owed.pending:
        why = " (`preppald outbox list` says why)" if owed.oldest_seconds >= LONG_OWED_SECONDS else ""
        words.append(f"the oldest for {_span(owed.oldest_seconds)}{why}")
    if owed.paused:
        words.append("paused: the backend refuses WORKER_SHARED_SECRET: give both sides the same")
    if owed.held:
        words.append(f"{owed.held} wait for the shared journal")
    if owed.dead:
        words.append(f"{owed.dead} refused for good (`preppald outbox list`)")
    return ", ".join(words)


def _row(it: InterviewNow) -> tuple[str, ...]:
    return (
        f"{it.interview} block {it.block}" if it.block else it.interview,
        it.user,
        _span(it.age_seconds),
        _span(it.left_seconds),
        it.floor,
        "here" if it.waiting_seconds is None else f"away {_span(it.waiting_seconds)}",
        f"away {_span(it.gap_seconds)}" if it.gap_seconds else "here",
        f"${it.cost_dollars:.2f}",
    )


def _other(it: dict[str, Any]) -> str:
    if it["running"]:
        return f"instance {it['instance']}: {it['unreachable']}"
    left = it["left_live"]
    more = f"; {left} interviews go on when it, or another instance, starts" if left else ""
    return f"instance {it['instance']}: does not run{more}"


def _span(seconds: float) -> str:
    return span(round(seconds * MS))
