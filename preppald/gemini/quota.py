"""Hold back dials while Gemini's quota, or the project's money, is used up."""

from collections.abc import Callable
from dataclasses import dataclass

from preppald.core.closes import QUOTA, Cause, Remedy

# Long enough that hundreds of interviews do not hammer a quota; short enough that one which is under way can
# try once more within its budget.
QUOTA_PAUSE_SECONDS = 20.0
# After the pause one goes ahead. The time of a setup: by then the others know.
PROBE_SECONDS = 2.0


@dataclass(slots=True)
class Quota:
    """One for the process: once quota or money is used up nobody dials for a while, and then one at a time.

    ``cause``: why dials were last held back, quota or money. ``on_refused`` is told of each refusal.
    """

    cause: Cause = QUOTA
    on_refused: Callable[[Cause], None] = lambda _cause: None
    _open_until: float | None = None

    def note(self, cause: Cause, now: float) -> None:
        """Note the cause with which Gemini closed a connection; quota and money hold back the next dials."""
        if cause.remedy is Remedy.WAIT:
            self.cause = cause
            self._open_until = now + QUOTA_PAUSE_SECONDS
            self.on_refused(cause)

    def hold(self, cause: Cause, until: float) -> None:
        """Hold back dials until then, for another host was refused."""
        self.cause = cause
        self._open_until = until if self._open_until is None else max(until, self._open_until)

    def admit(self, now: float) -> bool:
        """Return whether the asker may dial. Once the pause is over one asker may, until it ``passed``."""
        if self._open_until is None:
            return True
        if now < self._open_until:
            return False
        self._open_until = now + PROBE_SECONDS
        return True

    def passed(self) -> None:
        """Note that Gemini accepted a session: there is quota again."""
        self._open_until = None

    def wait(self, now: float) -> float:
        """Return the seconds until asking is worth while."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - now)
