"""Verifies tokens (JWT, RFC 7519): which user may open which interview.

HS256 only. ``userId``, ``interviewId``, ``iat`` and ``exp`` are required; a token lives two hours at most. Times may
have fractions (NumericDate, §2), ``nbf`` is kept to, and claims that are not ours may be of any kind.
The clock is an argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import hashlib
import math
import re
from typing import Any

import jwt

from preppald.errors import TokenError

ALGORITHM = "HS256"
# The backend's tokens are about 250 bytes. A megabyte would verify just as well, so it is refused before the work.
MAX_TOKEN_BYTES = 4096
# The backend signs for five minutes; a token that claims more than this was not meant for us.
MAX_LIFETIME_SECONDS = 2 * 3600
# How much later than ``exp`` a token is still taken: the clocks of two machines differ a little.
LEEWAY_SECONDS = 5
# How much earlier than ``iat`` or ``nbf``: a clock that nobody sets is off by half a minute after a month.
EARLY_SECONDS = 60.0
# Any time of ours is far below: larger numbers are no seconds since the epoch.
MAX_NUMERIC_DATE = 10**12
EXPIRED = "the token has expired"
# Safe in a URL path, a file name and a log line.
INTERVIEW_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_USER_ID_CHARS = 256


@dataclass(frozen=True, slots=True)
class Claims:
    """The content of a good token. ``digest``: SHA-256 of the token itself, hexadecimal.

    ``untimely``: why the token is outside of its time, in words; empty while it is not. ``guest``: the application's
    isGuest; a guest's user is the person who sent the invitation.
    """

    user_id: str
    interview_id: str
    digest: str
    untimely: str = ""
    guest: bool = False


@dataclass(frozen=True, slots=True)
class TokenRules:
    """``secrets``: the current one first, then the one being rotated out.

    ``leeway``: seconds that the issuer's clock may be ahead of ours, for ``iat`` and ``nbf``.
    """

    secrets: Sequence[str]
    audience: str | None = None
    issuer: str | None = None
    leeway: float = EARLY_SECONDS


def verify(token: str, rules: TokenRules, *, now: float) -> Claims:
    """Return the claims of a token whose signature and content are right.

    A token that has expired, or is not valid yet, comes back with ``untimely`` set: it may still join the live
    interview that this very token opened (a clock may be set back meanwhile), and nothing else. The caller decides.
    ``now``: the wall clock, seconds since the epoch.

    Raises:
        TokenError: with the reason, never with the token.
    """
    if len(token.encode("utf-8", "replace")) > MAX_TOKEN_BYTES:
        raise TokenError(f"the token is longer than {MAX_TOKEN_BYTES} bytes")
    payload = _payload(token, rules)
    issued_at, expires_at = _seconds(payload, "iat"), _seconds(payload, "exp")
    starts_at = max(issued_at, _seconds(payload, "nbf")) if "nbf" in payload else issued_at
    if expires_at - issued_at > MAX_LIFETIME_SECONDS:
        raise TokenError(f"the token lives longer than {MAX_LIFETIME_SECONDS} seconds")
    interview_id = _text(payload, "interviewId")
    if not INTERVIEW_ID.fullmatch(interview_id):
        raise TokenError("interviewId must be 1 to 64 of A-Z a-z 0-9 _ -")
    user_id = _text(payload, "userId")
    if len(user_id) > MAX_USER_ID_CHARS:
        raise TokenError(f"userId is longer than {MAX_USER_ID_CHARS} characters")
    if not user_id.isprintable():
        # Half a surrogate pair is valid JSON, but no database or log can hold it.
        raise TokenError("userId holds a character that cannot be printed")
    return Claims(
        user_id=user_id,
        interview_id=interview_id,
        digest=hashlib.sha256(token.encode()).hexdigest(),
        untimely=_untimely(starts_at - now, expires_at - now, rules.leeway),
        guest=payload.get("isGuest") is True,
    )


def _untimely(starts_in: float, expires_in: float, leeway: float) -> str:
    if expires_in < -LEEWAY_SECONDS:
        return EXPIRED
    if starts_in > leeway:
        return f"the token is valid in {math.ceil(starts_in)} s only: compare the clocks of both machines"
    return ""


def sign(
    secret: str, *, user_id: str, interview_id: str, now: int, lifetime: int = 300, guest: bool = False
) -> str:
    """Return a token as the backend signs it; ``lifetime`` in seconds."""
    claims = {"userId": user_id, "interviewId": interview_id, "iat": now, "exp": now + lifetime}
    if guest:
        claims["isGuest"] = True
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
                # verify() checks the times, against the caller's clock. The subject and the id are not ours.
                options={
                    "require": ["exp", "iat"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "verify_sub": False,
                    "verify_jti": False,
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


def _seconds(payload: dict[str, Any], name: str) -> int | float:
    """Return a NumericDate: seconds since the epoch, whole or not."""
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenError(f"the token's {name} is not a number of seconds")
    if not -MAX_NUMERIC_DATE < value < MAX_NUMERIC_DATE:  # NaN is neither
        raise TokenError(f"the token's {name} is no time")
    return value
