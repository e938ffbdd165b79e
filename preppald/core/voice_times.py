"""When an answer was spoken: by our own ear, and by the places in the sound that Gemini names.

Gemini's notices of a voice come late, by the line and by its silence, but most name the place in the candidate's sound
at which it noticed. That place finds the voice also where much sound came at once. Our own ear, where it heard that
voice, has its begin and end to 20 ms, and counts; where it did not, they are reckoned back from the place.
"""

from dataclasses import dataclass

from preppald.core.ear import CLEAR_SECONDS, LEAST_SECONDS, Ear, Stretch
from preppald.core.levels import NEARLY_SECONDS

# Gemini notices a voice a quarter of a second after it began, and later where a stall broke it off; an earlier beginning
# is another voice's. Where the interviewer was heard it may be an echo of that.
NOTICE_SECONDS = 3.0
ECHO_NOTICE_SECONDS = 1.0
# An end by our ear that is so much before Gemini's is another voice's, or this one grew too soft for us.
END_NEAR_SECONDS = 1.0
# How far into a voice Gemini names its place, and how far behind its end beside the silence that it waits for. Recorded
# on 3.8-live and on 3.1: 0.18 and 0.11, 0.29 and 0.31.
BEGIN_LAG_SECONDS = 0.15
END_LAG_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class _Moment:
    """``at``: monotonic seconds, as known when it was noted. ``place``: in our ear's sound, which tells it better later."""

    at: float
    place: float | None = None


class VoiceTimes:
    """One interview's. Times are monotonic seconds. ``silence``: for which Gemini waits before a voice has ended, seconds.

    ``behind``: how much of the candidate's sound has come since the place that Gemini named, in seconds; None for none.
    """

    def __init__(self, ear: Ear | None, silence: float) -> None:
        self._ear = ear
        self._end_lag = silence + END_LAG_SECONDS
        # The begin of a voice whose words have not come.
        self._began: _Moment | None = None
        # Where Gemini noticed the end of the last voice, and when that ended by this place alone.
        self._ended_place: float | None = None
        self._reckoned: _Moment | None = None
        # Gemini was lost in the middle of a voice.
        self._broken_off = False
        # When the last answer ended, and the last that the interviewer replied to.
        self._end = self._answered = _Moment(0.0)

    # -------------------------------------------------------------- Gemini's notices

    def began(self, now: float, behind: float | None, *, answering: bool) -> None:
        """Note that Gemini noticed a voice; ``answering``: in the middle of an answer with words."""
        began = self._beginning(now, behind)
        self._broken_off = False
        self.forget_end()
        if not answering:
            self._began = began

    def ended(self, now: float, behind: float | None) -> None:
        """Note that Gemini noticed the end of a voice."""
        self._reckoned = self._ended_place = None
        ear = self._heard
        if ear is not None:
            self._ended_place = ear.place - (behind or 0.0)
        if behind is not None:
            place = None if self._ended_place is None else self._ended_place - self._end_lag
            self._reckoned = _Moment(now - behind - self._end_lag, place)

    def forget_end(self) -> None:
        """Note that what is said last does not end where Gemini noticed an end."""
        self._reckoned = self._ended_place = None

    def lost(self) -> None:
        """Note that Gemini is lost in the middle of a voice, and reports no end of it."""
        self._broken_off = True

    def answered(self) -> None:
        """Note that the interviewer replies to the answer whose ``end`` was asked last."""
        self._answered = self._end
        self._began = None
        self._broken_off = False
        self.forget_end()

    # -------------------------------------------------------------- what they come to

    def take_begin(self, now: float) -> float:
        """Return when the answer began whose first words come now; the next ones are another's."""
        began, self._began = self._began, None
        if began is not None:
            return self._time(began)
        return self._ear.began_at if self._ear is not None and self._ear.any_voice else now

    def end(self, now: float, noticed: float | None, begun: float) -> float:
        """Return when the answer ended that is closed now.

        ``noticed``: when Gemini reported that, or its last words came. ``begun``: when the answer began.
        """
        latest = now if noticed is None else noticed
        ear = self._heard
        if ear is not None:
            place = ear.place if self._ended_place is None else self._ended_place
            # A word that is too short to be voice is one where Gemini wrote it down, and nothing else is there.
            for voice in (ear.voice_before(place, least=LEAST_SECONDS), ear.voice_before(place)):
                if voice is None or not self._same(voice.until):
                    continue
                until = ear.spoken_at(voice.until)
                if until > begun:
                    self._end = _Moment(min(until, latest if self._reckoned is None else now), voice.until)
                    return self._end.at
        self._end = self._reckoned or _Moment(latest)
        return self._time(self._end)

    def _beginning(self, now: float, behind: float | None) -> _Moment:
        ear = self._heard
        if ear is None:
            return _Moment(now if behind is None else now - behind - BEGIN_LAG_SECONDS)
        place = ear.place - (behind or 0.0)
        reckoned = _Moment(now) if behind is None else _Moment(now - behind, place - BEGIN_LAG_SECONDS)
        voice, before = ear.voice_before(place), self._began
        if voice is None:
            return reckoned
        if self._broken_off and before is not None and self._goes_on(before, voice):
            return before
        began = voice.began
        if self._answered.place is not None and began < self._answered.place:
            began = self._answered.place  # the interviewer replied to the first part of this voice
        limit = NOTICE_SECONDS if voice.alone and began == voice.began else ECHO_NOTICE_SECONDS
        late = place - began if behind is not None else now - ear.came_at
        return _Moment(now, began) if late <= limit else reckoned

    def _goes_on(self, before: _Moment, voice: Stretch) -> bool:
        """Return whether a connection notices a voice in the answer that an earlier one noticed, and then was lost.

        It is the same voice, or comes behind so much that the first was no cough. The words of that were lost.
        """
        if before.place is None or self._ear is None:
            return False
        first = self._ear.voice_before(before.place + NEARLY_SECONDS)
        return first is voice or (first is not None and first.clear >= CLEAR_SECONDS)

    def _same(self, until: float) -> bool:
        """Return whether a voice that our ear heard up to this place is the one that Gemini heard to its end."""
        reckoned = self._reckoned
        return reckoned is None or reckoned.place is None or reckoned.place - until <= END_NEAR_SECONDS

    @property
    def _heard(self) -> Ear | None:
        """Our ear, where it can tell when anything was spoken."""
        return self._ear if self._ear is not None and self._ear.timed else None

    def _time(self, moment: _Moment) -> float:
        if moment.place is None or self._ear is None:
            return moment.at
        return self._ear.spoken_at(moment.place)
