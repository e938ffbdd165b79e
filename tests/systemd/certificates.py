"""Writes a certificate as a host has it: ``python -m tests.systemd.certificates FOLDER NAME BEGINS_IN ENDS_IN`` (days).

In FOLDER: fullchain.pem and privkey.pem, and ca.pem, which clients trust. Where FOLDER has an authority, it is used again.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
import sys

import trustme


def main(folder: Path, name: str, begins_in: float, ends_in: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ca, ca_key = folder / "ca.pem", folder / "ca.key"
    if ca.exists():
        authority = trustme.CA.from_pem(ca.read_bytes(), ca_key.read_bytes())
    else:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(ca)
        authority.private_key_pem.write_to_path(ca_key)
    now = datetime.now(UTC)
    issued = authority.issue_cert(
        name, not_before=now + timedelta(days=begins_in), not_after=now + timedelta(days=ends_in)
    )
    (folder / "fullchain.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(folder / "privkey.pem")
    (folder / "privkey.pem").chmod(0o600)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
