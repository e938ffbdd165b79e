"""The slow line of `preppald call --slow-line`: as fast as it is told, and not a byte lost."""

import trio
import trio.testing

from preppald.candidate.slow_line import SlowLine


async def test_a_slow_line_takes_so_many_bytes_a_second(autojump_clock: object) -> None:
    here, there = trio.testing.memory_stream_pair()
    line = SlowLine(here, 1000)
    await there.send_all(bytes(5000))
    began = trio.current_time()
    received = b""
    while len(received) < 5000:
        received += await line.receive_some()
        assert len(received) <= 1000 * (trio.current_time() - began) + 1
    assert received == bytes(5000)
    assert abs(trio.current_time() - began - 5.0) < 0.01


async def test_its_other_side_is_as_fast_as_ever(autojump_clock: object) -> None:
    here, there = trio.testing.memory_stream_pair()
    line = SlowLine(here, 1)
    await line.send_all(bytes(5000))
    await line.wait_send_all_might_not_block()
    assert await there.receive_some() == bytes(5000)
    assert trio.current_time() == 0
    await line.aclose()
    assert await there.receive_some() == b""
