"""No room for another socket: it is said once, and connections are accepted again as soon as there is room."""

import errno
from functools import partial
import os

import pytest
import trio
import trio.testing

from preppald.config.addresses import websocket_endpoint
from preppald.core import closes
from preppald.gemini.connection import UpstreamError, dialler
from preppald.server.accepting import QUIET_SECONDS, accept
from preppald.simulator import Scenario
from tests.descriptors import no_descriptors
from tests.world import World


class Full(trio.abc.Listener[trio.abc.Stream]):
    """Fails so often, and then has one connection."""

    def __init__(self, failures: int, number: int = errno.EMFILE) -> None:
        self.failures = failures
        self.number = number

    async def accept(self) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        if self.failures < 0:
            await trio.sleep_forever()
        if self.failures:
            self.failures -= 1
            raise OSError(self.number, os.strerror(self.number))
        self.failures = -1
        return trio.testing.memory_stream_pair()[0]

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_without_descriptors_connections_wait_and_the_log_says_why(autojump_clock: object) -> None:
    """One line in ten seconds, with the remedy; then the connection is served."""
    world = World({}, Scenario())
    served = trio.Event()

    async def serve(_stream: trio.abc.Stream) -> None:
        await trio.lowlevel.checkpoint()
        served.set()

    async with trio.open_nursery() as connections, trio.open_nursery() as accepting:
        await accepting.start(partial(accept, serve, [Full(150)], connections, world.services.log))
        await served.wait()
        accepting.cancel_scope.cancel()
    assert trio.current_time() == pytest.approx(15, abs=0.1)
    lines = world.events("connections.not_accepted")
    assert len(lines) == 1 + int(15 // QUIET_SECONDS)
    assert lines[0]["cause"] == "Too many open files"
    assert "LimitNOFILE=" in str(lines[0]["what_to_do"])


async def test_any_other_error_of_the_socket_is_no_reason_to_wait(autojump_clock: object) -> None:
    world = World({}, Scenario())

    async def serve(_stream: trio.abc.Stream) -> None:
        await trio.lowlevel.checkpoint()

    with pytest.RaisesGroup(pytest.RaisesExc(OSError), flatten_subgroups=True):
        async with trio.open_nursery() as accepting:
            await accepting.start(
                partial(accept, serve, [Full(1, errno.EBADF)], accepting, world.services.log)
            )


async def test_dialling_without_descriptors_is_told_as_what_it_is() -> None:
    """It was "nothing accepts connections at Gemini's address"."""
    dial = dialler(websocket_endpoint("ws://127.0.0.1:9"))
    with no_descriptors(), pytest.raises(UpstreamError, match="no file descriptors left") as failed:
        await dial()
    assert failed.value.cause is closes.DESCRIPTORS
