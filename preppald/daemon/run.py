"""The process: what outlives interviews, the listeners, readiness, signals, and a stop that loses nothing.

Three nurseries, each inside the other: the base (journal, outbox, ticker) ⊃ the sessions ⊃ the accepting.
They end from the inside out: no new guests, then the interviews, then what kept their transcripts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
import signal
from typing import TYPE_CHECKING

import trio

from preppald import __version__
from preppald.backend import HttpBackend
from preppald.backend.outbox import Outbox
from preppald.browser.coders import Coders, found
from preppald.config.addresses import Address
from preppald.config.current import Current
from preppald.config.load import changes, reloaded
from preppald.config.settings import Config
from preppald.config.warnings import warnings
from preppald.daemon import control, errands, gauges, pulse, sharing
from preppald.daemon.acting import Acting
from preppald.daemon.admin import Admin
from preppald.daemon.audit import Audit
from preppald.daemon.draining import drained, said_goodbye
from preppald.daemon.environment import Environment, addresses, real
from preppald.daemon.journals import journals
from preppald.daemon.systemd import Supervisor
from preppald.gemini.models import Models
from preppald.gemini.service import GeminiService
from preppald.interview.following import Following
from preppald.interview.registry import Registry
from preppald.interview.services import Services
from preppald.net import tls
from preppald.net.stops import Stops, received
from preppald.net.ticker import Ticker
from preppald.recording import Keeper, Kept, Recorder
from preppald.server.accepting import accept
from preppald.server.connection import Pages, Server
from preppald.server.handover import Handover
from preppald.telemetry.health import Health, Trouble
from preppald.telemetry.logs import Logger
from preppald.telemetry.metrics import Metrics
from preppald.traces import Exporter, NoExporter, collector_for

if TYPE_CHECKING:
    from preppald.shared.ownership import Ownership
    from preppald.shared.shipper import Shipper

# After the last interview: deliveries that can be made now are; the rest is for the next start.
OUTBOX_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Running:
    """The report of a started daemon, with its addresses: the system may have chosen the ports.

    ``reload`` takes a new configuration to a daemon that runs; ``health`` is told of one that was refused.
    """

    listen: Address
    admin: Address
    registry: Registry
    reload: Callable[[Config], None]
    health: Health


class StopSwitch:
    """The first ``stop`` drains, the second ends now."""

    def __init__(self) -> None:
        self.drain = trio.Event()
        self.now = trio.Event()

    def stop(self) -> None:
        (self.now if self.drain.is_set() else self.drain).set()


async def run_daemon(
    config: Config,
    *,
    log: Logger,
    now_ms: Callable[[], int],
    switch: StopSwitch,
    environment: Environment | None = None,
    pages: Callable[[Services], Pages] | None = None,
    supervisor: Supervisor | None = None,
    task_status: trio.TaskStatus[Running] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves until the switch is thrown, then drains.

    Raises:
        StartError: a port or the state directory is taken, or cannot be used.
        ConfigError: the certificate cannot be used.
    """
    supervisor = supervisor or Supervisor({}, 0)
    environment = environment or real(config, supervisor)
    identity, metrics, health = tls.identity(config.tls_cert, config.tls_key), Metrics(), Health(log)
    journal, shipper, ownership = journals(config, environment, log, now_ms)
    ticker, current = Ticker(), Current(config)
    coders = Coders(found(wanted=config.opus == "on"), ticker=ticker, metrics=metrics, log=log)
    async with (
        environment.listeners as (public, private),
        environment.peers as others,
        environment.backend as backend,
    ):
        services = Services(
            current=current,
            journal=journal,
            metrics=metrics,
            log=log,
            ticker=ticker,
            gemini=GeminiService(
                dial=environment.dial,
                url=config.gemini_url,
                key=lambda: current.config.gemini_key,
                poller=ticker.poller,
                metrics=metrics,
                health=health,
                models=Models(lambda: current.config.gemini_models, log=log, health=health, metrics=metrics),
                now_ms=now_ms,
                chance=environment.chance,
            ),
            now_ms=now_ms,
            chance=environment.chance,
            memory=environment.memory,
            backend=backend,
            recorder=_recorder(environment.recordings, metrics, log),
            kept=_kept(environment.recordings, metrics, log),
            coders=coders,
            ownership=ownership,
        )
        following, exporter = Following(services), _exporter(services)
        outbox = Outbox(
            journal,
            backend,
            log=log,
            now_ms=now_ms,
            chance=environment.chance,
            meters=metrics,
            delivered=following.delivered,
            settled=exporter.settled,
            gate=None if shipper is None else shipper.gate,
        )
        metrics.watch(
            health.gauges,
            coders.gauges,
            exporter.gauges,
            partial(gauges.owed, outbox, journal),
            partial(sharing.gauges, shipper, ownership, outbox),
        )
        async with trio.open_nursery() as base:
            await sharing.start(journal, shipper, base, sharing.address(config, others), services.gemini)
            await base.start(outbox.run)
            base.start_soon(ticker.run)
            _handle_sound(services, environment.recordings, base)
            base.start_soon(exporter.run)
            await base.start(following.run)
            async with trio.open_nursery() as sessions:
                registry = Registry(services, sessions)
                recovered = await sharing.recovered(services, registry, shipper)
                peers = Handover(
                    supervisor.runtime_directory,
                    holds=registry.holds,
                    ready=lambda: registry.unready() is None,
                    log=log,
                )
                server = Server(services, registry, pages and pages(services), peers, identity)
                metrics.watch(
                    partial(gauges.interviews, registry, current, now_ms), partial(gauges.entrance, server)
                )
                base.start_soon(pulse.measure, metrics)
                acting = Acting(
                    services,
                    registry,
                    outbox,
                    server,
                    instance=config.instance,
                    stopping=switch.drain.is_set,
                    audit=Audit(environment.recordings) if environment.recordings else None,
                )
                base.start_soon(supervisor.attend, partial(_status, registry, server, health))
                _show(server, config, log, now_ms)
                async with trio.open_nursery() as accepting:
                    entrance = await accepting.start(accept, server.accepted, public, sessions, log)
                    await accepting.start(
                        accept, Admin(services, registry, acting).handle, private, sessions, log
                    )
                    await sessions.start(peers.serve, server.take, sessions)
                    await sharing.meet(environment, ownership, server, others, sessions, log=log)
                    _look_at_others(
                        accepting, registry, environment, acting, shipper=shipper, ownership=ownership
                    )
                    await sessions.start(control.serve, environment.control, acting, log)
                    running = Running(
                        addresses(public)[0],
                        addresses(private)[0],
                        registry,
                        partial(_reload, services, server, outbox, exporter),
                        health,
                    )
                    log.info(
                        "daemon.ready",
                        version=__version__,
                        listen=",".join(map(str, addresses(public))),
                        admin=str(running.admin),
                        recovered=recovered,
                    )
                    task_status.started(running)
                    supervisor.ready()
                    await switch.drain.wait()
                    supervisor.stopping()
                    # Candidates who lose their connection now must still get back in: by this door, unless
                    # another instance keeps it, who will hand them over.
                    if await peers.ready():
                        entrance.cancel()
                    await drained(
                        registry,
                        server,
                        switch.now,
                        services,
                        sharing.handing_on(shipper, ownership, journal, log=log),
                    )
                    accepting.cancel_scope.cancel()
                await said_goodbye(registry, sessions.cancel_scope)
            owed = await _drained_outbox(outbox, exporter)
            base.cancel_scope.cancel()
    log.info("daemon.stopped", undelivered=owed)


async def _drained_outbox(outbox: Outbox, exporter: Exporter | NoExporter) -> int:
    """Deliver what can be delivered before the end, the transcripts first; return how many deliveries stay owed."""
    owed = await outbox.drained(trio.current_time() + OUTBOX_SECONDS)
    await exporter.drain()
    return owed


def _look_at_others(
    nursery: trio.Nursery,
    registry: Registry,
    environment: Environment,
    acting: Acting,
    *,
    shipper: "Shipper | None",
    ownership: "Ownership | None",
) -> None:
    """Take over the work of instances that stopped, on this host and on others; do what operators say through the shared journal."""
    nursery.start_soon(registry.adopt)
    if ownership is not None:
        nursery.start_soon(ownership.run, registry.recover, lambda: not registry.draining)
    if shipper is not None:
        nursery.start_soon(errands.obey, environment.shared, shipper.membership, acting, registry)


def _exporter(services: Services) -> Exporter | NoExporter:
    config = services.config
    if config.traces_url is None:
        return NoExporter(services.journal, services.log)
    return Exporter(
        services.journal,
        collector_for(config),
        config.traces_resource,
        metrics=services.metrics,
        log=services.log,
        now_ms=services.now_ms,
        chance=services.chance,
    )


def _kept(directory: Path | None, metrics: Metrics, log: Logger) -> Kept | None:
    return None if directory is None else Kept(directory, log=log, dropped=metrics.recording_dropped)


def _recorder(directory: Path | None, metrics: Metrics, log: Logger) -> Recorder | None:
    if directory is None:
        return None
    return Recorder(directory, log=log, dropped=metrics.recording_dropped)


def _handle_sound(services: Services, directory: Path | None, base: trio.Nursery) -> None:
    """Run the encoders and the recorder, and look after finished recordings, also where no more are made."""
    if services.coders is not None:
        base.start_soon(services.coders.run)
    recorder = services.recorder
    if directory is None or recorder is None:
        return
    keeper = Keeper(
        directory,
        recorder,
        log=services.log,
        retention=lambda: services.config.record_retention,
        memory=services.memory,
    )
    base.start_soon(recorder.run)
    base.start_soon(keeper.run)


async def stop_on_signals(
    switch: StopSwitch,
    *,
    reload: Callable[[], None] | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """SIGTERM or SIGINT drains; a second stop ends now. SIGHUP reloads, or stops too where nothing can be reloaded.

    Signals within a second of a stop are the same stop: see ``net.stops``.
    """
    stops = Stops()
    with received(stops, signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            if number == signal.SIGHUP and reload is not None:
                reload()
            elif stops.signalled(trio.current_time()):
                switch.stop()


def _reload(
    services: Services, server: Server, outbox: Outbox, exporter: Exporter | NoExporter, new: Config
) -> None:
    """Secrets count everywhere from now on, other settings for interviews that begin from now on.

    Raises:
        ConfigError: the certificate cannot be used; then nothing has changed.
    """
    before, server.identity = server.identity, tls.identity(new.tls_cert, new.tls_key)
    changed, need_restart = changes(services.config, new)
    # A renewal leaves the setting as it is, and the files' names.
    if before and server.identity and before.chain != server.identity.chain and tls.CERT not in changed:
        changed.append(tls.CERT)
    services.current.config = reloaded(services.config, new)
    if isinstance(services.backend, HttpBackend):
        services.backend.renew(new.worker_secret)
    services.gemini.models.show()
    outbox.renew()
    exporter.renew(new.traces_headers)
    services.log.info("daemon.reloaded", changed=changed, need_restart=need_restart)
    services.gemini.health.end(Trouble.RELOAD)
    _show(server, services.config, services.log, services.now_ms)


def _show(server: Server, config: Config, log: Logger, now_ms: Callable[[], int]) -> None:
    """Log the certificate that counts from now on, and settings that are accepted, and may not be what they seem."""
    if server.identity is not None:
        log.info("tls.certificate", expires=f"{server.identity.expires:%Y-%m-%dT%H:%M:%SZ}")
        if warning := server.identity.warning(now_ms()):
            log.warning("tls.expires_soon", why=warning)
    for words in warnings(config, datetime.fromtimestamp(now_ms() / 1000, UTC).date()):
        log.warning("config.doubtful", why=words)


def _status(registry: Registry, server: Server, health: Health) -> str:
    """Return the line in ``systemctl status``."""
    live, waiting, troubles = len(registry), registry.waiting, health.words
    words = f"{live} interview{'' if live == 1 else 's'}"
    if waiting:
        words += f", {waiting} waiting to reconnect"
    if carried := server.relays.carried:
        words += f", {carried} more carried for another instance"
    words = f"Draining: {words} left" if registry.draining else words
    return "; ".join([f"Degraded: {', '.join(troubles)}", words]) if troubles else words
