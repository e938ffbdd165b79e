"""The outbox's gate where a journal is shared: a delivery is posted only when the shared journal has it as this instance's.

A delivery that was posted and is not there would be posted again, and otherwise, by the host that takes the interview over.

Rule 1: a delivery is posted only after a statement that took it was answered, since the shared journal last fell silent.
Rule 2: only while the lease is renewed, by this process's own clock as well: a process that slept knows nothing.
Rule 3: never one that another instance owns there.
"""

from collections.abc import Callable, Iterable

import trio

from preppald.journal.parcel import Parcel
from preppald.shared.membership import Membership

# Deliveries that wait for the shared journal, by key: half a day of 500 talks. With more, all wait until it has everything.
MOST_WAITING = 100_000
NO_LEASE = "the lease in the shared journal is not renewed"
BEHIND = "the shared journal does not have everything yet"


class Gate:
    """``on_change`` is called where deliveries may be posted that could not before."""

    def __init__(self, membership: Membership) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._member = membership
        # The number of the parcel with which each delivery goes there, of those that were taken and are not there yet.
        self._waiting: dict[str, int] = {}
        # True where the shared journal has everything but those; up to which parcel it has, and has to have for that.
        self._caught_up = False
        self._sent = self._needed = 0
        self._others: set[str] = set()
        self._was_open = False

    def posts(self, key: str) -> bool:
        """Return whether the delivery of this key may be posted now."""
        return self.why is None and key not in self._waiting and key not in self._others

    def of_others(self, key: str) -> bool:
        """Return whether another instance owns the delivery of this key."""
        return key in self._others

    @property
    def why(self) -> str | None:
        """Return why nothing at all is posted, if so."""
        member = self._member
        if not member.may_post(trio.current_time()):
            return NO_LEASE
        if not (member.sure and member.whole and self._caught_up and self._sent >= self._needed):
            return BEHIND
        return None

    # The shipper's side.

    def took(self, parcel: Parcel) -> None:
        """Note that a commit is to go there."""
        for key, *_ in parcel.owed:
            self._waiting[key] = parcel.number
        if len(self._waiting) > MOST_WAITING:
            self._waiting.clear()
            self._needed = parcel.number

    def sent(self, number: int) -> None:
        """Note that the parcels up to a number are there."""
        self._sent = number
        there = [key for key, its in self._waiting.items() if its <= number]
        for key in there:
            del self._waiting[key]
        self.look(changed=bool(there))

    def answered(self, keys: Iterable[str], others: Iterable[str]) -> None:
        """Note which of these deliveries another instance owns; the rest are this one's."""
        self._others.difference_update(keys)
        self._others.update(others)

    def lost_track(self) -> None:
        """Note that the shared journal may lack anything."""
        self._caught_up = False

    def caught_up(self) -> None:
        """Note that it has everything from before the parcels in memory."""
        self._caught_up = True
        self.look()

    def joined(self) -> None:
        """Begin as another incarnation, which owns nothing there."""
        self._others.clear()
        self._sent = 0
        self.lost_track()

    def look(self, *, changed: bool = False) -> None:
        """Tell of a gate that has opened, or of deliveries that have come through."""
        before, self._was_open = self._was_open, self.why is None
        if self._was_open and (changed or not before):
            self.on_change()
