"""What the durable parts tell of themselves: the shapes that a log and a set of meters must have.

structlog's bound loggers fit ``Log`` as they are. Events are named ``noun.verb``; keys carry the rest.
"""

from typing import Protocol


class Log(Protocol):
    """Takes an event's name and its keys. Called from the loop and from the journal's thread."""

    def info(self, event: str, **keys: object) -> object: ...
    def warning(self, event: str, **keys: object) -> object: ...
    def error(self, event: str, **keys: object) -> object: ...


class DeliveryMeters(Protocol):
    """What is counted as it happens; queue depths are asked for with ``Outbox.statistics``."""

    def backend_call(self, kind: str, outcome: str, seconds: float) -> None:
        """One try is over. ``kind``: status | transcript | feedback. ``outcome``: delivered | retry | refused | unauthorized."""


class NoMeters:
    """Counts nothing."""

    def backend_call(self, kind: str, outcome: str, seconds: float) -> None:
        pass
