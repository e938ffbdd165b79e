"""The interfaces of a log and of a set of meters, for the durable parts.

structlog's bound loggers fit ``Log`` as they are. Events are named ``noun.verb``; keys carry the rest.
"""

from typing import Protocol


class Log(Protocol):
    """Takes an event's name and its keys. Called from the loop and from the journal's thread."""

    def info(self, event: str, **keys: object) -> object: ...
    def warning(self, event: str, **keys: object) -> object: ...
    def error(self, event: str, **keys: object) -> object: ...


class DeliveryMeters(Protocol):
    """Counts events as they happen; queue depths come from ``Outbox.statistics``."""

    def backend_call(self, kind: str, outcome: str, seconds: float) -> None:
        """Count a finished try. ``kind``: status | transcript | feedback. ``outcome``: delivered | retry | refused | unauthorized."""


class NoMeters:
    """Counts nothing."""

    def backend_call(self, kind: str, outcome: str, seconds: float) -> None:
        pass
