"""The reasons for which a connection gets no seat in an interview.

They are errors of this domain: the server maps each to an HTTP answer, in one table.
"""

from preppald.errors import PreppaldError


class NoSeat(PreppaldError):
    """A connection gets no seat in an interview. Each of its kinds is a row of ``server.answers``."""


class NotReady(NoSeat):
    """No new interview may begin here at all, for anybody."""


class Draining(NotReady):
    """The daemon finishes the interviews that it has, and stops."""

    def __init__(self) -> None:
        super().__init__("draining")


class AtCapacity(NotReady):
    """PREPPALD_MAX_SESSIONS interviews are live."""

    def __init__(self) -> None:
        super().__init__("at capacity")


class ShortOfMemory(NotReady):
    """The process has grown to PREPPALD_MEMORY_LIMIT."""

    def __init__(self) -> None:
        super().__init__("short of memory")


class JournalUnwritable(NotReady):
    """The journal cannot keep an interview, and a restart would not know of it."""


class JournalUnreadable(NoSeat):
    """It is not known whether the interview has ended already."""


class BeingTakenOver(NoSeat):
    """Another instance left the interview live, and this one has not taken it over yet."""

    def __init__(self) -> None:
        super().__init__("the interview is being taken over")


class BegunElsewhere(NoSeat):
    """Another host has the interview by now, and had it not when it was looked for: this try or the next is carried there."""

    def __init__(self) -> None:
        super().__init__("another host has the interview: try again")


class OwnerUnreachable(NoSeat):
    """The interview is live on another host, which does not take the connection."""

    def __init__(self) -> None:
        super().__init__("the interview is live on another host, which does not answer just now: try again")


class SharedJournalAway(NoSeat):
    """The journal that hosts share does not answer: it is not known whether another host has the interview."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the shared journal does not answer: {why}")


class AnotherUsers(NoSeat):
    """The interview is live, and belongs to another user."""

    def __init__(self) -> None:
        super().__init__("the interview belongs to another user")


class TooManyOfUser(NoSeat):
    """The user has PREPPALD_MAX_SESSIONS_PER_USER interviews already."""

    def __init__(self) -> None:
        super().__init__(
            "Too many interviews of this user at a time (guests are not counted): end one, or wait for its end"
        )


class TokenExpired(NoSeat):
    """A token outside of its time begins nothing, and joins only the interview that it opened."""

    def __init__(self) -> None:
        super().__init__("Invalid or expired token")


class AlreadyEnded(NoSeat):
    """The interview is over. Browsers cannot see an HTTP status, so the server answers with a close code."""

    def __init__(self) -> None:
        super().__init__("the interview already ended")


class BlockUnknown(NoSeat):
    """The application does not say what this block of the interview is: nothing has begun."""

    def __init__(self) -> None:
        super().__init__("the application does not answer, and the block needs its prompt: try again")
