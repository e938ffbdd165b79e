"""Patience with an interviewer that owes an answer, and the interventions, stage by stage.

Others have seen one prompt in twenty unanswered, half of a product's calls stalled without an error, and resumed
sessions that hear and never speak again. Source: docs/protocol.md, "Turns" and "Long interviews".
"""

from dataclasses import dataclass
import enum

# Four times what a greeting takes; a candidate has not yet begun to wonder.
GREETING_SECONDS = 6.0
# The slowest answers seen took 3 s; longer pauses than this are taken for a broken line.
ANSWER_SECONDS = 10.0
# A model that said "let me think" gets this long before it is asked to go on.
THINKING_SECONDS = 30.0
# After a resume, text came in but no voice ever went out: a nudge would not help.
POISONED_SECONDS = 8.0


class Stage(enum.StrEnum):
    """The watchdog's interventions; each is counted."""

    GREET_AGAIN = "greet_again"
    NUDGE = "nudge"
    ROTATE = "rotate"
    FRESH = "fresh"
    GIVE_UP = "give_up"


# A fresh session gets a second chance: its prompt, too, may be the one in twenty.
_UNANSWERED = (Stage.NUDGE, Stage.ROTATE, Stage.FRESH, Stage.FRESH, Stage.GIVE_UP)
# There is nothing yet to resume, and a session that never spoke is no loss.
_UNGREETED = (Stage.GREET_AGAIN, Stage.FRESH, Stage.GIVE_UP)
_FRESH_STAGE = _UNANSWERED.index(Stage.FRESH)


@dataclass(slots=True)
class Patience:
    """One wait for an answer at a time; ``answered`` starts anew."""

    _stage: int = 0
    _since: float = 0.0

    def look(
        self, now: float, *, awaited_since: float, greeting: bool, resumed: bool, thinking: bool = False
    ) -> Stage | None:
        """Return the intervention that is due now, if any.

        ``awaited_since``: when the answer became due. ``greeting``: nothing was ever said by the interviewer.
        ``resumed``: this connection was resumed, and has not spoken since. ``thinking``: Gemini said that it goes on.
        """
        poisoned = resumed and not greeting
        waited = now - max(self._since, awaited_since)
        if waited < self._limit(greeting=greeting, poisoned=poisoned, thinking=thinking):
            return None
        if poisoned:
            self._stage = max(self._stage, _FRESH_STAGE)
        stages = _UNGREETED if greeting else _UNANSWERED
        stage = stages[min(self._stage, len(stages) - 1)]
        self._stage += 1
        self._since = now
        return stage

    def answered(self) -> None:
        """Note that the interviewer spoke."""
        self._stage = 0
        self._since = 0.0

    def _limit(self, *, greeting: bool, poisoned: bool, thinking: bool) -> float:
        if thinking and self._stage == 0:
            return THINKING_SECONDS
        if greeting and self._stage == 0:
            return GREETING_SECONDS
        return POISONED_SECONDS if poisoned else ANSWER_SECONDS
