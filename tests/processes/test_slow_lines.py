"""The daemon as a process of its own, and a candidate whose line carries less than the interviewer says."""

import contextlib
from pathlib import Path
import socket

import trio

from preppald.candidate.slow_line import RECEIVE_BUFFER_BYTES, SlowLine
from preppald.simulator.scenario import Audio, Reply, Scenario
from tests.candidates import Candidate, tone
from tests.overheard import stream
from tests.processes.daemon import PATIENCE_SECONDS, Daemon, daemon

# A little more than the voice itself needs: 48 000.
LINE_BYTES_A_SECOND = 60_000
# Longer than a send may wait without a byte taken.
LAGGING_SECONDS = 12.0
# All of it is there at once, as it would be in the middle of a long answer of the real Gemini's.
SCENARIO = Scenario(
    audio=Audio(pace=30.0),
    reply=(Reply(text="Let me explain at length. And what did you do?", seconds=40.0), Reply(text="I see.")),
    speech=("Sorry, may I say something?",),
)


class Paused(trio.abc.Stream):
    """A line whose reading end can be stopped."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.reads = trio.Event()
        self.reads.set()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await self.reads.wait()
        return bytes(await self._stream.receive_some(max_bytes))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


async def narrow(running: Daemon) -> trio.SocketStream:
    """A connection whose own kernel keeps less than a second of sound."""
    line = await trio.open_tcp_stream("127.0.0.1", running.port)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    return line


def sound_seconds(candidate: Candidate) -> float:
    return len(candidate.audio) / 48_000


async def keep_sending(candidate: Candidate) -> None:
    """The microphone goes on, until the daemon hangs up."""
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await candidate.keep_silent(PATIENCE_SECONDS)


async def lag_and_interrupt(running: Daemon, nursery: trio.Nursery) -> None:
    """Bytes flow all the time: nothing is stuck, and Interrupted overtakes the half a minute that waits.

    Seen before: cut after some seconds with 1006 and ``cut null``; Interrupted behind all the sound.
    """
    slow = SlowLine(await narrow(running), LINE_BYTES_A_SECOND)
    candidate = await running.candidate(nursery, "slow", stream=slow)
    await candidate.until("audio_response")
    await candidate.keep_silent(LAGGING_SECONDS)
    assert candidate.close is None
    assert 8 < sound_seconds(candidate) < 20, "the rest waits in the daemon"
    seen = len(candidate.messages)
    began = trio.current_time()
    nursery.start_soon(stream, candidate, tone(4), 0.02)
    await candidate.until("interrupted", seen=seen)
    assert trio.current_time() - began < 4.0, "twenty seconds of sound were before it"
    with trio.fail_after(PATIENCE_SECONDS):
        await candidate.end()
        assert await candidate.closed() == (1000, "Interview ended by user")
    assert [line["interview"] for line in running.lines("browser.left")] == ["stuck"]


async def stop_reading_and_come_back(running: Daemon, nursery: trio.Nursery) -> None:
    """Ten seconds without one byte taken; the interview is kept, and goes on over another line."""
    line = Paused(await narrow(running))
    candidate = await running.candidate(nursery, "stuck", stream=line)
    await candidate.until("audio_response")
    line.reads = trio.Event()
    stopped = trio.current_time()
    nursery.start_soon(keep_sending, candidate)
    left = await running.logged("browser.left")
    assert 10 <= trio.current_time() - stopped < 20
    assert (left["interview"], left["cut"]) == ("stuck", "stuck")
    metrics = (await running.get("/metrics")).decode()
    assert 'preppald_browsers_cut_total{why="stuck"} 1.0' in metrics
    again = await running.candidate(nursery, "stuck")
    assert (await again.until("session_started")).session_started.resumed
    with trio.fail_after(PATIENCE_SECONDS):
        await again.end()
        assert await again.closed() == (1000, "Interview ended by user")


async def test_a_slow_line_is_kept_and_overtaken_and_a_dead_one_is_given_up_by_name(tmp_path: Path) -> None:
    """Side by side, for each takes a quarter of a minute: the one that takes some, and the one that takes nothing."""
    async with daemon(tmp_path, {}, scenario=SCENARIO) as running, trio.open_nursery() as background:
        async with trio.open_nursery() as both:
            both.start_soon(lag_and_interrupt, running, background)
            both.start_soon(stop_reading_and_come_back, running, background)
        background.cancel_scope.cancel()
