"""One interview, from its first connection to the last word about it.

The nursery that ``Session.run`` opens is the only one of an interview; its tasks bear the names of design and
README: upstream_reader, upstream_writer, transcript, deadline, watchdog, and for each browser that comes,
downstream_reader and downstream_writer. Browsers and Gemini connections come and go; the session stays.

An interview ends because somebody called ``end`` with one of a closed set of endings. An exception that leaves a
task is a bug: it ends this interview as one, and no other.
"""

from collections.abc import Sequence

import trio

from preppald.auth import Claims
from preppald.core import frames, interviewer
from preppald.core.conversation import Conversation
from preppald.core.deliveries import Status, status_delivery
from preppald.core.endings import (
    BUG,
    CANDIDATE_GONE,
    DAEMON_STOPPED,
    MISUSED,
    REPLACED,
    TIME_UP,
    USER_ENDED,
    Ending,
    first,
)
from preppald.core.events import (
    AudioHeard,
    Effect,
    GeminiEvent,
    GoingAway,
    HandleGiven,
    InterviewOver,
    Play,
    Record,
    ReplyBegan,
    SetupCompleted,
    StopPlaying,
    TokensUsed,
    UpstreamLost,
    UpstreamReady,
    UpstreamResumed,
)
from preppald.core.floor import State
from preppald.core.frames import NoticeKind
from preppald.core.interview import Interview, Usage
from preppald.core.patience import Patience, Stage
from preppald.core.turns import Fragment, Turn
from preppald.downstream import Browser, BrowserGone, Message
from preppald.errors import RemoteProtocolError
from preppald.link import Link
from preppald.services import Services
from preppald.transcript import TranscriptKeeper
from preppald.uplink import BYTES_PER_SECOND, Uplink

# Saying goodbye: the last messages, the close handshake, the ending on disk.
GOODBYE_SECONDS = 8.0
# The watchdog's step: fine enough for every limit it keeps, and 1/50 of a tick's cost.
WATCH_SECONDS = 1.0
# A shorter gap is not heard.
AUDIBLE_GAP_SECONDS = 1.0
# A send to the browser that takes longer has lost its connection.
SEND_SECONDS = 10.0
PING_SECONDS = 15.0
# A peer that has not even answered a ping for so long is gone.
BROWSER_SILENT_SECONDS = 25.0
# One bad message is an accident, ten in a row are another program.
BAD_MESSAGES = 10
MISUSE_CODE = 5000


class Session:
    """An interview. ``attach`` brings a browser, ``end`` ends it, ``run`` is its life, ``done`` is set after it.

    ``recovered``: another process began it; ``turns`` and ``last_seq`` are what the journal holds of it.
    """

    def __init__(
        self,
        services: Services,
        claims: Claims,
        interview: Interview,
        *,
        turns: Sequence[Turn] = (),
        last_seq: int = 0,
        recovered: bool = False,
    ) -> None:
        now = trio.current_time()
        self.claims = claims
        self.interview = interview
        self.browser: Browser | None = None
        self.done = trio.Event()
        self._services = services
        self._log = services.log.bind(interview=interview.interview_id, epoch=interview.epoch)
        self._recovered = recovered
        epoch_ms = services.now_ms() - now * 1000
        self._conversation = Conversation(epoch_ms=epoch_ms, turns=turns, last_seq=last_seq)
        self._uplink = Uplink()
        self._link = Link(
            services,
            self,
            conversation=self._conversation,
            uplink=self._uplink,
            log=self._log,
            handle=interview.handle,
        )
        self._keeper = TranscriptKeeper(services.journal, interview, self._log)
        self._patience = Patience()
        self._began_at = now
        self._ends_at = now + (interview.deadline_ms - services.now_ms()) / 1000
        self._notices = [soon for soon in services.config.ending_soon if soon < self._ends_at - now]
        self._usage = interview.usage
        self._credited = interview.credited_ms / 1000
        self._phase = services.metronome.join()
        self._endings: list[tuple[Ending, str]] = []
        self._over = trio.Event()
        self._wanted = trio.Event()
        self._started = False
        self._browser_left_at = now
        self._gemini_lost_at: float | None = None
        self._reconnecting_told = False
        self._bad_messages = 0
        self._bytes_played = 0
        self._counted = (0, 0, 0)
        self._replay_for: Browser | None = None
        self._held: list[Fragment] = []

    @property
    def over(self) -> bool:
        """Whether it has ended, though it may still say goodbye."""
        return self._over.is_set()

    @property
    def waiting(self) -> bool:
        """Whether the interview goes on without a browser, which may come back."""
        return self.browser is None

    # -------------------------------------------------------------- the nursery

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """The interview's whole life. No exception of its own leaves it: a bug ends this interview only."""
        concluded = False
        self._services.metrics.sessions_live.inc()
        try:
            async with trio.open_nursery() as tasks:
                self._tasks = tasks
                tasks.start_soon(self.upstream_reader)
                tasks.start_soon(self.upstream_writer)
                tasks.start_soon(self.transcript)
                tasks.start_soon(self.deadline)
                tasks.start_soon(self.watchdog)
                task_status.started()
                await self._over.wait()
                with trio.move_on_after(GOODBYE_SECONDS, shield=True):
                    await self._conclude()
                concluded = True
                tasks.cancel_scope.cancel()
        except* Exception as group:  # noqa: BLE001 - the end of the line for a bug: it ends one interview
            self._log.exception("session.crashed", exc_info=group)
            self._endings.append((BUG, type(group.exceptions[0]).__name__))
        finally:
            if not concluded:
                self._endings.append((DAEMON_STOPPED, "cancelled"))
                with trio.move_on_after(GOODBYE_SECONDS, shield=True):
                    await self._conclude()
                    if self.browser is not None:
                        await self.browser.write()
            self._services.metronome.leave(self._phase)
            self._services.metrics.sessions_live.dec()
            self.done.set()

    def end(self, ending: Ending, cause: str) -> None:
        """Ends the interview; of several endings at one instant the one with precedence counts."""
        self._endings.append((ending, cause))
        self._over.set()

    async def _conclude(self) -> None:
        """Tells the browser, closes both ends, and records what the backend is owed."""
        ending = first([ending for ending, _ in self._endings])
        cause = next(cause for known, cause in self._endings if known is ending)
        now = trio.current_time()
        self._link.stop()
        self._perform(self._conversation.receive(InterviewOver(), now))
        browser = self.browser
        if browser is not None:
            browser.drop_audio()
            if ending.ended is not None:
                browser.post(frames.session_ended(ending.ended))
            if ending.error is not None:
                browser.post(frames.error(*ending.error))
            browser.close(ending.close(self._services.config.close_codes))
        self._count()
        self._report(ending, cause, now)
        await self._keeper.finish(ending, cause, self._conversation.turns, self._services.now_ms())
        if browser is not None:
            await browser.gone.wait()

    def _report(self, ending: Ending, cause: str, now: float) -> None:
        """The one line that says how the interview went."""
        self._services.metrics.sessions_ended.labels(ending.name).inc()
        self._log.info(
            "session.ended",
            ending=ending.name,
            cause=cause,
            seconds=round(now - self._began_at, 1),
            audio_in_seconds=round(self._uplink.taken_bytes / BYTES_PER_SECOND, 1),
            audio_out_seconds=round(self._bytes_played / frames.OUTPUT_BYTES_PER_SECOND, 1),
            turns=len(self._conversation.turns),
            tokens=self._usage.total,
            rotations=self._link.rotations,
            restorations=self._link.restorations,
            credited_seconds=round(self._credited, 1),
        )

    # -------------------------------------------------------------- the browser

    def attach(self, browser: Browser, since: int | None) -> None:
        """A browser takes the interview's only seat; one that sits there is told so and closed.

        ``since``: the last transcript seq it has, after which updates are sent again.
        """
        previous, self.browser = self.browser, browser
        if previous is not None:
            previous.close(REPLACED)
        self._bad_messages = 0
        self._tasks.start_soon(self.downstream_reader, browser, since)
        self._tasks.start_soon(self.downstream_writer, browser)
        self._wanted.set()

    async def downstream_reader(self, browser: Browser, since: int | None) -> None:
        """At each tick takes all that came since the last, and joins the audio."""
        await self._welcome(browser, since)
        try:
            while True:
                await self._services.metronome.tick(self._phase)
                messages = await browser.receive()
                if browser is self.browser:
                    self._take(messages)
        except BrowserGone as gone:
            self._left(browser, gone)
        await browser.part()

    async def downstream_writer(self, browser: Browser) -> None:
        await browser.write()

    async def _welcome(self, browser: Browser, since: int | None) -> None:
        """What a browser that comes later must know: that it runs, and what was said meanwhile."""
        if self._link.upstream is not None:
            browser.post(self._session_started(resumed=True))
        if since is None or since >= self._conversation.last_seq:
            return
        self._replay_for, self._held = browser, []
        interview = self.interview
        missed = await self._services.journal.fragments(interview.interview_id, interview.epoch, since=since)
        if self._replay_for is browser:
            last = missed[-1].seq if missed else since
            for fragment in [*missed, *(held for held in self._held if held.seq > last)]:
                browser.post(frames.transcript(fragment))
            self._replay_for = None

    def _take(self, messages: Sequence[Message]) -> None:
        pcm: list[bytes] = []
        for message in messages:
            try:
                event = frames.decode(message)
            except RemoteProtocolError:
                self._refuse()
                continue
            self._bad_messages = 0
            if isinstance(event, AudioHeard):
                pcm.append(event.pcm)
            else:
                self.end(USER_ENDED, "the candidate pressed end")
        if pcm:
            self._uplink.put(b"".join(pcm))
            self._uplink.fed_at = trio.current_time()

    def _refuse(self) -> None:
        self._bad_messages += 1
        if self.browser is not None:
            self.browser.post(frames.error(MISUSE_CODE, "Failed to process message"))
        if self._bad_messages >= BAD_MESSAGES:
            self.end(MISUSED, f"{BAD_MESSAGES} messages in a row that cannot be read")

    def _left(self, browser: Browser, gone: BrowserGone) -> None:
        if browser is not self.browser or self._over.is_set():
            return
        self.browser = None
        self._browser_left_at = trio.current_time()
        self._log.info("browser.left", code=gone.code, overflowed=browser.overflowed)

    def _tell(self, kind: NoticeKind, words: str) -> None:
        if self.browser is not None:
            remaining = self._ends_at - trio.current_time()
            self.browser.post(frames.notice(kind, words, remaining_seconds=remaining))

    def _session_started(self, *, resumed: bool) -> bytes:
        remaining = self._ends_at - trio.current_time()
        return frames.session_started(
            self.interview.interview_id, remaining_seconds=remaining, resumed=resumed
        )

    def tell_draining(self) -> None:
        """The daemon is to stop, and waits for this interview."""
        self._tell(NoticeKind.DRAINING, "The service will restart; your interview goes on.")

    # -------------------------------------------------------------- Gemini

    async def upstream_reader(self) -> None:
        """Dials when a browser is there: an interview taken over from a dead process may never be wanted."""
        await self._wanted.wait()
        await self._link.read()

    async def upstream_writer(self) -> None:
        await self._link.write()

    def gemini_ready(self, *, prompted: bool) -> None:
        now = trio.current_time()
        self._perform(self._conversation.receive(UpstreamReady() if prompted else UpstreamResumed(), now))
        if not self._started:
            self._started = True
            self._start()
        if self._gemini_lost_at is not None:
            self._give_back(now - self._gemini_lost_at)
            self._gemini_lost_at = None
        if self._reconnecting_told:
            self._reconnecting_told = False
            self._tell(NoticeKind.RECONNECTED, "The interviewer is back.")

    def _start(self) -> None:
        interview = self.interview
        if not self._recovered:
            now_ms = self._services.now_ms()
            self._services.journal.add_delivery(
                status_delivery(interview.interview_id, interview.epoch, Status.IN_PROGRESS, now_ms=now_ms)
            )
        if self.browser is not None:
            self.browser.post(self._session_started(resumed=self._recovered))
        self._log.info(
            "session.started", user=interview.user_id, model=interview.model, resumed=self._recovered
        )

    def gemini_lost(self) -> None:
        now = trio.current_time()
        self._gemini_lost_at = now
        if not self._over.is_set():
            self._perform(self._conversation.receive(UpstreamLost(), now))

    def gemini_said(self, events: Sequence[GeminiEvent]) -> None:
        if self._over.is_set():
            return
        now = trio.current_time()
        for event in events:
            match event:
                case TokensUsed():
                    self._use(event.usage)
                case HandleGiven():
                    interview = self.interview
                    self._services.journal.keep_handle(
                        interview.interview_id, interview.epoch, self._link.handle
                    )
                case SetupCompleted() | GoingAway():
                    pass
                case _:
                    self._perform(self._conversation.receive(event, now))

    def _perform(self, effects: Sequence[Effect]) -> None:
        browser = self.browser
        for effect in effects:
            match effect:
                case Play():
                    self._bytes_played += len(effect.pcm)
                    if browser is not None:
                        browser.post(frames.audio(effect.pcm), audio=True)
                case Record():
                    self._keeper.keep(effect.fragment)
                    self._show(effect.fragment)
                case StopPlaying():
                    self._services.metrics.interruptions.inc()
                    if browser is not None:
                        browser.drop_audio()
                        browser.post(frames.interrupted())
                case ReplyBegan():
                    self._patience.answered()
                    self._link.answered()
                    if effect.delay is not None:
                        self._services.metrics.reply_delay.observe(effect.delay)

    def _show(self, fragment: Fragment) -> None:
        if self.browser is None:
            return
        if self._replay_for is self.browser:
            self._held.append(fragment)
        else:
            self.browser.post(frames.transcript(fragment))

    def _use(self, usage: Usage) -> None:
        self._usage += usage
        interview = self.interview
        self._services.journal.keep_usage(interview.interview_id, interview.epoch, self._usage)
        for kind in ("prompt_audio", "prompt_text", "response_audio", "response_text", "thoughts", "cached"):
            self._services.metrics.tokens.labels(kind).inc(getattr(usage, kind))

    # -------------------------------------------------------------- time

    async def transcript(self) -> None:
        await self._keeper.run()

    async def deadline(self) -> None:
        """Ends the interview at its one absolute time, which only credits move; tells shortly before."""
        while (now := trio.current_time()) < self._ends_at:
            left = self._ends_at - now
            while self._notices and self._notices[0] >= left:
                self._notices.pop(0)
                self._tell(NoticeKind.ENDING_SOON, f"The interview ends in {_in_words(left)}.")
            await trio.sleep_until(self._ends_at - (self._notices[0] if self._notices else 0.0))
        self.end(TIME_UP, "the interview's time is up")

    def _give_back(self, gap: float) -> None:
        """Time lost because Gemini was away is the candidate's, up to a limit."""
        credit = min(gap, self._services.config.credit_limit - self._credited)
        if gap < AUDIBLE_GAP_SECONDS or credit <= 0:
            return
        self._credited += credit
        self._ends_at += credit
        interview = self.interview
        deadline_ms = self._services.now_ms() + round((self._ends_at - trio.current_time()) * 1000)
        self._services.journal.credit(
            interview.interview_id, interview.epoch, round(self._credited * 1000), deadline_ms
        )
        self._log.info("time.credited", seconds=round(credit, 1), total=round(self._credited, 1))

    async def watchdog(self) -> None:
        """Once a second: what no event would ever say."""
        while True:
            await trio.sleep(WATCH_SECONDS)
            now = trio.current_time()
            self._count()
            self._mind_browser(now)
            self._mind_dialogue(now)
            await self._link.drop_if_stalled(now)
            if self.browser is not None and self._stuck(self.browser, now):
                await self.browser.hang_up()

    def _mind_browser(self, now: float) -> None:
        """Silence for Gemini where the candidate sends none; pings; the grace of one who lost the connection."""
        if now - self._uplink.fed_at >= WATCH_SECONDS:
            self._uplink.put_silence(WATCH_SECONDS)
        if self.browser is None:
            if now - self._browser_left_at >= self._services.config.reconnect_grace:
                self.end(CANDIDATE_GONE, "the candidate did not come back")
        elif now - self.browser.heard_at >= PING_SECONDS:
            self.browser.ping()

    def _stuck(self, browser: Browser, now: float) -> bool:
        sending = browser.sending_since is not None and now - browser.sending_since > SEND_SECONDS
        return sending or now - browser.heard_at > BROWSER_SILENT_SECONDS

    def _mind_dialogue(self, now: float) -> None:
        """An answer that does not come, a connection that grows old, a gap that can be heard."""
        lost_at = self._gemini_lost_at
        if lost_at is not None and now - lost_at > AUDIBLE_GAP_SECONDS and not self._reconnecting_told:
            self._reconnecting_told = True
            self._tell(NoticeKind.RECONNECTING, "The interviewer is being reconnected.")
        if self._link.rotation_due(now):
            self._link.rotate()
        elif self._conversation.state is State.AWAITED:
            self._intervene(
                self._patience.look(
                    now,
                    awaited_since=self._conversation.since,
                    greeting=not self._conversation.begun,
                    resumed=self._link.resumed,
                )
            )

    def _intervene(self, stage: Stage | None) -> None:
        match stage:
            case None:
                return
            case Stage.GREET_AGAIN:
                self._uplink.prompt(interviewer.GREETING)
            case Stage.NUDGE:
                self._uplink.prompt(interviewer.NUDGE)
            case Stage.ROTATE:
                self._link.rotate()
            case Stage.FRESH:
                self._link.rotate(fresh=True)
        self._services.metrics.interventions.labels(stage.value).inc()
        self._log.warning("interviewer.silent", stage=stage.value)

    def _count(self) -> None:
        """Adds what happened since the last time to the metrics: once a second, not once a message."""
        counted = (self._uplink.taken_bytes, self._bytes_played, self._uplink.dropped_bytes)
        taken, played, dropped = (now - before for now, before in zip(counted, self._counted, strict=True))
        self._counted = counted
        metrics = self._services.metrics
        metrics.audio_seconds.labels("in").inc(max(0, taken) / BYTES_PER_SECOND)
        metrics.audio_seconds.labels("out").inc(played / frames.OUTPUT_BYTES_PER_SECOND)
        metrics.audio_dropped_seconds.inc(dropped / BYTES_PER_SECOND)


def _in_words(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{round(seconds)} seconds"
    return "1 minute" if minutes == 1 else f"{minutes} minutes"
