"""The tokens that one interview may use: near the end of them the interviewer closes, and at the end it is over."""

from preppald.core import interviewer
from preppald.core.effects import End, Prompt, SessionEffect, Tell
from preppald.core.endings import TOKENS_SPENT
from preppald.core.frames import NoticeKind

# The share of the ceiling on tokens; the rest is for the last words, which read the whole context once more.
CLOSING_SHARE = 0.9


class Allotment:
    """One interview's. ``ceiling``: tokens; 0 for as many as it takes."""

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self._closing = False

    def used(self, total: int) -> list[SessionEffect]:
        """Return what follows from so many tokens, all that were used so far."""
        if not self._ceiling:
            return []
        if total >= self._ceiling:
            return [End(TOKENS_SPENT, f"{total} tokens, of at most {self._ceiling}")]
        if total < self._ceiling * CLOSING_SHARE or self._closing:
            return []
        self._closing = True
        return [Tell(NoticeKind.ENDING_SOON, "The interview ends soon."), Prompt(interviewer.CLOSE)]
