# ruff: noqa: INP001 - a hook, not a module
"""Runs first in the one-file binary: which CA certificates it trusts.

This machine's own where they are in one of the usual places, so that an operator's CA counts; else the ones that
came along. The paths that are compiled into the bundled OpenSSL are those of the machine that built it.
"""

import os
from pathlib import Path
import sys

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine, Gentoo
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",  # older RHEL, Amazon Linux
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",
)

if "SSL_CERT_FILE" not in os.environ and "SSL_CERT_DIR" not in os.environ:
    bundled = Path(sys._MEIPASS, "certifi", "cacert.pem")  # type: ignore[attr-defined] # noqa: SLF001
    os.environ["SSL_CERT_FILE"] = next(filter(os.path.exists, SYSTEM_BUNDLES), str(bundled))
