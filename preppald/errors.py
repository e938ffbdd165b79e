"""Errors for people: each names the event, the interview and the remedy.

``PreppaldError`` is an error that a person should read: a command prints its text and exits with
``exit_status``. Everything that is not one of these is a bug and leaves with its traceback.

    PreppaldError
    ├── ConfigError        the environment is wrong; holds every fault, not the first
    │   └── CertificateError  only the certificate is unfit: a renewal mends that by itself
    ├── StartError         the daemon cannot start: port taken, state directory in use, …
    ├── RemoteProtocolError  a peer sent what its protocol does not allow
    ├── TokenError         a token was refused
    └── JournalError       the journal cannot keep what it was given
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TypeVar

E = TypeVar("E", bound=BaseException)

# BSD's sysexits(3): the values that systemd and operators know.
EX_DATAERR = 65
EX_UNAVAILABLE = 69
EX_SOFTWARE = 70
EX_IOERR = 74
EX_TEMPFAIL = 75
EX_CONFIG = 78
# The Retry-After of a client that comes too early; jitter is its own business.
RETRY_AFTER_SECONDS = 5


class PreppaldError(Exception):
    """An error for people: its text is a sentence that says what to do."""

    exit_status = EX_UNAVAILABLE


class ConfigError(PreppaldError):
    """The configuration is wrong. ``faults``: one line each, never with a secret's value."""

    exit_status = EX_CONFIG

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class CertificateError(ConfigError):
    """Only the certificate or its key cannot be used. A renewal mends that, so systemd tries such a start again."""

    exit_status = EX_TEMPFAIL


class StartError(PreppaldError):
    """The daemon cannot start, though its configuration reads well."""


class NewerSchemaError(StartError):
    """Raised where a newer preppald wrote the database: no further try can help, so none is made."""

    exit_status = EX_CONFIG


class RemoteProtocolError(PreppaldError):
    """A peer sent something that its protocol does not allow."""

    exit_status = EX_DATAERR


class TokenError(PreppaldError):
    """A token was refused. The text says why, and never holds the token."""


class JournalError(PreppaldError):
    """The journal cannot keep what it was given."""

    exit_status = EX_IOERR


class Refusal(PreppaldError):
    """A connection gets no seat. ``status`` and the text are for the client, ``why`` is for log and metrics.

    ``retry_after``: seconds, sent where it makes sense to come again. ``headers``: what else the answer carries.
    ``detail``: more for the log, never for the client.
    """

    def __init__(
        self,
        status: HTTPStatus,
        why: str,
        words: str,
        retry_after: int = RETRY_AFTER_SECONDS,
        *,
        headers: Mapping[str, str] | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(words)
        self.status = status
        self.why = why
        again = status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}
        self.retry_after = retry_after if again else None
        self.headers = dict(headers or {})
        self.detail = detail


def leaf(group: BaseExceptionGroup[E]) -> E:
    """Return the first exception in a group of groups, for people; raise it with ``from group`` to keep the rest."""
    found = group.exceptions[0]
    return leaf(found) if isinstance(found, BaseExceptionGroup) else found
