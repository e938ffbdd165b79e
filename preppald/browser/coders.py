"""The process's Opus: whether there is any, who may use it, and the threads that encode.

An interviewer who speaks takes 4 to 5 ms of a core each second. In the loop that would be heard by everybody, so threads
do it; libopus lets go of the interpreter meanwhile. A thread makes rounds: it waits 20 ms for company, takes a job of each
browser that has one, and brings back all packets in one step. Packets that are not due yet wait for one task, which looks
at all of them a few times a second.
"""

from collections.abc import Callable, Sequence
from functools import partial
import os
import time

import trio

from preppald.audio import opus
from preppald.audio.opus import Library
from preppald.browser.coding import Coder, Job
from preppald.net.threads import InThread, own_thread
from preppald.net.ticker import SLOWEST_ROUND_SECONDS, Ticker
from preppald.net.wakeup import Wakeup
from preppald.telemetry.logs import Logger
from preppald.telemetry.metrics import Metrics

# One core is the loop's. Four threads encode for 800 interviewers who speak at once, more than one loop carries.
MAX_THREADS = 4
# As long as a chunk may wait for company elsewhere.
GATHER_SECONDS = 0.020
# How often packets are looked at whose time has not come. A message is so long, then, and its heads are a small part of it.
PACE_SECONDS = 0.24
# The share of the threads' time from which new pages get PCM: the rest is for those who have Opus and talk at once.
CROWDED = 0.5
# Over how long that share is taken: a few replies.
JUDGED_EACH_SECONDS = 5.0
# A job that failed in libopus or here: its browser gets PCM.
Result = Sequence[bytes] | Exception
# Takes a round's jobs, their results in the same order, and the seconds that the thread had it.
Done = Callable[[Sequence[tuple[Coder, Job]], Sequence[Result], float], None]


def work(jobs: Sequence[Job], clock: Callable[[], float]) -> tuple[list[Result], float]:
    """Do the jobs of one round, in its thread; return the packets of each, or its error, and the seconds it took."""
    began = clock()
    results: list[Result] = []
    for job in jobs:
        try:
            results.append(job.packets())
        except Exception as error:  # noqa: BLE001 - a bug ends one browser's Opus, and nobody else's
            results.append(error)
    return results, clock() - began


class Coders:
    """The daemon's. ``run`` is one of its tasks; ``library`` is None where there is no libopus, or it is not wanted.

    ``in_threads``: how a round is run, one for each thread. ``clock``: seconds of a thread's work.
    """

    def __init__(
        self,
        library: Library | None,
        *,
        ticker: Ticker,
        metrics: Metrics,
        log: Logger,
        in_threads: Sequence[InThread] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.library = library
        self._ticker = ticker
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._rounds = [
            Round(self._done, self._failed, in_thread, clock) for in_thread in in_threads or _threads()
        ]
        # Connections with packets whose time has not come.
        self._paced: dict[Coder, None] = {}
        self._pace_wanted = Wakeup()
        self._judged_at = clock()
        self._busy_seconds = 0.0
        self._crowded = False

    @property
    def crowded(self) -> bool:
        """True while new pages get PCM, for the threads, or the loop, have enough to do."""
        now = self._clock()
        if now - self._judged_at >= JUDGED_EACH_SECONDS:
            share = self._busy_seconds / (now - self._judged_at) / len(self._rounds)
            self._crowded = share > CROWDED
            self._judged_at, self._busy_seconds = now, 0.0
        return self._crowded or self._ticker.round_seconds > SLOWEST_ROUND_SECONDS / 2

    def coder(self, post: Callable[[bytes], None]) -> Coder | None:
        """Return the Opus of a connection whose page asked for it; None where it is to use PCM.

        ``post``: sends a message with sound to that page.
        """
        if self.library is None:
            outcome = "missing"
        elif self.crowded:
            outcome = "crowded"
        else:
            outcome = "granted"
        self._metrics.opus_asked.labels(outcome).inc()
        if outcome != "granted" or self.library is None:
            return None
        least = min(self._rounds, key=lambda one: one.members)
        return Coder(
            self.library, self._metrics, post, least.join(), pace=self._pace, clock=trio.current_time
        )

    def gauges(self) -> list[tuple[str, str, float]]:
        """Return the gauges of a scrape."""
        return [("opus_available", "1 where libopus is there and used", float(self.library is not None))]

    async def run(self) -> None:
        """Encode, until cancelled."""
        if self.library is None:
            self._log.info(
                "opus.missing", remedy="install libopus0 for candidates whose line has no room for PCM"
            )
            return
        self._log.info("opus.found", version=self.library.version, threads=len(self._rounds))
        async with trio.open_nursery() as rounds:
            for one in self._rounds:
                rounds.start_soon(one.run)
            rounds.start_soon(self._release)

    def _pace(self, coder: Coder) -> None:
        self._paced[coder] = None
        self._pace_wanted.ring()

    async def _release(self) -> None:
        """Have packets sent when their time has come."""
        while True:
            await self._pace_wanted.heard()
            while self._paced:
                await trio.sleep(PACE_SECONDS)
                for coder in list(self._paced):
                    if not self._others_wait(coder):
                        self._paced.pop(coder, None)

    def _others_wait(self, coder: Coder) -> bool:
        try:
            return coder.release()
        except Exception as error:  # noqa: BLE001 - a bug about one browser is nobody else's
            self._failed(error)
            return False

    def _done(self, jobs: Sequence[tuple[Coder, Job]], results: Sequence[Result], seconds: float) -> None:
        """Hand out the packets of one round."""
        self._busy_seconds += seconds
        self._metrics.opus_encoding_seconds.inc(seconds)
        for (coder, job), result in zip(jobs, results, strict=True):
            if isinstance(result, Exception):
                self._failed(result)
            try:
                coder.made(job, None if isinstance(result, Exception) else result)
            except Exception as error:  # noqa: BLE001 - a bug about one browser is nobody else's
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._log.error("opus.failed", exc_info=error)


class Round:
    """One thread's browsers. ``members``: how many connections it was given so far."""

    def __init__(
        self, done: Done, failed: Callable[[Exception], None], in_thread: InThread, clock: Callable[[], float]
    ) -> None:
        self.members = 0
        self._done = done
        self._failed = failed
        self._in_thread = in_thread
        self._clock = clock
        self._enlisted: dict[Coder, None] = {}
        self._wanted = Wakeup()

    def join(self) -> Callable[[Coder], None]:
        """Return how a new connection asks for its turn."""
        self.members += 1
        return self._enlist

    def _enlist(self, coder: Coder) -> None:
        self._enlisted[coder] = None
        self._wanted.ring()

    async def run(self) -> None:
        """Make rounds whenever somebody has a job."""
        while True:
            await self._wanted.heard()
            await trio.sleep(GATHER_SECONDS)
            enlisted, self._enlisted = self._enlisted, {}
            jobs = [(coder, job) for coder in enlisted if (job := self._job(coder)) is not None]
            if not jobs:
                continue
            todo = partial(work, [job for _, job in jobs], self._clock)
            results, seconds = await self._in_thread(todo)
            self._done(jobs, results, seconds)

    def _job(self, coder: Coder) -> Job | None:
        try:
            return coder.job()
        except Exception as error:  # noqa: BLE001 - a bug about one browser is nobody else's
            self._failed(error)
            return None


def found(*, wanted: bool) -> Library | None:
    """Return the system's libopus where the settings want it."""
    return opus.library() if wanted else None


def _threads() -> list[InThread]:
    cores = len(os.sched_getaffinity(0))
    return [own_thread() for _ in range(max(1, min(MAX_THREADS, cores - 1)))]
