"""Where the process ends: its ports, its disk, what it dials, the backend, chance.

``real`` is the world; the deterministic simulation of the tests gives another one to the same daemon.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
import random
import socket

import trio

from preppald.backend import Backend, backend_for
from preppald.config.addresses import Address
from preppald.config.settings import Config
from preppald.daemon.control import CommandSocket
from preppald.daemon.systemd import Sockets, Supervisor
from preppald.errors import StartError
from preppald.gemini.connection import Dial, dialler
from preppald.journal import OnDisk, Place
from preppald.net.threads import InThread, own_thread
from preppald.shared import Alone, Shared, shared_for
from preppald.telemetry.memory import Memory, group_used

# Connections the kernel keeps for us while the loop is busy.
BACKLOG = 1024
ANY_IPV4, ANY_IPV6 = "0.0.0.0", "::"  # noqa: S104 - the operator names it

Listeners = list[trio.abc.Listener[trio.abc.Stream]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """``listeners``: the public ones and the operator's. ``place`` and ``in_thread``: the journal's.

    ``chance``: random numbers in [0, 1). ``recordings``: the directory that holds theirs; None: nothing is recorded.
    ``control``: the command socket's place; None: there is none. ``shared``: a journal that hosts share.
    ``in_thread_beside``: its shipper's, for work beside the loop; None: a thread of its own. ``peers``: the listeners for
    other hosts, where there are any; ``dial_peer``: the way to one of theirs, by host and port; None: TCP.
    """

    listeners: AbstractAsyncContextManager[tuple[Listeners, Listeners]]
    backend: AbstractAsyncContextManager[Backend]
    place: Place
    in_thread: InThread
    dial: Dial
    chance: Callable[[], float] = random.random
    memory: Memory = field(default_factory=Memory)
    recordings: Path | None = None
    control: CommandSocket | None = None
    shared: Shared = field(default_factory=Alone)
    in_thread_beside: InThread | None = None
    peers: AbstractAsyncContextManager[Listeners] = field(default_factory=lambda: nullcontext([]))
    dial_peer: Callable[[str, int], Awaitable[trio.abc.Stream]] | None = None


def real(config: Config, supervisor: Supervisor) -> Environment:
    """Sockets, files, threads and the network."""
    return Environment(
        listeners=_listeners(config, supervisor),
        backend=backend_for(config),
        place=OnDisk(config.state_dir, config.instance),
        in_thread=own_thread(),
        dial=dialler(config.gemini_url, proxy=config.proxy_for(str(config.gemini_url))),
        memory=Memory(used=group_used),
        recordings=config.state_dir,
        shared=shared_for(config.shared_journal),
        peers=_peers(config),
        control=CommandSocket(config.state_dir, supervisor.runtime_directory, config.instance),
    )


def addresses(listeners: Listeners) -> list[Address]:
    """Return where these listen, in their order."""
    return [_address(listener) for listener in listeners]


def _address(listener: trio.abc.Listener[trio.abc.Stream]) -> Address:
    if not isinstance(listener, trio.SocketListener):
        return Address("simulated", 0)
    host, port = listener.socket.getsockname()[:2]
    return Address(host, port)


@asynccontextmanager
async def _listeners(config: Config, supervisor: Supervisor) -> AsyncIterator[tuple[Listeners, Listeners]]:
    """Open both ports, before anything else is touched: a port that is taken is the commonest failure.

    A socket that systemd opened takes the place of the address that is configured.
    """
    given_public, given_admin = supervisor.sockets()
    public = _adopted(given_public) or await _open(config.listen, "PREPPALD_LISTEN")
    try:
        admin = _adopted(given_admin) or await _open((config.admin_listen,), "PREPPALD_ADMIN_LISTEN")
        try:
            yield public, admin
        finally:
            await _close(admin)  # noqa: ASYNC102 - shielded, and closes without waiting
    finally:
        await _close(public)  # noqa: ASYNC102 - as above


@asynccontextmanager
async def _peers(config: Config) -> AsyncIterator[Listeners]:
    """Open the peer port, where there are other hosts."""
    listeners: Listeners = []
    if config.shared_journal and config.peer_listen is not None:
        listeners = await _open((config.peer_listen,), "PREPPALD_PEER_LISTEN")
    try:
        yield listeners
    finally:
        await _close(listeners)  # noqa: ASYNC102 - shielded, and closes without waiting


def _adopted(sockets: Sockets) -> Listeners:
    return [trio.SocketListener(trio.socket.from_stdlib_socket(found)) for found in sockets]


async def _open(addresses: Sequence[Address], setting: str) -> Listeners:
    """Listen at each of these addresses, or at none.

    Raises:
        StartError: one of them is taken, or is not this machine's.
    """
    listeners: Listeners = []
    for where in addresses:
        try:
            listeners += await _listen(where, addresses)
        except OSError as error:
            await _close(listeners)  # noqa: ASYNC120 - cancelled, the process ends anyway
            raise StartError(
                f"{setting}={where} cannot be listened on ({error.strerror}): "
                "stop what uses it, or choose another address"
            ) from error
    return listeners


async def _listen(where: Address, beside: Sequence[Address]) -> Listeners:
    if where.host != ANY_IPV6:
        return [*await trio.open_tcp_listeners(where.port, host=where.host, backlog=BACKLOG)]
    # Trio would take IPv6 only. An operator who names every address means IPv4, too, unless that is named beside it.
    named = Address(ANY_IPV4, where.port) in beside
    listener = trio.socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, named)
        await listener.bind((where.host, where.port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return [trio.SocketListener(listener)]


async def _close(listeners: Listeners) -> None:
    with trio.CancelScope(shield=True):
        for listener in listeners:
            await listener.aclose()
