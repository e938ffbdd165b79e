"""Optional fields of the setup: an interview never fails for one that Gemini does not take."""

from dataclasses import dataclass, field

import msgspec

from preppald.core.closes import BAD_SETUP, INVALID_ARGUMENT
from preppald.core.gemini import LANGUAGE_CODES, VOCABULARY, Setup
from preppald.gemini.dial import UpstreamError

# The code of every close frame that refuses a setup's content.
REFUSED = 1007


@dataclass(slots=True)
class Hints:
    """One for the process. ``refused``: fields that are not sent any more.

    A reason that names a field is about that field. One that names none ("invalid argument") may be about any, as long
    as no setup with such fields was ever accepted: then all of them are left out.
    """

    refused: set[str] = field(default_factory=set)
    _accepted: bool = False
    # Left out on suspicion; a setup that fails without them, too, clears them of it.
    _suspects: set[str] = field(default_factory=set)

    def fit(self, setup: Setup) -> Setup:
        """Return the setup without the fields that were refused."""
        changes = {_MEMBERS[name]: () for name in self.refused}
        return msgspec.structs.replace(setup, **changes) if changes else setup

    def accept(self, setup: Setup) -> None:
        """Note that Gemini accepted this setup."""
        self._accepted = self._accepted or bool(_sent(setup))
        self._suspects.clear()

    def blame(self, error: UpstreamError, setup: Setup) -> set[str]:
        """Return the fields over which Gemini may have refused this setup, which from now on are not sent."""
        sent = _sent(setup)
        if not sent:
            self.refused -= self._suspects
            self._suspects.clear()
            return set()
        if error.code != REFUSED or error.cause not in {BAD_SETUP, INVALID_ARGUMENT}:
            return set()
        words = str(error).lower()
        named = {name for name in sent if name.lower() in words or _snake(name) in words}
        if not named and error.cause is INVALID_ARGUMENT and not self._accepted:
            self._suspects = sent
        blamed = named or self._suspects
        self.refused |= blamed
        return set(blamed)


_MEMBERS = {LANGUAGE_CODES: "language_codes", VOCABULARY: "vocabulary"}


def _sent(setup: Setup) -> set[str]:
    return {name for name, member in _MEMBERS.items() if getattr(setup, member)}


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
