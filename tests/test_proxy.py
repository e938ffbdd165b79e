"""The way out through a proxy: Gemini and the backend by CONNECT, and what is said where the proxy refuses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
import ssl

import pytest
import trio
import trustme

from preppald.backend.client import TrpcBackend
from preppald.config.addresses import proxy as read_proxy, websocket_endpoint
from preppald.config.gemini_setup import gemini_setup
from preppald.config.load import load, shown
from preppald.config.values import Invalid
from preppald.core import closes, gemini
from preppald.core.closes import Cause
from preppald.errors import ConfigError
from preppald.gemini.connection import UpstreamError, connected, dialler
from preppald.net.proxy import Proxy, bypassed
from preppald.simulator import GeminiSimulator
from preppald.simulator.gemini import serve_gemini
from tests.forward_proxy import ForwardProxy, proxying
from tests.http_server import response, serving
from tests.world import SETTINGS

HOST = "gemini.example"  # resolved nowhere: only the proxy knows it
WHERE = websocket_endpoint(f"wss://{HOST}")
KEY = "key-for-tests"


def setup() -> bytes:
    return gemini.setup(gemini_setup(load(SETTINGS), "Say nothing."))


@asynccontextmanager
async def gemini_behind(authority: trustme.CA) -> AsyncIterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(context)
    async with trio.open_nursery() as nursery:
        yield await nursery.start(partial(serve_gemini, ("127.0.0.1", 0), GeminiSimulator(), tls=context))
        nursery.cancel_scope.cancel()


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


# ------------------------------------------------------------------ Gemini


@pytest.mark.parametrize("credentials", ["", "user:pass%20word"], ids=["open", "with a password"])
async def test_gemini_is_reached_through_the_proxy(credentials: str) -> None:
    """The proxy resolves the name; TLS is Gemini's own, with its certificate."""
    authority = trustme.CA()
    setting = f"http://{credentials}{'@' if credentials else ''}127.0.0.1"
    proxy = ForwardProxy(credentials=credentials.replace("%20", " "))
    async with gemini_behind(authority) as port, proxying(proxy):
        proxy.hosts = {f"{HOST}:443": port}
        dial = dialler(WHERE, trusting(authority), read_proxy(f"{setting}:{proxy.port}"))
        with trio.fail_after(10):
            async with connected(dial, WHERE, KEY, setup(), generation=1):
                pass
    assert proxy.seen == [f"CONNECT {HOST}:443 HTTP/1.1"]


@pytest.mark.parametrize(
    ("answer", "cause", "words"),
    [
        (b"HTTP/1.1 407 x\r\nContent-Length: 0\r\n\r\n", closes.PROXY_REFUSED, "wants a user and a password"),
        (b"HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n", closes.PROXY_REFUSED, "401: it wants a user"),
        (
            b"HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n",
            closes.PROXY_REFUSED,
            "rules do not allow this host",
        ),
        (b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", closes.PROXY, "it answered 503"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK", closes.PROXY, "it answered 200"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", closes.PROXY, "does not answer like an HTTP proxy"),
        (b"", closes.PROXY, "does not answer like an HTTP proxy"),
    ],
    ids=["407", "401", "403", "503", "something behind it", "no proxy", "hangs up"],
)
async def test_a_proxy_that_refuses_is_a_cause_of_its_own(answer: bytes, cause: Cause, words: str) -> None:
    async with proxying(ForwardProxy(answer=answer)) as proxy:
        dial = dialler(WHERE, proxy=Proxy("127.0.0.1", proxy.port, "user", "PASSWORD"))
        with trio.fail_after(10), pytest.raises(UpstreamError, match=words) as refused:
            async with connected(dial, WHERE, KEY, setup(), generation=1):
                pass
    assert refused.value.cause is cause
    assert f"127.0.0.1:{proxy.port}" in str(refused.value)
    assert "PASSWORD" not in str(refused.value)


async def test_a_proxy_that_is_not_there_is_one_too() -> None:
    async with proxying(ForwardProxy()) as gone:
        pass
    with pytest.raises(UpstreamError, match=f"127.0.0.1:{gone.port}: refused") as refused:
        await dialler(WHERE, proxy=Proxy("127.0.0.1", gone.port))()
    assert refused.value.cause is closes.PROXY


async def test_a_proxy_that_never_answers_costs_the_usual_patience(autojump_clock: object) -> None:
    """It has taken the connection, and says nothing."""

    async def mute(stream: trio.abc.Stream) -> None:
        async with stream:
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, mute, 0, host="127.0.0.1"))
        dial = dialler(WHERE, proxy=Proxy("127.0.0.1", listeners[0].socket.getsockname()[1]))
        with pytest.raises(UpstreamError) as refused:
            async with connected(dial, WHERE, KEY, setup(), generation=1):
                pass
        nursery.cancel_scope.cancel()
    assert refused.value.cause is closes.TIMED_OUT


async def test_a_tunnel_that_is_cut_is_a_connection_that_broke() -> None:
    authority = trustme.CA()
    async with gemini_behind(authority) as port, proxying(ForwardProxy(hosts={f"{HOST}:443": port})) as proxy:
        dial = dialler(WHERE, trusting(authority), Proxy("127.0.0.1", proxy.port))
        with trio.fail_after(10), pytest.raises(UpstreamError) as lost:  # noqa: PT012 - of the connection, whoever sees it
            async with connected(dial, WHERE, KEY, setup(), generation=1) as upstream:
                await trio.aclose_forcefully(proxy.tunnels[0])
                await upstream.receive()
    assert lost.value.cause is closes.NETWORK


# ------------------------------------------------------------------ the backend


async def test_the_backend_is_reached_through_it_too() -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("app.example").configure_cert(context)
    refused_input = response(400, {"error": {"json": {"data": {"code": "BAD_REQUEST"}}}})
    proxy = ForwardProxy(credentials="user:password")
    async with serving(refused_input, tls=context) as application, proxying(proxy):
        proxy.hosts = {"app.example:443": application.port}
        through = Proxy("127.0.0.1", proxy.port, "user", "password")
        async with TrpcBackend(
            "https://app.example", "secret", trust=trusting(authority), proxy=through
        ) as backend:
            with trio.fail_after(10):
                probe = await backend.probe()
    assert proxy.seen[0].startswith("CONNECT app.example:443 ")
    assert probe.good, probe.sentence
    assert len(application.heard) == 1


async def test_a_proxy_that_refuses_the_backend_is_named() -> None:
    async with proxying(ForwardProxy(credentials="user:password")) as proxy:
        through = Proxy("127.0.0.1", proxy.port, "user", "WRONG")
        async with TrpcBackend("https://app.example", "secret", proxy=through) as backend:
            with trio.fail_after(10):
                probe = await backend.probe()
    assert not probe.good
    assert (
        f"the proxy at 127.0.0.1:{proxy.port} (HTTPS_PROXY) lets no connection through: 407" in probe.sentence
    )
    assert "WRONG" not in probe.sentence


# ------------------------------------------------------------------ the settings


@pytest.mark.parametrize(
    ("raw", "proxy"),
    [
        ("http://proxy.example:3128", Proxy("proxy.example", 3128)),
        ("proxy.example:3128", Proxy("proxy.example", 3128)),
        ("http://proxy.example/", Proxy("proxy.example", 80)),
        ("http://me:p%40ss@[::1]:3128", Proxy("::1", 3128, "me", "p@ss")),
        ("", None),
    ],
)
def test_a_proxy_is_a_url(raw: str, proxy: Proxy | None) -> None:
    assert read_proxy(raw) == proxy


@pytest.mark.parametrize(
    "raw",
    [
        "socks5://proxy:1080",
        "https://proxy:443",
        "http://",
        "http://a..b:1",
        "http://proxy/path",
        "http://p:x",
    ],
)
def test_a_proxy_of_another_kind_is_a_fault(raw: str) -> None:
    with pytest.raises(Invalid):
        read_proxy(raw)


def test_a_proxy_that_is_spoken_to_over_tls_is_refused_in_words() -> None:
    with pytest.raises(ConfigError) as refused:
        load({**SETTINGS, "HTTPS_PROXY": "https://me:PASSWORD@proxy.example:443"})
    (fault,) = refused.value.faults
    assert fault == (
        "HTTPS_PROXY: (hidden) is not a proxy that is spoken to in plain HTTP, like http://proxy.example.com:3128: "
        "no other kind is supported"
    )


@pytest.mark.parametrize(
    ("rules", "host", "port", "without"),
    [
        ([], "example.com", 443, False),
        (["*"], "example.com", 443, True),
        (["example.com"], "example.com", 443, True),
        (["example.com"], "api.example.com", 443, True),
        ([".example.com"], "api.example.com", 443, True),
        (["*.example.com"], "api.example.com", 443, True),
        (["example.com"], "notexample.com", 443, False),
        (["EXAMPLE.com"], "Example.COM.", 443, True),
        (["example.com:8443"], "example.com", 443, False),
        (["example.com:443"], "example.com", 443, True),
        (["10.0.0.0/8"], "10.1.2.3", 443, True),
        (["10.0.0.0/8"], "11.1.2.3", 443, False),
        (["10.0.0.0/8"], "ten.example", 443, False),
        (["10.1.2.3"], "10.1.2.3", 443, True),
        (["2001:db8::1"], "2001:db8::1", 443, True),
        (["[2001:db8::1]:443"], "2001:db8::1", 443, True),
        (["nonsense/99", ".", ""], "10.1.2.3", 443, False),
        ([], "localhost", 443, True),
        ([], "127.0.0.1", 443, True),
        ([], "::1", 443, True),
    ],
)
def test_no_proxy_names_what_is_reached_without_it(
    rules: list[str], host: str, port: int, *, without: bool
) -> None:
    """As curl and Go read it."""
    assert bypassed(rules, host, port) is without


def test_the_proxy_is_for_tls_only_and_its_variables_may_be_in_small_letters() -> None:
    env = {**SETTINGS, "https_proxy": "proxy.example:3128", "no_proxy": "app.example, .internal"}
    config = load(env)
    assert config.proxy_for("wss://generativelanguage.googleapis.com") == Proxy("proxy.example", 3128)
    for url in (
        "https://app.example/api",
        "https://a.internal",
        "http://other.example",
        "ws://other.example",
        "",
    ):
        assert config.proxy_for(url) is None


def test_its_password_is_shown_nowhere() -> None:
    """Neither by check, nor in a traceback, nor in a fault."""
    config = load({**SETTINGS, "HTTPS_PROXY": "http://user:CANARY@proxy.example:3128"})
    assert shown(config)["HTTPS_PROXY"] == "http://user:(hidden)@proxy.example:3128"
    assert "CANARY" not in repr(config)
    with pytest.raises(ConfigError) as fault:
        load({**SETTINGS, "HTTPS_PROXY": "socks5://user:CANARY@proxy.example:1080"})
    assert "HTTPS_PROXY: (hidden) is not a proxy" in str(fault.value)
    assert "CANARY" not in str(fault.value)
