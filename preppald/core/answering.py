"""The candidate's side of the dialogue as it comes in: the turn that a word goes to, and when the voice began and ended.

Gemini writes down what it understood, late and in no promised order; ``words`` places it. Gemini's notices of the voice
are late as well, by its silence; where our own ear heard the voice, the turn has its times.
"""

from preppald.core.activity import Activity
from preppald.core.ear import Ear
from preppald.core.events import TextAnswered
from preppald.core.minutes import Minutes
from preppald.core.reply import Reply
from preppald.core.turns import Fragment, Speaker, joined, sentence_ends
from preppald.core.words import PLACES, Placement, heard_word

# Gemini notices a voice a quarter of a second after it began; an earlier beginning is another voice's.
NOTICE_SECONDS = 1.0


class Answering:
    """One interview's. ``epoch_ms``: the wall clock in milliseconds at the monotonic time 0; ``now`` is monotonic."""

    def __init__(self, minutes: Minutes, epoch_ms: float, ear: Ear | None) -> None:
        self._minutes = minutes
        self._epoch_ms = epoch_ms
        self._ear = ear
        # The candidate's voice, as far as this Gemini reports it.
        self._activity = Activity()
        # When the last word came that belonged before a reply.
        self._late_at: float | None = None

    @property
    def speaking(self) -> bool:
        """True between Gemini's reports that the candidate began and stopped speaking."""
        return self._activity.speaking

    @speaking.setter
    def speaking(self, speaking: bool) -> None:
        self._activity.speaking = speaking

    @property
    def ended_at(self) -> float | None:
        """When the answer ended, as Gemini noticed; None where it was not answered aloud."""
        return self._activity.ended_at

    # -------------------------------------------------------------- voice

    def speech_began(self, now: float) -> None:
        """Note that Gemini noticed the voice."""
        began = self._voice_began_before(now)
        self._activity.began(began, answering=self._minutes.is_open(Speaker.USER))

    def speech_ended(self, now: float) -> None:
        """Note that Gemini noticed the end of the voice."""
        self._activity.ended(now)

    # -------------------------------------------------------------- words

    def hear(self, text: str, reply: Reply | None, now: float) -> Fragment:
        """Take what Gemini understood, and return it in its place; ``reply``: the interviewer's last one."""
        activity = self._activity
        if not activity.told:
            activity.ended_at = now
        answering = self._minutes.is_open(Speaker.USER)
        found = heard_word(reply, activity, self._late_at, now, answering=answering)
        match PLACES[found.situation]:
            case Placement.LATE:
                self._late_at = now
                return self._heard_before(reply, text)
            case Placement.NEW:
                # The text of a whole utterance comes at its end; the turn began when the voice did.
                began = activity.began_at or self._voice_began_at(now)
                activity.began_at = None
                number = self._minutes.begin(Speaker.USER)
                self._minutes.times(number, begin_ms=self._wall_ms(began))
                activity.utterance_over = False
                return self._minutes.add(Speaker.USER, text, self._wall_ms(began))
            case _:
                number = self._minutes.open_number(Speaker.USER)
                return self._minutes.add(Speaker.USER, self._joined(number, text), self._wall_ms(now))

    def take_typed(self, event: TextAnswered, now: float) -> Fragment:
        """Take an answer that was typed: a spoken one that is open goes on with it."""
        at_ms = self._wall_ms(now)
        number = self._minutes.open_number(Speaker.USER)
        if not number:
            number = self._minutes.begin(Speaker.USER)
            self._minutes.times(number, begin_ms=at_ms)
        text = joined(self._minutes.text(number), event.text)
        self._activity.ended_at = now
        self._activity.utterance_over = True
        return self._minutes.add(Speaker.USER, text, at_ms, answer=event.number)

    def _joined(self, number: int, text: str) -> str:
        """Return the text as it goes on behind that turn's: pieces as they come, whole utterances with a blank."""
        before = self._minutes.text(number)
        another, self._activity.utterance_over = self._activity.utterance_over, False
        return joined(before, text) if another or sentence_ends(before, text) else text

    def _heard_before(self, reply: Reply | None, text: str) -> Fragment:
        """Place text that came late: it belongs before the reply that answered it, which may have no text yet."""
        assert reply is not None  # noqa: S101 - the word was found to be late for it
        before_ms = self._wall_ms(reply.began_at) - 1
        number = self._minutes.last(Speaker.USER)
        # The turn that the reply ended, or the one that an earlier piece of this text began.
        if number not in self._minutes or number < reply.number - 1:
            number = self._minutes.new_number(Speaker.USER)
            self._minutes.times(number, begin_ms=before_ms, end_ms=before_ms)
        text = self._joined(number, text)
        return self._minutes.write(number, Speaker.USER, text, before_ms, turn_complete=True)

    # -------------------------------------------------------------- the end of an answer

    def reply_began(self, now: float) -> list[Fragment]:
        """Close the answer, which the interviewer replies to; return the fragment that says so, if there is one."""
        self._late_at = None
        ended_at = self._activity.ended_at
        self._activity.reply_began()
        return self._close(now, ended_at)

    def close(self, now: float) -> list[Fragment]:
        """Close the answer: the interview is over. Return as ``reply_began`` does."""
        return self._close(now, self._activity.ended_at)

    def _close(self, now: float, ended_at: float | None) -> list[Fragment]:
        number = self._minutes.open_number(Speaker.USER)
        if number:
            ended_at = now if ended_at is None else ended_at
            self._minutes.times(number, end_ms=self._wall_ms(min(ended_at, self._voice_ended_at(ended_at))))
        closing = self._minutes.close(Speaker.USER, self._wall_ms(now))
        return [] if closing is None else [closing]

    def _wall_ms(self, now: float) -> int:
        return round(self._epoch_ms + now * 1000)

    # -------------------------------------------------------------- our own ear

    def _voice_began_at(self, now: float) -> float:
        """Return when the voice began whose words come now; where we did not hear it, now."""
        return self._ear.began_at if self._ear is not None and self._ear.any_voice else now

    def _voice_began_before(self, noticed: float) -> float:
        """Return when the voice began that Gemini notices now, if we heard it."""
        began = self._ear.began_at if self._ear is not None and self._ear.speaking(noticed) else noticed
        return began if noticed - began <= NOTICE_SECONDS else noticed

    def _voice_ended_at(self, noticed: float) -> float:
        """Return when the answer's voice ended, as we heard it; else when Gemini noticed."""
        heard = self._ear is not None and self._ear.any_voice and self._ear.counted_at is not None
        return self._ear.counted_until if self._ear is not None and heard else noticed
