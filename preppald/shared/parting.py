"""Parts this host from sessions that another instance has, or may have: they end here without an end, and leave no row.

Their words that the shared journal lacks came too late for the transcript. They go where people find them.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec
import trio

from preppald.core.interview import Interview
from preppald.core.turns import Fragment
from preppald.journal import Journal
from preppald.shared.ownership import DOOR_SECONDS, SILENT
from preppald.shared.protocol import (
    PULSE_SECONDS,
    Fenced,
    Held,
    Late,
    Said,
    Session,
    Shared,
    Unfit,
    Unreachable,
    Written,
)
from preppald.shared.words import fragments_of
from preppald.telemetry.interfaces import Log

# Removes the rows of an interview; to be called when nothing of it runs here.
Forget = Callable[[], Awaitable[None]]
# Ends what runs here of an interview, and then removes its rows while nothing of it can begin.
Ends = Callable[[str, Forget], Awaitable[None]]


async def _nothing_runs(_interview_id: str, forget: Forget) -> None:
    await forget()


class Parting:
    """``ends``: how an interview that runs here comes to its end; nothing runs before it is set."""

    def __init__(self, shared: Shared, *, log: Log) -> None:
        self.ends: Ends = _nothing_runs
        # Sessions that were let go of since the start.
        self.moved = 0
        self._shared = shared
        self._log = log
        # The last answer did not come in time: while it was waited for nothing could begin here.
        self._slow = False

    async def part(
        self, journal: Journal, me: int, names: Iterable[str], kin: Sequence[int] = ()
    ) -> Written | Fenced | Unreachable:
        """Let go of those of these interviews that are not this incarnation's; renews its lease meanwhile.

        ``kin``: see ``Shipment``. An interview that the shared journal does not know stays.

        Raises:
            JournalError: the local journal fails; what was not removed is still here.
        """
        renewed = trio.current_time()
        for name in names:
            answer = await self._part(journal, me, name, kin)
            if isinstance(answer, Fenced | Unreachable):
                return answer
            if trio.current_time() >= renewed + PULSE_SECONDS:
                renewed = trio.current_time()
                pulse = await self._shared.pulse(me, 0)
                if isinstance(pulse, Fenced | Unreachable):
                    return pulse
        return Written()

    async def _part(
        self, journal: Journal, me: int, name: str, kin: Sequence[int]
    ) -> Written | Fenced | Unreachable:
        there = await self._shared.sessions(name)
        if isinstance(there, Unreachable):
            return there
        others = {(it.row[0], it.row[1]) for it in there if not _ours(it, me, kin)}
        going = [it for it in await journal.sessions(name) if (it.interview_id, it.block) in others]
        answer: Written | Fenced | Unreachable = Written()
        lacking: dict[Session, int] = {}

        async def forget() -> None:
            nonlocal answer
            answer = SILENT
            with trio.move_on_after(DOOR_SECONDS):
                answer = await self._keep_late(journal, me, going, lacking)
            self._slow = not isinstance(answer, Written)
            if self._slow:
                return
            await journal.let_go(set(lacking))
            for (interview, block), late in lacking.items():
                self._log.error("interview.owned_elsewhere", interview=interview, block=block, late=late)

        if going and self._slow:
            # In nobody's way, and for as long as the connection bears: each that is cut off leaves a process on the server.
            answer = await self._keep_late(journal, me, going, lacking)
        if going and isinstance(answer, Written):
            await self.ends(name, forget)
        if isinstance(answer, Written):
            self.moved += len(going)
        return answer

    async def _keep_late(
        self, journal: Journal, me: int, going: Iterable[Interview], lacking: dict[Session, int]
    ) -> Written | Fenced | Unreachable:
        """Bring to the shared journal what it lacks of these sessions, for people: how many fragments is in ``lacking`` then."""
        found: list[Late] = []
        for it in going:
            session: Session = (it.interview_id, it.block)
            there = await self._shared.said(session, it.epoch)
            if isinstance(there, Unreachable):
                return there
            late = await _late(journal, it, there)
            lacking[session] = len(late)
            if late:
                words = msgspec.json.encode(late).decode()
                found.append(Late(it.interview_id, it.block, me, late[0].seq, words))
        answer = await self._shared.late(me, found) if found else Written()
        if isinstance(answer, Unfit):
            self._log.error("shared.unfit", what="words that came too late", cause=answer.why)
            return Written()
        return answer


async def _late(journal: Journal, it: Interview, there: Said) -> list[Fragment]:
    known = set(fragments_of(there, it.interview_id, it.epoch))
    return [one for one in await journal.fragments(it.interview_id, it.epoch) if one not in known]


def _ours(it: Held, me: int, kin: Sequence[int]) -> bool:
    return it.owner is not None and it.owner.incarnation in {me, *kin}
