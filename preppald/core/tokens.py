"""Tokens: the permission to open one interview.

HS256 only. ``userId``, ``interviewId``, ``iat`` and ``exp`` are required; a token lives two hours at most.
The clock is an argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import hashlib
import re
from typing import Any

import jwt

from preppald.errors import TokenError

ALGORITHM = "HS256"
# The backend's tokens are about 250 bytes. A megabyte would verify just as well: refuse it before the work.
MAX_TOKEN_BYTES = 4096
# The backend signs for five minutes; a token that claims more than this was not meant for us.
MAX_LIFETIME_SECONDS = 2 * 3600
# Clocks of two machines differ a little.
LEEWAY_SECONDS = 5
# These characters are safe in a URL path, a file name and a log line, too.
INTERVIEW_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_USER_ID_CHARS = 256


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a good token. ``digest``: SHA-256 of the token itself, hexadecimal."""

    user_id: str
    interview_id: str
    expires_at: int
    digest: str
    expired: bool = False


@dataclass(frozen=True, slots=True)
class TokenRules:
    """``secrets``: the current one first, then the one being rotated out."""

    secrets: Sequence[str]
    audience: str | None = None
    issuer: str | None = None


def verify(token: str, rules: TokenRules, *, now: float) -> Claims:
    """Return the claims of a token whose signature and content are right.

    An expired token comes back with ``expired`` set: only a live session that this very token opened may
    still be joined with it, which the caller decides. ``now``: the wall clock, seconds since the epoch.

    Raises:
        TokenError: with the reason, never with the token.
    """
    if len(token.encode("utf-8", "replace")) > MAX_TOKEN_BYTES:
        raise TokenError(f"the token is longer than {MAX_TOKEN_BYTES} bytes")
    payload = _payload(token, rules)
    issued_at, expires_at = _whole_number(payload, "iat"), _whole_number(payload, "exp")
    if expires_at - issued_at > MAX_LIFETIME_SECONDS:
        raise TokenError(f"the token lives longer than {MAX_LIFETIME_SECONDS} seconds")
    if issued_at > now + LEEWAY_SECONDS:
        raise TokenError("the token was issued in the future: compare the clocks of both machines")
    interview_id = _text(payload, "interviewId")
    if not INTERVIEW_ID.fullmatch(interview_id):
        raise TokenError("interviewId must be 1 to 64 of A-Z a-z 0-9 _ -")
    user_id = _text(payload, "userId")
    if len(user_id) > MAX_USER_ID_CHARS:
        raise TokenError(f"userId is longer than {MAX_USER_ID_CHARS} characters")
    if not user_id.isprintable():
        # Half a surrogate pair is valid JSON, and no database or log can hold it.
        raise TokenError("userId holds a character that cannot be printed")
    return Claims(
        user_id=user_id,
        interview_id=interview_id,
        expires_at=expires_at,
        digest=hashlib.sha256(token.encode()).hexdigest(),
        expired=now > expires_at + LEEWAY_SECONDS,
    )


def sign(secret: str, *, user_id: str, interview_id: str, now: int, lifetime: int = 300) -> str:
    """Return a token as the backend signs it; ``lifetime`` in seconds."""
    claims = {"userId": user_id, "interviewId": interview_id, "iat": now, "exp": now + lifetime}
    return jwt.encode(claims, secret, algorithm=ALGORITHM)


def _payload(token: str, rules: TokenRules) -> dict[str, Any]:
    refusal: jwt.InvalidTokenError | None = None
    for secret in rules.secrets:
        try:
            return jwt.decode(
                token,
                secret,
                algorithms=[ALGORITHM],
                audience=rules.audience,
                issuer=rules.issuer,
                # exp and iat are checked by verify(), against the caller's clock.
                options={
                    "require": ["exp", "iat"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "verify_aud": rules.audience is not None,
                    "verify_iss": rules.issuer is not None,
                },
            )
        except jwt.InvalidSignatureError as error:
            refusal = error
        except jwt.InvalidTokenError as error:
            raise TokenError(f"the token is not acceptable ({type(error).__name__})") from error
        except (ValueError, RecursionError) as error:
            # A payload of 5000 digits or of depth 100 000 leaves PyJWT as these.
            raise TokenError("the token's payload cannot be read") from error
    raise TokenError("the token's signature is wrong") from refusal


def _text(payload: dict[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise TokenError(f"the token has no {name}")
    return value


def _whole_number(payload: dict[str, Any], name: str) -> int:
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TokenError(f"the token's {name} is not a whole number")
    return value
