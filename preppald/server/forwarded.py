"""A candidate's request as one host forwards it to another: the checked claims in the place of the token. Pure.

Rule 1: the token does not travel, wherever the page had put it; nor do cookies and other headers that nobody asks for.
Rule 2: the page's own words go on as they are, not our reading of them: the two hosts may be of two versions.
"""

from collections.abc import Mapping, Sequence

import msgspec

from preppald.core.tokens import Claims
from preppald.server.request import SUBPROTOCOL, SUBPROTOCOL_2, Request

# The query's field that may hold a token.
TOKEN_FIELD = "token"  # noqa: S105 - a name
OFFERED = "sec-websocket-protocol"
# All that the upgrade needs, and the browser's family.
KEPT_HEADERS = frozenset(
    {"connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "user-agent"}
)


class Forwarded(msgspec.Struct, frozen=True, kw_only=True):
    """``digest``, ``untimely``, ``guest``: as in ``Claims``. ``query``, ``fields``: as in ``Request``."""

    user: str
    interview: str
    digest: str
    untimely: str
    guest: bool
    path: str
    query: Mapping[str, str]
    fields: Sequence[tuple[str, str]]


def forward(request: Request, claims: Claims) -> msgspec.Raw:
    """Return the request for another host."""
    known = [name for name in request.subprotocols if name in {SUBPROTOCOL, SUBPROTOCOL_2}]
    fields = [it for it in request.fields if it[0] in KEPT_HEADERS]
    if known:
        fields.append((OFFERED, ", ".join(known)))
    found = Forwarded(
        user=claims.user_id,
        interview=claims.interview_id,
        digest=claims.digest,
        untimely=claims.untimely,
        guest=claims.guest,
        path=request.path,
        query={name: value for name, value in request.query.items() if name != TOKEN_FIELD},
        fields=fields,
    )
    return msgspec.Raw(msgspec.json.encode(found))


def received(raw: msgspec.Raw) -> tuple[Request, Claims]:
    """Return a request that another host forwards, and its claims, which were checked there.

    Raises:
        msgspec.DecodeError: it is none.
    """
    try:
        it = msgspec.json.decode(raw, type=Forwarded)
    except UnicodeDecodeError as error:  # of a Raw nobody has looked at the text yet
        raise msgspec.DecodeError("the request holds a byte that is no UTF-8") from error
    claims = Claims(it.user, it.interview, it.digest, it.untimely, guest=it.guest)
    return Request(method="GET", path=it.path, query=it.query, fields=it.fields), claims
