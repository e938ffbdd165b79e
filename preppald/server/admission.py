"""Decides about one request at the public port: a page, a refusal, or the claims of a candidate.

Rule 1: pure. No socket, clock, log or random number; the time and the rules are arguments.
Rule 2: no interview begins for a request that the client could not go on with: whatever can be refused from the
        request alone is refused here, before anybody has a seat.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
import math
import re

from preppald.core import tokens
from preppald.core.tokens import INTERVIEW_ID, Claims, TokenRules
from preppald.errors import Refusal, TokenError
from preppald.server.request import SUBPROTOCOL, SUBPROTOCOL_2, Request

TOKEN_SUBPROTOCOL = "token."  # noqa: S105 - the prefix of a subprotocol that carries one
HEALTH, READY = "/health", "/ready"
_SESSION = re.compile(rf"/ws|/(?:ws/)?({INTERVIEW_ID.pattern})")
_SEQ = re.compile(r"[0-9]{1,15}")
_BLOCK = re.compile(r"[1-9][0-9]?")
# The application's templates have six; two digits are enough for any.
MAX_BLOCK = 99
# Twice the longest path that is ours, /ws/ and an interview's id.
MAX_PATH_CHARS = 128
# Browsers send 15, and proxies add a few.
MAX_HEADERS = 64
READING = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for one connection. ``origins``: the pages that may connect; none: any.

    ``token_wait``: seconds before its address may try another token, after too many that were wrong.
    """

    tokens: TokenRules
    origins: Sequence[str] = ()
    token_wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Page:
    """A plain request: the page at its path is the answer, or ``otherwise`` where there is none."""

    otherwise: Refusal


@dataclass(frozen=True, slots=True)
class Refuse:
    """``guessed``: a token was wrong, which counts against its address."""

    refusal: Refusal
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class Admit:
    """A candidate with a good token.

    ``since``: the last fragment that the page has; None for a new page. ``block``: the block of the interview that the
    page asks for, from 1; 0 for none. The newest page asks for block 1 of an ordinary interview, too. ``knows_turns``: the page puts an
    update where its ``turn`` says; older ones put it behind the speaker's last one. ``opus``: the page can carry the
    sound as Opus.
    """

    claims: Claims
    since: int | None = None
    block: int = 0
    knows_turns: bool = False
    opus: bool = False


def decide(request: Request, now: float, rules: Rules) -> Page | Refuse | Admit:
    """Return what becomes of a request. ``now``: the wall clock, seconds since the epoch."""
    if len(request.path) > MAX_PATH_CHARS:
        return Refuse(Refusal(HTTPStatus.BAD_REQUEST, "too long", "The request's path is too long"))
    if len(request.fields) > MAX_HEADERS:
        words = f"The request has more than {MAX_HEADERS} headers"
        return Refuse(Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too long", words))
    if not request.wants_upgrade:
        return _plain(request)
    named = _SESSION.fullmatch(request.path)
    if named is None:
        return Refuse(_not_found())
    if fault := _unfit(request, rules.origins):
        return Refuse(fault)
    return _entitled(request, named[1], now, rules)


def interview_at(path: str) -> str:
    """Return the interview that the path names; empty where it names none."""
    named = _SESSION.fullmatch(path)
    return (named and named[1]) or ""


def _plain(request: Request) -> Page | Refuse:
    if request.path in {HEALTH, READY}:
        if request.method not in READING:
            return Refuse(_not_allowed(*READING))
        return Page(_not_found())
    if _SESSION.fullmatch(request.path) is None:
        return Page(_not_found())
    if request.method not in READING:
        return Page(_not_allowed("GET"))
    words = "Connect with a WebSocket"
    return Page(Refusal(HTTPStatus.UPGRADE_REQUIRED, "no upgrade", words, headers={"Upgrade": "websocket"}))


def _unfit(request: Request, origins: Sequence[str]) -> Refusal | None:
    """Return why nobody could open an interview with such a request, whatever the token."""
    if request.method != "GET":
        return _not_allowed("GET")
    if request.version != "1.1":
        # HTTP/1.0 has no Upgrade (RFC 9110 §7.8). Seen of nginx without proxy_http_version 1.1.
        words = "A WebSocket needs HTTP/1.1, also from a proxy in between"
        return Refusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.0", words)
    if request.has_body:
        return Refusal(HTTPStatus.BAD_REQUEST, "a body", "A request for a WebSocket has no body")
    if "block" in request.query and ("block" in request.repeated or not _block(request)):
        words = f"block must be a whole number from 1 to {MAX_BLOCK}, and be there once"
        return Refusal(HTTPStatus.BAD_REQUEST, "block", words)
    if origins and request.header("origin") not in origins:
        return Refusal(HTTPStatus.FORBIDDEN, "origin", "This page may not connect here")
    offered = request.subprotocols
    if offered and not {SUBPROTOCOL, SUBPROTOCOL_2} & set(offered):
        # A browser drops a connection that chose none of those it offered; an interview would have begun by then.
        words = f"Offer the subprotocol {SUBPROTOCOL}, beside any other"
        return Refusal(HTTPStatus.BAD_REQUEST, "subprotocol", words)
    return None


def _entitled(request: Request, interview_id: str | None, now: float, rules: Rules) -> Refuse | Admit:
    token = _token(request)
    if not token:
        return Refuse(Refusal(HTTPStatus.UNAUTHORIZED, "no token", "Missing JWT token"))
    if rules.token_wait > 0:
        words = "Too many invalid tokens from this address"
        wait = math.ceil(rules.token_wait)
        return Refuse(Refusal(HTTPStatus.TOO_MANY_REQUESTS, "bad tokens", words, wait))
    try:
        claims = tokens.verify(token, rules.tokens, now=now)
    except TokenError as error:
        words = "Invalid or expired token"
        refusal = Refusal(HTTPStatus.UNAUTHORIZED, "bad token", words, detail=str(error))
        return Refuse(refusal, guessed=True)
    if interview_id is not None and interview_id != claims.interview_id:
        words = "The token is for another interview"
        return Refuse(Refusal(HTTPStatus.FORBIDDEN, "another interview", words))
    return admit(request, claims)


def admit(request: Request, claims: Claims) -> Admit:
    """Return the candidate of a request whose token is good, with what the page asks for and can do."""
    return Admit(
        claims,
        _seq(request.query.get("since", "")),
        _block(request),
        knows_turns=request.query.get("turns") == "1",
        opus=request.query.get("codec") == "opus",
    )


def _token(request: Request) -> str:
    """Return the token from the query, the Authorization header or a subprotocol; the latter two keep URLs clean."""
    if token := request.query.get("token"):
        return token
    scheme, _, token = request.header("authorization").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    for offered in request.subprotocols:
        if offered.startswith(TOKEN_SUBPROTOCOL):
            return offered.removeprefix(TOKEN_SUBPROTOCOL)
    return ""


def _block(request: Request) -> int:
    """Return the block's number in the query; 0 where there is none that can be."""
    text = request.query.get("block", "")
    number = int(text) if _BLOCK.fullmatch(text) else 0
    return number if number <= MAX_BLOCK else 0


def _seq(text: str) -> int | None:
    """Return a fragment's number in a query; anything else counts as absent."""
    return int(text) if _SEQ.fullmatch(text) else None


def _not_found() -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, "not found", "Not found")


def _not_allowed(*methods: str) -> Refusal:
    allowed = ", ".join(methods)
    words = f"Only {allowed} is possible here"
    return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method", words, headers={"Allow": allowed})
