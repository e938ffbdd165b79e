"""The bad line of `preppald call --line`: as slow, as late and as lossy as it is told, and not a byte lost."""

import argparse
from functools import partial
import random

import pytest
import trio
import trio.testing

from preppald.candidate.line import AGAIN_SECONDS, KERNEL_BYTES, Line, along, carry, line
from preppald.commands import call


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("96kbit,200ms,3%", Line(96_000, 0.2, 0.03)),
        ("1.5mbit", Line(1_500_000)),
        ("50%, 10MS", Line(delay=0.01, loss=0.5)),
        ("0ms", Line()),
    ],
)
def test_a_line_is_read(text: str, shape: Line) -> None:
    assert line(text) == shape


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("96", "none of 96kbit"),
        ("", "none of 96kbit"),
        ("96kbit,1mbit", "twice"),
        ("0.5kbit", "1kbit at least"),
        ("51%", "at most 50%"),
        ("10001ms", "at most 10000ms"),
    ],
)
def test_what_is_no_line_is_refused(text: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By the command, too, in the same words."""
    with pytest.raises(ValueError, match=words):
        line(text)
    parser = argparse.ArgumentParser()
    call.add_to(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args(["call", "--sample", "--line", text])
    assert words in capsys.readouterr().err


async def carried(shape: Line, data: bytes, chance: float = 0.5) -> tuple[float, float]:
    """Return when the first and the last byte of it came out at the other end."""
    near, entry = trio.testing.memory_stream_pair()
    exit_, far = trio.testing.memory_stream_pair()
    numbers = random.Random(1)
    ended = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(carry, entry, exit_, shape, lambda: numbers.random() * chance * 2, ended.set)
        await near.send_all(data)
        await near.send_eof()
        first = await far.receive_some()
        first_at = trio.current_time()
        received = first
        while len(received) < len(data):
            received += await far.receive_some()
        assert received == data
        last_at = trio.current_time()
        await ended.wait()
    return first_at, last_at


async def test_its_bits_a_second(autojump_clock: object) -> None:
    _, last = await carried(Line(bits=96_000), random.Random(2).randbytes(24_000))
    assert last == pytest.approx(2.0, abs=0.01)


async def test_its_delay_is_one_for_all(autojump_clock: object) -> None:
    """Packets are under way together."""
    first, last = await carried(Line(bits=96_000, delay=0.2), bytes(24_000))
    assert first == pytest.approx(0.2 + 1448 / 12_000, abs=0.01)
    assert last == pytest.approx(2.2, abs=0.01)


async def test_a_lost_packet_comes_once_more_and_the_rest_waits(autojump_clock: object) -> None:
    """A tenth of a hundred packets, and of what is sent again."""
    _, last = await carried(Line(loss=0.1), bytes(100 * 1448))
    assert 5 * AGAIN_SECONDS < last < 20 * AGAIN_SECONDS


async def test_either_end_ends_the_line(nursery: trio.Nursery) -> None:
    """Over real sockets: what one end sent before it left still comes."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    arrived: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        arrived.append(await stream.receive_some())
        await stream.send_all(b"answer")
        await stream.aclose()

    nursery.start_soon(partial(trio.serve_listeners, serve, [listener]))
    with trio.fail_after(10):
        async with along(f"ws://127.0.0.1:{port}", Line(), random.random) as dial, await dial() as stream:
            await stream.send_all(b"question")
            assert await stream.receive_some() == b"answer"
            assert await stream.receive_some() == b""
    assert arrived == [b"question"]
    nursery.cancel_scope.cancel()


async def read_nothing(_stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def test_a_line_that_is_full_holds_its_sender_up(nursery: trio.Nursery) -> None:
    """What a program may send ahead is bounded: its own queue, and the kernel's."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    nursery.start_soon(partial(trio.serve_listeners, read_nothing, [listener]))
    sent = 0
    slow = along(f"ws://127.0.0.1:{port}", Line(bits=1000), random.random)
    async with slow as dial, await dial() as stream:
        with trio.move_on_after(0.5):
            while True:
                await stream.send_all(bytes(1000))
                sent += 1000
    assert sent < 8 * KERNEL_BYTES + 40 * 1448
    nursery.cancel_scope.cancel()
