"""Patience with an interviewer that owes an answer, and the interventions, stage by stage.

Others have seen one prompt in twenty unanswered, half of a product's calls stalled without an error, and resumed
sessions that hear and never speak again. Source: docs/protocol.md, "Turns" and "Long interviews".
"""

from dataclasses import dataclass

from preppald.core.evidence import Floor
from preppald.core.models import model_of
from preppald.core.stage import Stage

# Four times what a greeting takes; a candidate has not yet begun to wonder.
GREETING_SECONDS = 6.0
# The slowest answers seen took 3 s; a model that thinks by levels has its own time in its row (``core.models``).
ANSWER_SECONDS = 8.0
# The pause after which Gemini takes an answer for ended is part of these, up to this one.
USUAL_SILENCE = 2.0
# After a nudge: as long as an answer takes.
ROTATE_SECONDS = 4.0
# A session that was resumed after that has heard all there is to hear; a fresh one has more to read.
FRESH_SECONDS = 8.0
LAST_SECONDS = 15.0
UNGREETED_SECONDS = 10.0
# An interviewer that says "let me think" may.
THINKING_SECONDS = 30.0
# After a resume, text came in but no voice ever went out: a nudge would not help.
POISONED_SECONDS = 8.0


# Each with the seconds since the one before. In all: 8, 12, 20, 35 s; then the candidate is told once more, and has
# been told twice what is done when the interview ends.
_UNANSWERED = (
    (Stage.NUDGE, ANSWER_SECONDS),
    (Stage.ROTATE, ROTATE_SECONDS),
    (Stage.FRESH, FRESH_SECONDS),
    # A fresh session gets a second chance: its prompt, too, may be the one in twenty.
    (Stage.FRESH, LAST_SECONDS),
    (Stage.TELL, LAST_SECONDS),
    (Stage.GIVE_UP, LAST_SECONDS),
)
# There is nothing yet to resume, and a session that never spoke is no loss.
_UNGREETED = (
    (Stage.GREET_AGAIN, GREETING_SECONDS),
    (Stage.FRESH, UNGREETED_SECONDS),
    (Stage.GIVE_UP, UNGREETED_SECONDS),
)
_FRESH_STAGE = 2


def answer_seconds(model: str, thinking: str, silence: float) -> float:
    """Return how long this model, at this thinking level, may take to answer after the candidate's voice has ended.

    ``silence``: PREPPALD_VAD_SILENCE, for which Gemini waits before it takes an answer for ended.
    """
    return max(ANSWER_SECONDS, model_of(model).slow.get(thinking, 0.0)) + max(0.0, silence - USUAL_SILENCE)


@dataclass(slots=True)
class Patience:
    """One wait for an answer at a time; ``answered`` starts anew.

    ``answer_seconds``: how long this model may take to answer.
    """

    answer_seconds: float = ANSWER_SECONDS
    _stage: int = 0
    _since: float = 0.0

    def look(
        self,
        now: float,
        *,
        since: float,
        floor: Floor = Floor.OWED,
        greeting: bool = False,
        resumed: bool = False,
        sound: bool = False,
    ) -> Stage | None:
        """Return the intervention that is due now, if any.

        ``since``: when the wait began, by the evidence of ``floor``. ``greeting``: nothing was ever said by the
        interviewer. ``resumed``: this connection was resumed, and has not spoken since. ``sound``: the candidate is
        heard, which holds back a prompt, and no change of connection for a reply that stalled.
        """
        poisoned = resumed and not greeting and floor not in {Floor.THINKING, Floor.WORKING}
        if poisoned:
            self._stage = max(self._stage, _FRESH_STAGE)
        stages = _UNGREETED if greeting else _UNANSWERED
        place = min(self._stage, len(stages) - 1)
        stage, limit = stages[place]
        if floor is Floor.THINKING and place == 0:
            limit = THINKING_SECONDS
        elif poisoned:
            limit = POISONED_SECONDS
        elif place == 0 and not greeting:
            limit = self.answer_seconds
        if sound and stage in {Stage.NUDGE, Stage.GREET_AGAIN}:
            stage, more = stages[place + 1]
            limit += more
            place += 1
        if now - max(self._since, since) < limit:
            return None
        self._stage = place + 1
        self._since = now
        return stage

    def answered(self) -> None:
        """Note that the interviewer spoke."""
        self._stage = 0
        self._since = 0.0
