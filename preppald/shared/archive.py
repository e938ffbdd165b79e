"""The shared journal, read for the operator's commands: what all hosts have, whether they run or not.

Nothing is changed.
"""
# ruff: noqa: S608 - what is put into the statements' text are names of columns; values are bound.

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import trio

from preppald.core.deliveries import DeliveryKind, DeliveryState, OutboxEntry
from preppald.core.interview import Interview
from preppald.core.quality import Quality
from preppald.core.turns import Fragment, with_holes
from preppald.journal import packing, rows
from preppald.journal.archive import FoundInterview
from preppald.journal.reader import Which, worst
from preppald.shared import statements
from preppald.shared.asking import asked

_INTERVIEW = statements.columns("interview")
_INTERVIEWS = f"""
SELECT coalesce(o.name, ''), array(
    SELECT DISTINCT b.state FROM preppald.outbox b WHERE b.interview_id = i.interview_id AND b.block = i.block),
  {", ".join(f"i.{it}" for it in _INTERVIEW)}
FROM preppald.interview i LEFT JOIN preppald.instance o ON o.id = i.owner
WHERE (%(phase)s::text IS NULL OR i.phase = %(phase)s)
  AND (%(user_id)s::text IS NULL OR i.user_id = %(user_id)s)
  AND (%(ending)s::text IS NULL OR i.ending = %(ending)s)
  AND (%(since_ms)s::bigint IS NULL OR i.started_ms >= %(since_ms)s)
ORDER BY i.started_ms DESC, i.interview_id, i.block LIMIT %(limit)s
"""
_SESSIONS = f"""
SELECT {", ".join(_INTERVIEW)} FROM preppald.interview WHERE interview_id = %(interview_id)s ORDER BY block
"""
_EPOCH = """
SELECT block FROM preppald.interview WHERE interview_id = %(interview_id)s AND epoch = %(epoch)s
"""
_OWED = f"""
SELECT {", ".join(statements.columns("outbox"))} FROM preppald.outbox
WHERE (%(of)s::text IS NULL OR key = %(of)s OR interview_id = %(of)s) AND state = ANY(%(states)s::text[])
ORDER BY number
"""


class SharedArchive:
    """``faults``: sentences about rows that could not be read; the others are served all the same.

    Raises:
        JournalError: by every question: the shared journal does not answer, or has no tables.
    """

    where = "the shared journal"

    def __init__(self, url: str) -> None:
        self._url = url
        self.faults: list[str] = []

    def interviews(self, which: Which) -> list[FoundInterview]:
        """Return the chosen interviews of all hosts, the newest first; ``instance``: the owner's name."""
        values = {
            "phase": which.phase and which.phase.value,
            "user_id": which.user_id,
            "ending": which.ending,
            "since_ms": which.since_ms,
            "limit": which.limit,
        }
        return [
            FoundInterview(owner, interview, worst(states))
            for owner, states, *row in self._asked(_INTERVIEWS, values)
            for interview in rows.readable([tuple(row)], rows.interview, self._damaged)
        ]

    def sessions(self, interview_id: str) -> list[Interview]:
        """Return the row of each block of the interview, in the order of the blocks; 0: the ordinary interview."""
        found = self._asked(_SESSIONS, {"interview_id": interview_id})
        return list(rows.readable(found, rows.interview, self._damaged))

    def quality(self, _interview: Interview) -> Quality | None:
        """Return None: how it went is on the host that held it."""
        return None

    def fragments(self, interview_id: str, epoch: int) -> list[Fragment]:
        """Return the fragments, with a mark wherever a part cannot be read: see ``core.turns.with_holes``."""
        values: dict[str, object] = {
            "interview_id": interview_id,
            "epoch": epoch,
            "bucket": packing.bucket(interview_id),
        }
        recent = self._asked(statements.SAID_RECENT, values)
        found: dict[int, Fragment] = {}
        for (block,) in self._asked(_EPOCH, values):
            passages = self._asked(statements.SAID_PASSAGES, {**values, "block": block})
            found |= {
                it.seq: it for own in rows.readable(passages, rows.passage, self._damaged) for it in own
            }
        for own in rows.readable(recent, rows.recent, self._damaged):
            found |= {
                fragment.seq: fragment
                for said in own
                if (said.interview_id, said.epoch) == (interview_id, epoch)
                for fragment in [packing.unpacked(said)]
            }
        return with_holes([found[seq] for seq in sorted(found)], 0)

    def owed(
        self, states: Collection[DeliveryState] = tuple(DeliveryState), of: str | None = None
    ) -> list[OutboxEntry]:
        """Return deliveries in the order in which they came there. ``of``: a delivery's key, or an interview."""
        found = self._asked(_OWED, {"of": of, "states": [it.value for it in states]})
        # One that was made twice has no checksum: what makes it and how it fared are of two rows.
        sound = [row if row[-1] is not None else rows.sealed(tuple(row[:-1])) for row in found]
        return list(rows.readable(sound, rows.owed, self._damaged))

    def stripped(self, interview_id: str) -> bool:
        """Return whether the interview's words were removed after their delivery."""
        return any(
            not it.delivery.payload and it.delivery.kind is DeliveryKind.TRANSCRIPT
            for it in self.owed(of=interview_id)
        )

    def _asked(self, statement: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        return trio.run(partial(asked, self._url, statement, values))

    def _damaged(self, error: rows.Unreadable) -> None:
        whose = f" (interview {error.interview_id})" if error.interview_id else ""
        sentence = (
            f"{error}{whose}: the host that wrote it may still have it (`preppald journal check` there)"
        )
        if sentence not in self.faults:
            self.faults.append(sentence)
