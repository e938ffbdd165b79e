"""A pause to think that the candidate asks for: the interviewer is told nothing, and waits.

While it lasts Gemini is sent silence, and the candidate's own sound is kept for its last moments only. It ends with the
candidate's voice, which is then sent from shortly before its first sound; with a second press; or after three minutes.
"""

from preppald.core.bucket import Bucket
from preppald.core.ear import Ear
from preppald.core.effects import SessionEffect, ShowHold
from preppald.core.levels import BYTES_PER_SECOND

HOLD_SECONDS = 180.0
# How long before its end the page is told once more.
WARNING_SECONDS = 20.0
REQUESTS_A_MINUTE = 10
# Sound from before a voice began: its first consonant is quieter than what makes it a voice.
LEAD_BYTES = int(0.3 * BYTES_PER_SECOND)
# As much clear voice ends the pause; a cough or a chair has less.
CLEAR_SECONDS = 0.3
# A voice that stays below that is none.
KEPT_BYTES = 3 * BYTES_PER_SECOND


class Hold:
    """One interview's. All times monotonic, in seconds; ``on``: it lasts; ``ended_at``: when the last one ended.

    ``kept``: the sound to ``release``.
    """

    __slots__ = ("_began_at", "_ear", "_ends_at", "_requests", "_warned", "ended_at", "kept", "on")

    def __init__(self, ear: Ear) -> None:
        self.on = False
        self.ended_at: float | None = None
        self._ear = ear
        self._ends_at = 0.0
        self._began_at = 0.0
        self._warned = False
        self._requests = Bucket(rate=REQUESTS_A_MINUTE / 60, burst=REQUESTS_A_MINUTE)
        self.kept = bytearray()

    def remaining(self, now: float) -> float:
        """Return the seconds that the pause still lasts; 0 where there is none."""
        return max(0.0, self._ends_at - now) if self.on else 0.0

    def ask(self, now: float, *, on: bool) -> list[SessionEffect]:
        """Begin or end the pause, as the page asks; one that lasts is not begun anew. Return the page's answer.

        A page that asks too often is answered, and nothing changes.
        """
        often = self._requests.level(now) < 1
        if not often:
            self._requests.spend(1, now)
            if on and not self.on:
                self.on, self._warned = True, False
                self._began_at, self._ends_at = now, now + HOLD_SECONDS
            elif not on:
                self._end(now)
        return [self.shown(now)]

    def end(self, now: float) -> list[SessionEffect]:
        """End the pause, where there is one: the candidate answers. Return what the page is told."""
        if not self.on:
            return []
        self._end(now)
        return [self.shown(now)]

    def shown(self, now: float) -> ShowHold:
        """Return what the page is told of the pause now."""
        return ShowHold(self.on, self.remaining(now))

    def look(self, now: float) -> list[SessionEffect]:
        """Return what is due now, once a second: the warning before the end, or the end."""
        if not self.on:
            return []
        left = self.remaining(now)
        if left <= 0:
            self._end(now)
        elif self._warned or left > WARNING_SECONDS:
            return []
        self._warned = True
        return [self.shown(now)]

    def hear(self, pcm: bytes, now: float) -> None:
        """Keep the candidate's sound during the pause; a voice ends it. ``release`` has what was kept."""
        self.kept += pcm
        speaking = self._ear.speaking(now) and self._ear.began_at > self._began_at
        if speaking and self._ear.clear_seconds >= CLEAR_SECONDS:
            self._end(now)
            return
        excess = len(self.kept) - (KEPT_BYTES if speaking else LEAD_BYTES)
        if excess > 0:
            del self.kept[: excess + excess % 2]

    def release(self) -> bytes:
        """Return the sound that was kept, which goes before all that follows; mostly none."""
        if not self.kept:
            return b""
        kept, self.kept = bytes(self.kept), bytearray()
        return kept

    def _end(self, now: float) -> None:
        if self.on:
            self.on = False
            self.ended_at = now
