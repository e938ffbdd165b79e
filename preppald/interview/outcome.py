"""Decides an interview's ending: the first call makes it over, and of several at one instant one counts."""

import trio

from preppald.core.endings import Ending, first


class Outcome:
    """``end`` may be called from anywhere in the interview, and more than once."""

    def __init__(self) -> None:
        self._calls: list[tuple[Ending, str]] = []
        self._over = trio.Event()

    @property
    def over(self) -> bool:
        """True once an ending was called."""
        return self._over.is_set()

    async def wait(self) -> None:
        """Return when an ending was called."""
        await self._over.wait()

    def end(self, ending: Ending, cause: str) -> None:
        """End the interview; ``cause`` says why, for people."""
        self._calls.append((ending, cause))
        self._over.set()

    @property
    def decided(self) -> tuple[Ending, str]:
        """The ending that counts so far, by ``PRECEDENCE``, with its cause."""
        ending = first([ending for ending, _ in self._calls])
        return ending, next(cause for known, cause in self._calls if known is ending)
