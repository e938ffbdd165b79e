"""The door: who is let in, how many of them, and how often somebody may knock in vain."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
import trio
import trio.testing

from preppald.config.load import load
from preppald.core.tokens import sign
from preppald.errors import Refusal
from preppald.server import limits as the_door
from preppald.server.limits import Limits, Visit, customer
from preppald.simulator import Scenario
from tests.world import SECRET, SETTINGS, World

PROXY = "127.0.0.1"


def opened(**limits: str) -> Limits:
    services = World({f"PREPPALD_{name}": value for name, value in limits.items()}, Scenario()).services
    return Limits(services)


@contextmanager
def refused(status: HTTPStatus, why: str) -> Iterator[None]:
    with pytest.raises(Refusal) as refusal:
        yield
    assert (refusal.value.status, refusal.value.why) == (status, why)
    assert refusal.value.retry_after is not None


# ------------------------------------------------------------------ connections


async def test_connections_are_limited_in_all() -> None:
    """One more is told to come later; when one goes there is room again."""
    door = opened(MAX_CONNECTIONS="2")
    with ExitStack() as inside:
        inside.enter_context(door.visit("192.0.2.1"))
        second = door.visit("192.0.2.2")
        with second, refused(HTTPStatus.SERVICE_UNAVAILABLE, "the connections"), door.visit("192.0.2.3"):
            pass
        with door.visit("192.0.2.3"):
            assert door.connections == 2
    assert door.connections == 0


async def test_handshakes_are_limited_until_they_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets that say nothing cannot take all the room that interviews need."""
    monkeypatch.setattr(the_door, "MAX_HANDSHAKES", 1)
    door = opened()
    with door.visit("192.0.2.1") as first:
        with refused(HTTPStatus.SERVICE_UNAVAILABLE, "the connections"), door.visit("192.0.2.2"):
            pass
        door.seated(first)
        with door.visit("192.0.2.2"):
            pass
    with door.visit("192.0.2.3"):
        pass


async def test_connections_are_limited_by_address() -> None:
    """One address fills its own share only; who was turned away is not counted."""
    door = opened(MAX_CONNECTIONS_PER_ADDRESS="1")
    with door.visit("192.0.2.1"):
        for _ in range(3):
            with refused(HTTPStatus.TOO_MANY_REQUESTS, "the address"), door.visit("192.0.2.1"):
                pass
        with door.visit("192.0.2.2"):
            assert door.connections == 2
    with door.visit("192.0.2.1"):
        pass
    assert not door._by_address


async def test_an_address_that_comes_too_often_is_told_to_slow_down(autojump_clock: object) -> None:
    """Whatever it asks for; a whole school that comes back at once does not meet it."""
    door = opened(MAX_CONNECTIONS_PER_ADDRESS="1000")
    for _ in range(the_door.BURST_ARRIVALS):
        with door.visit("192.0.2.1"):
            pass
    with refused(HTTPStatus.TOO_MANY_REQUESTS, "too often"), door.visit("192.0.2.1"):
        pass
    with door.visit("192.0.2.2"):
        pass
    await trio.sleep(1 / the_door.ARRIVALS_PER_SECOND)
    with door.visit("192.0.2.1"):
        pass


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("localhost", ""),
        ("unknown", ""),
    ],
)
def test_what_counts_as_one_customer(address: str, counted: str) -> None:
    """An IPv6 customer has 2**64 addresses, and is one all the same."""
    assert customer(address) == counted


# ------------------------------------------------------------------ behind a proxy


@pytest.mark.parametrize(
    ("forwarded", "counted"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6, 203.0.113.9"], "203.0.113.9"),  # what stands further left the client wrote itself
        (["6.6.6.6", "203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, 10.1.2.3"], "203.0.113.9"),  # the inner one is trusted, too
        (["203.0.113.9:4711"], "203.0.113.9"),
        (["[2001:db8::1]:4711"], "2001:db8::/64"),
        ([], ""),
        (["unknown"], ""),
        (["203.0.113.9, "], ""),
        ([", ".join(["10.0.0.1"] * 500)], ""),
    ],
)
async def test_a_trusted_proxy_says_for_whom_it_speaks(forwarded: list[str], counted: str) -> None:
    """The first from the right that is no trusted proxy is the browser; where there is none, nobody is counted."""
    door = opened(TRUSTED_PROXIES="127.0.0.1,10.0.0.0/8")
    with door.visit(PROXY) as visit:
        door.identify(visit, forwarded)
        assert visit.address == counted


async def test_nobody_else_is_believed() -> None:
    """Else each client could choose its address."""
    door = opened(TRUSTED_PROXIES="none")
    with door.visit(PROXY) as visit:
        door.identify(visit, ["203.0.113.9"])
        assert visit.address == PROXY


async def test_the_browsers_behind_a_proxy_have_a_share_each() -> None:
    """The proxy's own address is not limited: all candidates come from there."""
    door = opened(MAX_CONNECTIONS_PER_ADDRESS="1")
    with door.visit(PROXY) as first, door.visit(PROXY) as second, door.visit(PROXY) as third:
        door.identify(first, ["203.0.113.1"])
        door.identify(second, ["203.0.113.2"])
        with refused(HTTPStatus.TOO_MANY_REQUESTS, "the address"):
            door.identify(third, ["203.0.113.2"])


# ------------------------------------------------------------------ bad tokens


async def test_bad_tokens_are_limited_by_address(autojump_clock: object) -> None:
    """The next try is told when to come; time heals; other addresses are not concerned."""
    door = opened(MAX_BAD_TOKENS="2")
    bad, good = Visit("192.0.2.1", proxied=False), Visit("192.0.2.2", proxied=False)
    for _ in range(2):
        assert door.token_wait(bad) == 0
        door.note_failure(bad)
    assert door.token_wait(bad) == 30
    assert door.token_wait(good) == 0
    await trio.sleep(30)
    assert door.token_wait(bad) == 0


async def test_only_so_many_addresses_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has many addresses cannot fill the memory with them."""
    monkeypatch.setattr(the_door, "MAX_ADDRESSES", 10)
    door = opened(MAX_BAD_TOKENS="1")
    visits = [Visit(f"192.0.2.{number}", proxied=False) for number in range(100)]
    for visit in visits:
        door.note_failure(visit)
    assert [visit for visit in visits if door.token_wait(visit)] == visits[-10:]


async def test_without_an_address_nothing_is_held_against_anybody() -> None:
    """A proxy that names nobody speaks for all."""
    door = opened(MAX_BAD_TOKENS="1")
    for _ in range(3):
        assert door.token_wait(Visit("", proxied=True)) == 0
        door.note_failure(Visit("", proxied=True))


# ------------------------------------------------------------------ as clients see it


async def ask(world: World, interview_id: str, token: str, peer: str = "192.0.2.1") -> tuple[int, str]:
    """The status and Retry-After of a request for an interview."""
    head = await answer(world, interview_id, token, peer)
    retry = [line for line in head.split("\r\n") if line.startswith("Retry-After: ")]
    return int(head.split(" ")[1]), retry[0].partition(" ")[2] if retry else ""


async def answer(world: World, interview_id: str, token: str, peer: str = "192.0.2.1") -> str:
    """The head and the beginning of the body of the answer to a request for an interview."""
    ours, theirs = trio.testing.memory_stream_pair()
    request = (
        f"GET /{interview_id}?token={token} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await ours.send_all(request.encode())
    world.nursery.start_soon(world.server.handle, theirs, peer)
    return (await ours.receive_some()).decode()


async def test_a_full_house_says_503_and_when_to_come_again(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A client that is turned away before it was read gets its answer all the same."""
    world = await World({"PREPPALD_MAX_CONNECTIONS": "1"}, Scenario()).start(nursery)
    assert await ask(world, "iv-1", world.token()) == (101, "")
    assert await ask(world, "iv-2", world.token("iv-2")) == (503, "5")
    assert b'why="the connections"' in world.metrics.exposition()


async def test_an_address_that_guesses_tokens_gets_429(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Even a good token waits then; another address does not."""
    world = await World({"PREPPALD_MAX_BAD_TOKENS": "3"}, Scenario()).start(nursery)
    assert [(await ask(world, "iv-1", f"guess-{number}"))[0] for number in range(5)] == [401] * 3 + [429] * 2
    assert await ask(world, "iv-1", world.token()) == (429, "18")  # two refusals took a second each
    assert (await ask(world, "iv-1", world.token(), peer="192.0.2.2"))[0] == 101


async def test_one_user_holds_a_few_interviews_at_a_time(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """More get 429; the interviews that the user has can be come back to."""
    world = await World({"PREPPALD_MAX_SESSIONS_PER_USER": "2"}, Scenario()).start(nursery)
    tokens = {name: world.token(name, "greedy") for name in ("a", "b", "c")}
    assert [(await ask(world, name, token))[0] for name, token in tokens.items()] == [101, 101, 429]
    assert (await ask(world, "a", tokens["a"]))[0] == 101
    assert (await ask(world, "c", world.token("c", "modest")))[0] == 101


async def test_guests_are_not_their_host(nursery: trio.Nursery, autojump_clock: object) -> None:
    """A coach with many guest links at a time is one user, whose id all of their tokens carry."""
    world = await World({"PREPPALD_MAX_SESSIONS_PER_USER": "2"}, Scenario()).start(nursery)
    now = world.now_ms() // 1000
    for name in ("a", "b", "c", "d"):
        token = sign(SECRET, user_id="coach", interview_id=name, now=now, guest=True)
        assert (await ask(world, name, token))[0] == 101
    assert [(await ask(world, name, world.token(name, "coach")))[0] for name in ("e", "f", "g")] == [
        101,
        101,
        429,
    ]
    said = (await answer(world, "h", world.token("h", "coach"))).partition("\r\n\r\n")[2]
    assert said.startswith("Too many interviews of this user at a time (guests are not counted)")


async def test_above_the_memory_mark_no_interview_begins(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """/ready says why; those that run are not touched."""
    world = await World({}, Scenario()).start(nursery)
    candidate = await world.candidate()
    await candidate.until("session_started")
    world.services.current.config = load({**SETTINGS, "PREPPALD_MEMORY_LIMIT": "1M"})
    assert str(world.registry.unready()) == "short of memory"
    assert await ask(world, "iv-2", world.token("iv-2")) == (503, "5")
    assert (await ask(world, "iv-1", world.token()))[0] == 101


async def test_a_goodbye_that_takes_long_holds_up_nobody_else(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Who comes back to an interview that is just ending waits alone."""
    world = await World({}, Scenario()).start(nursery)
    stuck = await world.candidate()
    await stuck.until("session_started")
    journal_is_slow = trio.Event()
    record = world.parts().record
    finish = record.finish

    async def slowly(*arguments: object) -> None:
        await journal_is_slow.wait()
        await finish(*arguments)  # type: ignore[arg-type]

    record.finish = slowly  # type: ignore[method-assign,assignment]
    await stuck.end()
    await trio.sleep(0.5)
    nursery.start_soon(ask, world, "iv-1", world.token())
    await trio.sleep(0.1)
    with trio.fail_after(0.1):
        assert (await ask(world, "iv-2", world.token("iv-2", "other")))[0] == 101
    journal_is_slow.set()


# ------------------------------------------------------------------ reload


async def test_a_reload_changes_what_begins_and_not_what_runs(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Live interviews keep their settings, and take only the new key for their next connection to Gemini."""
    world = await World({}, Scenario()).start(nursery)
    candidate = await world.candidate()
    await candidate.until("session_started")
    world.reload(
        load(
            {
                **SETTINGS,
                "GEMINI_API_KEY": "rotated",
                "PREPPALD_VOICE": "Kore",
                "PREPPALD_CLOSE_CODES": "distinct",
            }
        )
    )
    assert world.session().config.voice == "Puck"
    assert world.gemini.keys == ["key-for-tests"]
    world.parts().client.leave("a test")
    await trio.sleep(1)
    assert world.gemini.keys == ["key-for-tests", "rotated"]
    later = await world.candidate("iv-2", token=world.token("iv-2"))
    await later.until("session_started")
    assert world.session("iv-2").config.voice == "Kore"
    await candidate.end()
    await later.end()
    assert (await candidate.closed())[0] == 1000
    assert (await later.closed())[0] == 4001


async def test_a_rotated_token_secret_counts_at_once(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path
) -> None:
    """New tokens are taken, and old ones as long as the previous secret is named."""
    world = await World({}, Scenario()).start(nursery)
    old = world.token()
    new_secret = "another-secret-for-tests-of-32-bytes"
    env = {**SETTINGS, "JWT_SECRET": new_secret}
    world.reload(load({**env, "PREPPALD_JWT_SECRET_PREVIOUS": SETTINGS["JWT_SECRET"]}))
    assert (await ask(world, "iv-1", old))[0] == 101
    world.reload(load(env))
    assert (await ask(world, "iv-1", old))[0] == 401
