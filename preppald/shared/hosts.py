"""The instances that share a journal, and an operator's words to them, for the command ``hosts``.

A word is a row that the instance finds at its next look, within seconds, and answers. Nothing is pushed: the operator's
machine need not reach the hosts, only the database.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import enum
from functools import partial

import trio

from preppald.shared.asking import asked
from preppald.shared.protocol import LEASE_SECONDS

# Hosts that were lost are listed for so long.
SHOWN_SECONDS = 24 * 3600
# Answers come at an instance's next look, two seconds away at most.
LOOK_SECONDS = 0.5

_LIST = f"""
SELECT id, name, address, version, live, ready, extract(epoch FROM clock_timestamp() - renewed_at)::float8,
  CASE WHEN settled_at IS NOT NULL THEN 'taken over' WHEN lost_at IS NOT NULL THEN 'lost'
    WHEN renewed_at < clock_timestamp() - interval '{LEASE_SECONDS} seconds' THEN 'silent' ELSE 'up' END
FROM preppald.instance
WHERE renewed_at > clock_timestamp() - interval '{SHOWN_SECONDS} seconds' ORDER BY name, id
"""  # noqa: S608 - the numbers are ours
_ORDER = """
INSERT INTO preppald.command (target, what) SELECT * FROM unnest(%(targets)s::bigint[], %(whats)s::text[])
RETURNING number, target
"""
_ANSWERS = "SELECT target, answer FROM preppald.command WHERE number = ANY(%(numbers)s::bigint[]) AND done_at IS NOT NULL"
# One that nobody has answered is not to be obeyed when its instance comes back next week.
_WITHDRAW = "DELETE FROM preppald.command WHERE number = ANY(%(numbers)s::bigint[]) AND done_at IS NULL"


class Word(enum.StrEnum):
    """All that an operator may say to an instance."""

    DRAIN = "drain"
    UNDRAIN = "undrain"


class State(enum.StrEnum):
    """The states of an instance, by the database's clock."""

    UP = "up"  # it renews its lease
    SILENT = "silent"  # it does not, and nobody has declared it lost
    LOST = "lost"  # it was declared lost, and its interviews are about to be taken over
    TAKEN_OVER = "taken over"  # they may be claimed by others


@dataclass(frozen=True, slots=True)
class Host:
    """One instance. ``live``: interviews. ``ready``: a new one may begin there. ``seen_seconds``: since it renewed."""

    incarnation: int
    name: str
    address: str
    version: str
    live: int
    ready: bool
    seen_seconds: float
    state: State


class Hosts:
    """``url``: of the shared journal.

    Raises:
        JournalError: by every question: the shared journal does not answer, or has no tables.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def all(self) -> list[Host]:
        """Return every instance of the last day, by name."""
        return [
            Host(incarnation, name, address, version, live, ready, seen, State(state))
            for incarnation, name, address, version, live, ready, seen, state in trio.run(
                partial(asked, self._url, _LIST)
            )
        ]

    def say(self, word: Word, hosts: Sequence[Host], seconds: float) -> dict[int, str]:
        """Say a word to instances, and return the answers by incarnation; those that gave none in time are not in it."""
        return trio.run(partial(_said, self._url, word, [it.incarnation for it in hosts], seconds))


async def _said(url: str, word: Word, targets: Sequence[int], seconds: float) -> dict[int, str]:
    values = {"targets": list(targets), "whats": [word.value] * len(targets)}
    numbers = [number for number, _ in await asked(url, _ORDER, values)]
    answers: dict[int, str] = {}
    with trio.move_on_after(seconds):
        while len(answers) < len(targets):
            await trio.sleep(LOOK_SECONDS)
            answers = dict(await asked(url, _ANSWERS, {"numbers": numbers}))
    if len(answers) < len(targets):
        await asked(url, _WITHDRAW, {"numbers": numbers})
        answers = dict(await asked(url, _ANSWERS, {"numbers": numbers}))
    return answers
