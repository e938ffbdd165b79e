"""A candidate at the wrong host: the connection is carried to the one that has the interview, and what may go wrong.

Two daemons without sockets or waiting, one model of a shared journal, and a network of memory streams between them.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
import math
from pathlib import Path

import pytest
import trio
import trio.testing

from preppald.config.load import load
from preppald.interview.no_seat import BegunElsewhere
from preppald.net import tls
from preppald.net.pinned import fingerprint
from preppald.net.tls import Identity
from preppald.server import peer_port as module
from preppald.server.elsewhere import LOOK_SECONDS, Elsewhere
from preppald.server.peer_port import HELLO_SECONDS, LINES_PER_SECOND, MAX_HELLOS, PeerPort
from preppald.shared import hello
from preppald.shared.hello import KEY_BYTES
from preppald.shared.membership import Membership
from preppald.shared.model import Client, Model
from preppald.shared.ownership import Ownership
from preppald.shared.peers import ASK_SECONDS, LEARN_SECONDS, Peers, dial
from preppald.shared.protocol import LEASE_SECONDS, PULSE_SECONDS, Joined, Peer, Presence
from preppald.shared.shipment import shipment
from preppald.simulator.scenario import Reply, Scenario
from tests.candidates import Candidate
from tests.certificates import Certificates
from tests.durable import interview
from tests.overheard import Overheard, overhear, speak
from tests.shared.conformance import commit
from tests.world import SECRET, SETTINGS, World

LINES = (Reply(text="Hello.", seconds=1.0), *(Reply(text=f"Question {n}.", seconds=2.0) for n in range(20)))


class Wire(trio.abc.HalfCloseableStream):
    """One end of a connection between two hosts, and all that was sent from it."""

    def __init__(self, end: trio.abc.HalfCloseableStream) -> None:
        self.said = bytearray()
        self._end = end

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.said += data
        await self._end.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._end.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._end.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._end.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._end.aclose()


@dataclass
class Network:
    """``ports``: who listens, by the port's number. ``wires``: both ends of every connection there was."""

    nursery: trio.Nursery
    ports: dict[int, Callable[[trio.abc.Stream], object]] = field(default_factory=dict)
    wires: list[tuple[Wire, Wire]] = field(default_factory=list)

    async def reach(self, _host: str, port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        if port not in self.ports:
            raise OSError("connection refused")
        ours, theirs = map(Wire, trio.testing.memory_stream_pair())
        self.wires.append((ours, theirs))
        self.nursery.start_soon(self.ports[port], theirs)  # type: ignore[arg-type]
        return ours

    @property
    def said(self) -> bytes:
        return b"".join(bytes(end.said) for pair in self.wires for end in pair)


@dataclass
class Host:
    """``identity``: the certificate that it shows."""

    number: int
    world: World
    client: Client
    membership: Membership
    peers: Peers
    network: Network
    heard: Overheard
    identity: Identity | None = None

    @property
    def me(self) -> int:
        return self.membership.incarnation

    @property
    def peer(self) -> Peer:
        """How the others see it."""
        shown = "" if self.identity is None else fingerprint(self.identity.chain)
        return Peer(self.me, f"host-{self.number}", f"10.0.0.{self.number}:{self.number}", certificate=shown)

    def listen(self, holds: Callable[[str], bool] | None = None) -> PeerPort:
        port = PeerPort(
            self.peers,
            holds=holds or self.world.server.seats.holds,
            take=self.world.server.carried,
            identity=lambda: self.identity,
            log=self.world.services.log,
        )
        self.network.ports[self.number] = port.handle
        return port

    async def owns(self, interview_id: str = "iv-1") -> None:
        """Have the shared journal know that the interview is live here."""
        await self.client.append(self.me, shipment([commit(1, interview(interview_id))]))


async def host(number: int, model: Model, network: Network) -> Host:
    scenario = Scenario(reply=LINES)
    world = World({}, scenario)
    heard = overhear(world, scenario)
    await world.start(network.nursery)
    client = model.client()
    membership = Membership(
        Presence(f"host-{number}", f"10.0.0.{number}:{number}", "1"), log=world.services.log
    )
    answer = await client.join(membership.presence)
    assert isinstance(answer, Joined)
    membership.joined(answer.incarnation)
    found: list[Host] = []

    def certificate() -> str:
        return found[0].peer.certificate

    peers = Peers(
        client,
        membership,
        log=world.services.log,
        certificate=certificate,
        living=world.server.relays.hang_up_but,
        reach=network.reach,
    )
    world.server.seats.elsewhere = Elsewhere(
        Ownership(client, membership, world.journal, log=world.services.log).where,
        peers,
        world.server.seats.holds,
        tasks=network.nursery,
        log=world.services.log,
    )
    it = Host(number, world, client, membership, peers, network, heard)
    found.append(it)
    it.listen()
    await peers.learn()
    return it


@dataclass
class Pair:
    """``owner``: where interviews begin. ``wrong``: where their candidates come back."""

    model: Model
    network: Network
    owner: Host
    wrong: Host


@pytest.fixture
async def pair(nursery: trio.Nursery) -> Pair:
    model, network = Model(trio.current_time), Network(nursery)
    owner, wrong = await host(1, model, network), await host(2, model, network)
    await owner.peers.learn()
    return Pair(model, network, owner, wrong)


async def begun(pair: Pair) -> tuple[Candidate, str]:
    """Begin an interview at its owner; return its candidate and the token."""
    token = pair.owner.world.token()
    candidate = await pair.owner.world.candidate(token=token)
    await candidate.greeted()
    await pair.owner.owns()
    return candidate, token


async def refused(world: World, token: str) -> Candidate:
    candidate = Candidate(world.connection())
    await candidate.open("/iv-1", token)
    return candidate


# ------------------------------------------------------------------ carried


async def test_a_candidate_who_comes_back_elsewhere_goes_on(autojump_clock: object, pair: Pair) -> None:
    """Sound up, questions down, through the other host; and again after that connection is lost, too."""
    first, token = await begun(pair)
    await first.vanish()
    before = sum(map(len, pair.owner.heard.audio.values()))
    for turn in range(1, 3):
        again = await pair.wrong.world.candidate(token=token, since=0)
        started = await again.until("session_started")
        assert started.session_started.resumed
        assert pair.wrong.world.server.relays.carried == 1
        await speak(again, 2.0)
        await again.until(lambda it, turn=turn: f"Question {turn - 1}." in it.transcript_update.text)  # type: ignore[misc]
        await again.vanish()
        await pair.wrong.world.server.relays.none()
    assert sum(map(len, pair.owner.heard.audio.values())) - before >= 2 * 2.0 * 32_000 * 0.9
    assert len(pair.wrong.world.registry) == 0
    (one, _) = pair.wrong.world.events("connection.carried")
    assert (one["interview"], one["to"]) == ("iv-1", "host-1")
    (one, _) = pair.owner.world.events("connection.taken")
    assert (one["interview"], one["carried_by"]) == ("iv-1", "host-2")


async def test_a_candidate_may_be_cut_off_and_may_end_it_through_the_other_host(
    autojump_clock: object, pair: Pair
) -> None:
    first, token = await begun(pair)
    await first.vanish()
    again = await pair.wrong.world.candidate(token=token)
    await again.until("session_started")
    await speak(again, 2.0)
    await again.until("audio_response")
    await speak(again, 1.0, pause=0.0)
    await again.until("interrupted")
    await again.end()
    code, _ = await again.closed()
    assert code == 1000
    assert [line["ending"] for line in pair.owner.world.events("session.ended")] == ["user_ended"]


async def test_the_token_never_travels(autojump_clock: object, pair: Pair) -> None:
    """Wherever the page puts it; nor do cookies and other headers that an application sends."""
    first, token = await begun(pair)
    await first.vanish()
    for old in (True, False):
        candidate = Candidate(pair.wrong.world.connection(), old=old)
        assert await candidate.open("/iv-1", token, Cookie="sid=canary", Authorization="Basic canary") == 101
        await candidate.vanish()
    said = pair.network.said
    assert said.count(b'"want":"carry"') == 2
    assert token.encode() not in said
    assert token.rpartition(".")[2].encode() not in said
    assert SECRET.encode() not in said
    assert b"canary" not in said
    assert b"preppal.v1" in said


@pytest.mark.parametrize(
    ("address", "certificate"),
    [
        ("a..b:1", ""),
        (".host:1", "ab" * 32),
        (":1", "ab" * 32),
        ("10.0.0.1:99999999999999999999", ""),
        ("10.0.0.1", ""),
        ("", ""),
    ],
)
async def test_an_odd_row_of_one_host_is_no_trouble_of_another(
    autojump_clock: object, pair: Pair, address: str, certificate: str
) -> None:
    """Whoever wrote it: that host counts as silent, and the interview is found at the one that has it."""
    await begun(pair)
    network, asking = pair.network, pair.wrong

    async def reach(name: str, port: int) -> trio.abc.Stream:
        return await (network.reach if port in network.ports and "." * 2 not in name else dial)(name, port)

    peers = Peers(asking.client, asking.membership, log=asking.world.services.log, reach=reach)
    await peers.learn()
    odd = Peer(99, "odd", address, certificate=certificate)
    assert not await peers.vouch(odd)
    peers.others = (odd, pair.owner.peer)
    assert await peers.holder("iv-1") == pair.owner.peer
    assert "odd" in {it["peer"] for it in asking.world.events("peer.unreachable")}


async def test_a_bug_in_the_search_costs_nobody_an_interview(autojump_clock: object, pair: Pair) -> None:
    """The question goes on in the nursery of all interviews."""
    it = pair.wrong

    async def where(_interview_id: str) -> None:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("a bug")

    it.world.server.seats.elsewhere = Elsewhere(
        where, it.peers, it.world.server.seats.holds, tasks=pair.network.nursery, log=it.world.services.log
    )
    await it.world.candidate("iv-9")
    assert it.world.registry.holds("iv-9")
    assert len(it.world.events("interview.not_found")) == 1


async def test_a_new_interview_begins_where_it_comes(autojump_clock: object, pair: Pair) -> None:
    await begun(pair)
    other = await pair.wrong.world.candidate("iv-2")
    await other.greeted()
    assert len(pair.wrong.world.registry) == 1
    assert pair.network.wires == []


async def test_who_may_not_join_is_told_so_by_the_owner(autojump_clock: object, pair: Pair) -> None:
    """Another user's token for the same interview: the owner's own answer, through the other host."""
    await begun(pair)
    stranger = await refused(pair.wrong.world, pair.wrong.world.token(user_id="user-2"))
    assert stranger.status == 403
    assert pair.owner.world.events("connection.refused")[-1]["user"] == "user-2"
    page = Candidate(pair.wrong.world.connection(), subprotocol="preppal.v2")
    assert await page.open("/iv-1", pair.wrong.world.token(user_id="user-2")) == 101
    await page.run()
    assert page.close is not None
    assert page.close[0] == 4403


async def test_an_expired_token_still_joins_what_it_opened(autojump_clock: object, pair: Pair) -> None:
    first, token = await begun(pair)
    await first.vanish()
    pair.wrong.world.wall_offset_ms = 3600 * 1000
    again = await pair.wrong.world.candidate(token=token)
    assert (await again.until("session_started")).session_started.resumed


async def test_an_interview_that_has_ended_meanwhile_is_not_carried_to(
    autojump_clock: object, pair: Pair
) -> None:
    """The shared journal does not know yet: nothing begins here, and the candidate is told to come again."""
    first, token = await begun(pair)
    await first.end()
    await first.closed()
    await pair.owner.world.registry.empty()
    late = await refused(pair.wrong.world, token)
    assert late.status == 503
    assert len(pair.wrong.world.registry) == 0


async def test_a_connection_is_carried_once_at_most(autojump_clock: object, pair: Pair) -> None:
    """Both hosts think that the other one has it: the second one keeps the connection."""
    await pair.owner.owns()
    pair.owner.listen(holds=lambda _: True)

    async def the_other(_interview_id: str) -> Peer:
        await trio.lowlevel.checkpoint()
        return pair.wrong.peer

    pair.owner.world.server.seats.elsewhere = Elsewhere(
        the_other,
        pair.owner.peers,
        lambda _: False,
        tasks=pair.network.nursery,
        log=pair.owner.world.services.log,
    )
    candidate = await pair.wrong.world.candidate()
    await candidate.greeted()
    assert len(pair.network.wires) == 1
    assert len(pair.owner.world.registry) == 1


async def test_a_connection_that_another_side_handed_over_is_carried_as_well(
    autojump_clock: object, pair: Pair
) -> None:
    """A side that drains gives it to the other side on its host: only then it goes to another host."""
    first, token = await begun(pair)
    await first.vanish()
    ours, theirs = trio.testing.memory_stream_pair()
    again = Candidate(ours)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(again.open, "/iv-1", token)
        request = bytes(await theirs.receive_some())
        pair.network.nursery.start_soon(pair.wrong.world.server.take, theirs, request)
    assert again.status == 101
    assert pair.wrong.world.server.relays.carried == 1


async def test_who_loses_a_race_is_carried_to_the_winner(
    autojump_clock: object, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody had it when it was looked for; it was begun at the other host before it could be begun here."""
    await begun(pair)
    answers: list[Peer | None] = [None, pair.owner.peer]

    async def the_winner(_interview_id: str) -> Peer | None:
        await trio.lowlevel.checkpoint()
        return answers.pop(0)

    async def lost(*_: object) -> None:
        await trio.lowlevel.checkpoint()
        raise BegunElsewhere

    wrong = pair.wrong.world
    wrong.server.seats.elsewhere = Elsewhere(
        the_winner,
        pair.wrong.peers,
        wrong.server.seats.holds,
        tasks=pair.network.nursery,
        log=wrong.services.log,
    )
    monkeypatch.setattr(wrong.registry, "session_for", lost)
    second = await wrong.candidate()
    await second.until("session_started")
    assert answers == []
    assert wrong.server.relays.carried == 1


# ------------------------------------------------------------------ what does not answer


async def test_an_owner_that_cannot_be_reached_is_waited_for(autojump_clock: object, pair: Pair) -> None:
    """Nothing begins twice: 503 with Retry-After, and the next try goes on where the interview is."""
    first, token = await begun(pair)
    await first.vanish()
    listening = pair.network.ports.pop(1)
    assert (await refused(pair.wrong.world, token)).status == 503
    (line,) = pair.wrong.world.events("peer.unreachable")
    assert (line["peer"], line["cause"]) == ("host-1", "connection refused")
    assert pair.wrong.world.counted("connections_refused", why="another host") == 1
    assert len(pair.wrong.world.registry) == 0
    pair.network.ports[1] = listening
    again = await pair.wrong.world.candidate(token=token)
    await again.until("session_started")


async def test_an_owner_that_is_stuck_costs_two_seconds(autojump_clock: object, pair: Pair) -> None:
    first, token = await begun(pair)
    await first.vanish()

    async def stuck(_stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    pair.network.ports[1] = stuck
    began = trio.current_time()
    assert (await refused(pair.wrong.world, token)).status == 503
    assert trio.current_time() - began == pytest.approx(ASK_SECONDS, abs=0.1)
    assert pair.wrong.world.events("peer.unreachable")[-1]["cause"] == "no answer in time"


async def test_without_the_shared_journal_the_others_are_asked_themselves(
    autojump_clock: object, pair: Pair
) -> None:
    first, token = await begun(pair)
    await first.vanish()
    await pair.wrong.peers.learn()
    pair.wrong.client.reachable = False
    again = await pair.wrong.world.candidate(token=token)
    assert (await again.until("session_started")).session_started.resumed
    assert pair.wrong.world.server.relays.carried == 1
    # One that nobody has begins here.
    other = await pair.wrong.world.candidate("iv-2")
    await other.greeted()
    assert len(pair.wrong.world.registry) == 1


async def test_a_damaged_row_is_one_connections_trouble(autojump_clock: object, pair: Pair) -> None:
    """The others are asked themselves; those who talk here notice nothing."""
    first, token = await begun(pair)
    await first.vanish()
    mine = await pair.wrong.world.candidate("iv-2")
    await mine.greeted()
    kept = pair.model.tables.interviews["iv-1", 0]
    kept.row = (*kept.row[:-1], 0)
    again = await pair.wrong.world.candidate(token=token)
    assert (await again.until("session_started")).session_started.resumed
    (told,) = pair.wrong.world.events("interview.not_found")
    assert told["interview"] == "iv-1"
    assert "damaged row" in str(told["cause"])
    assert mine.close is None
    assert len(pair.wrong.world.registry) == 1


async def test_a_shared_journal_that_says_nothing_is_not_waited_for(
    autojump_clock: object, pair: Pair
) -> None:
    first, token = await begun(pair)
    await first.vanish()
    await pair.wrong.peers.learn()

    async def silent(_interview_id: str) -> None:
        await trio.sleep_forever()

    pair.wrong.world.server.seats.elsewhere = Elsewhere(
        silent,
        pair.wrong.peers,
        pair.wrong.world.server.seats.holds,
        tasks=pair.network.nursery,
        log=pair.wrong.world.services.log,
    )
    began = trio.current_time()
    again = await pair.wrong.world.candidate(token=token)
    assert trio.current_time() - began == pytest.approx(LOOK_SECONDS, abs=0.1)
    await again.until("session_started")


async def test_an_owner_that_is_lost_is_hung_up_on(autojump_clock: object, pair: Pair) -> None:
    """It is only stopped, and its kernel still acknowledges: the candidate would wait for it."""
    first, token = await begun(pair)
    await first.vanish()
    again = await pair.wrong.world.candidate(token=token)
    await again.until("session_started")
    for _ in range(math.ceil(2 * LEASE_SECONDS / PULSE_SECONDS)):
        await trio.sleep(PULSE_SECONDS)
        await pair.wrong.client.pulse(pair.wrong.me, 0)
    await pair.wrong.peers.learn()
    assert again.close is None
    assert await pair.wrong.client.declare_lost(pair.wrong.me, pair.owner.me) is True
    await pair.wrong.peers.learn()
    code, _ = await again.closed(1.0)
    assert code == 1006
    assert pair.wrong.world.server.relays.carried == 0
    assert pair.wrong.peers.others == ()


# ------------------------------------------------------------------ vouching


async def test_an_instance_that_lives_vouches_for_itself(autojump_clock: object, pair: Pair) -> None:
    assert await pair.wrong.peers.vouch(pair.owner.peer)
    assert await pair.owner.peers.vouch(pair.wrong.peer)


async def test_another_incarnation_at_the_same_address_does_not(autojump_clock: object, pair: Pair) -> None:
    before = Peer(4711, "host-1", pair.owner.peer.address)
    assert not await pair.wrong.peers.vouch(before)
    assert pair.wrong.world.events("peer.unreachable") == []


async def test_nobody_vouches_for_who_is_gone_or_has_no_port(autojump_clock: object, pair: Pair) -> None:
    del pair.network.ports[1]
    assert not await pair.wrong.peers.vouch(pair.owner.peer)
    assert not await pair.wrong.peers.vouch(Peer(pair.owner.me, "host-1", ""))
    assert pair.wrong.world.events("peer.unreachable")[-1]["cause"] == "it has no peer port"


async def test_before_there_is_a_key_nobody_is_asked_or_answered(autojump_clock: object, pair: Pair) -> None:
    pair.owner.peers.key = None
    assert not await pair.wrong.peers.vouch(pair.owner.peer)
    assert not await pair.owner.peers.vouch(pair.wrong.peer)
    assert len(pair.network.wires) == 1
    await pair.owner.peers.learn()
    assert await pair.wrong.peers.vouch(pair.owner.peer)


async def test_the_key_may_be_changed_while_everybody_runs(autojump_clock: object, pair: Pair) -> None:
    """Its row is deleted: the first one that looks makes another, and the others take it over."""
    before = pair.owner.peers.key
    pair.model.tables.secrets.clear()
    await pair.owner.peers.learn()
    assert pair.owner.peers.key not in {before, None}
    assert not await pair.wrong.peers.vouch(pair.owner.peer)
    await pair.wrong.peers.learn()
    assert await pair.wrong.peers.vouch(pair.owner.peer)


async def test_the_others_are_learnt_by_themselves(
    autojump_clock: object, pair: Pair, nursery: trio.Nursery
) -> None:
    nursery.start_soon(pair.owner.peers.run)
    third = await host(3, pair.model, pair.network)
    assert [it.name for it in pair.owner.peers.others] == ["host-2"]
    await trio.sleep(LEARN_SECONDS * 1.5)
    assert [it.name for it in pair.owner.peers.others] == ["host-2", "host-3"]
    assert await third.peers.vouch(pair.owner.peer)


# ------------------------------------------------------------------ certificates


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def shown(certificates: Certificates) -> Identity:
    identity = tls.identity(certificates.cert, certificates.key)
    assert identity is not None
    return identity


async def test_the_certificate_that_stands_in_the_shared_journal_is_spoken_to(
    autojump_clock: object, pair: Pair, certificates: Certificates
) -> None:
    """Whatever its name and its authority. A renewed one counts as soon as its owner has said so."""
    pair.owner.identity = shown(certificates)
    await pair.owner.peers.learn()
    assert pair.owner.membership.presence.certificate == fingerprint(pair.owner.identity.chain)
    first, token = await begun(pair)
    await first.vanish()
    again = await pair.wrong.world.candidate(token=token)
    await again.until("session_started")
    await speak(again, 2.0)
    await again.until(lambda it: "Question" in it.transcript_update.text)
    assert b"Question" not in pair.network.said
    assert b"session" not in pair.network.said
    await again.vanish()
    certificates.renew()
    pair.owner.identity = shown(certificates)
    assert (await refused(pair.wrong.world, token)).status == 503
    await pair.owner.peers.learn()
    await (await pair.wrong.world.candidate(token=token)).until("session_started")


async def test_another_certificate_is_not_spoken_to(
    autojump_clock: object, pair: Pair, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Somebody at the owner's address, with a good certificate of another, and even with the key of the hello."""
    pair.owner.identity = shown(certificates)
    told = pair.owner.peer
    pair.owner.identity = shown(Certificates(tmp_path_factory.mktemp("impostor")))
    assert not await pair.wrong.peers.vouch(told)
    assert "another certificate" in str(pair.wrong.world.events("peer.unreachable")[-1]["cause"])
    assert b'"want"' not in pair.network.said
    assert await pair.wrong.peers.vouch(pair.owner.peer)


async def test_tls_and_plain_tcp_do_not_meet(
    autojump_clock: object, pair: Pair, certificates: Certificates
) -> None:
    plain = pair.owner.peer
    pair.owner.identity = shown(certificates)
    assert not await pair.wrong.peers.vouch(plain)
    secure = pair.owner.peer
    pair.owner.identity = None
    assert not await pair.wrong.peers.vouch(secure)


# ------------------------------------------------------------------ strangers at the peer port


async def strange(pair: Pair, data: bytes) -> bytes:
    """Connect to the owner's peer port, say this, and return all that comes until it hangs up."""
    stream = await pair.network.reach("", 1)
    await stream.send_all(data)
    answer = b""
    while some := await stream.receive_some():
        answer += some
    return answer


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "longer than"),
        (hello.LENGTH.pack(hello.MAX_QUESTION_BYTES + 1), "longer than"),
        (hello.LENGTH.pack(2) + b"{}" + bytes(hello.MAC_BYTES), "does not have the key"),
        (b"", "no hello in time"),
        (hello.LENGTH.pack(100) + b"{", "no hello in time"),
    ],
    ids=["HTTP", "too long", "no key", "nothing", "half"],
)
async def test_a_stranger_gets_a_random_number_and_no_more(
    autojump_clock: object, pair: Pair, words: bytes, why: str
) -> None:
    began = trio.current_time()
    answer = await strange(pair, words)
    assert len(answer) == hello.GREETING_BYTES
    assert trio.current_time() - began <= HELLO_SECONDS + 0.1
    assert why in str(pair.owner.world.events("peer.refused")[-1]["cause"])
    assert answer != await strange(pair, words)


async def test_who_hangs_up_is_no_trouble(autojump_clock: object, pair: Pair) -> None:
    stream = await pair.network.reach("", 1)
    await stream.aclose()
    await trio.sleep(HELLO_SECONDS)
    assert pair.owner.world.events("connection.crashed") == []
    assert await pair.wrong.peers.vouch(pair.owner.peer)


async def test_a_host_with_another_key_is_refused(autojump_clock: object, pair: Pair) -> None:
    pair.wrong.peers.key = bytes(KEY_BYTES)
    assert not await pair.wrong.peers.vouch(pair.owner.peer)
    assert (
        pair.owner.world.events("peer.refused")[-1]["cause"]
        == "the peer does not have the key of these hosts"
    )


async def test_one_who_trickles_has_no_more_time(
    autojump_clock: object, pair: Pair, certificates: Certificates
) -> None:
    pair.owner.identity = shown(certificates)
    stream = await pair.network.reach("", 1)
    began = trio.current_time()
    with trio.fail_after(60), suppress(trio.BrokenResourceError):
        while True:
            await stream.send_all(b"\x16")
            await trio.sleep(0.5)
    assert trio.current_time() - began <= 10


async def test_many_strangers_are_hung_up_on(
    autojump_clock: object, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_HELLOS", 3)
    assert MAX_HELLOS > 3
    silent = [await pair.network.reach("", 1) for _ in range(3)]
    await trio.testing.wait_all_tasks_blocked()
    assert await strange(pair, b"") == b""
    assert pair.owner.world.events("peer.refused")[-1]["cause"] == "too many at a time"
    await trio.sleep(HELLO_SECONDS + 0.1)
    assert await pair.wrong.peers.vouch(pair.owner.peer)
    assert len(silent) == 3


async def test_a_flood_of_them_does_not_fill_the_log(autojump_clock: object, pair: Pair) -> None:
    for _ in range(100):
        await strange(pair, hello.LENGTH.pack(1 << 30))
    assert len(pair.owner.world.events("peer.refused")) <= module.BURST_LINES + LINES_PER_SECOND
    await trio.sleep(2.0)
    await strange(pair, hello.LENGTH.pack(1 << 30))
    assert int(str(pair.owner.world.events("peer.refused")[-1]["unlogged"])) > 50


async def test_what_is_taken_is_counted_and_bounded_like_any_connection(
    autojump_clock: object, pair: Pair
) -> None:
    first, token = await begun(pair)
    await first.vanish()
    again = await pair.wrong.world.candidate(token=token)
    await again.until("session_started")
    assert pair.owner.world.server.connections == 1
    pair.owner.world.reload(load({**SETTINGS, "PREPPALD_MAX_CONNECTIONS": "1"}))
    assert (await refused(pair.wrong.world, token)).status == 503
    assert pair.owner.world.events("connection.refused")[-1]["why"] == "the connections"
