"""How each reason for which a connection gets no seat is answered: one table, closed over the kinds of ``NoSeat``."""

from http import HTTPStatus

from preppald.errors import RETRY_AFTER_SECONDS, Refusal
from preppald.interview.no_seat import (
    AnotherUsers,
    AtCapacity,
    BegunElsewhere,
    BeingTakenOver,
    BlockUnknown,
    Draining,
    JournalUnreadable,
    JournalUnwritable,
    NoSeat,
    OwnerUnreachable,
    SharedJournalAway,
    ShortOfMemory,
    TokenExpired,
    TooManyOfUser,
)

# AlreadyEnded is not here: a browser is let in, and closed with a code that its page can read.
# The status, and the label in preppald_connections_refused_total.
REFUSED: dict[type[NoSeat], tuple[HTTPStatus, str]] = {
    Draining: (HTTPStatus.SERVICE_UNAVAILABLE, "draining"),
    AtCapacity: (HTTPStatus.SERVICE_UNAVAILABLE, "at capacity"),
    ShortOfMemory: (HTTPStatus.SERVICE_UNAVAILABLE, "short of memory"),
    JournalUnwritable: (HTTPStatus.SERVICE_UNAVAILABLE, "the journal is not writable"),
    JournalUnreadable: (HTTPStatus.SERVICE_UNAVAILABLE, "the journal is not readable"),
    BlockUnknown: (HTTPStatus.SERVICE_UNAVAILABLE, "block unknown"),
    BeingTakenOver: (HTTPStatus.SERVICE_UNAVAILABLE, "busy"),
    OwnerUnreachable: (HTTPStatus.SERVICE_UNAVAILABLE, "another host"),
    BegunElsewhere: (HTTPStatus.SERVICE_UNAVAILABLE, "at another host"),
    SharedJournalAway: (HTTPStatus.SERVICE_UNAVAILABLE, "the shared journal is away"),
    TooManyOfUser: (HTTPStatus.TOO_MANY_REQUESTS, "the user"),
    AnotherUsers: (HTTPStatus.FORBIDDEN, "another user"),
    TokenExpired: (HTTPStatus.UNAUTHORIZED, "token expired"),
}

# Of these the next second may know better: a host that died is taken over within ten.
SOON_SECONDS = 2
SOON = frozenset({BeingTakenOver, BegunElsewhere, OwnerUnreachable})


def refusal(error: NoSeat) -> Refusal:
    """Return the HTTP refusal for an error of the registry."""
    status, why = REFUSED[type(error)]
    again = SOON_SECONDS if type(error) in SOON else RETRY_AFTER_SECONDS
    return Refusal(status, why, str(error), again)
