"""Instances on one host: a connection reaches the one that holds its interview."""

from array import array
from collections.abc import AsyncIterator
import os
from pathlib import Path
import socket

import pytest
import structlog
import trio
import trio.testing

from preppald.net.poller import Poller
from preppald.server import handover as module
from preppald.server.handover import Handed, Handover
from preppald.server.relay import Relays
from tests.descriptors import no_descriptors

REQUEST = b"GET /ws/i HTTP/1.1\r\n"


class Instance:
    """One side, with the interviews it is said to hold and the connections it was handed."""

    def __init__(self, runtime: Path, name: str) -> None:
        (runtime / name).mkdir()
        self.held: set[str] = set()
        self.ready = True
        self.taken: list[bytes] = []
        self.log = structlog.testing.CapturingLogger()
        self.peers = Handover(
            runtime / name,
            holds=lambda interview: interview in self.held,
            ready=lambda: self.ready,
            log=structlog.wrap_logger(self.log, processors=[structlog.processors.JSONRenderer()]),
        )

    async def take(self, stream: trio.SocketStream, received: bytes) -> None:
        self.taken.append(received)
        async with stream:
            await stream.send_all(b"here")

    async def asks(self, interview: str, stream: trio.abc.Stream) -> Handed | None:
        with self.peers.opening(interview) as opening:
            return await self.peers.hand_over(interview, opening, stream, REQUEST)


def others(instance: Instance) -> list[Path]:
    """The other instances' sockets, as this one finds them."""
    return instance.peers.others()


@pytest.fixture
async def sides(tmp_path: Path, nursery: trio.Nursery) -> list[Instance]:
    """a and b, both serving."""
    started = [Instance(tmp_path, name) for name in ("a", "b")]
    for side in started:
        await nursery.start(side.peers.serve, side.take, nursery)
    return started


@pytest.fixture
async def connection() -> AsyncIterator[tuple[trio.SocketStream, trio.SocketStream]]:
    """A browser's end and the daemon's, over TCP."""
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    browser = await trio.testing.open_stream_to_socket_listener(listener)
    accepted = await listener.accept()
    async with listener, browser, accepted:
        yield browser, accepted


Connection = tuple[trio.SocketStream, trio.SocketStream]


async def test_who_holds_the_interview_gets_its_connection(
    sides: list[Instance], connection: Connection
) -> None:
    a, b = sides
    browser, accepted = connection
    a.held.add("i")
    assert await b.asks("i", accepted)
    await accepted.aclose()
    with trio.fail_after(5):
        assert await browser.receive_some() == b"here"
        assert await browser.receive_some() == b""
    assert a.taken == [REQUEST]


async def test_who_holds_it_asks_nobody(sides: list[Instance], connection: Connection) -> None:
    a, b = sides
    a.held.add("i")
    b.held.add("i")
    assert not await a.asks("i", connection[1])
    assert b.taken == []


async def test_a_new_interview_stays_where_it_came(sides: list[Instance], connection: Connection) -> None:
    a, b = sides
    assert not await a.asks("i", connection[1])
    assert not await b.asks("j", connection[1])


async def test_who_drains_gives_new_ones_away(sides: list[Instance], connection: Connection) -> None:
    a, b = sides
    a.ready = False
    assert await b.peers.ready() is False
    assert await a.peers.ready() is True
    assert await a.asks("i", connection[1])
    with trio.fail_after(5):
        assert await connection[0].receive_some() == b"here"
    assert b.taken == [REQUEST]
    b.ready = False
    assert not await a.asks("i", connection[1])


async def test_a_connection_is_handed_over_once(sides: list[Instance], connection: Connection) -> None:
    a, b = sides
    b.held.add("i")
    with a.peers.opening("i") as opening:
        opening.decided = True
        assert not await a.peers.hand_over("i", opening, connection[1], REQUEST)


@pytest.mark.parametrize("first", [0, 1])
async def test_of_two_at_one_moment_the_first_name_gets_it(
    sides: list[Instance], connection: Connection, first: int
) -> None:
    """Whoever asks first: a keeps its own, and b's comes to it."""
    a, b = sides
    one, other = sides[first], sides[1 - first]
    with one.peers.opening("i") as ones, other.peers.opening("i") as others:
        kept = {}
        for side, opening in ((one, ones), (other, others)):
            kept[side] = not await side.peers.hand_over("i", opening, connection[1], REQUEST)
        assert kept == {a: True, b: False}
    with trio.fail_after(5):
        assert await connection[0].receive_some() == b"here"


async def test_who_was_asked_meanwhile_by_an_earlier_name_yields(
    sides: list[Instance], connection: Connection
) -> None:
    """b had its answers before a began, and a is told no: b gives its connection to a."""
    a, b = sides
    with a.peers.opening("i") as at_a, b.peers.opening("i") as at_b:
        at_b.yielded = True
        assert await b.peers.hand_over("i", at_b, connection[1], REQUEST)
        assert not await a.peers.hand_over("i", at_a, connection[1], REQUEST)
        with trio.fail_after(5):
            assert await connection[0].receive_some() == b"here"
    assert a.taken == [REQUEST]


async def test_an_instance_that_has_gone_has_no_say(sides: list[Instance], connection: Connection) -> None:
    a, b = sides
    stale = others(a)[0].parent.parent / "c"
    stale.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as gone:
        gone.bind(str(stale / module.SOCKET_NAME))
    assert not await b.asks("i", connection[1])


@pytest.mark.parametrize("what", ["a file", "a datagram socket", "two sockets", "nothing"])
async def test_what_is_no_connection_is_not_taken(
    sides: list[Instance], connection: Connection, what: str
) -> None:
    """An instance of another version, or with a bug, costs itself its connection, and nobody here an interview."""
    a, b = sides
    with open(os.devnull) as file, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:  # noqa: ASYNC230, PTH123 - a device
        spare = datagrams.fileno()
        passed = {
            "a file": [file.fileno()],
            "a datagram socket": [spare],
            "two sockets": [connection[1].socket.fileno(), spare],
            "nothing": [],
        }[what]
        with trio.socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
            await stranger.connect(str(others(b)[0]))
            await stranger.send(b'{"interview":"i","asker":"c","ready":true}')
            with trio.fail_after(5):
                assert await stranger.recv(100) == b"willing"
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", passed))] if passed else []
                await stranger.sendmsg([REQUEST], rights)
                assert await stranger.recv(100) == b""
        if what == "two sockets":  # the first is taken
            with trio.fail_after(5):
                assert await connection[0].receive_some() == b"here"
        else:
            assert a.taken == []
    a.held.add("i")
    assert await b.asks("i", connection[1])


async def test_without_descriptors_nobody_is_answered_and_nothing_ends(
    sides: list[Instance], connection: Connection
) -> None:
    """The one that asks counts that as "no"; it is answered again as soon as there are some."""
    a, b = sides
    a.held.add("i")
    path = others(b)[0]
    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
        with no_descriptors():
            assert not await b.peers.ready()
            await asking.connect(str(path))
            await trio.testing.wait_all_tasks_blocked(0.01)
        await asking.send(b'{"interview":"i","asker":"b","ready":true}')
        with trio.fail_after(5):
            assert await asking.recv(100) == b"mine"
    assert "LimitNOFILE=" in str(a.log.calls)
    assert await b.asks("i", connection[1])


async def test_an_instance_that_is_stuck_has_none_either(
    sides: list[Instance],
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ASK_SECONDS", 0.05)
    a, b = sides
    stuck = others(a)[0].parent.parent / "c"
    stuck.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as mute:
        mute.bind(str(stuck / module.SOCKET_NAME))
        mute.listen()
        assert not await b.asks("i", connection[1])


@pytest.mark.parametrize("nonsense", [b"nonsense", b'{"interview":"\xff","asker":"a","ready":true}'])
async def test_nonsense_is_no_question(
    sides: list[Instance], connection: Connection, nonsense: bytes
) -> None:
    a, b = sides
    path = others(b)[0]
    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
        await stranger.connect(str(path))
        await stranger.send(nonsense)
        with trio.fail_after(5):
            assert await stranger.recv(100) == b""
    a.held.add("i")
    assert await b.asks("i", connection[1])


async def test_what_is_no_socket_is_carried(sides: list[Instance]) -> None:
    """TLS of our own: its keys are in this process. The end of either side is the end."""
    a, b = sides
    a.held.add("i")
    one, browser = trio.testing.memory_stream_pair()
    handed = await b.asks("i", one)
    assert handed is not None
    assert handed.near is not None
    relays = Relays(Poller())
    async with trio.open_nursery() as carrying:
        carrying.start_soon(relays.carry, one, handed.near)
        with trio.fail_after(5):
            assert await browser.receive_some() == b"here"
            await relays.none()
    assert a.taken == [REQUEST]
    assert relays.carried == 0


async def test_without_a_runtime_directory_there_are_no_others(
    nursery: trio.Nursery, connection: Connection
) -> None:
    alone = Handover(None, holds=lambda _: False, ready=lambda: True, log=structlog.get_logger())

    async def never(_stream: trio.SocketStream, _received: bytes) -> None:
        raise AssertionError

    await nursery.start(alone.serve, never, nursery)
    with alone.opening("i") as opening:
        assert not await alone.hand_over("i", opening, connection[1], REQUEST)
    assert not await alone.ready()
