"""An interview's connections to Gemini, one after the other: for the operator, the log and a trace."""

from preppald.core.presence import Stays
from preppald.core.traces import Connection, Course


class Connections:
    """One interview's; all times are Trio's. ``generation``: the number of the present connection, or of the last."""

    def __init__(self, course: Course | None) -> None:
        self.stays = Stays()
        self.generation = 0
        self._course = course
        self._model = ""
        self._resumed = False
        self._dialled_at = 0.0
        self._ready_at: float | None = None
        self._lost_at: float | None = None

    def dialled(self, now: float, model: str) -> None:
        """Note that the next connection is dialled."""
        self.generation += 1
        self._model = model
        self._dialled_at, self._ready_at = now, None

    def ready(self, now: float, *, resumed: bool) -> float:
        """Note that it is set up; return the seconds since the one before was lost, 0 for the first."""
        self._ready_at, self._resumed = now, resumed
        self.stays.began(now, resumed=resumed)
        lost_at, self._lost_at = self._lost_at, None
        if lost_at is None:
            return 0.0
        if self._course is not None:
            self._course.gap(lost_at, now)
        return now - lost_at

    def lost(self, now: float) -> None:
        """Note that it is gone."""
        self._lost_at = now
        self.stays.ended(now)

    def one(self, why: str, now: float, *, failed: bool = False) -> Connection:
        """Return the present connection, or the last, as one that ends now, and why."""
        times = (self._dialled_at, self._ready_at, now)
        return Connection(self.generation, *times, self._resumed, why, failed, self._model)

    def ended(self, why: str, now: float, *, failed: bool = False) -> None:
        """Put the present connection, or the try for one, on record."""
        if self._course is not None:
            self._course.connection(self.one(why, now, failed=failed))
