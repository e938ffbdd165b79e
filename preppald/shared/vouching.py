"""Asks the instances that are late to renew whether they live, all at one time, each at its address."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import trio

from preppald.shared.protocol import Peer
from preppald.shared.takeover import Deed, Word, decided
from preppald.shared.tenure import Tenure

# An instance that lives answers in milliseconds.
VOUCH_SECONDS = 2.0
# Instances that are asked at one time: each costs a connection. A net that fails may silence all of a large cell at once.
VOUCHED_AT_ONCE = 64
# So long an instance's silence counts: it is asked before its lease ends, and declared lost when it has.
SILENCE_SECONDS = 3.0

Vouch = Callable[[Peer], Awaitable[bool]]


async def nobody_vouches(_peer: Peer) -> bool:
    """Return False: without an address between hosts nobody can be asked."""
    return False


class Vouching:
    """``vouch``: asks one instance, and returns whether it lives."""

    def __init__(self, vouch: Vouch = nobody_vouches) -> None:
        self.vouch = vouch
        # When each was last silent at its address.
        self._silent_at: dict[int, float] = {}

    async def ask(self, tenure: Tenure, late: Sequence[Peer]) -> Mapping[int, Word]:
        """Return the words of those that are to be asked, by incarnation. ``late``: all that are late now."""
        there = {it.incarnation for it in late}
        self._silent_at = {it: at for it, at in self._silent_at.items() if it in there}
        words: dict[int, Word] = {}
        places = trio.CapacityLimiter(VOUCHED_AT_ONCE)

        async def ask(peer: Peer) -> None:
            async with places:
                words[peer.incarnation] = await self._word(peer)

        # At one time, for each that hangs takes its time to be silent.
        async with trio.open_nursery() as asking:
            for peer in late:
                if decided(tenure, peer, Word.UNASKED) is Deed.ASK:
                    asking.start_soon(ask, peer)
        return words

    async def _word(self, peer: Peer) -> Word:
        if trio.current_time() < self._silent_at.get(peer.incarnation, float("-inf")) + SILENCE_SECONDS:
            return Word.SILENT
        with trio.move_on_after(VOUCH_SECONDS):
            if await self.vouch(peer):
                return Word.ALIVE
        self._silent_at[peer.incarnation] = trio.current_time()
        return Word.SILENT
