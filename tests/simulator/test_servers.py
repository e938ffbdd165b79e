"""The simulator on real sockets: TCP, TLS, the whole program."""

import errno
from functools import partial
import json
from pathlib import Path
import ssl
from typing import Any

import httpx
import pytest
import trio
import trio.testing
import trustme
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.trio.client import ClientConnection, connect

from preppald.simulator import GeminiSimulator, Running, Scenario, load_scenario, run_simulator, serve_gemini
from preppald.simulator.faults import Close, Drop
from tests.simulator.caller import PATH, Caller, Closed, setup_message

GREET = json.dumps({"realtimeInput": {"text": "Greet them."}})
FAST = 20.0

Events = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def events() -> Events:
    return []


@pytest.fixture
async def port(nursery: trio.Nursery, events: Events) -> int:
    simulator = GeminiSimulator(speed=FAST, log=lambda event, keys: events.append((event, keys)))
    port: int = await nursery.start(serve_gemini, ("127.0.0.1", 0), simulator)
    return port


async def greeting(connection: ClientConnection) -> None:
    await connection.send(json.dumps(setup_message()))
    assert await connection.recv() == b'{"setupComplete":{}}'
    await connection.send(GREET)
    while "turnComplete" not in json.loads(await connection.recv()).get("serverContent", {}):
        pass


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (PATH + "?key=k", {}),
        ("/" + PATH + "?key=k", {}),
        ("//prefix/deeper" + PATH, {"x-goog-api-key": "k"}),
        (PATH.replace("v1beta", "v1"), {"x-goog-api-key": "k"}),
        (PATH.replace("v1beta", "v1alpha") + "Constrained?access_token=auth_tokens/t", {}),
        (PATH, {"Authorization": "Token auth_tokens/t"}),
        (PATH, {"Authorization": "Bearer t"}),
    ],
    ids=str,
)
async def test_paths_and_keys(port: int, events: Events, path: str, headers: dict[str, str]) -> None:
    """Every form that the SDKs use; none of it gets into the log."""
    async with connect(f"ws://127.0.0.1:{port}{path}", additional_headers=headers) as connection:
        await greeting(connection)
    assert "auth_tokens" not in repr(events)
    assert events[0][0] == "gemini.connected"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic x"}, {"Authorization": "Token "}], ids=str)
async def test_no_key(port: int, headers: dict[str, str]) -> None:
    """101, and then 1008 with the reason cut at 123 bytes."""
    async with connect(f"ws://127.0.0.1:{port}{PATH}", additional_headers=headers) as connection:
        with pytest.raises(ConnectionClosedError) as caught:
            await connection.recv()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1008
    assert caught.value.rcvd.reason.endswith("or other form of API c")


async def test_other_paths(port: int) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"ws://127.0.0.1:{port}/ws/other?key=k"):
            pass
    assert caught.value.response.status_code == 404


async def test_what_is_not_a_websocket(port: int, events: Events) -> None:
    """A plain GET is told to upgrade, noise is a bad request, and both end only themselves."""
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{port}{PATH}?key=k")).status_code == 426
        assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == 404
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        await stream.send_all(b"\x16\x03\x01\x00\r\n\r\n")
        assert b" 400 " in await stream.receive_some()
    assert [keys["status"] for event, keys in events if event == "gemini.refused"][:2] == [426, 404]


async def test_reset_is_a_reset(nursery: trio.Nursery) -> None:
    """The kernel says ECONNRESET, not end of file."""
    simulator = GeminiSimulator(Scenario(fault=(Drop(at="ready", after=1.0),)), speed=FAST)
    port = await nursery.start(serve_gemini, ("127.0.0.1", 0), simulator)
    caller = Caller(await trio.open_tcp_stream("127.0.0.1", port))
    await caller.open()
    await caller.send(setup_message())
    async with caller.stream:
        assert await caller.stream.receive_some()  # setupComplete
        with pytest.raises(trio.BrokenResourceError) as caught:
            await caller.stream.receive_some()
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ECONNRESET


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize(
    "fault",
    [(), (Close(row="quota", at="generating"),), (Drop(at="generating"),)],
    ids=["none", "close", "reset"],
)
async def test_tls(nursery: trio.Nursery, authority: trustme.CA, fault: tuple[Close | Drop, ...]) -> None:
    """The same over wss, failures too."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    simulator = GeminiSimulator(Scenario(fault=fault), speed=FAST)
    port = await nursery.start(partial(serve_gemini, ("127.0.0.1", 0), simulator, tls=context))
    url = f"wss://localhost:{port}{PATH}?key=k"
    async with connect(url, ssl=trusting(authority), host="127.0.0.1") as connection:
        if not fault:
            await greeting(connection)
            return
        with pytest.raises(ConnectionClosedError) as caught:
            await greeting(connection)
    assert (caught.value.rcvd.code if caught.value.rcvd else 1006) == (
        1011 if isinstance(fault[0], Close) else 1006
    )


async def test_the_whole_program(nursery: trio.Nursery, authority: trustme.CA, tmp_path: Path) -> None:
    """Both services, with TLS, a recording and a log; its parts can be looked into."""
    certificate = tmp_path / "cert.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    record = tmp_path / "record.jsonl"
    events: Events = []

    run = partial(
        run_simulator,
        gemini_listen=("127.0.0.1", 0),
        backend_listen=("127.0.0.1", 0),
        scenario=load_scenario("interview"),
        speed=FAST,
        tls_certificate=certificate,
        record=record,
        log=lambda event, keys: events.append((event, keys)),
    )
    async with trio.open_nursery() as program:
        running: Running = await program.start(run)
        url = f"wss://localhost:{running.gemini_port}{PATH}?key=k"
        async with connect(url, ssl=trusting(authority), host="127.0.0.1") as connection:
            await greeting(connection)
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://127.0.0.1:{running.backend_port}/received")).status_code == 200
        assert running.backend is not None
        assert running.gemini.accepted == 1
        program.cancel_scope.cancel()
    assert [event for event, _ in events] == ["gemini.connected", "gemini.closed"]
    assert b'"setupComplete"' in record.read_bytes()


async def test_the_program_without_a_backend(nursery: trio.Nursery) -> None:
    """It may be Gemini alone, on given listeners, and speaks plain ws without a certificate."""

    run = partial(run_simulator, gemini_listen=("127.0.0.1", 0), backend_listen=None)
    running: Running = await nursery.start(run)
    assert (running.backend_port, running.backend) == (None, None)
    async with connect(f"ws://127.0.0.1:{running.gemini_port}{PATH}?key=k"):
        pass


async def test_listeners_of_ones_own(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> None:
    """Any Trio listener will do; it has no port."""
    here, there = trio.testing.memory_stream_pair()
    assert await nursery.start(serve_gemini, [_OneStream(there)], GeminiSimulator()) == 0
    await (await _opened(here)).set_up()


async def _opened(stream: trio.abc.Stream) -> Caller:
    caller = Caller(stream)
    await caller.open()
    return caller


class _OneStream(trio.abc.Listener[trio.abc.Stream]):
    """A listener with one connection to give."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._streams = [stream]

    async def accept(self) -> trio.abc.Stream:
        if not self._streams:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        return self._streams.pop()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_a_client_that_says_nothing(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """It is let go after ten seconds, and one that leaves at once does no harm."""
    simulator = GeminiSimulator()
    for leaves in (False, True):
        here, there = trio.testing.memory_stream_pair()
        nursery.start_soon(simulator.handle_stream, there)
        if leaves:
            await here.aclose()
        else:
            assert await here.receive_some() == b""
    await trio.testing.wait_all_tasks_blocked()
    assert trio.current_time() == 10
    assert simulator.live == 0


async def test_keys_are_counted_within_bounds(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key that was silent longest is forgotten, and begins again at one."""
    monkeypatch.setattr("preppald.simulator.gemini.MAX_COUNTED_KEYS", 2)
    monkeypatch.setattr("preppald.simulator.memory.MAX_HANDLES", 1)
    numbers: list[int] = []
    simulator = GeminiSimulator(
        log=lambda event, keys: numbers.append(keys["number"]) if event == "gemini.connected" else None
    )
    handles = []
    caller = None
    for key in ("a", "a", "b", "c", "a"):
        here, there = trio.testing.memory_stream_pair()
        nursery.start_soon(simulator.handle_stream, there)
        caller = Caller(here)
        await caller.open(headers=[("x-goog-api-key", key)])
        await caller.set_up()
        await caller.send(json.loads(GREET))
        await caller.until("turnComplete")
        handles.append((await caller.receive())["sessionResumptionUpdate"]["newHandle"])
    assert numbers == [1, 2, 1, 1, 1]
    assert caller is not None
    await caller.leave()
    here, there = trio.testing.memory_stream_pair()
    nursery.start_soon(simulator.handle_stream, there)
    late = await _opened(here)
    await late.send(setup_message(sessionResumption={"handle": handles[0]}))
    assert (await late.closed()).code == 1008


async def test_a_bug_ends_one_connection(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the upgrade the stream is closed, afterwards the client hears 1011; the server lives on."""
    told: list[str] = []
    simulator = GeminiSimulator(log=lambda event, _keys: told.append(event))

    def broken(*_args: object) -> None:
        raise KeyError("a bug")

    for target, code in (("preppald.simulator.gemini._key", 1006), ("preppald.simulator.wire.read", 1011)):
        with monkeypatch.context() as patch:
            patch.setattr(target, broken)
            here, there = trio.testing.memory_stream_pair()
            nursery.start_soon(simulator.handle_stream, there)
            caller = Caller(here)
            with pytest.raises(Closed) as caught:
                await _open_and_set_up(caller)
            assert caught.value.code == code
    await trio.testing.wait_all_tasks_blocked()
    assert told.count("gemini.bug") == 2


async def _open_and_set_up(caller: Caller) -> None:
    await caller.open()
    await caller.set_up()
