"""Which CA certificates the one-file binary trusts: systemd/binary/trust.py, as the binary runs it."""

import os
from pathlib import Path
import runpy
import sys

import pytest

HOOK = Path(__file__).parents[1] / "systemd" / "binary" / "trust.py"
DEBIAN = "/etc/ssl/certs/ca-certificates.crt"
FEDORA = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"


@pytest.mark.parametrize(
    ("there", "env", "trusted"),
    [
        ([DEBIAN], {}, DEBIAN),
        ([FEDORA], {}, FEDORA),
        ([], {}, "/unpacked/certifi/cacert.pem"),
        ([DEBIAN], {"SSL_CERT_FILE": "/etc/ours.pem"}, "/etc/ours.pem"),
        ([DEBIAN], {"SSL_CERT_DIR": "/etc/ours"}, None),
    ],
)
def test_this_machines_own_come_first(
    monkeypatch: pytest.MonkeyPatch, there: list[str], env: dict[str, str], trusted: str | None
) -> None:
    """An operator's word, then the machine's, then what came along."""
    monkeypatch.setattr(os, "environ", dict(env))
    monkeypatch.setattr(os.path, "exists", lambda path: path in there)
    monkeypatch.setattr(sys, "_MEIPASS", "/unpacked", raising=False)
    runpy.run_path(str(HOOK))
    assert os.environ.get("SSL_CERT_FILE") == trusted
