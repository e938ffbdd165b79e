"""The parts that the wires share: a request, and the meaning of HTTP statuses. No I/O."""

from dataclasses import dataclass
import re

# Refused for its content: another try gives the same answer.
REFUSED = frozenset({400, 404, 409, 413, 422})
UNAUTHORIZED = frozenset({401, 403})
# A gateway answered for the application, which may have done its work.
GATEWAY = frozenset({502, 504})
# Delay-seconds; an HTTP date is left alone, since it would need both machines' clocks to agree.
DELAY = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class BackendRequest:
    """Describe one HTTP request. ``path`` is below the application's base URL, with its query."""

    path: str
    content_type: str
    body: bytes
    method: str = "POST"


def elsewhere(status: int, language: str) -> str:
    """Return the cause where a refusal is not in the application's language, and so is not the application's.

    Such an answer is a proxy's page, a wrong address, a deploy under way: the delivery may be accepted yet.
    """
    look = {
        401: "a proxy before the application asks for a password?",
        403: "a proxy or firewall before the application refuses this machine?",
        404: "is the application being deployed, is NEXT_PUBLIC_API_URL right?",
        413: "a proxy before it takes no body of this size",
    }
    return f"answered {status}, but not in {language}: {look.get(status, 'is that the application?')}"


def answered(status: int) -> str:
    """Return the cause where only the status is known."""
    if 300 <= status <= 399:
        return f"answered {status}, a redirection: NEXT_PUBLIC_API_URL must be the final address"
    return f"answered {status}"


def delay(retry_after: str | None) -> float | None:
    """Return the seconds in a Retry-After header, if it has any."""
    # Only what HTTP calls white space: str.strip() takes more than float() does.
    text = (retry_after or "").strip(" \t")
    return float(text) if DELAY.fullmatch(text) else None
