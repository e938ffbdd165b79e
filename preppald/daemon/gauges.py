"""The gauges that are read at each scrape: what the daemon owes, holds, and lets in."""

from collections.abc import Callable, Iterable

from preppald.backend.outbox import Outbox
from preppald.config.current import Current
from preppald.interview.registry import Registry
from preppald.journal import Journal
from preppald.server.connection import Server


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
    yield (
        "carried",
        "connections that are carried here for another instance or host now",
        server.relays.carried,
    )
    if server.identity is not None:
        until = server.identity.expires.timestamp()
        yield "tls_certificate_expires_seconds", "when the certificate ends, seconds since 1970", until
