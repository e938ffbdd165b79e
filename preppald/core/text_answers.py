"""Answers that the candidate types: cleaned, bounded in length and number, and each taken once.

A page that lost its connection cannot know which of its answers arrived, and sends them again.
"""

from collections.abc import Iterable
import unicodedata

import msgspec

from preppald.core.bucket import Bucket
from preppald.core.events import TextAnswered

# Two minutes of speech, typed.
MAX_CHARS = 2_000
ANSWERS_A_MINUTE = 10
# They would show the reader of a transcript other words than there are.
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class TextRefused(msgspec.Struct, frozen=True):
    """An answer that is not taken. ``code``: HTTP's; ``retry_after``: seconds, 0 where waiting does not help."""

    code: int
    words: str
    retry_after: float = 0.0


TOO_EARLY = TextRefused(425, "The interview has not begun: your answer was not sent")
NO_NUMBER = TextRefused(400, "A typed answer needs a number above 0")
EMPTY = TextRefused(400, "Your answer has no text, and was not sent")


class TextAnswers:
    """One interview's. ``taken``: the numbers of answers that a journal already holds."""

    def __init__(self, taken: Iterable[int] = ()) -> None:
        self._taken = set(taken)
        self._allowed = Bucket(rate=ANSWERS_A_MINUTE / 60, burst=ANSWERS_A_MINUTE)

    def take(self, answer: TextAnswered, now: float) -> TextAnswered | TextRefused | None:
        """Return the answer as it is to be kept, why it is refused, or None where it was taken before."""
        if answer.number in self._taken:
            return None
        text = cleaned(answer.text)
        if not answer.number:
            return NO_NUMBER
        if not text:
            return EMPTY
        if len(text) > MAX_CHARS:
            return TextRefused(
                413, f"Your answer has {len(text)} characters, and may have {MAX_CHARS}: shorten it"
            )
        if self._allowed.level(now) < 1:
            wait = self._allowed.seconds_until(1, now)
            return TextRefused(429, f"More than {ANSWERS_A_MINUTE} answers in a minute: wait a moment", wait)
        self._allowed.spend(1, now)
        self._taken.add(answer.number)
        return TextAnswered(text, answer.number)


def cleaned(text: str) -> str:
    """Return the text without control characters, apart from line ends and tabs, and without blanks around it.

    Empty where a reader would see nothing: joiners and marks need a letter to stand at.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(
        char
        for char in lines
        if char in "\n\t" or not (unicodedata.category(char) in {"Cc", "Cs"} or char in _BIDI_CONTROLS)
    ).strip()
    return text if any(unicodedata.category(char)[0] in "LNPS" for char in text) else ""
