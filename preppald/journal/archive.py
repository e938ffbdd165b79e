"""All databases of a state directory as one, for the operator's commands: the daemon may run or be down.

A database is read through connections of their own, which hinder no writer. An operator's change is one
short transaction; the daemon sees it within seconds. Of a row that stands in several files of an instance
(the disk failed under the first) the newest file's counts.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
import sqlite3
from typing import TypeVar

from preppald.core.deliveries import DeliveryKind, DeliveryState, OutboxEntry
from preppald.core.interview import Interview
from preppald.core.quality import Quality
from preppald.core.turns import Fragment, with_holes
from preppald.errors import JournalError
from preppald.journal import files, reader, rows, schema, writes
from preppald.journal.neighbours import newest
from preppald.journal.reader import Which

T = TypeVar("T")
Qualities = dict[tuple[str, int, int], Quality]

# The header as SQLite writes it.
NO_LIMIT = -1


@dataclass(frozen=True, slots=True)
class FoundInterview:
    """An interview and where it was found; ``worst``: of its deliveries, None without any.

    ``quality``: how it went; None while it runs, and for those of versions that kept none.
    """

    instance: str
    interview: Interview
    worst: DeliveryState | None
    quality: Quality | None = None


class Archive:
    """``faults``: sentences about files that could not be read; the others are served all the same.

    Raises:
        JournalError: there is no state directory, or this user may not read it.
    """

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.faults: list[str] = []
        files.listable(state_dir)
        if not state_dir.is_dir():
            raise JournalError(
                f"there is no state directory {state_dir}: is PREPPALD_STATE_DIR what the daemon has?"
            )
        self._files = [
            (instance, file)
            for instance in files.instances(state_dir)
            for _, file in files.generations(state_dir, instance)
        ]

    @property
    def where(self) -> str:
        """Return the place in words."""
        return str(self.state_dir)

    def interviews(self, which: Which) -> list[FoundInterview]:
        """Return the chosen interviews, the newest first; each block of one by itself."""
        # Columns that may differ between two files of an instance are filtered after the files are put together.
        either = replace(which, phase=None, ending=None, limit=NO_LIMIT)

        def ask(
            connection: sqlite3.Connection,
        ) -> tuple[list[Interview], dict[tuple[str, int], DeliveryState], Qualities]:
            return (
                reader.interviews(connection, either, self._damaged),
                reader.standing(connection),
                reader.qualities(connection, report=self._damaged),
            )

        found: dict[tuple[str, int], FoundInterview] = {}
        for instance, (interviews, standing, qualities) in self._ask(ask):
            for it in interviews:
                key = it.interview_id, it.block
                known = found.get(key)
                if known is None or newest((it, known.interview)) is it:
                    found[key] = FoundInterview(
                        instance, it, standing.get(key), qualities.get((*key, it.epoch))
                    )
        chosen = [
            it
            for it in found.values()
            if which.phase in {None, it.interview.phase} and which.ending in {None, it.interview.ending}
        ]
        chosen.sort(key=lambda it: (-it.interview.started_ms, it.interview.interview_id, it.interview.block))
        return chosen[: which.limit]

    def sessions(self, interview_id: str) -> list[Interview]:
        """Return the newest row of each block of the interview, in the order of the blocks; 0: the ordinary interview."""

        def ask(connection: sqlite3.Connection) -> list[Interview]:
            return reader.sessions(connection, interview_id, self._damaged)

        answers = [it for _, answer in self._ask(ask) for it in answer]
        blocks = sorted({it.block for it in answers})
        # The first of equals is taken: the newest file's.
        best = (newest(it for it in reversed(answers) if it.block == block) for block in blocks)
        return [it for it in best if it is not None]

    def quality(self, interview: Interview) -> Quality | None:
        """Return how it went; None while it runs, and for one of a version that kept no such row."""
        key = interview.interview_id, interview.block, interview.epoch

        def ask(connection: sqlite3.Connection) -> Quality | None:
            return reader.qualities(connection, interview.interview_id, self._damaged).get(key)

        return next((answer for _, answer in self._ask(ask) if answer is not None), None)

    def fragments(self, interview_id: str, epoch: int) -> list[Fragment]:
        """Return the fragments, with a mark wherever a part cannot be read: see ``core.turns.with_holes``."""

        def ask(connection: sqlite3.Connection) -> tuple[list[Fragment], int]:
            said = reader.fragments(connection, interview_id, epoch, report=self._damaged)
            return said, reader.lost_to(connection, interview_id, epoch)

        answers = [answer for _, answer in self._ask(ask)]
        found = {fragment.seq: fragment for fragments, _ in answers for fragment in fragments}
        lost_to = max((lost_to for _, lost_to in answers), default=0)
        return with_holes([found[seq] for seq in sorted(found)], lost_to)

    def owed(
        self, states: Collection[DeliveryState] = tuple(DeliveryState), of: str | None = None
    ) -> list[OutboxEntry]:
        """Return deliveries in the order of their making. ``of``: one delivery's key, or an interview for all of its."""
        found: dict[str, OutboxEntry] = {}
        for _, owed in self._ask(lambda connection: reader.owed(connection, of=of, report=self._damaged)):
            found |= {row.key: row for row in owed}
        return [row for row in found.values() if row.state in states]

    def stripped(self, interview_id: str) -> bool:
        """Return whether the interview's words were removed after their delivery."""
        return any(
            not it.delivery.payload and it.delivery.kind is DeliveryKind.TRANSCRIPT
            for it in self.owed(of=interview_id)
        )

    def retry(self, keys: Collection[str]) -> int:
        """Make these deliveries due now; return how many."""
        return self._change(keys, writes.retry)

    def drop(self, keys: Collection[str], now_ms: int) -> int:
        """Give these deliveries up; return how many."""
        return self._change(keys, lambda connection, chosen: writes.drop(connection, chosen, now_ms))

    def _change(
        self, keys: Collection[str], change: Callable[[sqlite3.Connection, Collection[str]], int]
    ) -> int:
        """Apply a change in the newest file that has each key."""
        left, changed = set(keys), 0
        for _instance, file in reversed(self._files):
            try:
                with closing(files.writable(file)) as connection:
                    here = {row.key for row in reader.owed(connection, report=self._damaged)} & left
                    changed += change(connection, here) if here else 0
                    left -= here
            except sqlite3.Error as error:
                self._fault(f"{file} cannot be changed: {error}")
        return changed

    def _ask(self, query: Callable[[sqlite3.Connection], T]) -> Iterator[tuple[str, T]]:
        """Yield each file's answer, the oldest file of an instance first."""
        for instance, file in self._files:
            try:
                with closing(files.read_only(file)) as connection:
                    version = schema.version(connection)
                    if version > len(schema.MIGRATIONS):
                        self._fault(f"{file} was written by a newer preppald: use that one's commands")
                    elif version == len(schema.MIGRATIONS):
                        yield instance, query(connection)
                    elif version:
                        self._fault(f"{file} was written by an older preppald: start the daemon once")
                    # Version 0: a daemon is just creating this file.
            except sqlite3.Error as error:
                self._fault(f"{file} cannot be read: {error}")

    def _damaged(self, error: rows.Unreadable) -> None:
        whose = f" (interview {error.interview_id})" if error.interview_id else ""
        self._fault(f"{error}{whose}: see `preppald journal check`")

    def _fault(self, sentence: str) -> None:
        if sentence not in self.faults:
            self.faults.append(sentence)
