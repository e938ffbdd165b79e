"""WebSocket as cheap as Python can have it: the harness must never be what is measured.

No library: a browser's frames are masked with zeros, which is legal and costs nothing, and their bytes are
written once and sent again and again with a new stamp.
"""

import base64
import hashlib
import os
import select
import socket
import ssl
import struct

from websockets.speedups import apply_mask

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_FIN = 0x80
_MASKED = 0x80
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
RECEIVE_BYTES = 256 * 1024


def head(opcode: int, size: int, *, masked: bool) -> bytes:
    """A frame's head, with a mask of zeros where there is one."""
    bit, key = (_MASKED, bytes(4)) if masked else (0, b"")
    if size < 126:
        return bytes((_FIN | opcode, bit | size)) + key
    if size < 65_536:
        return struct.pack("!BBH", _FIN | opcode, bit | 126, size) + key
    return struct.pack("!BBQ", _FIN | opcode, bit | 127, size) + key


def request(host: str, path: str, token: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: preppal.v1, token.{token}\r\n\r\n"
    ).encode()


def response(raw_request: bytes) -> bytes:
    name = b"sec-websocket-key:"
    at = raw_request.lower().index(name) + len(name)
    key = raw_request[at : raw_request.index(b"\r\n", at)].strip()
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


class _Tls:
    """TLS on buffers. What is sent before the handshake is over waits for that."""

    def __init__(self, context: ssl.SSLContext, *, server_side: bool) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = None if server_side else "localhost"
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=name
        )
        self._ready = False
        self._waiting = bytearray()

    def sealed(self, data: bytes | bytearray) -> bytes:
        """What goes out: these bytes as records, and what TLS has to say itself."""
        self._waiting += data
        try:
            if not self._ready:
                self._object.do_handshake()
                self._ready = True
            while self._waiting:
                del self._waiting[: self._object.write(self._waiting)]
        except ssl.SSLWantReadError:
            pass
        return self._outgoing.read()

    def opened(self, data: bytes) -> bytes:
        """The plaintext of what came in."""
        self._incoming.write(data)
        parts = []
        try:
            if not self._ready:
                self._object.do_handshake()
                self._ready = True
            while self._incoming.pending or self._object.pending():
                parts.append(self._object.read(RECEIVE_BYTES))
        except ssl.SSLWantReadError:
            pass
        return b"".join(parts)


class Wire:
    """One non-blocking connection, from its handshake on. What does not fit into the kernel's buffer waits.

    ``tls``: a context, where it is encrypted.
    """

    def __init__(
        self,
        sock: socket.socket,
        epoll: select.epoll,
        tls: ssl.SSLContext | None = None,
        *,
        server_side: bool = False,
    ) -> None:
        self.sock = sock
        self._tls = None if tls is None else _Tls(tls, server_side=server_side)
        self.http: bytes | None = None
        self.closed = False
        self._epoll = epoll
        self._incoming = b""
        self._waiting = bytearray()
        sock.setblocking(False)  # noqa: FBT003 - the socket module's own way
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        epoll.register(sock, select.EPOLLIN)

    def send(self, data: bytes | bytearray) -> None:
        if self.closed:
            return
        if self._tls is not None:
            data = self._tls.sealed(data)
        self._put(data)

    def _put(self, data: bytes | bytearray) -> None:
        if self._waiting:
            self._waiting += data
            return
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        if sent < len(data):
            self._waiting += data[sent:]
            self._epoll.modify(self.sock, select.EPOLLIN | select.EPOLLOUT)

    def flush(self) -> None:
        """The kernel has room again."""
        data, self._waiting = bytes(self._waiting), bytearray()
        self._epoll.modify(self.sock, select.EPOLLIN)
        self._put(data)

    def receive(self) -> list[tuple[int, bytes]]:
        """The whole frames that are there: opcode and payload. The first call that finds it fills ``http``."""
        try:
            data = self.sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.close()
            return []
        if self._tls is not None:
            try:
                data = self._tls.opened(data)
                self.send(b"")
            except ssl.SSLError:
                self.close()
                return []
        if self._incoming:
            data = self._incoming + data
        if self.http is None:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._incoming = data
                return []
            self.http, data = data[: end + 4], data[end + 4 :]
        frames, used = _frames(data)
        self._incoming = data[used:]
        return frames

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._epoll.unregister(self.sock)
            self.sock.close()


def _frames(data: bytes) -> tuple[list[tuple[int, bytes]], int]:
    frames: list[tuple[int, bytes]] = []
    at, end = 0, len(data)
    while end - at >= 2:
        size, start = data[at + 1] & 0x7F, at + 2
        if size == 126:
            size, start = int.from_bytes(data[start : start + 2], "big"), start + 2
        elif size == 127:
            size, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        masked = data[at + 1] & _MASKED
        body = start + (4 if masked else 0)
        if end < body + size:
            break
        payload = data[body : body + size]
        if masked:
            payload = apply_mask(payload, data[start:body])
        frames.append((data[at] & 0x0F, payload))
        at = body + size
    return frames, at
