"""When the two ends of an interview were there: the candidate's browser, and Gemini."""

from dataclasses import dataclass

# Stays of each end that are remembered, the latest of them; an hour has a handful.
REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Stay:
    """A connection, in milliseconds since the interview began. ``end_ms``: None while it is there.

    ``resumed``: a Gemini session that went on with its memory.
    """

    begin_ms: int
    end_ms: int | None
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Presence:
    """The connections of both ends, the oldest first. Of an interview that was taken over: those of the last process."""

    browser: tuple[Stay, ...] = ()
    gemini: tuple[Stay, ...] = ()


@dataclass(slots=True)
class _Held:
    began: float
    resumed: bool
    lost: float | None = None


class Stays:
    """Keeps the connections of one end; times monotonic, in seconds."""

    def __init__(self) -> None:
        self._held: tuple[_Held, ...] = ()

    def began(self, now: float, *, resumed: bool = False) -> None:
        """Note a connection; one that was there still is over."""
        self.ended(now)
        self._held = (*self._held, _Held(now, resumed))[-REMEMBERED:]

    def ended(self, now: float) -> None:
        """Note that the connection is gone, if there was one."""
        if self._held and self._held[-1].lost is None:
            self._held[-1].lost = now

    def seen(self, zero: float, until: float | None = None) -> tuple[Stay, ...]:
        """Return them. ``zero``: when the interview began; ``until``: when it ended, and with it the last of them."""
        return tuple(
            Stay(
                round((it.began - zero) * 1000),
                None
                if (lost := until if it.lost is None else it.lost) is None
                else round((lost - zero) * 1000),
                it.resumed,
            )
            for it in self._held
        )
