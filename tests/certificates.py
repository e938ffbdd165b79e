"""Certificates for tests, in files as an operator has them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
import ssl

import trustme


class Certificates:
    """``env``: the settings; ``trust``: what a client must believe; ``renew`` writes others over them."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.cert, self.key, self.ca = (folder / name for name in ("cert.pem", "key.pem", "ca.pem"))
        self.authority.cert_pem.write_to_path(self.ca)
        self.renew()

    @property
    def env(self) -> dict[str, str]:
        return {"PREPPALD_TLS_CERT": str(self.cert), "PREPPALD_TLS_KEY": str(self.key)}

    @property
    def trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    def renew(self, *, begins_in_days: float = -1, ends_in_days: float = 90) -> None:
        """For 127.0.0.1 and localhost."""
        now = datetime.now(UTC)
        issued = self.authority.issue_cert(
            "127.0.0.1",
            "localhost",
            not_before=now + timedelta(days=begins_in_days),
            not_after=now + timedelta(days=ends_in_days),
        )
        self.cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(self.key)
        self.key.chmod(0o600)

    @property
    def shown(self) -> bytes:
        """The certificate in the file, as a client sees it (DER)."""
        return ssl.PEM_cert_to_DER_cert(
            self.cert.read_text().partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
        )
