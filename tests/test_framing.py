"""The short way through WebSocket frames, held against the library's protocol alone."""

from hypothesis import given, strategies as st
import pytest
from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol, Side, State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from preppald.net.framing import MOST_FRAGMENTS, MOST_FRAGMENTS_A_READ, Framing, Message

LIMIT = 70_000
SIDES = (Side.SERVER, Side.CLIENT)


def opened(side: Side) -> Protocol:
    if side is Side.SERVER:
        return ServerProtocol(max_size=LIMIT, state=State.OPEN)
    return ClientProtocol(parse_uri("ws://localhost/"), max_size=LIMIT, state=State.OPEN)


class Plain(Framing):
    """The twin: every byte goes to the protocol."""

    def receive(self, data: bytes | bytearray) -> list[Message]:
        messages: list[Message] = []
        self.frames = self.empty = 0
        self._ask_protocol(data, messages)
        return messages


def outcome(framing: Framing, pieces: list[bytes]) -> object:
    """All that can be seen of it from outside."""
    messages = [message for piece in pieces for message in framing.receive(piece)]
    protocol = framing.protocol
    sent = b"".join(protocol.data_to_send()) if protocol.side is Side.SERVER else len(protocol.data_to_send())
    return messages, sent, protocol.state, protocol.close_rcvd, protocol.close_sent, protocol.eof_sent


payloads = st.one_of(st.binary(max_size=200), st.integers(0, 300).map(bytes), st.just(bytes(66_000)))
frames = st.builds(
    Frame,
    st.sampled_from(Opcode),
    payloads,
    fin=st.sampled_from((True, True, True, False)),
    rsv1=st.sampled_from((False,) * 20 + (True,)),
)


@st.composite
def streams(draw: st.DrawFn) -> tuple[Side, bytes]:
    """Frames as a peer might send them, seldom with faults; sometimes cut short, or followed by noise."""
    side = draw(st.sampled_from(SIDES))
    data = b""
    for frame in draw(st.lists(frames, max_size=8)):
        rsv, frame.rsv1 = frame.rsv1, False
        if frame.opcode >= Opcode.CLOSE:
            frame.data, frame.fin = frame.data[:100], True
        if frame.opcode is Opcode.CLOSE:
            frame.data = b"\x03\xe8bye"
        raw = bytearray(frame.serialize(mask=side is Side.SERVER))
        raw[0] |= 0x40 if rsv else 0
        data += raw
    return side, data + draw(st.one_of(st.just(b""), st.binary(max_size=30)))


@given(streams(), st.lists(st.integers(0, 300), max_size=12))
def test_however_it_is_cut_the_twin_sees_the_same(stream: tuple[Side, bytes], cuts: list[int]) -> None:
    side, data = stream
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(data[at : at + cut])
        at += cut
    pieces.append(data[at:])
    short, plain = Framing(opened(side)), Plain(opened(side))
    seen = outcome(short, pieces)
    short.receive_eof()
    # Only the end of the stream makes both look at the last, unfinished frame alike.
    expected = outcome(plain, pieces)
    plain.receive_eof()
    assert seen[0] == expected[0]  # type: ignore[index]
    for name in ("state", "close_rcvd", "close_sent", "eof_sent"):
        assert getattr(short.protocol, name) == getattr(plain.protocol, name)


@given(st.sampled_from(SIDES), st.lists(st.one_of(payloads, st.text(max_size=300)), max_size=5))
def test_what_is_framed_here_the_library_reads(side: Side, messages: list[bytes | str]) -> None:
    sender = Framing(opened(side))
    receiver = Plain(opened(Side.CLIENT if side is Side.SERVER else Side.SERVER))
    assert receiver.receive(b"".join(map(sender.frame, messages))) == messages


@pytest.mark.parametrize("side", SIDES)
def test_counts_frames_and_those_that_carry_nothing(side: Side) -> None:
    masked = side is Side.SERVER
    kinds = (Frame(Opcode.BINARY, b"voice"), Frame(Opcode.PING, b""), Frame(Opcode.PONG, b""))
    framing = Framing(opened(side))
    framing.receive(b"".join(frame.serialize(mask=masked) for frame in kinds))
    assert (framing.frames, framing.empty) == (3, 2)


def test_a_large_frame_in_many_pieces_is_looked_at_once() -> None:
    """A megabyte a byte at a time would otherwise take minutes."""
    framing = Framing(opened(Side.SERVER))
    data = Frame(Opcode.BINARY, bytes(66_000)).serialize(mask=True)
    messages = [message for byte in data for message in framing.receive(bytes((byte,)))]
    assert messages == [bytes(66_000)]


def fragments(count: int, *, masked: bool) -> list[bytes]:
    """A message's beginning in pieces of a byte, without its end."""
    first = Frame(Opcode.BINARY, b"x", fin=False).serialize(mask=masked)
    more = Frame(Opcode.CONT, b"x", fin=False).serialize(mask=masked)
    return [first, *[more] * (count - 1)]


@pytest.mark.parametrize(
    ("count", "reads"),
    [(MOST_FRAGMENTS_A_READ, 1), (MOST_FRAGMENTS, MOST_FRAGMENTS)],
    ids=["a read", "a message"],
)
def test_a_service_s_pieces_are_bounded_as_bytes_are(count: int, reads: int) -> None:
    """Each costs more than the byte that it carries: one more than the bound, and the connection is closed."""
    side = Side.CLIENT
    pieces = fragments(count + 1, masked=False)
    framing = Framing(opened(side))
    if reads == 1:
        assert framing.receive(b"".join(pieces[:-1])) == []
        assert framing.open
        framing = Framing(opened(side))
        framing.receive(b"".join(pieces))
    else:
        for piece in pieces[:-1]:
            framing.receive(piece)
        assert framing.open
        framing.receive(pieces[-1])
    assert not framing.open
    assert framing.protocol.close_sent is not None
    assert framing.protocol.close_sent.code == CloseCode.POLICY_VIOLATION
    # Whatever comes behind it costs nothing more.
    assert framing.receive(b"".join(pieces)) == []
