"""Google's SDKs, as their makers publish them, hold conversations with ``preppald simulate``.

Only their base URL is changed. JavaScript takes plain http; Python speaks nothing but TLS.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trustme

from tests.foreign.programs import HERE, PREPPALD, SDK_PYTHON, finished, started

# An hour in three minutes: a connection's minute is over in three seconds.
SPEED = "20"
ANY_PORT = ("--listen", "127.0.0.1:0", "--backend-listen", "127.0.0.1:0")


@asynccontextmanager
async def simulator(*options: str | Path) -> AsyncIterator[str]:
    """``preppald simulate``, as a user starts it; the address of its Gemini."""
    async with started([*PREPPALD, "simulate", *ANY_PORT, "--speed", SPEED, *options]) as program:
        ready = await program.line(0)
        assert ready["event"] == "simulator.ready"
        yield ready["gemini"]
    bugs = [line for line in program.told if line["event"] in {"gemini.bug", "backend.bug"}]
    assert not bugs


async def test_the_javascript_sdk() -> None:
    """Conversations of sdk.test.mjs."""
    async with simulator() as url:
        await finished(["node", "--test", "sdk.test.mjs"], SIMULATOR=url.replace("ws://", "http://"))


async def test_the_python_sdk(tmp_path: Path) -> None:
    """Conversations of sdk_python.py."""
    authority = trustme.CA()
    trusted, certificate = tmp_path / "authority.pem", tmp_path / "server.pem"
    authority.cert_pem.write_to_path(trusted)
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    async with simulator("--certificate", certificate) as url:
        await finished(
            [SDK_PYTHON, HERE / "sdk_python.py"],
            GOOGLE_GEMINI_BASE_URL=url.replace("wss://", "https://"),
            SSL_CERT_FILE=str(trusted),
        )
