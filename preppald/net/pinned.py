"""TLS towards a host whose certificate was told beforehand: that one counts, whatever its name, its dates and its issuer."""

from functools import cache
import hashlib
import hmac
import ssl

import trio

from preppald.net.records import Records

_END = "-----END CERTIFICATE-----"


class Pinned(Records):
    """A client's end. ``fingerprint``: as ``fingerprint`` below returns it. ``host``: where the connection leads."""

    __slots__ = ("_fingerprint",)

    def __init__(self, fingerprint: str, host: str) -> None:
        super().__init__(_context(), server_hostname=host)
        self._fingerprint = fingerprint

    def handshake(self) -> bool:
        """Go on as ``Records`` does.

        Raises:
            trio.BrokenResourceError: the handshake is complete, and the certificate another one.
        """
        if not super().handshake():
            return False
        shown = hashlib.sha256(self._object.getpeercert(binary_form=True) or b"").hexdigest()
        if not hmac.compare_digest(shown, self._fingerprint):
            raise trio.BrokenResourceError("it shows another certificate than the one that stands for it")
        return True


def fingerprint(chain: str) -> str:
    """Return the SHA-256 of the first certificate in a chain (PEM), hexadecimal."""
    leaf = chain[chain.index("-----BEGIN") : chain.index(_END) + len(_END)]
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(leaf)).hexdigest()


@cache
def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # Nobody is trusted by name. A peer that completes the handshake has the key of the certificate that it shows.
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context
