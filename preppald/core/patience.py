"""How long the interviewer may owe an answer, and what is done about it, stage by stage.

Seen with others: one in twenty prompts unanswered, half of an evening's calls stalled without an error, resumed
sessions that hear and never speak again (reference §13, users P5).
"""

from dataclasses import dataclass
import enum

GREETING_SECONDS = 6.0
ANSWER_SECONDS = 10.0
# After a resume, text came in but no voice ever went out: a nudge would not help.
POISONED_SECONDS = 8.0


class Stage(enum.StrEnum):
    """What a watchdog did; each is counted."""

    GREET_AGAIN = "greet_again"
    NUDGE = "nudge"
    ROTATE = "rotate"
    FRESH = "fresh"


_ESCALATION = (Stage.NUDGE, Stage.ROTATE, Stage.FRESH)


@dataclass(slots=True)
class Patience:
    """One wait for an answer at a time; ``answered`` starts anew."""

    _stage: int = 0
    _since: float = 0.0
    _greeted_again: bool = False

    def look(self, now: float, *, awaited_since: float, greeting: bool, resumed: bool) -> Stage | None:
        """What to do now, if anything.

        ``awaited_since``: when the answer became due. ``greeting``: nothing was ever said by the interviewer.
        ``resumed``: this connection was resumed, and has not spoken since.
        """
        waited = now - max(self._since, awaited_since)
        if greeting and not self._greeted_again:
            if waited < GREETING_SECONDS:
                return None
            self._greeted_again = True
            self._since = now
            return Stage.GREET_AGAIN
        if resumed and not greeting:
            if waited < POISONED_SECONDS:
                return None
            self._since = now
            return Stage.FRESH
        if waited < ANSWER_SECONDS:
            return None
        self._since = now
        stage = _ESCALATION[min(self._stage, len(_ESCALATION) - 1)]
        self._stage += 1
        return stage

    def answered(self) -> None:
        """The interviewer spoke."""
        self._stage = 0
        self._since = 0.0
