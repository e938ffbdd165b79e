"""Every place where bytes of somebody else's become something of ours: any bytes decode, or raise the one error type.

A target takes bytes and returns; what it raises is a finding. The same targets serve Hypothesis in the tests and
atheris in a command of its own: ``python -m tests.fuzz TARGET``.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
import random
import tempfile
from typing import Any

import jwt
import trio
import trio.testing

from preppald.audio import opus
from preppald.backend import protobuf, trpc
from preppald.backend.outcomes import Delivered, Refused, Retry, Unauthorized
from preppald.browser.coding import MAX_PACKET_PCM_BYTES
from preppald.browser.connection import Browser
from preppald.config import load as config, secret_files as private_files
from preppald.config.settings import ENV_FILE, settings
from preppald.config.values import Invalid
from preppald.core import closes, frames, gemini_frames, tokens as auth
from preppald.core.tokens import Claims, TokenRules
from preppald.errors import ConfigError, Refusal, RemoteProtocolError, TokenError
from preppald.net.websocket import WebSocketClosed
from preppald.server import http as http1
from preppald.server.admission import Admit, Page, Refuse, Rules, decide
from preppald.server.http import Exchange
from preppald.server.limits import customer
from tests.coders import the_library
from tests.hostile_inputs import ENOUGH, KEY, asked, audio

SECRET = "a-secret-for-fuzzing-of-32-bytes-or-more"
RULES = TokenRules((SECRET,))
NOW = 1_800_000_000
MAX_READS = 64
OUTCOMES = (Delivered, Refused, Retry, Unauthorized)


def frame(data: bytes) -> None:
    """A browser's message."""
    try:
        event = frames.decode(data)
    except RemoteProtocolError:
        return
    assert not isinstance(getattr(event, "pcm", b""), str)


def opus_packets(data: bytes) -> None:
    """A browser's Opus: packets, each behind its length in two bytes, decoded as one stream."""
    decoder = opus.Decoder(the_library(), 16_000)
    while data:
        size = int.from_bytes(data[:2], "big") % (opus.MAX_PACKET_BYTES + 2)
        packet, data = data[2 : 2 + size], data[2 + size :]
        pcm = decoder.decode(packet)
        assert len(pcm) <= MAX_PACKET_PCM_BYTES
        assert len(pcm) % 2 == 0


def gemini_frame(data: bytes) -> None:
    """Gemini's JSON. Text that comes out of it can be written anywhere."""
    try:
        events = gemini_frames.decode(data)
    except RemoteProtocolError:
        return
    for event in events:
        str(getattr(event, "text", "")).encode()


def token(data: bytes) -> None:
    """What stands where a token should."""
    try:
        auth.verify(data.decode("utf-8", "surrogateescape"), RULES, now=NOW)
    except TokenError:
        return
    raise AssertionError("nobody signed it")


def signed(data: bytes) -> None:
    """A payload that the application signed, and that is still anything."""
    text = jwt.PyJWS().encode(data, SECRET, algorithm="HS256")
    try:
        claims = auth.verify(text, RULES, now=NOW)
    except TokenError:
        return
    assert isinstance(claims, Claims)
    assert auth.INTERVIEW_ID.fullmatch(claims.interview_id)
    claims.user_id.encode()


def request(data: bytes) -> None:
    """A connection's first bytes."""
    trio.run(partial(_read_request, data), clock=trio.testing.MockClock(autojump_threshold=0))


async def _read_request(data: bytes) -> Exchange | None:
    ours, theirs = trio.testing.memory_stream_pair()
    await ours.send_all(data)
    await ours.send_eof()
    try:
        exchange = await http1.read(theirs)
    except Refusal:
        return None
    if exchange is not None:
        for hop in exchange.request.headers("x-forwarded-for"):
            customer(hop)
        decision = decide(exchange.request, NOW, Rules(RULES))
        assert isinstance(decision, Page | Refuse | Admit)
        with suppress(Refusal):
            await http1.upgrade(theirs, http1.handshake(exchange))
    return exchange


def connection(data: bytes) -> None:
    """A browser's bytes after the handshake."""
    trio.run(partial(_talk, data), clock=trio.testing.MockClock(autojump_threshold=0))


async def _talk(data: bytes) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    await ours.send_all(asked().replace(b"ID", b"iv-1"))
    exchange = await http1.read(theirs)
    assert exchange is not None
    upgrade = http1.handshake(exchange)
    protocol = await http1.upgrade(theirs, upgrade)
    assert protocol is not None
    browser = Browser(theirs, protocol, upgrade.early)
    await ours.send_all(data)
    await ours.send_eof()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(browser.write)
        try:
            for _ in range(MAX_READS):
                for message in await browser.receive():
                    assert isinstance(message, bytes | str)
        except WebSocketClosed:
            pass
        await browser.part()


def answer(data: bytes) -> None:
    """The backend's answer, in either wire; the first two bytes choose the status, the third splits off a header."""
    status = 200 + int.from_bytes(data[:2], "big") % 400
    cut = 3 + (data[2] if len(data) > 2 else 0) % 16
    header, body = data[3:cut].decode("latin-1") or None, data[cut:]
    for outcome in (trpc.decode(status, body, header), protobuf.decode(status, body, header)):
        assert isinstance(outcome, OUTCOMES)
        assert 0 <= (getattr(outcome, "retry_after", None) or 0) < 10**6
    trpc.code(body)
    protobuf.context(status, body, header)


def close(data: bytes) -> None:
    """Why Gemini closed a connection."""
    closes.of_close(int.from_bytes(data[:2], "big"), data[2:].decode("utf-8", "replace"))
    closes.of_http_status(int.from_bytes(data[:2], "big"))


def environment(data: bytes) -> None:
    """A configuration."""
    names = [item.env for item in settings().values() if item.env != ENV_FILE]
    env = {}
    for index, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n")):
        env[names[index % len(names)]] = line
    with suppress(ConfigError):
        config.load(env)


def env_file(data: bytes) -> None:
    """The file that is read before it."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            found = private_files.env_file(Path(file.name))
        except Invalid:
            return
    assert all(name.isascii() for name in found)


TARGETS: dict[str, Callable[[bytes], Any]] = {
    target.__name__: target
    for target in (
        frame,
        opus_packets,
        gemini_frame,
        token,
        signed,
        request,
        connection,
        answer,
        close,
        environment,
        env_file,
    )
}


def _speech() -> bytes:
    """Return packets as an encoder makes them, for a search among those that nearly are; none without libopus."""
    library = opus.library()
    if library is None:
        return b""
    noise = random.Random(1).randbytes(32_000)
    packets = opus.Encoder(library, 16_000).encode(noise)
    return b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets[:8])


# Where a search begins: something that is right.
SEEDS: dict[str, tuple[bytes, ...]] = {
    "frame": (b"\x0a\x02ab", b"\x12\x00", b"\x0a\x06\x12\x01\x48\x12\x01\x48", b"\x2a\x02\x08\x01"),
    "opus_packets": (
        b"\0\x01\x48\0\x05\x0b\x41\x02\x03\x04",
        bytes.fromhex("0003 fcfffe 0002 7801"),
        _speech(),
    ),
    "gemini_frame": (
        b'{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"data":"AAAA"},"text":"\\ud800"}]}}}',
        b'{"setupComplete":{},"goAway":{"timeLeft":"9.5s"},"usageMetadata":{"thoughtsTokenCount":-1}}',
    ),
    "token": (b"eyJhbGciOiJIUzI1NiJ9.e30.AAAA",),
    "signed": (b'{"userId":"u","interviewId":"i","iat":1800000000,"exp":1800000300}',),
    "request": (asked(), asked(b"GET /ws/ID?token=a&since=7 HTTP/1.1"), b"GET / HTTP/1.1\r\n\r\n", KEY),
    "connection": (audio(b"ab"), ENOUGH, b"\x88\x80\0\0\0\0", b"\x89\x80\0\0\0\0"),
    "answer": (b'\0\0\0{"result":{"data":{"json":{}}}}', b'\0\xc8\x0230{"error":{"json":{"data":{}}}}'),
    "close": (b"\x03\xf3quota", b"\x03\xe8"),
    "environment": (SECRET.encode(), b"\n\n\nkey\nhttps://a.example\n127.0.0.1:0"),
    "env_file": (b"A=b\n# c\nD='e'\n",),
}
