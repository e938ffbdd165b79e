"""The interviewer's system instruction at each setup of an interview: the brief, its context, and what was said."""

from collections.abc import Sequence

from preppald.core import interviewer
from preppald.core.brief import Brief
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.turns import Turn

# An application that asks for less has made a mistake: that is no interview.
SHORTEST_SECONDS = 60.0


class Instructions:
    """One interview's. ``limit_seconds``: how long it may last at most, without the time that was given back."""

    def __init__(self, brief: Brief, *, persona: str, language: str, limit_seconds: float) -> None:
        self._brief = brief
        self._persona = persona
        self._language = language
        self._limit = limit_seconds
        self.context = NOTHING_KNOWN

    def learn(self, context: Context) -> float | None:
        """Take what the application knows; return the seconds that it wants the interview to last, if it says."""
        self.context = context
        return max(context.seconds, SHORTEST_SECONDS) if context.seconds else None

    def resumed(self) -> str:
        """Return the instruction for a session that Gemini remembers."""
        context = self.context
        asked = max(context.seconds, SHORTEST_SECONDS) if context.seconds else self._limit
        minutes = round(min(self._limit, asked) / 60)
        return self._brief.instruction(
            context, persona=self._persona, language=self._language, minutes=minutes
        )

    def fresh(self, turns: Sequence[Turn], *, seconds_left: float) -> str:
        """Return the instruction for a session that knows nothing: with the history, where there is one."""
        return interviewer.with_history(self.resumed(), turns, seconds_left=seconds_left)
