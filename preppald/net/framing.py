"""Reads and writes WebSocket frames: by a short way for nearly all messages, by the library for the rest.

A whole, unfragmented data frame is read and written here, at a third of the library's cost. Everything else, be it
a ping, a close, a fragment or a fault, goes to ``websockets``' protocol frame by frame, so that there is one judge of
what the RFC allows. The tests hold this against the protocol alone.
"""

from collections.abc import Iterator
import os
import struct

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol, Side, State

try:
    from websockets.speedups import apply_mask
except ImportError:  # pragma: no cover - a platform without the library's C code
    from websockets.utils import apply_mask

Message = bytes | str

# First bytes of a head: FIN and the opcode.
_TEXT, _BINARY = 0x81, 0x82
_WHOLE = (_BINARY, _TEXT)
# Frames that the protocol judges once they are whole; anything else is a fault.
_ALLOWED = frozenset((0x00, 0x01, 0x02, 0x80, _TEXT, _BINARY, 0x88, 0x89, 0x8A))
_MASKED = 0x80
_SHORT, _MEDIUM, _LONG = 125, 126, 127
_SMALLEST_LONG = 65_536
_KEY_SIZE = 4
# Fragments of one message, and of one read: 4 MiB of a message in pieces of 1 KiB, and 64 KiB of a read in pieces of 64
# bytes. Each costs some 10 us and 50 bytes whatever it carries, so that they are bounded as bytes are. From a service
# only: browsers have a bound on frames of their own, and small messages.
MOST_FRAGMENTS = 4096
MOST_FRAGMENTS_A_READ = 1024
# A second and more of audio for one system call.
KEYS_A_PAGE = 64


class Framing:
    """Frames one connection after its handshake. ``protocol`` keeps its state; pings are asked of it.

    ``open``: True while messages go both ways; asked with each message, and cheaper here than of the protocol.
    ``frames`` and ``empty``: how many frames the last ``receive`` brought, and how many of them carried nothing.
    """

    __slots__ = (
        "_fragments",
        "_given_up",
        "_mask_bit",
        "_mask_size",
        "_most",
        "_of_read",
        "_own_bit",
        "_rest",
        "_wanted",
        "empty",
        "frames",
        "open",
        "protocol",
    )

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.open = protocol.state is State.OPEN
        self.frames = self.empty = 0
        # A client's frames are masked, and no others.
        self._mask_bit, self._mask_size = (_MASKED, _KEY_SIZE) if protocol.side is Side.SERVER else (0, 0)
        self._own_bit = 0 if protocol.side is Side.SERVER else _MASKED
        assert protocol.max_message_size is not None  # noqa: S101 - the protocol was made with a bound
        self._most = protocol.max_message_size
        self._rest = bytearray()
        self._wanted = 0
        self._fragments: list[bytes] = []
        self._of_read = 0
        # True once the protocol has taken over for good: the connection is closing, or broken.
        self._given_up = False

    # -------------------------------------------------------------- in

    def receive(self, data: bytes | bytearray) -> list[Message]:  # noqa: C901, PLR0912 - one pass, no call a frame
        """Return all messages that are whole with these bytes; often none. Text comes as ``str``."""
        messages: list[Message] = []
        self.frames = self.empty = self._of_read = 0
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:
                return messages
            data, self._rest = self._rest, bytearray()
        at, end, mask_bit, mask_size = 0, len(data), self._mask_bit, self._mask_size
        protocol = self.protocol
        limit = self._most if protocol.current_size is None else self._limit()
        while not self._given_up:
            if end - at < 2:
                return self._keep(data, at, 2, messages)
            head, size, start = data[at], data[at + 1] ^ mask_bit, at + 2
            if size == _MEDIUM:
                if end - at < 4:
                    return self._keep(data, at, 4, messages)
                size, start = data[start] << 8 | data[start + 1], at + 4
            elif size == _LONG:
                if end - at < 10:
                    return self._keep(data, at, 10, messages)
                size, start = int.from_bytes(data[start : start + 8], "big"), at + 10
            elif size > _LONG or head not in _ALLOWED:
                break  # masked where it must not be, or the other way round; or no frame at all
            if size > limit:
                break
            body = start + mask_size
            stop = body + size
            if stop > end:
                return self._keep(data, at, stop - at, messages)
            if head in _WHOLE and protocol.current_size is None:
                payload = data[body:stop]
                if mask_size:
                    payload = apply_mask(payload, data[start:body])
                messages.append(bytes(payload) if head == _BINARY else _text(payload))
                self.frames += 1
            else:
                self._ask_protocol(data[at:stop], messages)
                limit = self._limit()
            at = stop
            if at == end and not self._given_up:
                return messages
        self._given_up = True
        self._ask_protocol(data[at:], messages)
        return messages

    def receive_eof(self) -> list[Message]:
        """Note that the peer sends nothing more; return no message."""
        self.frames = self.empty = 0
        self.protocol.receive_data(self._rest)
        self._rest = bytearray()
        self.protocol.receive_eof()
        self._noted()
        return []

    def _noted(self) -> None:
        """Note the protocol's new state."""
        self.open = self.protocol.state is State.OPEN
        self._given_up = self._given_up or not self.open

    def _limit(self) -> int:
        """Return the size that the next frame may have."""
        return self._most - (self.protocol.current_size or 0)

    def _keep(self, data: bytes | bytearray, at: int, wanted: int, messages: list[Message]) -> list[Message]:
        """Keep the rest, and leave it alone before so much of it is there."""
        self._rest = bytearray(data[at:])
        self._wanted = wanted
        return messages

    def _ask_protocol(self, data: bytes | bytearray, messages: list[Message]) -> None:
        self.protocol.receive_data(data)
        for frame in self.protocol.events_received():
            assert isinstance(frame, Frame)  # noqa: S101 - the handshake is over: only frames are left
            self.frames += 1
            self.empty += self._take(frame, messages)
        self._noted()

    def _take(self, frame: Frame, messages: list[Message]) -> bool:
        """Take a frame; return whether it is one of those that carry nothing."""
        match frame.opcode:
            case Opcode.BINARY if frame.fin:
                messages.append(bytes(frame.data))
            case Opcode.TEXT if frame.fin:
                messages.append(_text(frame.data))
            case Opcode.BINARY | Opcode.TEXT | Opcode.CONT:
                # Bounded by the protocol's max_size. A fragmented text message comes as bytes.
                self._fragments.append(bytes(frame.data))
                self._of_read += 1
                many = len(self._fragments) > MOST_FRAGMENTS or self._of_read > MOST_FRAGMENTS_A_READ
                if many and self._own_bit:
                    self._fragments.clear()
                    self.protocol.fail(CloseCode.POLICY_VIOLATION, "too many fragments")
                    return False
                if frame.fin:
                    messages.append(b"".join(self._fragments))
                    self._fragments.clear()
                return not frame.fin and not frame.data
            case _:
                return True  # pings, pongs and closes are the protocol's
        return False

    # -------------------------------------------------------------- out

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye, after which nothing but the peer's answer comes. Only while the connection is open."""
        self.protocol.send_close(code, reason)
        self.open = False

    def frame(self, message: Message, *, text: bool = False) -> bytes:
        """Return the message as one frame. Only while the connection is open. ``text``: its bytes are UTF-8, and text."""
        opcode = _TEXT if text else _BINARY
        if isinstance(message, str):
            opcode, message = _TEXT, message.encode()
        size = len(message)
        if size <= _SHORT:
            head = bytes((opcode, self._own_bit | size))
        elif size < _SMALLEST_LONG:
            head = bytes((opcode, self._own_bit | _MEDIUM, size >> 8, size & 0xFF))
        else:
            head = struct.pack("!BBQ", opcode, self._own_bit | _LONG, size)
        if not self._own_bit:
            return head + message
        key = _next_key()
        return b"".join((head, key, apply_mask(message, key)))


def _keys() -> Iterator[bytes]:
    """Yield masking keys that nobody can predict (RFC 6455 §5.3), a page of them for one system call."""
    while True:
        page = os.urandom(KEYS_A_PAGE * _KEY_SIZE)
        for at in range(0, len(page), _KEY_SIZE):
            yield page[at : at + _KEY_SIZE]


# One for all connections: otherwise each would keep a page.
_next_key = _keys().__next__


def _text(payload: bytes | bytearray | memoryview) -> str:
    return bytes(payload).decode("utf-8", "replace")
