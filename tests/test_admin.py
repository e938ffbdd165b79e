"""The operator's port: who gets what, and what nobody gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
import json

import pytest
import trio
import trio.testing

from preppald.config.load import load
from preppald.core.endings import USER_ENDED
from preppald.core.interview import Phase
from preppald.daemon.acting import Acting
from preppald.daemon.admin import BODY_BYTES, MAX_CONNECTIONS, MAX_WATCHERS, Admin
from preppald.daemon.operators import MAX_SIGNED_IN, SIGNED_IN_SECONDS, WRONG_A_MINUTE
from preppald.errors import ConfigError, JournalError
from preppald.simulator import Scenario
from preppald.simulator.scenario import Reply
from tests.world import SETTINGS, World

OPERATOR = "an operator's secret"
NAMES = {"host": "127.0.0.1:9464"}
BEARER = {**NAMES, "authorization": f"Bearer {OPERATOR}"}
OWN = {"origin": "http://127.0.0.1:9464", "sec-fetch-site": "same-origin"}
HELLO = "Hello there, candidate."
# Whatever the port knows and may not give away; a token of a candidate's would be another.
SECRETS = (OPERATOR, "iv-1", HELLO, "preppald_sessions_live")


@dataclass(frozen=True)
class Answered:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Port:
    world: World
    admin: Admin

    def connect(self) -> trio.StapledStream[trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream]:
        ours, theirs = trio.testing.memory_stream_pair()
        self.world.nursery.start_soon(self.admin.handle, theirs)
        return ours

    async def raw(self, request: bytes) -> bytes:
        """All that is answered to these bytes."""
        stream = self.connect()
        with trio.move_on_after(30):
            await stream.send_all(request)
            return b"".join([part async for part in stream])
        raise AssertionError("it was kept open")

    async def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] = BEARER
    ) -> Answered:
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        answer = await self.raw("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        head, _, content = answer.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        named = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        return Answered(int(first.split()[1]), named, content)

    async def sign_in(self, secret: str = OPERATOR, **headers: str) -> Answered:
        return await self.ask("/sign-in", "POST", secret.encode(), {**NAMES, **OWN, **headers})

    async def signed_in(self) -> dict[str, str]:
        """The headers of a browser that is signed in."""
        cookie = SimpleCookie((await self.sign_in()).headers["set-cookie"])
        (token,) = cookie.values()
        return {**NAMES, **OWN, "cookie": f"{token.key}={token.value}"}

    def set(self, **settings: str) -> None:
        self.world.reload(load({**SETTINGS, **settings}))


async def a_port(nursery: trio.Nursery, **settings: str) -> Port:
    settings = {"PREPPALD_ADMIN_SECRET": OPERATOR, **settings}
    world = await World(settings, Scenario(reply=(Reply(text=HELLO, seconds=1.0),))).start(nursery)
    acting = Acting(
        world.services, world.registry, world.outbox, world.server, instance="here", stopping=lambda: False
    )
    return Port(world, Admin(world.services, world.registry, acting))


@pytest.fixture
async def port(nursery: trio.Nursery) -> Port:
    """With an interview that runs, in which the interviewer has spoken."""
    made = await a_port(nursery)
    await (await made.world.candidate("iv-1")).heard_out()
    return made


# ------------------------------------------------------------------ hostile requests


def asking(line: str, *headers: str, host: str | None = "127.0.0.1:9464", body: str = "") -> bytes:
    lines = [line, *([] if host is None else [f"Host: {host}"]), *headers, "", body]
    return "\r\n".join(lines).encode()


AUTHORIZED = f"Authorization: Bearer {OPERATOR}"
ENDING = '{"interview": "iv-1"}'
LENGTH = f"Content-Length: {len(ENDING)}"
# By its name: the request. In each something is wrong, though the rest is as good as can be.
HOSTILE = {
    "another host's name": asking("GET /metrics HTTP/1.1", host="evil.example"),
    "another host's name, with the secret": asking("GET /now HTTP/1.1", AUTHORIZED, host="evil.example:9464"),
    "a name that begins like ours": asking("GET /now HTTP/1.1", AUTHORIZED, host="localhost.evil.example"),
    "a name that ends like ours": asking("GET /now HTTP/1.1", AUTHORIZED, host="evil-localhost"),
    "our name as a user": asking("GET /now HTTP/1.1", AUTHORIZED, host="localhost@evil.example"),
    "our name behind a blank": asking("GET /now HTTP/1.1", AUTHORIZED, host="evil.example localhost"),
    "our name as another name's port": asking("GET /now HTTP/1.1", AUTHORIZED, host="evil.example:localhost"),
    "an address of somebody else": asking("GET /now HTTP/1.1", AUTHORIZED, host="192.0.2.7:9464"),
    "an address written in decimals": asking("GET /now HTTP/1.1", AUTHORIZED, host="2130706433:9464"),
    "no host": asking("GET /now HTTP/1.1", AUTHORIZED, host=None),
    "no host, HTTP/1.0": asking("GET /now HTTP/1.0", AUTHORIZED, host=None),
    "an empty host": asking("GET /now HTTP/1.1", AUTHORIZED, host=""),
    "two hosts": asking("GET /now HTTP/1.1", AUTHORIZED, "Host: evil.example"),
    "a whole URL as the path": asking("GET http://127.0.0.1:9464/now HTTP/1.1", AUTHORIZED),
    "a whole URL of another host": asking("GET http://evil.example/metrics HTTP/1.1", AUTHORIZED),
    "no secret": asking("GET /now HTTP/1.1"),
    "a stream without a secret": asking("GET /live HTTP/1.1"),
    "a timeline without a secret": asking("GET /interviews/iv-1 HTTP/1.1"),
    "a wrong secret": asking("GET /now HTTP/1.1", "Authorization: Bearer guessed"),
    "an empty secret": asking("GET /now HTTP/1.1", "Authorization: Bearer "),
    "half of the secret": asking("GET /now HTTP/1.1", f"Authorization: Bearer {OPERATOR[:-1]}"),
    "the secret as a password": asking("GET /now HTTP/1.1", f"Authorization: Basic {OPERATOR}"),
    "the secret in the query": asking(f"GET /now?secret={OPERATOR.replace(' ', '+')} HTTP/1.1"),
    "the secret as a cookie": asking("GET /now HTTP/1.1", f'Cookie: preppald_operator="{OPERATOR}"'),
    "a cookie that nobody was given": asking("GET /now HTTP/1.1", f"Cookie: preppald_operator={'a' * 43}"),
    "an empty cookie": asking("GET /now HTTP/1.1", "Cookie: preppald_operator="),
    "a cookie of noise": asking("GET /now HTTP/1.1", 'Cookie: preppald_operator="\\777;;=,'),
    "two secrets": asking("GET /now HTTP/1.1", AUTHORIZED, "Authorization: Bearer guessed"),
    "an end without a secret": asking("POST /end HTTP/1.1", LENGTH, body=ENDING),
    "a drain by a page of another origin": asking(
        "POST /drain HTTP/1.1", "Origin: http://evil.example", "Content-Length: 2", body="{}"
    ),
    "a sign-in by a page of another origin": asking(
        "POST /sign-in HTTP/1.1", "Origin: http://evil.example", f"Content-Length: {len(OPERATOR)}", body=OPERATOR
    ),
    "a sign-in by a page without an origin": asking(
        "POST /sign-in HTTP/1.1", "Origin: null", f"Content-Length: {len(OPERATOR)}", body=OPERATOR
    ),
    "a sign-in that a browser says is another site's": asking(
        "POST /sign-in HTTP/1.1",
        "Origin: http://127.0.0.1:9464",
        "Sec-Fetch-Site: cross-site",
        f"Content-Length: {len(OPERATOR)}",
        body=OPERATOR,
    ),
    "an end by GET": asking("GET /end?interview=iv-1 HTTP/1.1", AUTHORIZED),
    "an end by PUT": asking("PUT /end HTTP/1.1", AUTHORIZED, LENGTH, body=ENDING),
    "a metric by DELETE": asking("DELETE /metrics HTTP/1.1", AUTHORIZED),
    "a preflight": asking("OPTIONS /now HTTP/1.1", "Origin: http://evil.example"),
    "a tunnel": asking("CONNECT 127.0.0.1:22 HTTP/1.1", host="127.0.0.1:22"),
    "an order that is no JSON": asking("POST /end HTTP/1.1", AUTHORIZED, "Content-Length: 3", body="iv1"),
    "an order with a field too many": asking(
        "POST /end HTTP/1.1", AUTHORIZED, "Content-Length: 28", body='{"interview":"iv-1","x":"y"}'
    ),
    "an order in chunks": asking(
        "POST /end HTTP/1.1", AUTHORIZED, "Transfer-Encoding: chunked", body=f"15\r\n{ENDING}\r\n0\r\n\r\n"
    ),
    "an order without a length": asking("POST /end HTTP/1.1", AUTHORIZED, body=ENDING),
    "an order that never comes": asking("POST /end HTTP/1.1", AUTHORIZED, "Content-Length: 900"),
    "an order that is too long": asking(
        "POST /end HTTP/1.1", AUTHORIZED, f"Content-Length: {BODY_BYTES + 1}", body="x" * (BODY_BYTES + 1)
    ),
    "a file above the page": asking("GET /../../../etc/passwd HTTP/1.1", AUTHORIZED),
    "a file above the page, in escapes": asking("GET /%2e%2e/page.js HTTP/1.1", AUTHORIZED),
    "an interview with a path in its name": asking("GET /interviews/../now HTTP/1.1", AUTHORIZED),
    "a WebSocket": asking("GET /live HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade"),
    "noise": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a header without an end": b"GET /now HTTP/1.1\r\nX: " + b"a" * 70_000,
    "a header over two lines": asking("GET /now HTTP/1.1", AUTHORIZED, "X: a\r\n b"),
}  # fmt: skip


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
async def test_a_health_check_needs_no_host(port: Port, autojump_clock: object, path: str) -> None:
    """As the container's, which speaks HTTP/1.0."""
    assert b" 200 OK" in await port.raw(asking(f"GET {path} HTTP/1.0", host=None))


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_request_gets_nothing_and_does_nothing(
    port: Port, autojump_clock: object, name: str
) -> None:
    """Also not the interview's name; the interview goes on, and the secret is in no line of the log."""
    answer = await port.raw(HOSTILE[name])
    status = int(answer.split()[1]) if answer else 400
    assert 400 <= status < 500, answer
    for secret in SECRETS:
        assert secret.encode() not in answer
        assert secret == "iv-1" or secret not in str(port.world.log_lines.entries)
    assert "set-cookie" not in answer.decode("latin-1").lower()
    assert port.world.registry.holds("iv-1")
    assert not port.world.registry.draining


async def test_an_order_whose_length_hides_behind_zeros_is_too_long(
    port: Port, autojump_clock: object
) -> None:
    """Seen before: the first nine digits were looked at, and a body of any size was read, without a secret."""
    head = asking(
        "POST /sign-in HTTP/1.1", "Origin: http://127.0.0.1:9464", "Content-Length: 00000000000000004097"
    )
    assert b" 413 " in await port.raw(head + b"x" * 4097)


@pytest.mark.parametrize("body", [b'{"interview":"\xff"}', b'{"reason":"\xed\xa0\x80"}', b'{"\xff":1}'])
async def test_an_order_that_is_no_utf8_is_answered(port: Port, autojump_clock: object, body: bytes) -> None:
    """Seen before: the connection was closed without a word, with a traceback in the log."""
    answer = await port.ask("/end", "POST", body)
    assert (answer.status, answer.text[:12]) == (400, "Not an order")
    assert port.world.events("connection.crashed") == []


def test_they_are_dozens() -> None:
    assert len(HOSTILE) >= 48


# ------------------------------------------------------------------ names


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:9464", "localhost:8000", "LOCALHOST", "[::1]:9464"])
async def test_its_own_names_are_answered_for(port: Port, autojump_clock: object, host: str) -> None:
    assert (await port.ask("/health", headers={"host": host})).status == 200


async def test_another_name_is_answered_for_where_it_is_set(port: Port, autojump_clock: object) -> None:
    assert (await port.ask("/health", headers={"host": "metrics.example"})).status == 421
    port.set(PREPPALD_ADMIN_HOSTS="metrics.example, 192.0.2.7")
    for host in ("metrics.example:9464", "Metrics.Example", "192.0.2.7"):
        assert (await port.ask("/health", headers={"host": host})).status == 200
    assert (await port.ask("/health", headers={"host": "metrics.example.evil"})).status == 421


async def test_the_address_at_which_it_is_reached_is_a_name_of_its_own(nursery: trio.Nursery) -> None:
    """With real sockets: of the loopback network, for a machine of CI has no other address for certain."""
    port = await a_port(nursery)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.9")
    where = listener.socket.getsockname()
    nursery.start_soon(trio.serve_listeners, port.admin.handle, [listener])
    for host, status in (("127.0.0.9", b"200"), ("127.0.0.8", b"421")):
        async with await trio.open_tcp_stream(*where) as stream:
            await stream.send_all(f"GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert (await stream.receive_some()).split()[1] == status
    nursery.cancel_scope.cancel()


# ------------------------------------------------------------------ the secret


async def test_without_a_secret_there_is_no_page(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Metrics and health are as ever."""
    port = await a_port(nursery, PREPPALD_ADMIN_SECRET="")
    for path in ("/", "/operator.js", "/now", "/live", "/interviews/iv-1"):
        assert (await port.ask(path, headers={**NAMES, "authorization": "Bearer "})).status == 404
    for path in ("/drain", "/sign-in"):
        reply = await port.ask(path, "POST", b"", {**NAMES, **OWN})
        assert reply.status == 404
    assert not port.world.registry.draining
    for path in ("/metrics", "/health", "/ready"):
        assert (await port.ask(path, headers=NAMES)).status == 200


async def test_a_browser_signs_in_once(port: Port, autojump_clock: object) -> None:
    cookie = (await port.sign_in()).headers["set-cookie"]
    assert "HttpOnly; SameSite=Strict" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie
    assert OPERATOR not in cookie
    browser = await port.signed_in()
    assert (await port.ask("/now", headers=browser)).status == 200
    assert (await port.ask("/sign-out", "POST", b"", browser)).status == 204
    assert (await port.ask("/now", headers=browser)).status == 401


async def test_behind_a_proxy_that_speaks_tls_the_cookie_is_for_tls(
    port: Port, autojump_clock: object
) -> None:
    port.set(PREPPALD_ADMIN_SECRET=OPERATOR, PREPPALD_ADMIN_HOSTS="ops.example")
    reply = await port.sign_in(host="ops.example", origin="https://ops.example")
    assert reply.headers["set-cookie"].endswith("; Secure")


async def test_cookies_of_other_programs_hide_nothing(port: Port, autojump_clock: object) -> None:
    browser = await port.signed_in()
    odd = {**browser, "cookie": f'an(odd=1; x="\\777; {browser["cookie"]}; y=;;='}
    assert (await port.ask("/now", headers=odd)).status == 200


async def test_so_many_are_signed_in_and_the_first_is_forgotten(port: Port, autojump_clock: object) -> None:
    browsers = []
    for _ in range(MAX_SIGNED_IN + 1):
        browsers.append(await port.signed_in())
        await trio.sleep(1)  # for so long a connection waits for the rest of a body
    statuses = [(await port.ask("/now", headers=browser)).status for browser in browsers]
    assert statuses == [401, *([200] * MAX_SIGNED_IN)]


async def test_another_origin_cannot_use_the_cookie(port: Port, autojump_clock: object) -> None:
    browser = await port.signed_in()
    for change in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        assert (await port.ask("/drain", "POST", b"{}", {**browser, **change})).status == 403
        assert (await port.ask("/now", headers={**browser, **change})).status == 403
    without = {name: value for name, value in browser.items() if name != "origin"}
    assert (await port.ask("/drain", "POST", b"{}", without)).status == 403
    assert not port.world.registry.draining


@pytest.mark.slow
async def test_a_cookie_ends_after_a_working_day(port: Port, autojump_clock: object) -> None:
    browser = await port.signed_in()
    await trio.sleep(SIGNED_IN_SECONDS - 60)
    assert (await port.ask("/now", headers=browser)).status == 200
    await trio.sleep(61)
    assert (await port.ask("/now", headers=browser)).status == 401


async def test_a_changed_secret_signs_everybody_out(port: Port, autojump_clock: object) -> None:
    browser = await port.signed_in()
    port.set(PREPPALD_ADMIN_SECRET="another operator's secret")
    assert (await port.ask("/now", headers=browser)).status == 401
    assert (await port.ask("/now")).status == 403
    assert (await port.sign_in("another operator's secret")).status == 204


async def test_five_wrong_secrets_a_minute(port: Port, autojump_clock: object) -> None:
    """After those the right one is not looked at either; one that is signed in notices nothing."""
    browser = await port.signed_in()
    wrong = [await port.sign_in("guess") for _ in range(WRONG_A_MINUTE + 1)]
    assert [it.status for it in wrong] == [403] * WRONG_A_MINUTE + [429]
    late = await port.sign_in()
    assert (late.status, (await port.ask("/now")).status) == (429, 429)
    assert (await port.ask("/now", headers=browser)).status == 200
    await trio.sleep(int(late.headers["retry-after"]) + 1)
    assert (await port.sign_in()).status == 204
    assert len(port.world.events("operator.refused")) == WRONG_A_MINUTE
    assert "guess" not in str(port.world.log_lines.entries)


def test_a_secret_that_can_be_guessed_is_a_fault() -> None:
    with pytest.raises(ConfigError, match="PREPPALD_ADMIN_SECRET"):
        load({**SETTINGS, "PREPPALD_ADMIN_SECRET": "short"})


# ------------------------------------------------------------------ what is shown


async def test_the_page_loads_nothing_from_elsewhere(port: Port, autojump_clock: object) -> None:
    for path in ("/", "/operator.js", "/picture.js", "/operator.css", "/style.css"):
        reply = await port.ask(path, headers=NAMES)
        assert reply.status == 200
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["cache-control"] == "no-store"
        assert "http://" not in reply.text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in reply.text
        assert "innerHTML" not in reply.text


async def test_the_state_has_what_runs_and_what_ended(port: Port, autojump_clock: object) -> None:
    other = await port.world.candidate("iv-2", token=port.world.token("iv-2", "user-2"))
    await other.heard_out()
    await other.end()
    await other.closed()
    await port.world.journal.flush()
    await trio.sleep(10)
    now = json.loads((await port.ask("/now")).body)
    assert [it["interview"] for it in now["status"]["interviews"]] == ["iv-1"]
    (ended,) = now["ended"]
    assert (ended["interview"], ended["user"], ended["ending"]) == ("iv-2", "user-2", "user_ended")
    assert ended["cause"] == "the candidate pressed end"
    assert now["gemini"]["connects"] == 2
    assert now["gemini"]["accepted_ms"] > 0
    assert now["gemini"]["failures"] == {}
    assert HELLO not in json.dumps(now)


@pytest.mark.parametrize("text", ["off", "on"])
async def test_words_are_shown_only_where_that_is_set(port: Port, autojump_clock: object, text: str) -> None:
    port.set(PREPPALD_ADMIN_SECRET=OPERATOR, PREPPALD_ADMIN_TEXT=text)
    timeline = json.loads((await port.ask("/interviews/iv-1")).body)
    (turn,) = timeline["turns"]
    assert turn["speaker"] == "AI"
    assert turn["end_ms"] > turn["begin_ms"]
    assert turn.get("text") == (HELLO if text == "on" else None)
    (connection,) = timeline["connections"]
    assert connection["end_ms"] is None
    assert timeline["now"]["floor"] == "candidate"
    assert timeline["quality"]["interviewer_turns"] == 1
    assert timeline["quality"]["service"]["gaps"] == 0
    assert timeline["tokens"] == timeline["now"]["tokens"]


async def test_a_changed_connection_is_on_the_timeline(nursery: trio.Nursery, autojump_clock: object) -> None:
    port = await a_port(nursery, PREPPALD_ROTATE_AFTER="30s")
    candidate = await port.world.candidate("iv-1")
    await candidate.heard_out()
    await trio.sleep(60)
    timeline = json.loads((await port.ask("/interviews/iv-1")).body)
    first, second = timeline["connections"][:2]
    assert 25_000 < first["end_ms"] <= second["begin_ms"] < 60_000
    assert second["resumed"]


async def test_an_interview_that_is_over_is_shown_from_the_journal(
    port: Port, autojump_clock: object
) -> None:
    port.world.session().end(USER_ENDED, "a test")
    await port.world.session().done.wait()
    await port.world.journal.flush()
    timeline = json.loads((await port.ask("/interviews/iv-1/0")).body)
    assert (timeline["ending"], timeline["now"]) == ("user_ended", None)
    assert len(timeline["turns"]) == 1
    (connection,), (browser,) = timeline["connections"], timeline["browsers"]
    assert connection["end_ms"] == browser["end_ms"] == pytest.approx(timeline["length_ms"], abs=20)
    (ended,) = port.world.events("session.ended")
    assert (timeline["tokens"], timeline["cost_dollars"]) == (ended["tokens"], ended["cost_dollars"])
    assert timeline["tokens"] > 0


async def test_an_interview_that_is_over_has_the_journals_row_of_how_it_went(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """With the daemon's own part, which no transcript tells."""
    port = await a_port(nursery, PREPPALD_ROTATE_AFTER="30s")
    candidate = await port.world.candidate("iv-1")
    await candidate.heard_out()
    await trio.sleep(60)
    live = json.loads((await port.ask("/interviews/iv-1")).body)["quality"]
    assert live["service"]["rotations"] >= 1
    await candidate.end()
    await candidate.closed()
    await port.world.journal.flush()
    over = json.loads((await port.ask("/interviews/iv-1")).body)
    assert over["now"] is None
    assert over["quality"]["service"] == live["service"]
    assert len(over["connections"]) == live["service"]["rotations"] + 1


async def test_a_slow_journal_holds_up_one_page_alone(
    port: Port, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one whose turn it is to ask for those that ended; the others have the state of now, and all of it."""

    async def slow(_which: object) -> list[object]:
        await trio.sleep(5)
        return []

    monkeypatch.setattr(port.world.journal, "interviews", slow)
    states: list[dict[str, object]] = []

    async def look() -> None:
        states.append(json.loads((await port.ask("/now")).body))

    began = trio.current_time()
    async with trio.open_nursery() as looking:
        looking.start_soon(look)
        looking.start_soon(look)
        await trio.sleep(1)
        assert len(states) == 1
    assert len(states) == 2
    assert trio.current_time() < began + 6


async def test_an_interview_that_nobody_knows(port: Port, autojump_clock: object) -> None:
    for path in ("/interviews/nobody", "/interviews/iv-1/7"):
        reply = await port.ask(path)
        assert (reply.status, reply.text) == (404, "There is no such interview\n")


# ------------------------------------------------------------------ watching


async def watching(port: Port, headers: Mapping[str, str] = BEARER) -> trio.abc.Stream:
    stream = port.connect()
    lines = ["GET /live HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    await stream.send_all("\r\n".join(lines).encode())
    return stream


async def test_a_page_that_watches_is_told_every_two_seconds(port: Port, autojump_clock: object) -> None:
    stream = await watching(port)
    seen = b""
    with trio.move_on_after(9):
        async for part in stream:
            seen += part
    head, *events = seen.decode().split("\r\n\r\n")[0], *seen.decode().partition("\r\n\r\n")[2].split("\n\n")
    assert "Content-Type: text/event-stream" in head
    states = [json.loads(event.removeprefix("data: ")) for event in events if event]
    assert len(states) == 5
    assert states[-1]["status"]["up_seconds"] - states[0]["status"]["up_seconds"] == pytest.approx(8, abs=0.5)
    await stream.aclose()


async def test_one_who_is_signed_out_sees_no_more(port: Port, autojump_clock: object) -> None:
    browser = await port.signed_in()
    stream = await watching(port, browser)
    await trio.sleep(1)
    await port.ask("/sign-out", "POST", b"", browser)
    with trio.fail_after(10):
        seen = b"".join([part async for part in stream])
    assert seen.endswith(b"event: signed-out\ndata:\n\n")


async def test_so_many_watch_and_no_more(port: Port, autojump_clock: object) -> None:
    streams = [await watching(port) for _ in range(MAX_WATCHERS)]
    await trio.sleep(0.1)
    assert (await port.ask("/live")).status == 503
    await streams.pop().aclose()
    await trio.sleep(5)
    again = await watching(port)
    assert (await again.receive_some()).startswith(b"HTTP/1.1 200")
    for stream in [*streams, again]:
        await stream.aclose()


async def test_connections_are_bounded(port: Port, autojump_clock: object) -> None:
    """Idle ones go after five seconds, and then there is room again."""
    held = [port.connect() for _ in range(MAX_CONNECTIONS)]
    await trio.sleep(0.1)
    stream = port.connect()
    await trio.sleep(0.1)
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await trio.sleep(6)
    assert (await port.ask("/health")).status == 200
    for stream in held:
        await stream.aclose()


# ------------------------------------------------------------------ acting


async def test_an_interview_is_ended_from_the_page(port: Port, autojump_clock: object) -> None:
    order = json.dumps({"interview": "iv-1", "reason": "a drill"}).encode()
    done = json.loads((await port.ask("/end", "POST", order, await port.signed_in())).body)
    assert (done["interview"], done["over"]) == ("iv-1", True)
    assert not port.world.registry.holds("iv-1")
    kept = await port.world.journal.interview("iv-1")
    assert kept is not None
    assert (kept.phase, kept.cause) == (Phase.ENDED, "an operator ended it: a drill")
    again = await port.ask("/end", "POST", order)
    assert again.status == 409
    assert "is not live" in again.text


async def test_an_order_may_come_in_pieces(port: Port, autojump_clock: object) -> None:
    request = asking("POST /end HTTP/1.1", AUTHORIZED, LENGTH, body=ENDING)
    stream = port.connect()
    for at in range(0, len(request), 40):
        await stream.send_all(request[at : at + 40])
        await trio.sleep(0.1)
    answer = b"".join([part async for part in stream])
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert not port.world.registry.holds("iv-1")


async def test_each_path_has_its_method(port: Port, autojump_clock: object) -> None:
    for path in ("/live", "/now", "/metrics", "/nothing"):
        reply = await port.ask(path, "POST", b"{}")
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
    assert (await port.ask("/live", "HEAD")).status == 405
    head = await port.ask("/now", "HEAD")
    assert (head.status, head.body) == (200, b"")


async def test_a_journal_that_cannot_be_read_is_said(
    port: Port, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state goes on without those that ended."""

    async def failing(_query: object) -> object:
        raise JournalError("the disk is gone")

    monkeypatch.setattr(port.world.journal, "ask", failing)
    reply = await port.ask("/interviews/iv-1")
    assert (reply.status, reply.text) == (404, "The journal cannot be read: the disk is gone\n")
    assert json.loads((await port.ask("/now")).body)["ended"] == []


async def test_the_daemon_drains_and_goes_on_from_the_page(port: Port, autojump_clock: object) -> None:
    browser = await port.signed_in()
    assert (await port.ask("/drain", "POST", b"{}", browser)).status == 200
    assert port.world.registry.draining
    assert (await port.ask("/ready", headers=NAMES)).status == 503
    assert (await port.ask("/undrain", "POST", b"", browser)).status == 200
    assert not port.world.registry.draining
