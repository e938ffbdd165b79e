"""The door of the operator's page: PREPPALD_ADMIN_SECRET, typed once for a cookie, or sent as a Bearer by a script.

Rule 1: without the setting there is no page. The secret is in no URL, no log, no answer.
Rule 2: five wrong secrets a minute from an address; then none is looked at, not the right one either.
Rule 3: a cookie counts for requests of the page itself: it is HttpOnly and SameSite=Strict, and a request that says it
        comes from another origin is refused.
"""

from collections import OrderedDict
import hashlib
import hmac
from http import HTTPStatus
import math
import secrets

import trio

from preppald.config.current import Current
from preppald.errors import Refusal
from preppald.server.limits import Buckets
from preppald.server.request import Request
from preppald.telemetry.logs import Logger

WRONG_A_MINUTE = 5
COOKIE = "preppald_operator"
# A working day, and a little more.
SIGNED_IN_SECONDS = 12 * 3600
# Browsers of operators; the one that signed in first is forgotten.
MAX_SIGNED_IN = 64
TOKEN_BYTES = 32


class Operators:
    """All who are signed in to one daemon, with the secret that counts now: a changed one signs everybody out."""

    def __init__(self, current: Current, log: Logger) -> None:
        self._current = current
        self._log = log
        self._wrong = Buckets()
        # By the digest of a cookie's token: until when it counts, and the digest of the secret that opened it.
        self._signed_in: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()

    @property
    def on(self) -> bool:
        """True where there is a page at all."""
        return bool(self._current.config.admin_secret)

    def check(self, request: Request, peer: str) -> None:
        """Raise unless the request comes from an operator. ``peer``: its address.

        Raises:
            Refusal: there is no page, nobody is signed in, the secret is wrong, or another origin's page asks.
        """
        self._check_on()
        scheme, _, token = request.header("authorization").partition(" ")
        if scheme.lower() == "bearer":
            self._check_secret(token.strip(), peer)
            return
        _check_origin(request)
        digest = _digest(_cookie(request))
        until, opened_by = self._signed_in.get(digest, (0.0, b""))
        if trio.current_time() >= until or not hmac.compare_digest(opened_by, self._secret):
            self._signed_in.pop(digest, None)
            raise Refusal(HTTPStatus.UNAUTHORIZED, "not signed in", "Sign in first")

    def sign_in(self, request: Request, body: bytes, peer: str) -> str:
        """Return the cookie for a browser that sent the secret as the body.

        Raises:
            Refusal: the secret is wrong, or was wrong too often.
        """
        self._check_on()
        _check_origin(request)
        self._check_secret(body.decode("utf-8", "replace").strip(), peer)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._signed_in[_digest(token)] = (trio.current_time() + SIGNED_IN_SECONDS, self._secret)
        while len(self._signed_in) > MAX_SIGNED_IN:
            self._signed_in.popitem(last=False)
        self._log.info("operator.signed_in", address=peer)
        # Over a tunnel it is http:, and a browser would not send it back.
        secure = "; Secure" if request.header("origin").startswith("https://") else ""
        return f"{COOKIE}={token}; Path=/; Max-Age={SIGNED_IN_SECONDS}; HttpOnly; SameSite=Strict{secure}"

    def sign_out(self, request: Request) -> str:
        """Forget the request's cookie; return the one that replaces it."""
        self._signed_in.pop(_digest(_cookie(request)), None)
        return f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"

    @property
    def _secret(self) -> bytes:
        return _digest(self._current.config.admin_secret)

    def _check_on(self) -> None:
        if not self.on:
            words = "PREPPALD_ADMIN_SECRET turns the operator's page on"
            raise Refusal(HTTPStatus.NOT_FOUND, "not found", words)

    def _check_secret(self, given: str, peer: str) -> None:
        if wait := self._wrong.wait(peer):
            words = "Too many wrong secrets from this address"
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "bad secrets", words, math.ceil(wait))
        if not hmac.compare_digest(_digest(given), self._secret):
            self._wrong.spend(peer, rate=WRONG_A_MINUTE / 60, burst=WRONG_A_MINUTE)
            self._log.warning("operator.refused", address=peer)
            raise Refusal(HTTPStatus.FORBIDDEN, "bad secret", "The secret is wrong")


def _check_origin(request: Request) -> None:
    """Raise where a page of another origin asks: only a browser sends these headers, and no page can change them."""
    origin, site = request.header("origin"), request.header("sec-fetch-site")
    own = {f"{scheme}://{request.header('host')}" for scheme in ("http", "https")}
    several = len(request.headers("origin")) > 1 or len(request.headers("sec-fetch-site")) > 1
    if several or (origin and origin not in own) or site not in {"", "same-origin", "none"}:
        raise Refusal(HTTPStatus.FORBIDDEN, "origin", "This page may not ask here")
    if request.method == "POST" and not origin:
        raise Refusal(HTTPStatus.FORBIDDEN, "origin", "A script sends the secret as a Bearer")


def _cookie(request: Request) -> str:
    """Return the token in the request's cookie; empty where there is none."""
    # Cookies of other programs on this host, at any port, come along; one that is odd must not hide ours.
    pairs = (part.strip().partition("=") for part in request.header("cookie").split(";"))
    return next((value for name, _, value in pairs if name == COOKIE), "")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
