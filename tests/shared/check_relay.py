"""Two real daemons on two addresses share a PostgreSQL: a candidate at the wrong one holds the interview all the same.

Needs Debian's postgresql: run by .ci/extra/35-postgres.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
import signal

import trio

from preppald.simulator import Scenario
from preppald.simulator.scenario import Audio, Reply, Timing
from tests.candidates import Candidate, silence, tone
from tests.certificates import Certificates
from tests.overheard import Overheard
from tests.processes.host import Host, host
from tests.shared.server import Server

SETTINGS = {"PREPPALD_RECONNECT_GRACE": "20s", "PREPPALD_VAD_SILENCE": "300ms", "PREPPALD_DRAIN": "3s"}
SCENARIO = Scenario(
    reply=tuple(Reply(text=f"question-{number} is asked here", seconds=1.0) for number in range(60)),
    audio=Audio(part_ms=200),
    timing=Timing(setup_delay=0.1, reply_delay=0.1),
)
PATIENCE_SECONDS = 30.0
# The second address of this machine: Linux has all of 127.0.0.0/8.
OTHER = "127.0.0.2:0"
INTERVIEW = "iv"


@dataclass
class Hosts:
    """``owner``: where the interview begins; ``heard``: by its Gemini. ``wrong``: the other one."""

    server: Server
    owner: Host
    wrong: Host
    heard: Overheard
    connect: Callable[[], Awaitable[trio.abc.Stream]]
    connections: AsyncExitStack
    token: str = ""

    async def begin(self) -> Candidate:
        """Begin the interview at its owner, until the shared journal knows of it."""
        self.token = self.owner.token(INTERVIEW)
        first = await self.candidate(self.connect)
        assert await first.open(f"/ws/{INTERVIEW}", self.token) == 101
        await until(first, "session_started")
        with trio.fail_after(PATIENCE_SECONDS):
            while self.server.sql("SELECT count(*) FROM preppald.interview WHERE owner IS NOT NULL") != "1":  # noqa: ASYNC110 - another process writes it
                await trio.sleep(0.05)
        return first

    async def at_wrong(self, since: int = 0) -> Candidate:
        """Come back at the other host."""
        return await self._back(self.wrong.connect, since)

    async def at_owner(self, since: int = 0) -> Candidate:
        """Come back where the interview is."""
        return await self._back(self.connect, since)

    async def _back(self, connect: Callable[[], Awaitable[trio.abc.Stream]], since: int) -> Candidate:
        candidate = await self.candidate(connect)
        await candidate.open(f"/ws/{INTERVIEW}?turns=1&since={since}", self.token)
        return candidate

    async def candidate(self, connect: Callable[[], Awaitable[trio.abc.Stream]]) -> Candidate:
        """Connect; hung up on in the end."""
        stream = await connect()
        self.connections.push_async_callback(trio.aclose_forcefully, stream)
        return Candidate(stream)


@asynccontextmanager
async def hosts(
    server: Server,
    folder: Path,
    *,
    owners: Mapping[str, str] | None = None,
    connect: Callable[[Host], Awaitable[trio.abc.Stream]] | None = None,
) -> AsyncIterator[Hosts]:
    """Run both. ``owners``: more of the owner's settings; ``connect``: how its candidates connect to it."""
    settings = {**SETTINGS, "PREPPALD_SHARED_JOURNAL": server.url}
    heard = Overheard()
    async with AsyncExitStack() as stack:
        (folder / "owner").mkdir()
        (folder / "wrong").mkdir()
        owner = await stack.enter_async_context(
            host(folder / "owner", {**settings, **(owners or {})}, SCENARIO, heard)
        )
        wrong = await stack.enter_async_context(
            host(folder / "wrong", {**settings, "PREPPALD_PEER_LISTEN": OTHER}, SCENARIO)
        )
        for it in (owner, wrong):
            await it.start()
        for it in (owner, wrong):
            await it.ready()
            await it.logged("instance.joined")
        reach = partial(connect, owner) if connect else owner.connect
        async with AsyncExitStack() as connections:
            yield Hosts(server, owner, wrong, heard, reach, connections)


async def until(candidate: Candidate, what: str) -> None:
    """Read until a message of this kind has come."""
    with trio.fail_after(PATIENCE_SECONDS):
        while all(it.WhichOneof("payload") != what for it in candidate.messages):
            await read(candidate)


async def read(candidate: Candidate) -> None:
    """Read once. Nobody else reads it."""
    async with trio.open_nursery() as nursery:
        before = len(candidate.messages)

        async def run() -> None:
            await candidate.run()

        nursery.start_soon(run)
        while len(candidate.messages) == before and candidate.close is None:  # noqa: ASYNC110 - the other task reads
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()


def shown(candidate: Candidate) -> list[tuple[str, str]]:
    """Return the turns as the page has them: who, and the words."""
    updates = [it.transcript_update for it in candidate.messages if it.transcript_update.text]
    return joined((it.turn, it.speaker, it.text) for it in updates)


def kept(owner: Host) -> list[tuple[str, str]]:
    """Return the turns as the owner's journal has them."""
    return joined((it.turn, str(it.speaker), it.text) for it in owner.said()[INTERVIEW])


def joined(fragments: object) -> list[tuple[str, str]]:
    return [
        (speaker, "".join(text for _, _, text in words))
        for (_, speaker), words in groupby(fragments, key=lambda it: it[:2])  # type: ignore[call-overload]
    ]


async def say(candidate: Candidate, pcm: bytes) -> int:
    """Send it as a microphone does; return how many bytes that were."""
    for at in range(0, len(pcm), 640):
        await candidate.send_audio(pcm[at : at + 640])
        await trio.sleep(0.02)
    return len(pcm)


async def talk(candidate: Candidate) -> int:
    """Answer once, and be silent until the interviewer has asked the next question; return the bytes of sound."""
    seen = len(candidate.messages)
    sent = await say(candidate, tone(0.5))
    with trio.fail_after(PATIENCE_SECONDS):
        while not asked_again(candidate, seen):
            sent += await say(candidate, silence(0.1))
    return sent


def asked_again(candidate: Candidate, seen: int) -> bool:
    """Return whether the candidate's turn and one of the interviewer's after it are complete."""
    complete = [
        it.transcript_update.speaker for it in candidate.messages[seen:] if it.transcript_update.turn_complete
    ]
    return "USER" in complete and "AI" in complete[complete.index("USER") :]


async def test_a_whole_interview_at_the_wrong_host(server: Server, tmp_path: Path) -> None:
    """Word for word, byte for byte: with a barge-in, and connections that are lost in between."""
    async with hosts(server, tmp_path) as both:
        first = await both.begin()
        await trio.sleep(2.0)
        await first.vanish()
        sent = 0
        for _ in range(2):
            again = await both.at_wrong()
            assert again.status == 101
            async with trio.open_nursery() as nursery:
                nursery.start_soon(again.run)
                with trio.fail_after(PATIENCE_SECONDS):
                    await again.until("session_started")
                    sent += await talk(again)
                await trio.sleep(0.5)
                nursery.cancel_scope.cancel()
            await again.vanish()
        last = await both.at_wrong()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(last.run)
            await last.until("session_started")
            sent += await talk(last)
            # Over the interviewer's next question.
            seen = len(last.messages)
            sent += await say(last, tone(0.5))
            with trio.fail_after(PATIENCE_SECONDS):
                while not any(it.HasField("audio_response") for it in last.messages[seen:]):
                    sent += await say(last, silence(0.1))
            sent += await say(last, tone(0.5))
            await last.until("interrupted", seconds=PATIENCE_SECONDS)
            sent += await talk(last)
            await last.end()
            await last.closed(PATIENCE_SECONDS)
            nursery.cancel_scope.cancel()
        assert last.close is not None
        assert last.close[0] == 1000
        assert shown(last) == kept(both.owner)
        assert len(kept(both.owner)) >= 6
        assert len(both.heard.all_audio) >= sent
        assert both.wrong.said() == {}
        assert len(both.wrong.lines("connection.carried")) == 3
        assert len(both.owner.lines("connection.taken")) == 3
        text = both.wrong.log.read_text("utf-8") + both.owner.log.read_text("utf-8")
        assert both.token not in text


async def test_an_owner_with_a_certificate(server: Server, tmp_path: Path) -> None:
    """Its public port and its peer port speak TLS with the one that stands in its row; another one is refused."""
    certificates = Certificates(tmp_path)

    async def connect(owner: Host) -> trio.abc.Stream:
        tcp = await trio.open_tcp_stream("127.0.0.1", owner.port)
        return trio.SSLStream(tcp, certificates.trust, server_hostname="localhost", https_compatible=True)

    async with hosts(server, tmp_path, owners=certificates.env, connect=connect) as both:
        first = await both.begin()
        await first.vanish()
        again = await both.at_wrong()
        assert again.status == 101
        async with trio.open_nursery() as nursery:
            nursery.start_soon(again.run)
            await again.until("session_started", seconds=PATIENCE_SECONDS)
            await talk(again)
            nursery.cancel_scope.cancel()
        await again.vanish()
        # Somebody else at that address, as the other host would see it.
        server.sql("UPDATE preppald.instance SET certificate = repeat('0', 64) WHERE certificate IS NOT NULL")
        assert (await both.at_wrong()).status == 503
        assert "another certificate" in (await both.wrong.logged("peer.unreachable"))["cause"]


async def test_the_wrong_host_drains_before_it_stops_and_hangs_up_in_time(
    server: Server, tmp_path: Path
) -> None:
    async with hosts(server, tmp_path) as both:
        first = await both.begin()
        await first.vanish()
        again = await both.at_wrong()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(again.run)
            await again.until("session_started", seconds=PATIENCE_SECONDS)
            both.wrong.signal(signal.SIGTERM)
            began = trio.current_time()
            await talk(again)
            code, _ = await again.closed(PATIENCE_SECONDS)
            assert trio.current_time() - began >= 2.5
            assert code == 1006
            assert await both.wrong.ended() == 0
            nursery.cancel_scope.cancel()
        back = await both.at_owner()
        assert back.status == 101
        await until(back, "session_started")


async def test_a_candidate_of_an_owner_that_dies_is_hung_up_on(server: Server, tmp_path: Path) -> None:
    async with hosts(server, tmp_path) as both:
        first = await both.begin()
        await first.vanish()
        again = await both.at_wrong()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(again.run)
            await again.until("session_started", seconds=PATIENCE_SECONDS)
            await both.owner.kill()
            code, _ = await again.closed(1.0)
            assert code == 1006
            nursery.cancel_scope.cancel()
        assert (await both.at_wrong()).status == 503
        # The same incarnation, at another port: it says so, and is found there.
        await both.owner.start()
        await both.owner.ready()
        with trio.fail_after(PATIENCE_SECONDS):
            found = await both.at_wrong()
            while found.status != 101:
                assert found.status == 503
                await trio.sleep(0.5)
                found = await both.at_wrong()
            await until(found, "session_started")


async def test_of_two_tabs_at_two_hosts_at_one_moment_both_get_in(server: Server, tmp_path: Path) -> None:
    """One of the hosts begins the interview, and the other one carries its candidate there."""
    async with hosts(server, tmp_path) as both:
        for number in range(5):
            name = f"race-{number}"
            token = both.owner.token(name)
            statuses: list[int] = []

            async def come(connect: Callable[[], Awaitable[trio.abc.Stream]], name: str, token: str) -> None:
                candidate = await both.candidate(connect)
                statuses.append(await candidate.open(f"/ws/{name}", token))  # noqa: B023 - it is over before the next

            async with trio.open_nursery() as nursery:
                nursery.start_soon(come, both.connect, name, token)
                nursery.start_soon(come, both.wrong.connect, name, token)
            assert statuses == [101, 101]
        began = {it: host.said().keys() for it, host in (("owner", both.owner), ("wrong", both.wrong))}
        with trio.fail_after(PATIENCE_SECONDS):
            while len(began["owner"] | began["wrong"]) < 5:
                await trio.sleep(0.1)
                began = {
                    it: host.said().keys() for it, host in (("owner", both.owner), ("wrong", both.wrong))
                }
        assert not began["owner"] & began["wrong"]
        carried = [*both.owner.lines("connection.carried"), *both.wrong.lines("connection.carried")]
        assert len(carried) == 5
