"""The operator's port, on the loopback: metrics, and the health pages again."""

from collections.abc import Callable, Iterable
from http import HTTPStatus

import trio

from preppald.backend.outbox import Outbox
from preppald.config.current import Current
from preppald.errors import Refusal
from preppald.interview.registry import Registry
from preppald.journal import Journal
from preppald.server import http as http1
from preppald.server.admission import READING
from preppald.server.connection import Server, readiness
from preppald.server.http import Answer, Exchange
from preppald.server.request import Request
from preppald.telemetry.health import Health
from preppald.telemetry.logs import Logger
from preppald.telemetry.metrics import CONTENT_TYPE, Metrics


async def serve(
    metrics: Metrics, registry: Registry, health: Health, log: Logger, stream: trio.abc.Stream
) -> None:
    """Serve one connection."""
    async with http1.contained(stream, log):
        exchange: Exchange | None = None
        try:
            exchange = await http1.read(stream)
            if exchange is not None:
                reply = _page(exchange.request, metrics, registry, health)
                await http1.answer(stream, reply, to=exchange)
        except Refusal as refusal:
            await http1.answer(stream, http1.refused(refusal), to=exchange)


def _page(request: Request, metrics: Metrics, registry: Registry, health: Health) -> Answer:
    if request.method not in READING:
        return http1.text(HTTPStatus.METHOD_NOT_ALLOWED, "This port is for reading", Allow=", ".join(READING))
    match request.path:
        case "/metrics":
            return Answer(HTTPStatus.OK, metrics.exposition(), CONTENT_TYPE)
        case "/health":
            return Answer(HTTPStatus.OK, b'{"status":"ok"}', http1.JSON)
        case "/ready":
            return readiness(registry, health)
        case _:
            return http1.text(HTTPStatus.NOT_FOUND, "Not found; /metrics, /health and /ready are here")


def owed(outbox: Outbox, journal: Journal) -> Iterable[tuple[str, str, float]]:
    """Yield the gauges of deliveries and the disk: name, meaning, value."""
    statistics = outbox.statistics()
    yield "outbox_pending", "deliveries that the backend is owed", statistics.pending
    yield "outbox_dead", "deliveries that the backend refused for good", statistics.dead
    yield "outbox_oldest_seconds", "age of the oldest delivery that is owed", statistics.oldest_seconds
    yield "outbox_paused", "1 while the backend refuses the secret", float(outbox.paused)
    yield "journal_pending_bytes", "transcript that is not on disk yet", journal.pending_bytes
    yield "journal_faulty", "1 while the journal cannot be written", float(journal.fault is not None)
    yield (
        "journal_damaged_rows",
        "rows that could not be read since the start, and were set aside",
        journal.damaged_rows,
    )
    yield (
        "journal_left_files",
        "earlier files whose unfinished business cannot be read yet",
        journal.left_files,
    )


def interviews(
    registry: Registry, current: Current, now_ms: Callable[[], int]
) -> Iterable[tuple[str, str, float]]:
    """Yield the gauges of the interviews and of readiness: name, meaning, value."""
    began = min((session.interview.started_ms for session in registry.live), default=None)
    age = 0.0 if began is None else max(0.0, (now_ms() - began) / 1000)
    yield "sessions_max", "PREPPALD_MAX_SESSIONS", current.config.max_sessions
    yield "sessions_waiting", "interviews without a browser, which may come back", registry.waiting
    yield "sessions_oldest_seconds", "age of the oldest interview that runs; 0: none runs", age
    yield (
        "ready",
        "1 while new interviews may begin; else /ready has the reason",
        float(registry.unready() is None),
    )
    yield (
        "draining",
        "1 while the interviews that run are finished, and none begins",
        float(registry.draining),
    )


def entrance(server: Server) -> Iterable[tuple[str, str, float]]:
    """Yield the gauges of the public port: name, meaning, value."""
    yield "connections", "TCP connections at the public port now", server.connections
    if server.identity is not None:
        until = server.identity.expires.timestamp()
        yield "tls_certificate_expires_seconds", "when the certificate ends, seconds since 1970", until
