"""Puts an interview's course on record for a trace: its connections, the gaps between them, and its turns at the end."""

from collections.abc import Sequence

import msgspec

from preppald.core.endings import Ending
from preppald.core.interview import Interview, Usage
from preppald.core.quality import Quality
from preppald.core.traces import Connection, Names, Spans, ToMs, Trace
from preppald.core.turns import Turn
from preppald.journal import Journal

# The end of a connection that was there to the end.
INTERVIEW_ENDED = "interview_ended"


class Course:
    """``epoch_ms``: the interview's own wall clock at Trio's time 0, in milliseconds."""

    def __init__(self, journal: Journal, interview: Interview, names: Names, epoch_ms: float) -> None:
        self._journal = journal
        self._interview = interview
        self._trace = Trace(interview, names)
        self._to_ms = ToMs(epoch_ms)
        self._over = False

    def connection(self, it: Connection) -> None:
        """Note a connection that ended, or that could not be set up."""
        if not self._over:
            self._keep(self._trace.connection(it, self._to_ms))

    def gap(self, lost_at: float, now: float) -> None:
        """Note that the interview was without a connection from ``lost_at`` until now, in Trio's seconds."""
        if now > lost_at:
            self._keep(self._trace.gap(self._to_ms(lost_at), self._to_ms(now)))

    def finish(
        self,
        ending: Ending,
        turns: Sequence[Turn],
        talk: Quality,
        *,
        ended_ms: int,
        usage: Usage,
        cost_dollars: float,
        last: Connection | None,
    ) -> None:
        """Note the end. ``last``: the connection that is there still."""
        if last is not None:
            self.connection(last)
        self._over = True
        self._keep(self._trace.talk(ending, turns, talk, ended_ms, usage, cost_dollars=cost_dollars))

    def _keep(self, spans: Spans) -> None:
        it = self._interview
        text = msgspec.json.encode(spans).decode()
        self._journal.add_spans(it.interview_id, it.block, it.epoch, text)
