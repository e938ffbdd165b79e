"""Which of the two connections of an interview are encrypted, and by an authority of our own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
import ssl
import tempfile

import trustme


@dataclass(frozen=True, slots=True)
class Way:
    """``gemini`` and ``browser``: whether that connection is TLS. Gemini itself is never reached by anything else."""

    name: str
    words: str
    gemini: bool
    browser: bool = False


WAYS = {
    way.name: way
    for way in (
        Way("wss", "wss to Gemini", gemini=True),
        Way("ws", "ws to Gemini", gemini=False),
        Way("wss-both", "wss on both sides", gemini=True, browser=True),
    )
}


@dataclass(frozen=True, slots=True)
class Encryption:
    """A way's certificates: contexts for the load, the environment for the device."""

    scheme: str = "ws"
    gemini: ssl.SSLContext | None = None
    browsers: ssl.SSLContext | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def encryption(way: Way) -> Iterator[Encryption]:
    """Certificates for localhost, in files while this lasts."""
    authority = trustme.CA()
    with tempfile.TemporaryDirectory() as folder:
        ca, cert, key = (Path(folder, name) for name in ("ca.pem", "cert.pem", "key.pem"))
        authority.cert_pem.write_to_path(ca)
        issued = authority.issue_cert("localhost", "127.0.0.1")
        cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        key.chmod(0o600)
        environment: dict[str, str] = {}
        gemini = browsers = None
        if way.gemini:
            gemini = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            issued.configure_cert(gemini)
            environment |= {"SSL_CERT_FILE": str(ca), "NODE_EXTRA_CA_CERTS": str(ca)}
        if way.browser:
            browsers = ssl.create_default_context()
            authority.configure_trust(browsers)
            environment |= {"PREPPALD_TLS_CERT": str(cert), "PREPPALD_TLS_KEY": str(key)}
        yield Encryption("wss" if way.gemini else "ws", gemini, browsers, environment)
