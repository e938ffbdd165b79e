"""Keeps Gemini for the whole interview, over connections that live minutes.

Rule 1: the old connection is closed before the next is dialled; a session that is resumed while its old socket
        is open was seen to be refused.
Rule 2: one connection at a time is listened to, so that nothing of an old one is ever heard after a new one began.
        Each has a generation number, for the log.
Rule 3: the interviewer greets once.
Rule 4: where the interviewer must be made to speak, the prompt goes before the microphone opens: text and noise race.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from preppald.config.gemini_setup import gemini_setup
from preppald.config.settings import Config
from preppald.core import gemini, interviewer
from preppald.core.closes import CLOSED, NOT_THE_HANDLE, Cause, Remedy
from preppald.core.conversation import Conversation
from preppald.core.endings import AI_ENDED, AI_FAILED, AI_UNREACHABLE, Ending
from preppald.core.events import (
    AudioSpoken,
    ConnectionEvent,
    GeminiEvent,
    GoingAway,
    HandleDropped,
    HandleGiven,
    MemberSkipped,
    ReplyRejected,
    SpeechBegan,
    TextHeard,
    ToolCalled,
    UpstreamLost,
    UpstreamReady,
    UpstreamResumed,
)
from preppald.core.evidence import Evidence
from preppald.core.fair_clock import FairClock
from preppald.core.instructions import Instructions
from preppald.core.interview import Handle
from preppald.core.ladder import RESTORE_BUDGET_SECONDS, START_BUDGET_SECONDS, Ladder, Rung
from preppald.core.lifespan import Lifespan
from preppald.core.traces import Connection, Course
from preppald.gemini.connection import Upstream, UpstreamError, connected
from preppald.gemini.service import GeminiService
from preppald.gemini.uplink import ToolAnswer, Uplink, UplinkWriter
from preppald.telemetry.logs import Logger

# More than a candidate types before the interviewer speaks again, or is given up.
UNANSWERED = 10
# Connections that are remembered for the operator; an hour has a handful.
REMEMBERED = 64
# Of a connection that was left on purpose: a rotation, a watchdog's step, the interview's end.
LEFT = "left"
# Takes Gemini's events and those of its connection, in order, and returns at once.
Hear = Callable[[Sequence[GeminiEvent | ConnectionEvent]], None]


@dataclass(slots=True)
class Held:
    """A connection, by Trio's clock. ``lost``: None while it is there."""

    began: float
    resumed: bool
    lost: float | None = None


class Client:
    """``run`` is one of the session's tasks, the writer's ``run`` another; everything else returns at once."""

    def __init__(
        self,
        service: GeminiService,
        config: Config,
        *,
        conversation: Conversation,
        evidence: Evidence,
        instructions: Instructions,
        clock: FairClock,
        uplink: Uplink,
        writer: UplinkWriter,
        log: Logger,
        handle: Handle | None = None,
        course: Course | None = None,
    ) -> None:
        self.rotations = 0
        self.restorations = 0
        self.resumed = False
        self.held: deque[Held] = deque(maxlen=REMEMBERED)
        # True where this connection knows the whole dialogue: it got the history, or nothing was lost before it.
        self.prompted = True
        self._service = service
        self._config = config
        self._conversation = conversation
        self._evidence = evidence
        self._uplink = uplink
        self._writer = writer
        self._instructions = instructions
        self._clock = clock
        self._log = log
        good = handle is not None and handle.good(config.gemini_model, service.now_ms())
        self._handle = handle if good else None
        # True where the handle knows the whole dialogue: nobody spoke since it was given.
        self._handle_is_current = True
        self._resumed = self._heard_candidate = False
        self._ladder = Ladder(RESTORE_BUDGET_SECONDS if conversation.begun else START_BUDGET_SECONDS)
        self._generation = 0
        # The generation whose first unreadable member is in the log.
        self._reported_unreadable = 0
        self._lifespan = Lifespan(0.0, config.rotate_after)
        self._lost_at: float | None = None
        # Typed answers to which the interviewer has not replied.
        self._unanswered: deque[str] = deque(maxlen=UNANSWERED)
        self._listening: trio.CancelScope | None = None
        self._failure: UpstreamError | None = None
        self._stopping = False
        self._life = trio.CancelScope()
        self._hear: Hear = _nobody
        self._course = course
        self._dialled_at = 0.0
        self._ready_at: float | None = None

    @property
    def connected(self) -> bool:
        """True while a session with Gemini is set up."""
        return self._writer.upstream is not None

    @property
    def handle(self) -> Handle | None:
        """The last handle that may be resumed with."""
        return self._handle

    # -------------------------------------------------------------- the reader

    async def run(self, hear: Hear) -> tuple[Ending, str] | None:
        """Connect, listen, rotate and restore, until that is hopeless: return how the interview ends, and why.

        None after ``stop``.
        """
        self._hear = hear
        self._ladder.down(trio.current_time())
        rung: Rung | None = self._ladder.rotated(has_handle=self._handle is not None)
        try:
            with self._life:
                while rung is not None:
                    await trio.sleep(rung.delay)
                    failure = await self._converse(rung)
                    if self._stopping:
                        return None
                    rung = self._next_rung(failure)
                return self._hopeless()
            return None
        finally:
            self._hear = _nobody

    def stop(self) -> None:
        """End with the interview: close in order where there is a connection, else give up at once."""
        self._stopping = True
        if self._listening is None:
            self._life.cancel()
        else:
            self._listening.cancel()

    def _next_rung(self, failure: Cause | None) -> Rung | None:
        has_handle = self._handle is not None
        if failure is None:
            self.rotations += 1
            return self._ladder.rotated(has_handle=has_handle)
        now = trio.current_time()
        return self._ladder.lost(
            failure,
            now=now,
            has_handle=has_handle,
            chance=self._service.chance(),
            wait=self._service.quota.wait(now),
        )

    async def _converse(self, rung: Rung) -> Cause | None:
        """Hold one connection from dial to end; return why it was lost, or None when it was left on purpose."""
        if not self._service.quota.admit(trio.current_time()):
            return self._note(UpstreamError(self._service.quota.cause, detail="not asked again so soon"))
        self._generation += 1
        self._dialled_at, self._ready_at = trio.current_time(), None
        handle = self._handle.value if rung.resume and self._handle else None
        setup = self._service.hints.fit(
            gemini_setup(self._config, self._instruction(resume=rung.resume), self._instructions.context)
        )
        connecting = connected(
            self._service.dial,
            self._service.url,
            self._service.key(),
            gemini.setup(setup, handle),
            generation=self._generation,
            by=rung.by,
        )
        set_up = False
        try:
            async with connecting as upstream:
                set_up = True
                self._service.hints.accept(setup)
                await self._begin(upstream, resume=rung.resume)
                with trio.CancelScope() as self._listening:
                    await upstream.listen(self._listen, self._service.poller)
                self._lose()
                self._noted(LEFT)
        except UpstreamError as error:
            self._lose()
            self._noted(error.cause.name, failed=True)
            if not set_up and (blamed := self._service.hints.blame(error, setup)):
                self._log.warning("upstream.hints_refused", fields=sorted(blamed), words=str(error))
                return await self._converse(rung)
            return self._failed(error, refused=handle is not None and not set_up)
        return None

    def _instruction(self, *, resume: bool) -> str:
        if resume:
            return self._instructions.resumed()
        left = self._clock.left(trio.current_time())
        return self._instructions.fresh(self._conversation.turns, seconds_left=left)

    async def _begin(self, upstream: Upstream, *, resume: bool) -> None:
        """Prompt the interviewer where it is to speak, and only then open the microphone."""
        now = trio.current_time()
        self._service.accepted()
        self._ladder.connected(now)
        self._ready_at = now
        self._service.metrics.upstream_connects.labels("resumed" if resume else "fresh").inc()
        self._lifespan = Lifespan(now, self._config.rotate_after)
        self.held.append(Held(now, resume))
        prompt = None
        written = tuple(self._unanswered)
        if written:
            prompt = interviewer.written(written)
        elif not self._conversation.begun:
            prompt = self._instructions.opening
        elif self._evidence.prompt_due(now):
            prompt = interviewer.go_on(*self._conversation.unfinished)
        if prompt is not None:
            await upstream.send(gemini.prompt(prompt))
        self.prompted = prompt is not None or not self._conversation.owed
        self.restorations += self._failure is not None
        self._failure = None
        self.resumed = self._resumed = resume
        self._heard_candidate = False
        if self._course is not None and self._lost_at is not None:
            self._course.gap(self._lost_at, now)
        gap, self._lost_at = 0.0 if self._lost_at is None else now - self._lost_at, None
        self._log.info(
            "upstream.ready",
            generation=self._generation,
            resumed=resume,
            prompted=prompt is not None,
            gap_seconds=round(gap, 4),
        )
        self._hear([UpstreamResumed() if prompt is None else UpstreamReady()])
        self._writer.attach(upstream)
        if meanwhile := tuple(self._unanswered)[len(written) :]:
            self._uplink.prompt(interviewer.written(meanwhile))

    def _listen(self, events: Sequence[GeminiEvent]) -> None:
        for event in events:
            match event:
                case AudioSpoken():  # first, for nearly all are this
                    self._handle_is_current = False
                case HandleGiven():
                    self._handle = Handle(event.value, self._config.gemini_model, self._service.now_ms())
                    self._handle_is_current = True
                case GoingAway():
                    self._lifespan.going_away(trio.current_time(), event.seconds_left)
                    self._log.info(
                        "upstream.going_away", generation=self._generation, seconds_left=event.seconds_left
                    )
                case SpeechBegan() | TextHeard():
                    self._heard_candidate = True
                    self._handle_is_current = False
                case ToolCalled():
                    self._uplink.prompt(ToolAnswer(event.calls))
                    self._log.warning(
                        "upstream.tool_called", generation=self._generation, calls=len(event.calls)
                    )
                case ReplyRejected():
                    self._service.metrics.upstream_rejected.labels(event.reason).inc()
                    self._log.warning("upstream.rejected", generation=self._generation, reason=event.reason)
                case MemberSkipped():
                    self._note_unreadable(event.what)
                case _:
                    pass
        if events:
            self._hear(events)

    def _note_unreadable(self, what: str) -> None:
        """Count an unreadable member, and log a connection's first: a server that changed sends it in every frame."""
        self._service.metrics.upstream_malformed.inc()
        if self._reported_unreadable != self._generation:
            self._reported_unreadable = self._generation
            self._log.warning("upstream.unreadable", generation=self._generation, what=what)

    def connection(self, why: str, *, failed: bool = False) -> Connection:
        """Return the present connection, or the last, as one that ends now, and why."""
        times = (self._dialled_at, self._ready_at, trio.current_time())
        return Connection(self._generation, *times, self._resumed, why, failed)

    def _noted(self, why: str, *, failed: bool = False) -> None:
        if self._course is not None:
            self._course.connection(self.connection(why, failed=failed))

    def _lose(self) -> None:
        """Detach this connection: nothing more comes or goes over it."""
        upstream = self._writer.upstream
        if upstream is None:
            return
        self._writer.detach()
        self._listening = None
        self._lost_at = self.held[-1].lost = trio.current_time()
        self._ladder.down(self._lost_at)
        self._hear([UpstreamLost()])

    def _failed(self, error: UpstreamError, *, refused: bool) -> Cause:
        """Note a failure. ``refused``: the connection was closed over a resume, before the setup was accepted."""
        handle_failed = refused and error.is_close and error.cause not in NOT_THE_HANDLE
        if handle_failed or error.cause.remedy is Remedy.FRESH:
            self._drop_handle()
        self._service.failed(error.cause, trio.current_time())
        return self._note(error)

    def _note(self, error: UpstreamError) -> Cause:
        """Report a failure in the log and the metrics."""
        self._failure = error
        self._service.metrics.upstream_failures.labels(error.cause.name).inc()
        self._log.warning(
            "upstream.failed",
            cause=error.cause.name,
            code=error.code,
            generation=self._generation,
            words=str(error),
        )
        return error.cause

    def _drop_handle(self) -> None:
        if self._handle is not None:
            self._handle = None
            self._hear([HandleDropped()])

    def _hopeless(self) -> tuple[Ending, str]:
        cause = CLOSED if self._failure is None else self._failure.cause
        if not self._conversation.begun:
            return AI_UNREACHABLE, cause.name
        return AI_ENDED if cause is CLOSED else AI_FAILED, cause.name

    # -------------------------------------------------------------- the candidate's typed answers

    def write(self, answer: str) -> None:
        """Send an answer that the candidate typed, and send it again on each new connection until there is a reply."""
        self._unanswered.append(answer)
        self._heard_candidate = True
        self._handle_is_current = False
        if self.connected:
            self._uplink.prompt(interviewer.written([answer]))

    # -------------------------------------------------------------- told by the watchdog

    def answered(self) -> None:
        """Note that the interviewer spoke over this connection: to the candidate's words, or only to ours."""
        self._unanswered.clear()
        if self._heard_candidate:
            self._ladder.proved()
        else:
            self._ladder.spoke(resumed=self._resumed)
        self.resumed = False

    def leave(self, why: str, *, fresh: bool = False) -> None:
        """Leave this connection for the next; ``fresh``: without the handle, which is of no use."""
        if fresh:
            self._drop_handle()
        if self._listening is not None:
            self._log.info("upstream.left", generation=self._generation, why=why)
            self._listening.cancel()

    def time_to_leave(self, now: float) -> str | None:
        """Return why this is the moment to change connections, if it is: a quiet one, or the last one."""
        if not self.connected:
            return None
        if self._lifespan.overdue(now):
            return "overdue"
        ready = self._handle is not None and self._handle_is_current and self._lifespan.ripe(now)
        if ready and self._conversation.quiet(now) and not self._evidence.speaking(now):
            return "quiet"
        return None


def _nobody(_events: Sequence[GeminiEvent | ConnectionEvent]) -> None:
    """Hear nothing, as before ``run``."""
