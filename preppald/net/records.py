"""TLS without I/O: a connection's ciphertext in, its plaintext out, and the other way round.

Trio's SSLStream costs a task's wake-up and several locks a message, which over TLS made up half of what an interview
costs (measured). OpenSSL works as well on buffers in memory, so the socket is polled and written like a plain one, and
only the bytes pass through here: one call decrypts all records of a read, one call encrypts all that is sent at once.

As HTTPS does everywhere, an end without close_notify counts as an end: a WebSocket frame says its own length, and a
connection that ends without a close frame is reported as broken anyway.
"""

from contextlib import suppress
import ssl

# The most plaintext in one record (RFC 8446 §5.1). OpenSSL never returns more than one at a time.
RECORD_BYTES = 16 * 1024
# OpenSSL's buffers in memory grow to a third more than was ever in them, and never shrink: so a long message goes
# through them in pieces. A usual one is one piece: in, 40 ms of the interviewer's voice, 2.7 KiB in base64; out, 40 ms
# of the candidate's, 1.8 KiB.
PIECE_IN_BYTES = 3 * 1024
PIECE_OUT_BYTES = 2 * 1024


class Resumption:
    """A session of one server, for the next connections to it: that saves both a certificate and a signature.

    Each belongs to one context. A server that does not accept its ticket makes a full handshake instead, whose session
    takes its place.
    """

    __slots__ = ("session",)

    def __init__(self) -> None:
        self.session: ssl.SSLSession | None = None


class Records:
    """The TLS of one connection. ``server_hostname``: whom a client expects; without one this is a server's end.

    Every method may raise ssl.SSLError: then the connection is beyond repair, and ``output`` holds the alert.
    ``ended``: the peer sends nothing more, with its close_notify or without.
    """

    __slots__ = ("_incoming", "_object", "_outgoing", "_resumption", "ended")

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        server_hostname: str | None = None,
        resumption: Resumption | None = None,
    ) -> None:
        self.ended = False
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._resumption = resumption
        self._object = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_hostname is None,
            server_hostname=server_hostname,
            session=None if resumption is None else resumption.session,
        )

    @property
    def resumed(self) -> bool:
        """Return whether the handshake took up an earlier session."""
        return bool(self._object.session_reused)

    @property
    def version(self) -> str | None:
        """Return the protocol's version, ``TLSv1.3`` or ``TLSv1.2``; None before the handshake."""
        return self._object.version()

    def handshake(self) -> bool:
        """Go on with the handshake; return whether it is complete. Else send the ``output``, and feed the answer."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def feed(self, ciphertext: bytes | bytearray) -> None:
        """Take what was read from the wire; nothing at all is its end."""
        if ciphertext:
            self._incoming.write(ciphertext)
        else:
            self._incoming.write_eof()

    def decrypt(self) -> bytes:
        """Return the plaintext of all whole records that were fed, often none: a half one waits for its rest."""
        incoming, read = self._incoming, self._object.read
        parts: list[bytes] = []
        try:
            while incoming.pending or incoming.eof:
                part = read(RECORD_BYTES)
                if not part:  # close_notify
                    self.ended = True
                    break
                parts.append(part)
        except ssl.SSLWantReadError:
            pass  # half a record, or one that carried no plaintext
        except ssl.SSLEOFError:
            self.ended = True
        if parts and self._resumption is not None:
            # By now its tickets have come: a server sends them before anything else. Each time it is asked for its session
            # Python loses 7 KiB (3.11 to 3.13, measured), so a ticket serves until the server wants a full handshake.
            if not self.resumed:
                self._resumption.session = self._object.session
            self._resumption = None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def take(self, ciphertext: bytes | bytearray) -> bytes:
        """Take what was read from the wire, and return as ``decrypt`` does."""
        if 0 < len(ciphertext) <= PIECE_IN_BYTES:
            self._incoming.write(ciphertext)
            return self.decrypt()
        parts: list[bytes] = []
        for at in range(0, len(ciphertext) or 1, PIECE_IN_BYTES):
            self.feed(ciphertext[at : at + PIECE_IN_BYTES])
            parts.append(self.decrypt())
        return b"".join(parts)

    def encrypt(self, plaintext: bytes) -> bytes:
        """Return all that is to be sent: the plaintext as records of at most 2 KiB, behind what TLS has to say."""
        if len(plaintext) <= PIECE_OUT_BYTES:
            self._object.write(plaintext)
            return self._outgoing.read()
        view, wire = memoryview(plaintext), bytearray()
        while view:
            view = view[self._object.write(view[:PIECE_OUT_BYTES]) :]
            wire += self._outgoing.read()
        return bytes(wire)

    def output(self) -> bytes:
        """Return what TLS itself has to say: a flight of the handshake, an alert, an answer to a key update."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def close(self) -> None:
        """Say close_notify; it is in the ``output``."""
        with suppress(ssl.SSLError):  # the peer's own has not come yet, or the connection was never set up
            self._object.unwrap()
