"""Finds the interview to call, and the token that opens it."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import json
from pathlib import Path
import re
import secrets
import ssl
from urllib.parse import urlsplit

import httpx

from preppald.core import tokens as auth
from preppald.errors import PreppaldError

TOKEN_VARIABLE = "PREPPALD_TOKEN"  # noqa: S105 - the variable's name
SECRET_VARIABLE = "JWT_SECRET"  # noqa: S105 - the variable's name
# A demo is on this machine or next to it.
DEMO_SECONDS = 5.0
# A JWT's alphabet, all of which a WebSocket subprotocol may hold.
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class UsageError(PreppaldError):
    """Raised for a command line that asks for the impossible; the text says what to do instead."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class Admission:
    """An interview and the token for it."""

    interview_id: str
    token: str = field(repr=False)


def admission(
    *,
    token: str | None,
    token_file: Path | None,
    interview_id: str | None,
    user_id: str,
    environ: Mapping[str, str],
    now: int,
    demo: Callable[[], "Admission | None"] = lambda: None,
) -> Admission:
    """Return the first of: the token given, the token in a file, ``PREPPALD_TOKEN``, one signed with ``JWT_SECRET``,
    one that a demo gives to anybody.

    A given token names its interview itself. ``now``: the wall clock, seconds since the epoch.

    Raises:
        UsageError: there is none of these, or it is no token. The text never quotes it.
    """
    given = token or _read(token_file) or environ.get(TOKEN_VARIABLE)
    if given:
        if not _JWT.fullmatch(given):
            raise UsageError("the token is not a JWT: three parts of A-Z a-z 0-9 _ - with dots between them")
        return Admission(_checked(interview_id or _interview_of(given)), given)
    secret = environ.get(SECRET_VARIABLE)
    if not secret:
        if offered := demo():
            return offered
        raise UsageError(
            f"a token is needed: --token, --token-file or {TOKEN_VARIABLE}; "
            f"or {SECRET_VARIABLE}, the daemon's own, to sign one here; only `preppald demo` gives them away"
        )
    named = _checked(interview_id or f"call-{secrets.token_hex(4)}")
    return Admission(named, auth.sign(secret, user_id=user_id, interview_id=named, now=now))


def from_demo(url: str, trust: ssl.SSLContext | None = None) -> Admission | None:
    """Return an interview from a running `preppald demo`, which hands them out as an application would; else None."""
    try:
        where = f"http{url.removeprefix('ws').rstrip('/')}/demo/interview"
        answer = httpx.post(where, timeout=DEMO_SECONDS, verify=trust or True)
        offered = answer.raise_for_status().json()
        return Admission(_checked(str(offered["interviewId"])), str(offered["token"]))
    except (httpx.HTTPError, ValueError, KeyError, TypeError, UsageError):
        return None


def trusted(ca: Path | None) -> ssl.SSLContext | None:
    """Return the authorities to trust in place of the system's own.

    Raises:
        UsageError: the file holds no certificates.
    """
    if ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise UsageError(f"--ca {ca} holds no certificate in PEM ({error.reason})") from error
    except OSError as error:
        raise UsageError(f"--ca {ca} cannot be read: {error.strerror or error}") from error


def checked_url(url: str) -> str:
    """Return a WebSocket URL to which an interview's name can be added.

    Raises:
        UsageError: the text is no such URL.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is no number
    except ValueError as error:
        raise UsageError(f"--url {url!r} is not a URL: {error}") from error
    if parts.scheme not in {"ws", "wss"} or not parts.hostname:
        raise UsageError(f"--url {url!r} must look like ws://127.0.0.1:8787 or wss://interviews.example.com")
    if parts.query or parts.fragment:
        raise UsageError("--url must end with its path: the interview and the token are added to it")
    return url


def _read(token_file: Path | None) -> str | None:
    if token_file is None:
        return None
    try:
        content = token_file.read_text("utf-8", "replace").strip()
    except OSError as error:
        raise UsageError(f"--token-file {token_file} cannot be read: {error.strerror or error}") from error
    if not content:
        raise UsageError(f"--token-file {token_file} is empty")
    return content


def _interview_of(token: str) -> str:
    """Return the interview that the token names. Only the daemon can verify the token."""
    payload = token.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        claims = None
    named = claims.get("interviewId") if isinstance(claims, dict) else None
    if not isinstance(named, str):
        raise UsageError("the token names no interview: add --interview ID")
    return named


def _checked(interview_id: str) -> str:
    if not auth.INTERVIEW_ID.fullmatch(interview_id):
        raise UsageError(f"interview {interview_id!r} must be 1 to 64 of A-Z a-z 0-9 _ -")
    return interview_id
