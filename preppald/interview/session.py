"""One interview, from its first connection to the last word about it.

``Session.run`` opens the interview's nursery, which owns all of its tasks; docs/architecture.md describes them:
upstream_reader, upstream_writer, transcript, deadline, watchdog, and for each browser that comes, downstream_reader and
downstream_writer. Browsers and Gemini connections come and go; the session stays. (A dial and Gemini's keep-alive open
nurseries of their own within upstream_reader, for tasks that end with that call.)

An interview ends by a call of ``end`` with one of a closed set of endings. An exception that leaves a task is a bug: it
ends this interview in the same order, as ``BUG``, and no other interview.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio

from preppald.browser.connection import Browser
from preppald.browser.reader import Reader
from preppald.core.context import Context
from preppald.core.endings import (
    BLOCK_LEFT,
    BUG,
    DAEMON_STOPPED,
    TIME_UP,
    Ending,
)
from preppald.core.events import (
    TextAnswered,
)
from preppald.core.interview import Interview
from preppald.core.presence import Presence
from preppald.core.quality import Service
from preppald.core.tokens import Claims
from preppald.core.turns import Turn
from preppald.interview.asking import Asking
from preppald.interview.dialogue import Dialogue
from preppald.interview.goodbye import Goodbye
from preppald.interview.now import InterviewNow, presence, seen
from preppald.interview.parts import parts_of
from preppald.interview.performer import Performer
from preppald.interview.prompting import known_of
from preppald.interview.services import Services
from preppald.interview.watch import Watch
from preppald.net.websocket import WebSocketClosed


class Session:
    """An interview. ``attach`` brings a browser, ``end`` ends it, ``run`` is its life, ``done`` is set after it.

    ``config``: the settings with which it began; a reload leaves them to it.
    ``context``: what the application knows of it, where it was asked already. ``recovered``: another process began it;
    ``turns`` and ``last_seq`` are what the journal holds of it.
    """

    def __init__(
        self,
        services: Services,
        claims: Claims,
        interview: Interview,
        *,
        context: Context | None = None,
        turns: Sequence[Turn] = (),
        last_seq: int = 0,
        recovered: bool = False,
    ) -> None:
        self.claims = claims
        self.interview = interview
        self.done = trio.Event()
        self._services = services
        self._known = context
        self.config = config = services.config
        identity = {"block": interview.block} if interview.block else {}
        self._log = services.log.bind(interview=interview.interview_id, epoch=interview.epoch, **identity)
        self._parts = parts = parts_of(services, config, interview, self._log, turns=turns, last_seq=last_seq)
        performer = Performer(parts, services.metrics, self._log)
        self._dialogue = Dialogue(
            services, config, interview, parts, performer, log=self._log, recovered=recovered
        )
        self._asking = Asking(self._dialogue, parts, performer, self._keep)
        self._goodbye = Goodbye(services, config, interview, parts, self._dialogue, log=self._log)
        self._seat = parts.seat
        self._phase = services.ticker.join()
        self._watch = Watch(services.ticker, parts, self._dialogue)
        self._had_browser = recovered
        self._wanted = trio.Event()
        self._retimed = trio.lowlevel.ParkingLot()
        # Typed answers on their way to the disk, in their order.
        self._typed: list[TextAnswered] = []

    @property
    def over(self) -> bool:
        """True once the interview has ended, though it may still say goodbye."""
        return self._parts.outcome.over

    @property
    def ending(self) -> Ending:
        """The ending that counts so far, once the interview is over."""
        return self._parts.outcome.decided[0]

    @property
    def waiting(self) -> bool:
        """True while the interview goes on without a browser, which may come back."""
        return self._seat.browser is None

    @property
    def quiet(self) -> bool:
        """True while nobody speaks: a good moment to go on elsewhere."""
        now, parts = trio.current_time(), self._parts
        return parts.conversation.quiet(now) and not parts.evidence.speaking(now)

    def now(self) -> InterviewNow:
        """Return the interview as it is now, for the operator."""
        return seen(self.interview, self._parts, self.config.prices, trio.current_time())

    def presence(self) -> Presence:
        """Return when both ends were there, for the operator."""
        return presence(self.interview, self._parts)

    def service(self) -> Service:
        """Return the daemon's part in how the interview goes, for the operator."""
        return self._parts.stats.service(self._parts.clock.credited)

    # -------------------------------------------------------------- the nursery

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Live the interview's whole life. No exception of its own gets out: a bug ends this interview only."""
        self._services.metrics.sessions_live.inc()
        try:
            async with trio.open_nursery() as tasks:
                self._tasks = tasks
                self._start(self.upstream_reader)
                self._start(self.upstream_writer)
                self._start(self.transcript)
                self._start(self.deadline)
                self._start(self.watchdog)
                task_status.started()
                await self._parts.outcome.wait()
                await self._goodbye.say()
                tasks.cancel_scope.cancel()
        finally:
            self.end(DAEMON_STOPPED, "cancelled")  # which any other ending comes before
            await self._goodbye.say()  # noqa: ASYNC102 - shielded, with a clock of its own
            self._parts.tape.close()
            self._asking.let_go()
            self._services.ticker.leave(self._phase)
            self._services.metrics.sessions_live.dec()
            self.done.set()

    def _start(self, task: Callable[..., Awaitable[None]], *arguments: object) -> None:
        self._tasks.start_soon(self._guarded, task, *arguments, name=task)

    async def _guarded(self, task: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Run a task. A bug in it ends the interview in order: the writer may be in the middle of a send."""
        try:
            await task(*arguments)
        except Exception as error:  # noqa: BLE001 - the end of the line for a bug: it ends one interview
            self._log.exception("session.crashed", exc_info=error)
            self.end(BUG, type(error).__name__)

    def end(self, ending: Ending, cause: str) -> None:
        """End the interview; of several endings at one instant the one with precedence counts."""
        self._parts.outcome.end(ending, cause)

    # -------------------------------------------------------------- the browser

    def attach(
        self,
        browser: Browser,
        since: int | None,
        *,
        knows_turns: bool = False,
        opus: bool = False,
        early: bytes = b"",
    ) -> bool:
        """Give a browser the interview's only seat, unless that is over; tell and close the browser before it.

        ``since``: the last transcript seq it has, after which updates are sent again.
        ``knows_turns``: it puts updates where their ``turn`` says. ``opus``: it asks to carry the sound as Opus.
        ``early``: PCM of the candidate from before the interview began; it is no part of its recording, which begins
        with the interview.
        """
        if self.over:
            return False
        if opus and self._services.coders is not None:
            browser.coder = self._services.coders.coder(partial(browser.post, audio=True))
        self._parts.uplink.put_early(early)
        self._seat.take(browser, replaying=since is not None, knows_turns=knows_turns)
        if self._had_browser:
            self._services.metrics.browser_reconnects.inc()
        self._had_browser = True
        self._parts.conversation.plays_all = browser.plays_all
        self._dialogue.welcome()
        self._start(self.downstream_reader, browser, since)
        self._start(self.downstream_writer, browser)
        self._wanted.set()
        return True

    async def downstream_reader(self, browser: Browser, since: int | None) -> None:
        """Replay the text that the browser missed, read it to its end, and give up its seat."""
        try:
            if since is not None:
                self._seat.release(browser, await self._parts.record.missed(since))
            skipped = self._services.metrics.messages_skipped.inc
            ticker, heard = self._services.ticker, self._dialogue.heard
            await Reader(browser, heard, self._asking.hear, ticker, self._phase, skipped=skipped).run()
        except WebSocketClosed as gone:
            if browser is self._seat.browser and not self.over:
                if gone.code == BLOCK_LEFT.plain.code:
                    self.end(BLOCK_LEFT, "the page went on to the next block")
                self._seat.leave()
                self._log.info("browser.left", code=gone.code, cut=browser.cut)
                if browser.cut is not None:
                    self._services.metrics.browsers_cut.labels(browser.cut).inc()
            await browser.part()
        finally:
            # The browser that has the seat still gets a goodbye.
            if browser is not self._seat.browser:
                await browser.hang_up()  # noqa: ASYNC102 - shielded, and closes without waiting

    async def downstream_writer(self, browser: Browser) -> None:
        await browser.write()

    def _keep(self, answer: TextAnswered) -> None:
        self._typed.append(answer)
        if len(self._typed) == 1:
            self._start(self.text_answers)

    async def text_answers(self) -> None:
        """Pass typed answers on, in order, once they are on disk: what the interviewer knows is in the transcript."""
        while self._typed:
            settling = len(self._typed)
            await self._parts.record.settle()
            for answer in self._typed[:settling]:
                self._asking.pass_on(answer)
            del self._typed[:settling]

    def tell_draining(self) -> None:
        """Tell the candidate that the daemon is to stop, and waits for this interview."""
        self._dialogue.tell_draining()

    # -------------------------------------------------------------- Gemini

    async def upstream_reader(self) -> None:
        """Dial once a browser is there: an interview taken over from a dead process may never be wanted."""
        await self._wanted.wait()
        known = self._known or await known_of(self._services, self.interview, self._log)
        self._dialogue.briefed(known)
        self._retimed.unpark_all()
        if outcome := await self._parts.client.run(self._dialogue.hear):
            self.end(*outcome)

    async def upstream_writer(self) -> None:
        await self._parts.writer.run()

    # -------------------------------------------------------------- time

    async def transcript(self) -> None:
        await self._parts.record.run()

    async def deadline(self) -> None:
        """End the interview at its one absolute time, which its context sets and credits move; warn shortly before."""
        clock = self._parts.clock
        while clock.left(now := trio.current_time()) > 0:
            if clock.notice_due(now):
                self._dialogue.tell_time()
            with trio.move_on_at(clock.next_moment(now)):
                await self._retimed.park()
        self.end(TIME_UP, "the interview's time is up")

    async def watchdog(self) -> None:
        await self._watch.run()
