"""Signals: what one host has learnt of Gemini and all that share a journal should know, until it lapses.

They are advice: a host that does not reach the shared journal goes by what it sees itself. Rules 1 to 3 of protocol.py
hold here, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from preppald.core.model_health import Counts
from preppald.shared.protocol import Fenced, Unreachable, Written

# Counts of a host that has not told of them for so long are not its last minute's any more: seven pulses.
COUNTS_SECONDS = 15.0
# A signal that has lapsed is shown for so long: a sick model is tried when it has, and is sick until it was.
SHOWN_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Signal:
    """``until_ms``: the database's clock; ``left``: seconds until then, negative once it has lapsed.

    ``by``: the incarnation that gave it last.
    """

    name: str
    until_ms: int
    left: float
    cause: str
    by: int


@dataclass(frozen=True, slots=True)
class Learnt:
    """``counts``: the sums of all other hosts, by model."""

    signals: Sequence[Signal] = ()
    counts: Mapping[str, Counts] = field(default_factory=dict)


class Signals(Protocol):
    """The part of a shared journal that hosts tell each other by."""

    async def learn(self, me: int, counts: Mapping[str, Counts], /) -> Learnt | Fenced | Unreachable:
        """Tell this host's counts of the last minute, by model; return all signals, and the counts of others."""

    async def signal(
        self, me: int, name: str, seconds: float, cause: str, /
    ) -> Written | Fenced | Unreachable:
        """Have a signal hold for so long from now on, if it does not hold for longer already."""

    async def clear(self, me: int, name: str, /) -> Written | Fenced | Unreachable:
        """Take a signal back."""

    async def probe(self, me: int, name: str, seconds: float, /) -> bool | Fenced | Unreachable:
        """Have a signal that has lapsed hold for so long again; return whether it was this host that did so.

        One of all hosts that ask at one moment gets True: it may find out if the signal is still right.
        """


class Quiet:
    """One host alone has nobody to tell."""

    async def learn(self, _me: int, _counts: Mapping[str, Counts], /) -> Learnt:
        return Learnt()

    async def signal(self, _me: int, _name: str, _seconds: float, _cause: str, /) -> Written:
        return Written()

    async def clear(self, _me: int, _name: str, /) -> Written:
        return Written()

    async def probe(self, _me: int, _name: str, _seconds: float, /) -> bool:
        return False
