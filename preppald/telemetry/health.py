"""Keeps what is wrong with the daemon as a whole: a closed set of troubles, each reported when it begins and ends.

A trouble degrades the service and does not stop it: /ready stays 200, because another host has the same key. The words
are ours, for they are shown to anybody who asks for /ready: no path, no secret, no answer of a peer.
"""

from collections.abc import Iterable
import enum

from preppald.telemetry.interfaces import Log


class Trouble(enum.StrEnum):
    """Everything that can degrade the service; the value is the metric's label."""

    GEMINI_KEY = "gemini_key"
    GEMINI_MONEY = "gemini_money"
    GEMINI_MODEL = "gemini_model"
    RELOAD = "reload"


# How to mend each; printed with the error.
REMEDY = {
    Trouble.GEMINI_KEY: "set GEMINI_API_KEY to a key that works, then reload; `preppald check --online` tries it",
    Trouble.GEMINI_MONEY: "pay, or raise the quota of the Gemini project; calls are tried again by themselves",
    Trouble.GEMINI_MODEL: "wait, or put other models into PREPPALD_GEMINI_MODELS; a sick one is tried again by itself",
    Trouble.RELOAD: "mend what reload.refused names, then reload; the daemon goes on with what it had",
}


class Health:
    """Troubles now. Reporting the same trouble again changes nothing but its words."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._now: dict[Trouble, str] = {}

    def begin(self, trouble: Trouble, words: str, *, told: bool = False) -> None:
        """Report a trouble; an error in the log the first time. ``told``: the log has it already."""
        if trouble not in self._now and not told:
            self._log.error("daemon.degraded", trouble=trouble.value, why=words, todo=REMEDY[trouble])
        self._now[trouble] = words

    def end(self, trouble: Trouble, *, told: bool = False) -> None:
        """Report that a trouble is over, if there was one. ``told``: the log has it already."""
        if self._now.pop(trouble, None) is not None and not told:
            self._log.info("daemon.recovered", trouble=trouble.value)

    @property
    def words(self) -> list[str]:
        """Return every trouble in words, in the order in which they began."""
        return list(self._now.values())

    def gauges(self) -> Iterable[tuple[str, str, float]]:
        """Yield a gauge for each trouble: name, meaning, 1 while there is one."""
        for trouble in Trouble:
            name = f"degraded_{trouble.value}"
            yield name, f"1 while: {REMEDY[trouble].partition(';')[0]}", float(trouble in self._now)
