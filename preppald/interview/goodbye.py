"""The end of an interview: both sides are told, its record is closed, and the log and the metrics have its numbers.

A bug in one part costs that part, and neither the transcript's delivery nor the last words to the candidate.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import trio

from preppald.config.settings import Config
from preppald.core.endings import MOVED, OPERATOR_ENDED, Ending
from preppald.core.interview import Interview
from preppald.core.quality import Quality, quality
from preppald.core.timeline import spoken
from preppald.core.turns import Turn
from preppald.interview.course import INTERVIEW_ENDED
from preppald.interview.dialogue import Dialogue
from preppald.interview.now import presence
from preppald.interview.parts import Parts
from preppald.interview.services import Services
from preppald.telemetry.logs import Logger

# The last messages, the close handshake, the ending on disk.
GOODBYE_SECONDS = 8.0
T = TypeVar("T")


class Goodbye:
    """One interview's, made when that begins."""

    def __init__(
        self,
        services: Services,
        config: Config,
        interview: Interview,
        parts: Parts,
        dialogue: Dialogue,
        *,
        log: Logger,
    ) -> None:
        self._services = services
        self._config = config
        self._interview = interview
        self._parts = parts
        self._dialogue = dialogue
        self._log = log
        self._began_at = trio.current_time()
        self._said = False

    async def say(self) -> None:
        """Tell the browser, close both ends, and record the backend's deliveries; once, shielded, in time."""
        if self._said:
            return
        self._said = True
        try:
            with trio.move_on_after(GOODBYE_SECONDS, shield=True):
                await self._say()
        except Exception:  # noqa: BLE001 - a second bug must not reach the other interviews either
            self._log.exception("goodbye.crashed")
        if self._parts.seat.browser is not None:
            await self._parts.seat.browser.hang_up()

    async def _say(self) -> None:
        ending, cause = self._parts.outcome.decided
        seat, record = self._parts.seat, self._parts.record
        turns = self._tried(self._dialogue.close)
        if turns is None:
            turns = self._parts.conversation.turns
        # By the clock of the turns: the wall clock may have been set since they were spoken.
        ended_ms = round(self._parts.epoch_ms + trio.current_time() * 1000)
        talk = self._tried(partial(self._quality, turns, ended_ms))
        self._tried(partial(seat.say_goodbye, ending, self._config.close_codes))
        self._tried(partial(self._note_end, ending, cause, turns, talk))
        if ending is MOVED:  # its words are on disk, and its end is another host's to write
            await record.settle()
        else:
            if talk is not None:
                self._tried(partial(self._note_course, ending, turns, ended_ms, talk))
            await record.finish(ending, cause, turns, ended_ms, talk)
        if seat.browser is not None:
            await seat.browser.see_off()

    def _tried(self, part: Callable[[], T]) -> T | None:
        """Return what a part returns; None where it has a bug, which is told."""
        try:
            return part()
        except Exception:  # noqa: BLE001 - it is told, and costs this part only
            self._log.exception("goodbye.crashed")
            return None

    def _note_end(self, ending: Ending, cause: str, turns: list[Turn], talk: Quality | None) -> None:
        """Have the end in the metrics and in the log."""
        self._services.metrics.sessions_ended.labels(ending.name).inc()
        self._log.info(
            "session.ended",
            ending=ending.name,
            # An operator's words may name somebody, and a log outlives what `preppald forget` removes.
            cause=cause.partition(":")[0] if ending is OPERATOR_ENDED else cause,
            seconds=round(trio.current_time() - self._began_at, 1),
            turns=len(turns),
            credited_seconds=round(self._parts.clock.credited, 1),
            **self._parts.stats.summary(),
            **({} if talk is None else talk.summary()),
        )

    def _note_course(self, ending: Ending, turns: list[Turn], ended_ms: int, talk: Quality) -> None:
        """Owe a collector the interview's trace, where there is one."""
        course, client = self._parts.course, self._parts.client
        if course is not None:
            there = client.connected
            last = client.connections.one(INTERVIEW_ENDED, trio.current_time()) if there else None
            usage = self._parts.stats.usage
            course.finish(
                ending,
                turns,
                talk,
                ended_ms=ended_ms,
                usage=usage,
                cost_dollars=self._config.prices.cost(usage),
                last=last,
            )

    def _quality(self, turns: list[Turn], ended_ms: int) -> Quality:
        """Return how the interview went, and count it in the metrics, where anything was said."""
        started_ms, stats = self._interview.started_ms, self._parts.stats
        service = stats.service(self._parts.clock.credited)
        there = presence(self._interview, self._parts, trio.current_time())
        talk = quality(spoken(turns, started_ms, ended_ms), max(0, ended_ms - started_ms), service, there)
        if turns:
            self._services.metrics.talked(talk)
        return talk
