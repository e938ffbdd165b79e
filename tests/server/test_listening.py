"""Where the daemon listens: every address that is named, and both families where all of them are."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
import socket

import pytest
import trio

from preppald.config.load import load
from preppald.daemon.environment import Listeners, addresses, real
from preppald.daemon.systemd import Supervisor
from preppald.errors import StartError
from tests.ports import free_port
from tests.world import SETTINGS


async def reachable(host: str, port: int) -> bool:
    try:
        async with await trio.open_tcp_stream(host, port):
            return True
    except OSError:
        return False


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as trying:
            trying.bind(("::1", 0))
    except OSError:
        return False
    return True


def environment(listen: str, tmp_path: Path) -> AbstractAsyncContextManager[tuple[Listeners, Listeners]]:
    config = load(
        {
            **SETTINGS,
            "PREPPALD_LISTEN": listen,
            "PREPPALD_ADMIN_LISTEN": "127.0.0.1:0",
            "PREPPALD_STATE_DIR": str(tmp_path),
        }
    )
    return real(config, Supervisor({}, 0)).listeners


async def test_every_address_means_both_families(tmp_path: Path) -> None:
    """Trio, like nginx, would take IPv6 only."""
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    async with environment("[::]:0", tmp_path) as (public, _):
        port = addresses(public)[0].port
        assert await reachable("127.0.0.1", port)
        assert await reachable("::1", port)


async def test_both_families_may_be_named(tmp_path: Path) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    port = free_port()
    async with environment(f"0.0.0.0:{port},[::]:{port}", tmp_path) as (public, _):
        assert len(public) == 2
        assert await reachable("127.0.0.1", port)
        assert await reachable("::1", port)


async def test_several_addresses_are_listened_on(tmp_path: Path) -> None:
    async with environment("127.0.0.1:0,127.0.0.2:0", tmp_path) as (public, _):
        for where in addresses(public):
            assert await reachable(where.host, where.port)
        assert [where.host for where in addresses(public)] == ["127.0.0.1", "127.0.0.2"]


async def test_one_address_that_is_taken_is_named_and_none_is_held(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port, other = taken.getsockname()[1], free_port()
        with pytest.raises(StartError, match=f"PREPPALD_LISTEN=127.0.0.1:{port} cannot be listened on"):
            async with environment(f"127.0.0.1:{other},127.0.0.1:{port}", tmp_path):
                pass
        assert not await reachable("127.0.0.1", other)
