"""Gemini's end, failing in every way: each ends one connection, with its true cause, soon."""

from collections.abc import AsyncIterator, Awaitable, Callable
import contextlib
from contextlib import asynccontextmanager
from functools import partial
import json
import ssl

import pytest
import trio
import trio.testing
import trustme
from websockets.utils import accept_key

from preppald.config.addresses import Endpoint, websocket_endpoint
from preppald.core import closes, gemini
from preppald.core.closes import Cause
from preppald.core.events import GeminiEvent, GoingAway, MemberSkipped, TextSpoken
from preppald.gemini.connection import Dial, Upstream, UpstreamError, connected, dialler
from preppald.simulator import GeminiSimulator, Scenario, load_scenario, serve_gemini
from preppald.simulator.endings import CLOSE_FRAMES
from preppald.simulator.faults import Close, Hang, Http, Silence
from preppald.simulator.scenario import parse as parse_scenario
from tests.world import World

WHERE = websocket_endpoint("ws://gemini.example")
SETUP = json.dumps(
    {
        "setup": {
            "model": "models/gemini-3.8-live",
            "generationConfig": {"responseModalities": ["AUDIO"]},
            "outputAudioTranscription": {},
        }
    }
).encode()
Server = Callable[[trio.abc.Stream], Awaitable[None]]


def dial_to(nursery: trio.Nursery, server: Server) -> Dial:
    async def dial() -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(server, theirs)
        return ours

    return dial


async def failure(dial: Dial, *, where: Endpoint = WHERE, key: str = "key-for-tests") -> UpstreamError:
    """What a try to connect ends with."""
    with pytest.raises(UpstreamError) as failed:
        async with connected(dial, where, key, SETUP, generation=1):
            raise AssertionError("it connected")
    return failed.value


@asynccontextmanager
async def up(dial: Dial) -> AsyncIterator[Upstream]:
    async with connected(dial, WHERE, "key-for-tests", SETUP, generation=1) as upstream:
        yield upstream


async def said(upstream: Upstream) -> list[GeminiEvent]:
    """The next events; reads that bring none are none."""
    events: list[GeminiEvent] = []
    while not events:
        events = await upstream.receive()
    return events


# ------------------------------------------------------------------ before it is set up


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (400, closes.HTTP_REFUSED),
        (401, closes.UNAUTHORISED),
        (403, closes.UNAUTHORISED),
        (404, closes.HTTP_REFUSED),
        (429, closes.QUOTA),
        (500, closes.HTTP_FAILED),
        (503, closes.HTTP_FAILED),
    ],
)
async def test_an_http_error_in_place_of_the_upgrade(
    nursery: trio.Nursery, autojump_clock: object, status: int, cause: Cause
) -> None:
    """Its status is its cause, and it is told in no time."""
    scenario = Scenario(fault=(Http(status=status),))  # type: ignore[arg-type]
    error = await failure(dial_to(nursery, GeminiSimulator(scenario).handle_stream))
    assert (error.cause, error.code) == (cause, status)
    assert str(status) in str(error)
    assert trio.current_time() < 1


@pytest.mark.parametrize("name", sorted(CLOSE_FRAMES))
async def test_every_close_frame_before_setup_complete(
    nursery: trio.Nursery, autojump_clock: object, name: str
) -> None:
    """The words that Gemini sends are the cause, never a bare code."""
    scenario = Scenario(fault=(Close(row=name, at="setup"),))
    error = await failure(dial_to(nursery, GeminiSimulator(scenario).handle_stream))
    frame = CLOSE_FRAMES[name]
    assert error.code == frame.code
    assert error.cause is not closes.UNRECOGNISED
    assert frame.reason[:20].partition("{")[0] in str(error)
    assert trio.current_time() < 1


@pytest.mark.parametrize(
    ("fault", "cause"),
    [(Hang(), closes.TIMED_OUT), (Silence(at="setup"), closes.SETUP_TIMED_OUT)],
    ids=["upgrade", "setup"],
)
async def test_a_gemini_that_never_answers(
    nursery: trio.Nursery, autojump_clock: object, fault: Hang | Silence, cause: Cause
) -> None:
    """Ten seconds for each step, and it says which."""
    error = await failure(dial_to(nursery, GeminiSimulator(Scenario(fault=(fault,))).handle_stream))
    assert error.cause is cause
    assert "in time" in str(error)
    assert trio.current_time() == pytest.approx(10, abs=0.1)


async def test_a_dial_that_never_ends(autojump_clock: object) -> None:
    async def dial() -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    assert (await failure(dial)).cause is closes.TIMED_OUT
    assert trio.current_time() == 10


async def hang_up(stream: trio.abc.Stream) -> None:
    await stream.receive_some()
    await stream.aclose()


async def speak(stream: trio.abc.Stream, answer: bytes) -> None:
    await stream.receive_some()
    await stream.send_all(answer)
    await trio.sleep(100)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: \xff\xfe\r\nConnection: Upgrade\r\n\r\n",
        b"\x00" * 200,
    ],
    ids=[
        "hangs up",
        "another protocol",
        "a page",
        "a redirection",
        "a wrong accept",
        "bad headers",
        "zeros",
    ],
)
async def test_something_else_than_gemini(
    nursery: trio.Nursery, autojump_clock: object, answer: bytes
) -> None:
    """A captive portal, a proxy, the wrong port: an error of this connection, without a wait."""

    async def server(stream: trio.abc.Stream) -> None:
        await (speak(stream, answer) if answer else hang_up(stream))

    error = await failure(dial_to(nursery, server))
    assert isinstance(error.cause, Cause)
    assert trio.current_time() < 1


# ------------------------------------------------------------------ the network itself


async def test_a_name_that_does_not_resolve() -> None:
    """In its own words, well under a second where the resolver answers."""
    endpoint = websocket_endpoint("ws://no-such-host.invalid")
    with trio.fail_after(5):
        error = await failure(dialler(endpoint), where=endpoint)
    assert error.cause is closes.DNS
    assert "no-such-host.invalid:80" in str(error)


async def test_a_port_where_nobody_listens() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    endpoint = websocket_endpoint(f"ws://127.0.0.1:{port}")
    with trio.fail_after(1):
        error = await failure(dialler(endpoint), where=endpoint)
    assert error.cause is closes.REFUSED
    assert str(port) in str(error)


@asynccontextmanager
async def over_tls(authority: trustme.CA, *names: str) -> AsyncIterator[int]:
    """The simulator behind a certificate of this authority for these names."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    async with trio.open_nursery() as nursery:
        yield await nursery.start(partial(serve_gemini, ("127.0.0.1", 0), GeminiSimulator(), tls=context))
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("names", "trusted", "words"),
    [
        (["127.0.0.1"], False, "unable to get local issuer certificate"),
        (["other.example"], True, "IP address mismatch"),
    ],
    ids=["nobody trusts it", "for another name"],
)
async def test_a_certificate_that_is_not_acceptable(names: list[str], words: str, *, trusted: bool) -> None:
    """The reason itself, in milliseconds: trio-websocket alone would have said "timeout" a minute later."""
    authority = trustme.CA()
    client = ssl.create_default_context()
    if trusted:
        authority.configure_trust(client)
    async with over_tls(authority, *names) as port:
        endpoint = websocket_endpoint(f"wss://127.0.0.1:{port}")
        with trio.fail_after(1):
            error = await failure(dialler(endpoint, client), where=endpoint)
    assert error.cause is closes.TLS
    assert words in str(error)


async def test_a_port_that_speaks_no_tls() -> None:
    """wss:// at a ws:// port."""
    async with trio.open_nursery() as nursery:
        port = await nursery.start(serve_gemini, ("127.0.0.1", 0), GeminiSimulator())
        endpoint = websocket_endpoint(f"wss://127.0.0.1:{port}")
        with trio.fail_after(1):
            error = await failure(dialler(endpoint), where=endpoint)
        nursery.cancel_scope.cancel()
    assert error.cause is closes.TLS


async def test_a_good_certificate_is_a_connection() -> None:
    """With the key in its header and a path in front, over real sockets."""
    authority = trustme.CA()
    client = ssl.create_default_context()
    authority.configure_trust(client)
    async with over_tls(authority, "127.0.0.1") as port:
        endpoint = websocket_endpoint(f"wss://127.0.0.1:{port}/proxy")
        with trio.fail_after(2):
            async with connected(
                dialler(endpoint, client), endpoint, "key-for-tests", SETUP, generation=3
            ) as upstream:
                assert upstream.generation == 3


# ------------------------------------------------------------------ after it is set up

READY = b'{"setupComplete":{}}'


def frame(payload: bytes, opcode: int = 2, *, fin: bool = True) -> bytes:
    """A server's frame, unmasked."""
    size = len(payload)
    head = bytes([(0x80 if fin else 0) | opcode])
    if size < 126:
        return head + bytes([size]) + payload
    if size < 65536:
        return head + b"\x7e" + size.to_bytes(2, "big") + payload
    return head + b"\x7f" + size.to_bytes(8, "big") + payload


async def read(upstream: Upstream) -> None:
    while True:
        await upstream.receive()


async def write(upstream: Upstream) -> None:
    while True:
        await upstream.send(b"{}")
        await trio.sleep(0.1)


async def lost(dial: Dial, use: Callable[[Upstream], Awaitable[None]]) -> UpstreamError:
    """What ends a connection that is used like this."""
    found: UpstreamError | None = None
    try:
        async with up(dial) as upstream:
            await use(upstream)
    except UpstreamError as error:
        found = error
    await trio.lowlevel.checkpoint()
    assert found is not None, "it was never lost"
    return found


async def answer_upgrade(stream: trio.abc.Stream, *, behind: bytes = b"") -> None:
    """The upgrade by hand, so that anything at all can follow it."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += await stream.receive_some()
    key = next(
        line.partition(b": ")[2]
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key")
    )
    await stream.send_all(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept_key(key.decode()).encode() + b"\r\n\r\n" + behind
    )


async def accept(stream: trio.abc.Stream, *, behind: bytes = b"") -> None:
    """The upgrade, and the setup's answer with all that comes behind it."""
    await answer_upgrade(stream)
    await stream.receive_some()
    await stream.send_all(frame(READY) + behind)


async def test_what_comes_in_one_record_with_the_101_is_heard() -> None:
    """The stream is the same object before and after the upgrade, and nothing that it has read is lost."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)

    async def serve(tcp: trio.SocketStream) -> None:
        stream = trio.SSLStream(tcp, context, server_side=True, https_compatible=True)
        await answer_upgrade(stream, behind=frame(READY) + frame(b'{"goAway": {"timeLeft": "9s"}}'))
        with contextlib.suppress(trio.BrokenResourceError):
            while await stream.receive_some():
                pass

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        where = websocket_endpoint(f"wss://127.0.0.1:{listeners[0].socket.getsockname()[1]}")
        with trio.fail_after(10):
            async with connected(
                dialler(where, trust), where, "key-for-tests", SETUP, generation=1
            ) as upstream:
                assert await upstream.receive() == [GoingAway(9.0)]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x83\x00",
        b"\xf2\x00",
        b"\x82\x81\x00\x00\x00\x00\x00",
        b"\x89\xfe\x00\x7e" + bytes(4),
        frame(b"\xff\xfe", 1),
        frame(b"x", 0),
        frame(b"\x03", 8),
        frame(b"\x00\x01", 8),
        frame(b"\x03\xe8\xff\xfe", 8),
        frame(bytes(17 * 1024 * 1024)),
        b"",
    ],
    ids=[
        "a reserved opcode",
        "reserved bits",
        "masked",
        "a long ping",
        "text that is none",
        "a continuation of nothing",
        "half a close code",
        "a close code below 1000",
        "a close reason that is no text",
        "17 MiB",
        "the end, without a close",
    ],
)
async def test_hostile_frames_end_the_connection_and_nothing_else(
    nursery: trio.Nursery, autojump_clock: object, hostile: bytes
) -> None:
    """Whatever leaves trio-websocket is an UpstreamError, for the reader and for the writer."""

    async def server(stream: trio.abc.Stream) -> None:
        await accept(stream)
        if hostile:
            await stream.send_all(hostile)
            await trio.sleep(1)
        await stream.aclose()

    error = await lost(dial_to(nursery, server), read)
    assert isinstance(error.cause, Cause)
    await lost(dial_to(nursery, server), write)
    assert trio.current_time() < 10


async def test_frames_that_cannot_be_read_are_dropped_and_counted(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """What comes after them is heard."""

    async def server(stream: trio.abc.Stream) -> None:
        await accept(stream)
        for payload in (b"garbage", b"[]", b'{"serverContent":7}', b"\xff"):
            await stream.send_all(frame(payload))
        await stream.send_all(frame(b'{"serverContent":{"outputTranscription":{"text":"hi"}}}', 1))
        await trio.sleep_forever()

    async with up(dial_to(nursery, server)) as upstream:
        events: list[GeminiEvent] = []
        while TextSpoken("hi") not in events:
            events += await upstream.receive()
        assert events == [MemberSkipped("frame")] * 4 + [TextSpoken("hi")]


async def test_a_close_frame_reaches_reader_and_writer_with_its_words(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    async def server(stream: trio.abc.Stream) -> None:
        await accept(stream)
        await stream.send_all(frame((1011).to_bytes(2, "big") + b"Internal error occurred.", 8))
        await trio.sleep(1)
        await stream.aclose()

    async with up(dial_to(nursery, server)) as upstream:
        with pytest.raises(UpstreamError) as failed:
            await upstream.receive()
        assert (failed.value.cause, failed.value.code) == (closes.INTERNAL, 1011)
        with pytest.raises(UpstreamError):
            await upstream.send(b"{}")


async def test_an_aborted_connection_ends_for_both(nursery: trio.Nursery, autojump_clock: object) -> None:
    """The watchdog hangs up on a connection that takes nothing more."""
    async with up(dial_to(nursery, GeminiSimulator().handle_stream)) as upstream:
        await upstream.abort(closes.SILENT)
        for use in (upstream.receive(), upstream.send(b"{}")):
            with pytest.raises(UpstreamError):
                await use


async def test_a_gemini_that_pongs_late_is_alive_and_one_that_never_does_is_not(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Pongs were seen to take half a minute; silence alone proves nothing."""
    scenario = parse_scenario("[timing]\npong_delay = 30\n[limits]\nidle = 10000\nconnection = 100000")

    async def mind(upstream: Upstream) -> None:
        """As the watchdog does, which also sends silence where the candidate sends nothing."""
        with contextlib.suppress(UpstreamError):
            while not upstream.mind(trio.current_time()):
                await upstream.send(gemini.audio(bytes(640)))
                await trio.sleep(1)
            await upstream.abort(closes.SILENT)

    async def read_minded(upstream: Upstream) -> None:
        nursery.start_soon(mind, upstream)
        await read(upstream)

    with trio.move_on_after(400) as patience:
        async with up(dial_to(nursery, GeminiSimulator(scenario).handle_stream)) as upstream:
            await read_minded(upstream)
    assert patience.cancelled_caught

    began = trio.current_time()
    silent = Scenario(fault=(Silence(at="ready", after=1),))
    error = await lost(dial_to(nursery, GeminiSimulator(silent).handle_stream), read_minded)
    assert error.cause is closes.SILENT
    assert 60 < trio.current_time() - began < 130


async def test_a_bug_in_the_body_is_not_hidden(nursery: trio.Nursery, autojump_clock: object) -> None:
    """It is no failure of the connection."""
    with pytest.raises(ZeroDivisionError):
        async with up(dial_to(nursery, GeminiSimulator().handle_stream)):
            raise ZeroDivisionError


async def test_leaving_closes_with_1000_within_a_bound(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Also when nobody answers the close."""
    received = bytearray()

    async def server(stream: trio.abc.Stream) -> None:
        await accept(stream)
        while data := await stream.receive_some():
            received.extend(data)

    async with up(dial_to(nursery, server)):
        pass
    assert trio.current_time() <= 2.1
    assert received


# ------------------------------------------------------------------ what the candidate gets of it


@pytest.mark.parametrize("scenario", ["bad-key", "quota"])
async def test_a_failure_that_would_come_again_is_not_tried_again(
    nursery: trio.Nursery, autojump_clock: object, scenario: str
) -> None:
    """The candidate is told at once; cause and code are in the log and in the metrics, the words for people."""
    world = await World({}, load_scenario(scenario)).start(nursery)
    candidate = await world.candidate()
    assert await candidate.closed() == (4002, "Failed to connect to AI service")
    assert world.dials == 1
    assert trio.current_time() < 1
    (line,) = world.events("upstream.failed")
    cause = "bad_key" if scenario == "bad-key" else "quota"
    assert line["cause"] == cause
    assert "Gemini" in str(line["words"])
    text = world.metrics.exposition().decode()
    assert f'preppald_upstream_failures_total{{cause="{cause}"}} 1.0' in text


async def test_a_passing_failure_is_tried_again_before_the_candidate_hears_of_it(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world = await World({}, Scenario(fault=(Http(status=503),))).start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    assert world.dials == 2
    assert "error" not in candidate.kinds()


async def test_odd_frames_and_odd_audio_make_no_difference(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Unknown fields, empty sub-messages, text opcodes, bundles, odd parts: the same interview."""
    for name in ("odd-frames", "odd-audio", "odd-turns"):
        world = await World({}, load_scenario(name)).start(nursery)
        candidate = await world.candidate()
        await candidate.heard_out()
        await candidate.speak(2)
        await candidate.heard_out()
        assert len(candidate.audio) % 2 == 0
        assert candidate.close is None
        assert not world.events("session.crashed")


async def test_what_comes_right_behind_the_setup_is_heard(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Also where one read brings both."""

    async def server(stream: trio.abc.Stream) -> None:
        await accept(stream, behind=frame(b'{"serverContent":{"outputTranscription":{"text":"hi"}}}', 1))
        await trio.sleep_forever()

    async with up(dial_to(nursery, server)) as upstream:
        assert await said(upstream) == [TextSpoken("hi")]
