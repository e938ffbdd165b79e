"""The operator's port, on the loopback: metrics, and the health pages once more."""

from collections.abc import Iterable
from http import HTTPStatus

import trio

from preppald.backend.outbox import Outbox
from preppald.interview.registry import Registry
from preppald.journal import Journal
from preppald.server import http as http1
from preppald.server.connection import Server, readiness
from preppald.server.http import Answer
from preppald.telemetry.logs import Logger
from preppald.telemetry.metrics import CONTENT_TYPE, Metrics


async def serve(metrics: Metrics, registry: Registry, log: Logger, stream: trio.abc.Stream) -> None:
    """One connection."""
    async with http1.contained(stream, log):
        exchange = await http1.read(stream)
        if exchange is None:
            return
        match exchange.path:
            case "/metrics":
                reply = Answer(HTTPStatus.OK, metrics.exposition(), CONTENT_TYPE)
            case "/health":
                reply = Answer(HTTPStatus.OK, b'{"status":"ok"}', http1.JSON)
            case "/ready":
                reply = readiness(registry)
            case _:
                reply = http1.text(HTTPStatus.NOT_FOUND, "Not found; /metrics, /health and /ready are here")
        await http1.answer(stream, reply)


def owed(outbox: Outbox, journal: Journal) -> Iterable[tuple[str, str, float]]:
    """What the metrics say of deliveries and the disk."""
    statistics = outbox.statistics()
    yield "outbox_pending", "deliveries that the backend is owed", statistics.pending
    yield "outbox_dead", "deliveries that the backend refused for good", statistics.dead
    yield "outbox_oldest_seconds", "age of the oldest delivery that is owed", statistics.oldest_seconds
    yield "outbox_paused", "1 while the backend refuses the secret", float(outbox.paused)
    yield "journal_pending_bytes", "transcript that is not on disk yet", journal.pending_bytes
    yield "journal_faulty", "1 while the journal cannot be written", float(journal.fault is not None)


def entrance(server: Server) -> Iterable[tuple[str, str, float]]:
    """What the metrics say of the public port."""
    yield "connections", "TCP connections at the public port now", server.connections
    if server.identity is not None:
        until = server.identity.expires.timestamp()
        yield "tls_certificate_expires_seconds", "when the certificate ends, seconds since 1970", until
