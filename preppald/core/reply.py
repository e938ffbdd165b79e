"""One reply of the interviewer as it comes in: its sound, its words, and how far the words were heard.

Text and sound of a reply arrive in one stream without a promise of order: the text was seen three seconds ahead of
the sound, and two behind. Neither is stamped with a time. So each piece of text is tied to the amount of sound that had
come before it, and a constant lead or lag is taken off: text that was there before the first sound leads by as much as
it takes to say; sound that was there before the first text says how far the text lags.
"""

import bisect
from dataclasses import dataclass
import unicodedata

from preppald.core.events import AudioSpoken
from preppald.core.frames import OUTPUT_BYTES_PER_SECOND
from preppald.core.turns import CutReply, unspaced

# Sound over which the stream's own characters a second are believed.
MEASURED_SECONDS = 1.0
# A reply that is long enough to say how fast this voice speaks this language.
TYPICAL_SECONDS = 3.0
# English speech has 15 characters a second, Chinese and Japanese a third of that.
CHARS_PER_SECOND = 15.0
WIDE_CHARS_PER_SECOND = 5.0
# More or fewer are no speech: a pause was counted, or the text's sound is missing.
PLAUSIBLE_RATE = (1.0, 60.0)
# The longest rest of a word that counts as heard with its beginning. Scripts without blanks have no words to the eye;
# there the cut stands where the sound was.
WORD_REST_CHARS = 16
# After `interrupted`, and before the turnComplete that belongs to it, so much sound may still be of the cut reply: a
# reply whose turnComplete was lost goes on for longer.
STALE_SOUND_SECONDS = 0.5
STALE_SECONDS = 5.0

# turnComplete was seen up to 35 ms after the end of playback. A reply that was generated, and heard out for so long, is
# over without it: else the candidate's next words would count as late ones, and the next reply as more of this one.
OVERDUE_SECONDS = 2.0


class Reply:
    """``number`` is its turn's, ``began_at`` when its first sound or word came (monotonic seconds).

    ``rate``: characters a second of this interviewer's earlier replies, if any is known. Positions in the sound are
    seconds from its beginning; positions in the text are characters.
    """

    def __init__(self, number: int, began_at: float, *, rate: float | None = None) -> None:
        self.number = number
        self.began_at = began_at
        # True once any of it could be heard.
        self.sounding = False
        self.seconds = 0.0
        self.generated = False
        # When Gemini declared it over.
        self.over_at: float | None = None
        # True where it answers words that nobody has written down yet.
        self.answers_unheard = False
        # How much of its sound was heard before the candidate spoke over it, and of its text, as far as that is known.
        self._cut_at: float | None = None
        self._cut_chars: float | None = None
        # The end of the last word that was heard, and the place in it.
        self._heard: tuple[int, int] | None = None
        self._rate = rate
        self._text = ""
        # For each piece of text: the sound, and the characters, that had come before it.
        self._marks: list[tuple[float, int]] = []

    def add_sound(self, seconds: float) -> None:
        """Take a piece of its sound."""
        self.sounding = True
        self.seconds += seconds

    def add_text(self, text: str) -> None:
        """Take a piece of its text."""
        self._marks.append((self.seconds, len(self._text)))
        self._text += text

    @property
    def cut(self) -> bool:
        """True where the candidate spoke over it."""
        return self._cut_at is not None

    def cut_off(self, position: float) -> None:
        """Note that the candidate heard so much of its sound. Text that comes later changes nothing in that."""
        self._cut_at = position
        if self._text:
            self._cut_chars = self._chars_at(position)

    @property
    def cut_reply(self) -> CutReply | None:
        """How much of it was heard, where it was cut."""
        if self._cut_at is None:
            return None
        return CutReply(self.number, round(self._cut_at * 1000), self.heard_chars())

    def typical_rate(self) -> float | None:
        """Return its characters a second, where all of it came and it is long enough to tell."""
        if not self.generated or self.cut or self.seconds < TYPICAL_SECONDS:
            return None
        return _plausible(len(self._text) / self.seconds)

    def heard_chars(self) -> int:
        """Return how much of its text was heard, to the end of the word, where it was cut; it may still grow.

        All of what has come may be less than what was heard: then the rest is still on its way.
        """
        if self._cut_at is None:
            return len(self._text)
        if self._cut_chars is None:
            self._cut_chars = self._cut_at * (self._rate or _usual_rate(self._text))
        if self._heard is None or self._heard[1] < round(self._cut_chars):
            # All of what had come was heard, and more: the rest of that comes now.
            here = min(len(self._text), round(self._cut_chars))
            self._heard = (end_of_word(self._text, here), here)
        return self._heard[0]

    def _chars_at(self, position: float) -> float:
        anchors = self._anchors()
        place = bisect.bisect_right(anchors, position, key=lambda anchor: anchor[0])
        at, chars = anchors[place - 1]
        if place == len(anchors):
            return chars + (position - at) * self._measured_rate()
        next_at, next_chars = anchors[place]
        return chars + (next_chars - chars) * (position - at) / (next_at - at)

    def _anchors(self) -> list[tuple[float, int]]:
        """Return (sound, characters) pairs in order, each sound once, from (0, 0) on."""
        # The first piece that came behind sound is said behind all the text that came before it.
        came, ahead = next((mark for mark in self._marks if mark[0]), (0.0, len(self._text)))
        shift = ahead / self._measured_rate() - came
        anchors = [(0.0, 0)]
        for sound, chars in self._marks:
            if sound and sound + shift > anchors[-1][0]:
                anchors.append((sound + shift, chars))
        if self.generated and self.seconds > anchors[-1][0]:
            anchors.append((self.seconds, len(self._text)))
        return anchors

    def _measured_rate(self) -> float:
        """Return characters a second, from the best there is: all of the reply, its flow, earlier replies, its script."""
        came = [mark for mark in self._marks if mark[0]]
        rate = None
        if self.generated and self.seconds:
            rate = _plausible(len(self._text) / self.seconds)
        elif came and came[-1][0] - came[0][0] >= MEASURED_SECONDS:
            rate = _plausible((came[-1][1] - came[0][1]) / (came[-1][0] - came[0][0]))
        rate = rate or self._rate
        if rate is None and len(self._marks) == 1 and self._marks[0][0] >= MEASURED_SECONDS:
            # One piece of text behind its sound is all that sound's.
            rate = _plausible(len(self._text) / self.seconds)
        return rate or _usual_rate(self._text)


@dataclass(slots=True)
class Stale:
    """After an interruption: ``until`` when sound and words may be the cut reply's, and how much ``sound`` was.

    ``muted``: the candidate typed over the reply, and until Gemini knows of that all sound is the cut reply's.
    """

    until: float = 0.0
    sound: float = 0.0
    muted: bool = False

    def takes(self, event: AudioSpoken) -> bool:
        """Return whether this, which came before ``until``, is the cut reply's, too."""
        if self.muted:
            return True
        self.sound += len(event.pcm) / OUTPUT_BYTES_PER_SECOND
        return self.sound <= STALE_SOUND_SECONDS


def end_of_word(text: str, at: int) -> int:
    """Return where the word at this place ends: a word that was begun counts as heard.

    Any white space ends a word, and so does every character of a script whose words nothing separates.
    """
    if at <= 0:
        return 0
    for end in range(at, min(len(text), at + WORD_REST_CHARS)):
        if text[end].isspace() or unspaced(text[end - 1]):
            return end
    end = at + WORD_REST_CHARS
    return len(text) if end >= len(text) else _whole_character(text, at)


def _whole_character(text: str, at: int) -> int:
    """Return the next place that does not part a letter from its marks."""
    while at < len(text) and unicodedata.category(text[at]) in {"Mn", "Mc", "Me", "Cf"}:
        at += 1
    return at


def _usual_rate(text: str) -> float:
    wide = sum(unspaced(character) for character in text)
    return WIDE_CHARS_PER_SECOND if wide * 2 > len(text) else CHARS_PER_SECOND


def _plausible(rate: float) -> float | None:
    low, high = PLAUSIBLE_RATE
    return rate if low <= rate <= high else None
