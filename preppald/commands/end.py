"""``preppald end ID``: ends a live interview, as its candidate could."""

import argparse
from pathlib import Path

from preppald.commands.arguments import interview_id
from preppald.commands.daemons import NotRunning, found
from preppald.commands.listing import as_json
from preppald.core.endings import OPERATOR_ENDED
from preppald.daemon.orders import Action, Ended, Order, StatusNow
from preppald.errors import PreppaldError

EPILOG = """\
The candidate reads that those who run the service have ended the interview. The transcript goes to
the backend, which completes the interview; where nothing was said, its status becomes ERROR.
The reason is kept with the interview (`preppald interviews` shows it as the cause) and goes nowhere
else: not to the candidate, the backend, the log or the audit.

An interview in which nothing was said can be begun again with its token, like any other.

examples:
  preppald status                              what is live
  preppald end iv-42
  preppald end iv-42 --reason "asked for by the school, ticket 1234"

exit status: 0 it is over; 69 it is not live on this host, or its daemon does not run.
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare ``end`` among the commands."""
    parser = subparsers.add_parser(
        "end",
        help="end a live interview",
        description="End a live interview: its candidate is told, and the backend gets what was said.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "interview", metavar="ID", type=interview_id, help="the interview, as `preppald status` lists it"
    )
    parser.add_argument(
        "--reason", metavar="WORDS", default="", help="why, in one line; see below who reads it"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, state_dir: Path) -> int:
    """End it, in the instance that has it; returns the exit status."""
    name, running = arguments.interview, 0
    for daemon in found(state_dir):
        try:
            there = daemon.order(Order(action=Action.STATUS), StatusNow)
        except NotRunning:
            continue
        running += 1
        if any(it.interview == name for it in there.interviews):
            ended = daemon.order(Order(action=Action.END, interview=name, reason=arguments.reason), Ended)
            print(as_json(ended) if arguments.json else _said(ended))
            return 0
    if not running:
        raise NotRunning(f"no daemon runs on {state_dir}, so no interview is live there")
    raise PreppaldError(
        f"interview {name!r} is not live on this host: "
        "`preppald status` lists those that are, `preppald interviews` the others"
    )


def _said(ended: Ended) -> str:
    which = f"interview {ended.interview}" + (f" block {ended.block}" if ended.block else "")
    if not ended.over:
        return f"{which} is ending; its goodbye takes longer than usual: see `preppald status`"
    if ended.ending != OPERATOR_ENDED.name:
        return f"{which} was just ending by itself ({ended.ending})"
    return f"{which} is ended; `preppald outbox list` shows what the backend is still owed"
