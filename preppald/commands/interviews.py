"""``preppald interviews``: lists the interviews, live and past."""

import argparse
import os
from pathlib import Path
from typing import Any

from preppald.commands.listing import age, as_json, finish, moment, now_ms, span, table
from preppald.commands.records import add_fleet, records
from preppald.config.load import price_table
from preppald.core.deliveries import DeliveryState, iso
from preppald.core.interview import Phase
from preppald.core.prices import Prices
from preppald.journal.archive import FoundInterview
from preppald.journal.reader import DEFAULT_LIMIT, Which

# More than any journal has, and within what SQLite takes.
MOST_ROWS = 2**31

EPILOG = """\
columns:
  COST      estimated, in US dollars, by PREPPALD_PRICES
  OUTCOME   live, or how it ended (docs/protocol.md has the endings)
  BACKEND   done: the application has everything; pending: it is still owed something;
            dead: it refused something (see `preppald outbox list`); -: nothing was owed

--json has, beside these, quality: how it went, as in `preppald transcript --format json`,
and under quality.service the gaps in the line to Gemini, the time given back for them, and more.

examples:
  preppald interviews                          the newest first
  preppald interviews --live                   those that a restart would interrupt
  preppald interviews --ended --since 24h --json
  preppald interviews --ended --json | jq '.[].quality.wait_p99_ms'
  preppald interviews --user u-123 --ending gemini_failed
  preppald interviews --live --fleet           of all hosts; "instance" in JSON says whose

exit status: 0; 74 when a database could not be read.
It works while the daemon runs and while it is down. A row goes seven days after its last delivery,
or with its words where PREPPALD_TRANSCRIPT_RETENTION keeps them longer.
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare ``interviews`` among the commands."""
    parser = subparsers.add_parser(
        "interviews",
        help="list the interviews, live and past",
        description="List the interviews that the journal knows, live and past.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    phase = parser.add_mutually_exclusive_group()
    phase.add_argument(
        "--live", dest="phase", action="store_const", const=Phase.LIVE, help="only those that are not ended"
    )
    phase.add_argument(
        "--ended", dest="phase", action="store_const", const=Phase.ENDED, help="only those that are"
    )
    parser.add_argument("--user", metavar="ID", help="only this user's")
    parser.add_argument("--ending", metavar="NAME", help="only those that ended this way")
    parser.add_argument(
        "--since", metavar="AGE", type=age, help="only those started within 90s, 15m, 2h, 7d, …"
    )
    parser.add_argument(
        "--limit", metavar="N", type=int, default=DEFAULT_LIMIT, help="at most so many (default %(default)s)"
    )
    add_fleet(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON array, with everything")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, state_dir: Path) -> int:
    """List them; returns the exit status."""
    archive = records(arguments, state_dir)
    prices = price_table(os.environ)
    which = Which(
        phase=arguments.phase,
        user_id=arguments.user,
        ending=arguments.ending,
        since_ms=None if arguments.since is None else now_ms() - arguments.since,
        limit=min(max(arguments.limit, 0), MOST_ROWS),
    )
    found = archive.interviews(which)
    if arguments.json:
        print(as_json([_described(it, prices) for it in found]))
    elif found:
        table(
            ("INTERVIEW", "USER", "STARTED", "LENGTH", "OUTCOME", "TOKENS", "COST", "BACKEND", "CAUSE"),
            [_row(it, now_ms(), prices) for it in found],
        )
    elif not archive.faults:
        print(f"no such interviews in {archive.where}")
    return finish(archive)


def _row(found: FoundInterview, at_ms: int, prices: Prices) -> tuple[str, ...]:
    it = found.interview
    return (
        f"{it.interview_id} block {it.block}" if it.block else it.interview_id,
        it.user_id,
        moment(it.started_ms),
        span((at_ms if it.ended_ms is None else it.ended_ms) - it.started_ms),
        it.ending or it.phase.value,
        str(it.usage.total),
        f"${prices.cost(it.usage):.2f}",
        "-" if found.worst is None else found.worst.value,
        it.cause or "",
    )


def _described(found: FoundInterview, prices: Prices) -> dict[str, Any]:
    """Return everything but the resumption handle and the token's digest."""
    it = found.interview
    return {
        "interview": it.interview_id,
        "block": it.block or None,
        "instance": found.instance,
        "user": it.user_id,
        "epoch": it.epoch,
        "phase": it.phase,
        "model": it.model,
        "started": iso(it.started_ms),
        "deadline": iso(it.deadline_ms),
        "credited_seconds": it.credited_ms / 1000,
        "ended": None if it.ended_ms is None else iso(it.ended_ms),
        "ending": it.ending,
        "cause": it.cause,
        "tokens": it.usage,
        "cost_dollars": round(prices.cost(it.usage), 4),
        "quality": found.quality,
        "backend": found.worst,
        "delivered": found.worst is DeliveryState.DONE,
    }
