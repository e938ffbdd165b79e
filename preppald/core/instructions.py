"""The interviewer's system instruction at each setup of an interview: the brief, its context, and what was said."""

from collections.abc import Sequence

from preppald.core import interviewer
from preppald.core.brief import Brief
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.turns import Turn

# An application that asks for less has made a mistake: that is no interview.
SHORTEST_SECONDS = 60.0
# In a block that is shorter nobody is told the time.
TOLD_FROM_SECONDS = 180.0


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
        return self._asked or None

    @property
    def opening(self) -> str:
        """Return the first prompt: neutral for a block, whose own prompt says how it begins."""
        return interviewer.BEGIN if self.context.system_prompt else interviewer.GREETING

    @property
    def tells_time(self) -> bool:
        """False for a block too short to be told the time in: the words would take a good part of it."""
        return not self.context.system_prompt or self._planned >= TOLD_FROM_SECONDS

    @property
    def _planned(self) -> float:
        return min(self._limit, self._asked or self._limit)

    @property
    def _asked(self) -> float:
        """The seconds that the application asked for; a block may be as short as it likes. 0: it did not say."""
        seconds = self.context.seconds
        return seconds if self.context.system_prompt or not seconds else max(seconds, SHORTEST_SECONDS)

    def resumed(self) -> str:
        """Return the instruction for a session that Gemini remembers."""
        context = self.context
        if context.system_prompt:
            return context.system_prompt  # verbatim: the application wrote all of it
        minutes = round(self._planned / 60)
        return self._brief.instruction(
            context, persona=self._persona, language=self._language, minutes=minutes
        )

    def fresh(self, turns: Sequence[Turn], *, seconds_left: float) -> str:
        """Return the instruction for a session that knows nothing: with the history, where there is one."""
        return interviewer.with_history(self.resumed(), turns, seconds_left=seconds_left)
