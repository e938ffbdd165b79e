"""The candidate's side of the dialogue as it comes in: the turn that a word goes to, and when the voice began and ended.

Gemini writes down what it understood, late and in no promised order; ``words`` places it, and ``voice_times`` knows when
it was said.
"""

from preppald.core.activity import Activity
from preppald.core.ear import Ear
from preppald.core.events import TextAnswered
from preppald.core.minutes import Minutes
from preppald.core.reply import Reply
from preppald.core.turns import Fragment, Speaker, joined, sentence_ends
from preppald.core.voice_times import VoiceTimes
from preppald.core.words import PLACES, Placement, heard_word


class Answering:
    """One interview's. ``epoch_ms``: the wall clock in milliseconds at the monotonic time 0; ``now`` is monotonic.

    ``silence``: for which Gemini waits before a voice has ended, in seconds.
    """

    def __init__(self, minutes: Minutes, epoch_ms: float, ear: Ear | None, silence: float) -> None:
        self._minutes = minutes
        self._epoch_ms = epoch_ms
        self._times = VoiceTimes(ear, silence)
        # The candidate's voice, as far as this Gemini reports it.
        self._activity = Activity()
        # When the last word came that belonged before a reply.
        self._late_at: float | None = None
        # When the open answer began; and from when to when the voice was that the last reply answered.
        self._begun = 0.0
        self._answered = (0.0, 0.0)

    @property
    def speaking(self) -> bool:
        """True between Gemini's reports that the candidate began and stopped speaking."""
        return self._activity.speaking

    @property
    def ended_at(self) -> float | None:
        """When the answer ended, as Gemini noticed; None where it was not answered aloud."""
        return self._activity.ended_at

    # -------------------------------------------------------------- voice

    def speech_began(self, now: float, behind: float | None = None) -> None:
        """Note that Gemini noticed the voice; ``behind``: how much sound has come since the place that it named."""
        self._activity.began()
        self._times.began(now, behind, answering=self._minutes.is_open(Speaker.USER))

    def speech_ended(self, now: float, behind: float | None = None) -> None:
        """Note that Gemini noticed the end of the voice; ``behind`` as for ``speech_began``."""
        self._activity.ended(now)
        self._times.ended(now, behind)

    def lost(self) -> None:
        """Note that Gemini is lost: it reports no end of a voice under way."""
        if self._activity.speaking:
            self._times.lost()
        self._activity.speaking = False

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
                began_ms = self._wall_ms(self._begin(self._times.take_begin(now)))
                activity.utterance_over = False
                return self._minutes.add(Speaker.USER, text, began_ms)
            case _:
                number = self._minutes.open_number(Speaker.USER)
                return self._minutes.add(Speaker.USER, self._joined(number, text), self._wall_ms(now))

    def take_typed(self, event: TextAnswered, now: float) -> Fragment:
        """Take an answer that was typed: a spoken one that is open goes on with it."""
        at_ms = self._wall_ms(now)
        number = self._minutes.open_number(Speaker.USER)
        if not number:
            self._begin(now)
            number = self._minutes.open_number(Speaker.USER)
        text = joined(self._minutes.text(number), event.text)
        self._activity.ended_at = now
        self._times.forget_end()
        self._activity.utterance_over = True
        return self._minutes.add(Speaker.USER, text, at_ms, answer=event.number)

    def _begin(self, began: float) -> float:
        """Open an answer that began then."""
        self._begun = began
        self._minutes.times(self._minutes.begin(Speaker.USER), begin_ms=self._wall_ms(began))
        return began

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
            began_ms, ended_ms = (min(before_ms, self._wall_ms(it)) for it in self._answered)
            self._minutes.times(number, begin_ms=began_ms, end_ms=ended_ms)
        text = self._joined(number, text)
        return self._minutes.write(number, Speaker.USER, text, before_ms, turn_complete=True)

    # -------------------------------------------------------------- the end of an answer

    def reply_began(self, now: float) -> list[Fragment]:
        """Close the answer, which the interviewer replies to; return the fragment that says so, if there is one."""
        self._late_at = None
        begun = self._begun if self._minutes.is_open(Speaker.USER) else self._times.take_begin(now)
        ended = self._times.end(now, self._activity.ended_at, begun)
        self._answered = (min(begun, ended), ended)
        self._times.answered()
        self._activity.reply_began()
        return self._close(now, ended)

    def close(self, now: float) -> list[Fragment]:
        """Close the answer: the interview is over. Return as ``reply_began`` does."""
        return self._close(now, self._times.end(now, self._activity.ended_at, self._begun))

    def _close(self, now: float, ended: float) -> list[Fragment]:
        number = self._minutes.open_number(Speaker.USER)
        if number:
            # A voice that ended before the answer was typed does not end it.
            self._minutes.times(number, end_ms=self._wall_ms(max(ended, self._begun)))
        closing = self._minutes.close(Speaker.USER, self._wall_ms(now))
        return [] if closing is None else [closing]

    def _wall_ms(self, now: float) -> int:
        return round(self._epoch_ms + now * 1000)
