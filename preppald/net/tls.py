"""Loads both ends' TLS contexts: the public port's certificate, and the authorities that clients trust.

A certificate is tried before it counts: a handshake with ourselves, which finds what no look at the files would (a
key that is not its own, a date, a purpose, an algorithm that OpenSSL does not accept any more).
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
import itertools
from pathlib import Path
import re
import ssl
import stat

from preppald.errors import CertificateError, ConfigError

CERT = "PREPPALD_TLS_CERT"
KEY = "PREPPALD_TLS_KEY"
# ACME clients renew some 30 days before the end: by now a renewal has failed for two weeks.
WARN_BEFORE = timedelta(days=14)
# A chain of four RSA certificates is 8 KiB.
MAX_FILE_BYTES = 128 * 1024
# Flights of our own handshake: three in TLS 1.3; more are none.
MAX_FLIGHTS = 8
_LEAF = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Identity:
    """The certificate that the daemon shows to browsers. ``expires``: with its time zone. ``chain``: its PEM text."""

    context: ssl.SSLContext
    expires: datetime
    chain: str = field(repr=False)

    def warning(self, now_ms: int) -> str:
        """Return a warning that renewal is overdue; empty while it is not. ``now_ms``: the wall clock."""
        left = self.expires - datetime.fromtimestamp(now_ms / 1000, UTC)
        if left > WARN_BEFORE:
            return ""
        return (
            f"{CERT}: expires in {max(left.days, 0)} days ({self.expires:%Y-%m-%d %H:%M} UTC): "
            "renew it, then reload"
        )


def identity(cert: Path | None, key: Path | None) -> Identity | None:
    """Return the chain and its key, tried; None where neither is named.

    Raises:
        CertificateError: one of them cannot be used.
        ConfigError: only one of them is named.
    """
    if cert is None or key is None:
        if cert == key:
            return None
        there, missing = (CERT, KEY) if key is None else (KEY, CERT)
        raise ConfigError([f"{missing}: is not set, but {there} is; TLS needs both"])
    chain, faults = _pem(cert, CERT, secret=False)
    faults += _pem(key, KEY, secret=True)[1]
    if faults:
        raise CertificateError(faults)
    leaf = _LEAF.search(chain)
    if leaf is None:
        raise CertificateError([f"{CERT}: {cert} holds no certificate in PEM, -----BEGIN CERTIFICATE-----"])
    context = _context(cert, key)
    return Identity(context, _tried(context, leaf[0], cert), chain)


def _pem(file: Path, name: str, *, secret: bool) -> tuple[str, list[str]]:
    """Return the file's text, and its faults."""
    try:
        state = file.stat()
        if secret and state.st_mode & stat.S_IROTH:
            return "", [f"{name}: {file} may be read by everybody on this machine: chmod o-r it"]
        if stat.S_ISFIFO(state.st_mode) or stat.S_ISCHR(state.st_mode) or stat.S_ISBLK(state.st_mode):
            return "", [
                f"{name}: {file} is a pipe or a device: it is read more than once, so it must be a file"
            ]
        if state.st_size > MAX_FILE_BYTES:
            return "", [f"{name}: {file} is larger than {MAX_FILE_BYTES} bytes: no PEM file"]
        return file.read_text("ascii", "replace"), []
    except OSError as error:
        return "", [f"{name}: {file} cannot be read: {error.strerror}"]


def _context(cert: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # TLS 1.2 clients may ask for new handshakes on and on; each costs us a signature.
    context.options |= ssl.OP_NO_RENEGOTIATION
    # WebSockets are HTTP/1.1: without a word a browser might try HTTP/2.
    context.set_alpn_protocols(["http/1.1"])
    # A browser opens one connection at a time here: one ticket for its next.
    context.num_tickets = 1
    try:
        # Without a password OpenSSL would ask at the terminal for it.
        context.load_cert_chain(cert, key, password=_no_password)
    except _LockedError:
        words = "is encrypted with a passphrase, which nobody could type: write it without one"
        raise CertificateError([f"{KEY}: {key} {words}"]) from None
    except ssl.SSLError as error:
        raise CertificateError([_unusable(cert, key, error)]) from error
    except OSError as error:  # changed since it was looked at
        raise CertificateError(
            [f"{CERT}, {KEY}: {cert} or {key} cannot be read: {error.strerror}"]
        ) from error
    return context


def _unusable(cert: Path, key: Path, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{KEY}: {key} is not the key of the first certificate in {cert}"
    if error.reason in {"EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"}:
        return f"{CERT}: {cert} is too weak for today's browsers ({error.reason}): get another"
    return f"{CERT}, {KEY}: {cert} with {key} is no PEM chain with its key ({error.reason or 'PEM'})"


class _LockedError(Exception):
    """Raise for a key with a passphrase."""


def _no_password() -> str:
    raise _LockedError


def _tried(context: ssl.SSLContext, leaf: str, cert: Path) -> datetime:
    """Return the certificate's end, after a handshake with a client that trusts it and nothing else."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False  # the name that browsers use is not known here
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be its own issuer
    try:
        client.load_verify_locations(cadata=leaf)
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        trying = client.wrap_bio(down, up)
        _shake_hands(trying, context.wrap_bio(up, down, server_side=True))
        shown = trying.getpeercert()
    except ssl.SSLCertVerificationError as error:
        raise CertificateError([f"{CERT}: {cert} is not fit: {error.verify_message}"]) from error
    except ssl.SSLError as error:
        raise CertificateError([f"{CERT}: {cert} cannot be served: {error.reason}"]) from error
    assert shown is not None  # noqa: S101 - the client asks for a certificate
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)


def _shake_hands(*ends: ssl.SSLObject) -> None:
    waiting = list(ends)
    for _ in itertools.repeat(None, MAX_FLIGHTS):
        for end in tuple(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
        if not waiting:
            return
    raise ssl.SSLError(0, "the handshake has no end")


@cache
def machines_own() -> ssl.SSLContext:
    """Return the context for every client of the process, read when the first needs it: 20 ms and over a megabyte.

    httpx would offer HTTP/1.1 by itself, and everyone else with it from then on; so it is offered from the start,
    as browsers do for a WebSocket, too.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
