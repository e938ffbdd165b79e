"""What a hostile, broken or unlucky peer may send, and what comes of it: two tables, one for each side of the 101.

Each input is a script: bytes to send, seconds to wait, or END for the end of the stream. ``ID`` and ``TOKEN`` stand
for an interview of its own and a good token for it.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
import json
import struct
from typing import Final

from preppald.pb.interview_pb2 import AudioChunk, ClientToServerMessage, EndRequest

END: Final = "the end of the stream"
Step = bytes | float | str
# What a connection is that was closed without a word, one that the interview goes on over, and one that is let in.
CLOSED, LIVES, LET_IN = "closed", "lives", "101"


@dataclass(frozen=True)
class Hostile:
    """``outcome``: an HTTP status, a close code with the beginning of its reason, or one of the words above."""

    name: str
    outcome: str
    steps: Sequence[Step]


# ------------------------------------------------------------------ before the 101

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
USUAL = {
    b"Host": b"localhost",
    b"Upgrade": b"websocket",
    b"Connection": b"Upgrade",
    b"Sec-WebSocket-Key": KEY,
    b"Sec-WebSocket-Version": b"13",
    b"Sec-WebSocket-Protocol": b"preppal.v1, token.TOKEN",
}


def asked(
    line: bytes = b"GET /ID HTTP/1.1",
    *more: bytes,
    without: Sequence[bytes] = (),
    **replaced: bytes,
) -> bytes:
    """A good request but for what is said; ``more``: whole header lines."""
    named = {name.replace("_", "-").lower().encode(): value for name, value in replaced.items()}
    lines = [line]
    for name, value in USUAL.items():
        if name not in without:
            lines.append(name + b": " + named.get(name.lower(), value))
    return b"\r\n".join([*lines, *more]) + b"\r\n\r\n"


def unsigned(header: object, payload: object) -> bytes:
    """A token that nobody signed."""
    parts = [json.dumps(part).encode() for part in (header, payload)]
    return b".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts), b""])


FORGED = {"userId": "u", "interviewId": "ID", "iat": 1_800_000_000, "exp": 1_800_000_300}

A_HEADER_A_SECOND: list[Step] = [b"A: b\r\n", 1.0] * 9
BEFORE = (
    Hostile("nothing at all", "408", []),
    Hostile("the end at once", CLOSED, [END]),
    Hostile("one byte", "408", [b"G"]),
    Hostile("an empty line", "400", [b"\r\n"]),
    Hostile("binary noise", "400", [bytes(range(256)) * 4]),
    Hostile("zeros without a line end", "400", [bytes(40_000)]),
    Hostile("a TLS hello", "400", [b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(160) + b"\n"]),
    Hostile("an SSH banner", "400", [b"SSH-2.0-OpenSSH_9.6\r\n"]),
    Hostile("HTTP/2's preface", "400", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]),
    Hostile("HTTP 0.9", "400", [b"GET /\r\n"]),
    Hostile("HTTP 1.0", "505", [asked(b"GET /ID HTTP/1.0")]),
    Hostile("a line of Redis", "400", [b"*1\r\n$4\r\nPING\r\n"]),
    Hostile("a POST", "405", [asked(b"POST /ID HTTP/1.1")]),
    Hostile("a CONNECT", "404", [asked(b"CONNECT localhost:443 HTTP/1.1")]),
    Hostile("a method in lower case", "405", [asked(b"get /ID HTTP/1.1")]),
    Hostile("half a request, and nothing more", "408", [b"GET /ID HTTP/1.1\r\nHost: a"]),
    Hostile("half a request and the end", CLOSED, [b"GET /ID HTTP/1.1\r\nHost: a", END]),
    Hostile("a byte a second", "408", [part for _ in range(9) for part in (b"G", 1.0)]),
    Hostile("a header a second", "408", [b"GET / HTTP/1.1\r\n", *A_HEADER_A_SECOND]),
    Hostile("a request line of 9 kB", "400", [b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n"]),
    Hostile("a header of 9 kB", "101", [asked(b"GET /ID HTTP/1.1", b"Cookie: " + b"a" * 9000)]),
    Hostile("200 headers", "431", [asked(b"GET /ID HTTP/1.1", *[b"A: b"] * 200)]),
    Hostile("70 headers of one name", "431", [asked(b"GET /ID HTTP/1.1", *[b"A: b"] * 70)]),
    Hostile("40 kB of headers", "431", [asked(b"GET /ID HTTP/1.1", *[b"A: " + b"b" * 1000] * 40)]),
    Hostile("a Host that is no ASCII", "101", [asked(host=b"\xff\xfe")]),
    Hostile("a Host that is no IDNA", "101", [asked(host=b"xn--0000h")]),
    Hostile("two Hosts", "400", [asked(b"GET /ID HTTP/1.1", b"Host: other")]),
    Hostile("a Connection that is no ASCII", "400", [asked(connection=b"Upgrad\xe9")]),
    Hostile("a subprotocol that is no ASCII", "400", [asked(sec_websocket_protocol=b"\xe9, token.TOKEN")]),
    Hostile(
        "an extension that is no ASCII",
        "101",
        [asked(b"GET /ID HTTP/1.1", b"Sec-WebSocket-Extensions: \xe9")],
    ),
    Hostile(
        "an extension with a bomb in it",
        "101",
        [
            asked(
                b"GET /ID HTTP/1.1",
                b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=15",
            )
        ],
    ),
    Hostile("a zero byte in the path", "400", [asked(b"GET /I\0D HTTP/1.1")]),
    Hostile("a zero byte in a header", "400", [asked(b"GET /ID HTTP/1.1", b"A: \0")]),
    Hostile("bare line feeds", "400", [asked().replace(b"\r\n", b"\n")]),
    Hostile("a header without a colon", "400", [asked(b"GET /ID HTTP/1.1", b"nonsense")]),
    Hostile("a space before the colon", "400", [asked(b"GET /ID HTTP/1.1", b"A : b")]),
    Hostile(
        "a header that is folded behind a bare line feed",
        "400",
        [asked(b"GET /ID HTTP/1.1", b"A: b\n c")],
    ),
    Hostile("a folded header", "400", [asked(b"GET /ID HTTP/1.1", b"A: b", b" c")]),
    Hostile("no key", "400", [asked(without=[b"Sec-WebSocket-Key"])]),
    Hostile("two keys", "400", [asked(b"GET /ID HTTP/1.1", b"Sec-WebSocket-Key: " + KEY)]),
    Hostile("a key that is no base64", "400", [asked(sec_websocket_key=b"!!!")]),
    Hostile("a key that is no ASCII", "400", [asked(sec_websocket_key=b"\xff\xfe")]),
    Hostile("a key of 15 bytes", "400", [asked(sec_websocket_key=base64.b64encode(bytes(15)))]),
    Hostile("another version", "400", [asked(sec_websocket_version=b"12")]),
    Hostile("no Connection: Upgrade", "426", [asked(connection=b"keep-alive")]),
    Hostile("an upgrade to something else", "426", [asked(upgrade=b"h2c")]),
    Hostile("two slashes", "404", [asked(b"GET //ID HTTP/1.1")]),
    Hostile("dots that climb", "404", [asked(b"GET /ws/../../etc/passwd HTTP/1.1")]),
    Hostile("an escaped path", "404", [asked(b"GET /ws/%2e%2e HTTP/1.1")]),
    Hostile("another server's URL", "404", [asked(b"GET http://evil.example/ID HTTP/1.1")]),
    Hostile("an id of 65", "404", [asked(b"GET /" + b"a" * 65 + b" HTTP/1.1")]),
    Hostile("a path of 200", "400", [asked(b"GET /" + b"a" * 200 + b" HTTP/1.1")]),
    Hostile("another interview's id", "403", [asked(b"GET /somebody-elses HTTP/1.1")]),
    Hostile("a query of 100 fields", "101", [asked(b"GET /ID?" + b"a=b&" * 100 + b" HTTP/1.1")]),
    Hostile("an enormous since", "101", [asked(b"GET /ID?since=" + b"9" * 400 + b" HTTP/1.1")]),
    Hostile("a since in other digits", "101", [asked(b"GET /ID?since=%D9%A1 HTTP/1.1")]),
    Hostile("no token", "401", [asked(without=[b"Sec-WebSocket-Protocol"])]),
    Hostile("a token of nothing", "401", [asked(sec_websocket_protocol=b"preppal.v1, token.")]),
    Hostile("a token of 5 kB", "401", [asked(sec_websocket_protocol=b"preppal.v1, token." + b"a" * 5000)]),
    Hostile("a token that is no ASCII", "401", [asked(b"GET /ID?token=%ff%fe HTTP/1.1")]),
    Hostile(
        "a token that nobody signed",
        "401",
        [asked(b"GET /ID?token=" + unsigned({"alg": "none"}, FORGED) + b" HTTP/1.1")],
    ),
    Hostile(
        "a token that asks for another algorithm",
        "401",
        [asked(b"GET /ID?token=" + unsigned({"alg": "HS512"}, FORGED) + b"abcd HTTP/1.1")],
    ),
    Hostile(
        "a body that was announced",
        "400",
        [asked(b"GET /ID HTTP/1.1", b"Content-Length: 10") + b"0123456789"],
    ),
    Hostile(
        "a body in chunks", "400", [asked(b"GET /ID HTTP/1.1", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"]
    ),
    Hostile(
        "an X-Forwarded-For that is none",
        "101",
        [asked(b"GET /ID HTTP/1.1", b"X-Forwarded-For: \xff, ,1.2.3")],
    ),
    Hostile("a second request behind the first", "101", [asked() + asked()]),
    Hostile("a ping behind the request", "101", [asked() + b"\x89\x80\0\0\0\0"]),
    Hostile("a close behind the request", "101", [asked() + b"\x88\x80\0\0\0\0"]),
    Hostile("a request cut within its last line end", "101", [asked()[:-2], 0.1, asked()[-2:]]),
)

# ------------------------------------------------------------------ after it

BINARY, TEXT, MORE, CLOSE, PING, PONG = 2, 1, 0, 8, 9, 10


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, length: int | None = None
) -> bytes:
    """A masked frame, with a mask of zeros; ``length``: another one than the payload's."""
    size = len(payload) if length is None else length
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, 0xFE, size)
    else:
        head = struct.pack("!BBQ", first, 0xFF, size)
    return head + bytes(4) + payload


def audio(pcm: bytes) -> bytes:
    return frame(BINARY, ClientToServerMessage(audio_chunk=AudioChunk(audio_content=pcm)).SerializeToString())


ENOUGH = frame(BINARY, ClientToServerMessage(end_request=EndRequest()).SerializeToString())
# A second of audio as one message, and as the smallest messages that there are.
SECOND = audio(bytes(32_000))
CRUMB = audio(b"")
FULL = ClientToServerMessage(audio_chunk=AudioChunk(audio_content=bytes(65_527))).SerializeToString()

AUDIO_FLOOD: list[Step] = [SECOND * 5, 0.5] * 60
CRUMB_FLOOD: list[Step] = [CRUMB * 1000, 0.5] * 60
AFTER = (
    Hostile("a frame without a mask", "1002", [b"\x82\x02\x0a\x00"]),
    Hostile("an opcode that does not exist", "1002", [frame(3)]),
    Hostile("a control opcode that does not exist", "1002", [frame(11)]),
    Hostile("a compressed frame", "1002", [frame(BINARY, b"\x0a\x00", reserved=4)]),
    Hostile("a reserved bit", "1002", [frame(BINARY, b"\x0a\x00", reserved=1)]),
    Hostile("a ping in fragments", "1002", [frame(PING, fin=False)]),
    Hostile("a ping of 126 bytes", "1002", [frame(PING, bytes(126))]),
    Hostile("a continuation of nothing", "1002", [frame(MORE, b"a")]),
    Hostile("a message within a message", "1002", [frame(BINARY, b"a", fin=False), frame(BINARY, b"b")]),
    Hostile("HTTP again", "1002", [b"GET / HTTP/1.1\r\n\r\n"]),
    Hostile("noise", "1002", [b"\xff" * 100]),
    Hostile("a terabyte that is announced", "1009", [frame(BINARY, b"a" * 100, length=2**40)]),
    Hostile("the longest length that there is", "1009", [frame(BINARY, b"", length=2**63 - 1)]),
    Hostile("a message of a byte too many", "1009", [frame(BINARY, bytes(65_537))]),
    Hostile(
        "fragments of a byte too many",
        "1009",
        [frame(BINARY, bytes(40_000), fin=False), frame(MORE, bytes(30_000))],
    ),
    Hostile(
        "200 empty fragments",
        "1008 Too many control",
        [frame(BINARY, fin=False), frame(MORE, fin=False) * 200],
    ),
    Hostile("200 pings", "1008 Too many control", [frame(PING) * 200]),
    Hostile("200 pongs that nobody asked for", "1008 Too many control", [frame(PONG) * 200]),
    Hostile("a flood of audio", "1008 Sending faster", [SECOND * 30, *AUDIO_FLOOD]),
    Hostile("a flood of crumbs", "1008 Sending faster", [CRUMB * 12_000, *CRUMB_FLOOD]),
    Hostile(
        "a flood of fragments of a byte",
        "1008 Sending faster",
        [frame(BINARY, b"a", fin=False), frame(MORE, b"a", fin=False) * 30_000],
    ),
    Hostile("ten texts", "1008 Too many messages", [frame(TEXT, b"hello") * 10]),
    Hostile("ten empty messages", "1008 Too many messages", [frame(BINARY) * 10]),
    Hostile("a close of one byte", "1002", [frame(CLOSE, b"\x03")]),
    Hostile("a close with a code that is none", "1002", [frame(CLOSE, struct.pack("!H", 999))]),
    Hostile("a close with a reserved code", "1002", [frame(CLOSE, struct.pack("!H", 1005))]),
    Hostile(
        "a close with a reason that is no text", "1007", [frame(CLOSE, struct.pack("!H", 1000) + b"\xff")]
    ),
    Hostile("a close, and then more", "1000", [frame(CLOSE, struct.pack("!H", 1000)) + SECOND + frame(PING)]),
    Hostile("two closes", "1001", [frame(CLOSE, struct.pack("!H", 1001)) * 2]),
    Hostile("the end without a close", "1006", [END]),
    Hostile("the end within a frame", "1006", [frame(BINARY, b"a" * 10, length=1000), END]),
    Hostile("a candidate who ends, and goes on", "1000", [ENOUGH + SECOND + frame(PING) + ENOUGH]),
    Hostile("a ping while it closes", "1000", [ENOUGH, frame(PING), 0.1, frame(PING)]),
    Hostile("an oversize message while it closes", "1000", [ENOUGH, frame(BINARY, bytes(70_000))]),
    Hostile("one text", LIVES, [frame(TEXT, b"hello")]),
    Hostile("a text that is no UTF-8", LIVES, [frame(TEXT, b"\xff\xfe")]),
    Hostile("a text in fragments", LIVES, [frame(TEXT, b"a", fin=False), frame(MORE, b"b")]),
    Hostile("an empty message", LIVES, [frame(BINARY)]),
    Hostile(
        "nine that cannot be read, and a good one, and nine more",
        LIVES,
        [frame(TEXT) * 9 + CRUMB + frame(TEXT) * 9],
    ),
    Hostile("bytes that are no protobuf", LIVES, [frame(BINARY, b"\xff" * 50)]),
    Hostile("a field of the wrong type", LIVES, [frame(BINARY, b"\x08\x01")]),
    Hostile("50 kB of unknown fields", LIVES, [frame(BINARY, b"\xfa\x3f\xd0\x86\x03" + bytes(50_000))]),
    Hostile("groups 500 deep", LIVES, [frame(BINARY, b"\x0b" * 500)]),
    Hostile("an audio field that says more than there is", LIVES, [frame(BINARY, b"\x0a\x7f\x0a\x7f")]),
    Hostile("audio of no bytes", LIVES, [CRUMB]),
    Hostile("audio of one byte", LIVES, [audio(b"a"), audio(b"b")]),
    Hostile("the longest message", LIVES, [frame(BINARY, FULL)]),
    Hostile("a message in single bytes", LIVES, [bytes([byte]) for byte in audio(bytes(20))]),
    Hostile(
        "a message in fragments, with a ping within",
        LIVES,
        [frame(BINARY, b"\x0a", fin=False) + frame(PING, b"x") + frame(MORE, b"\x00")],
    ),
    Hostile(
        "a message that ends with an empty fragment",
        LIVES,
        [frame(BINARY, b"\x0a\x00", fin=False) + frame(MORE)],
    ),
    Hostile("5 s of audio at once", LIVES, [SECOND * 5]),
    Hostile("25 s of the busiest page at once", LIVES, [audio(bytes(86)) * 9375]),
)
