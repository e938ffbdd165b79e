"""Keeps Gemini for the whole interview, over connections that live minutes.

Rule 1: the old connection is closed before the next is dialled; a session that is resumed while its old socket
        is open was seen to be refused.
Rule 2: one connection at a time is listened to, so that nothing of an old one is ever heard after a new one began.
        Each has a generation number, for the log.
Rule 3: the interviewer greets once.
Rule 4: where the interviewer must be made to speak, the prompt goes before the microphone opens: text and noise race.
"""

from collections.abc import Callable, Sequence

import msgspec
import trio

from preppald.config.gemini_setup import gemini_setup
from preppald.config.settings import Config
from preppald.core import gemini, interviewer
from preppald.core.closes import CLOSED, NOT_THE_HANDLE, OF_THE_MODEL, Cause, Remedy
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
    ModelChanged,
    ReplyRejected,
    SpeechBegan,
    SpeechEnded,
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
from preppald.core.text_answers import ANSWERS_A_MINUTE
from preppald.core.traces import Course
from preppald.gemini.connection import Upstream, UpstreamError, connected
from preppald.gemini.connections import Connections
from preppald.gemini.models import Pick
from preppald.gemini.service import GeminiService
from preppald.gemini.uplink import ToolAnswer, Uplink, UplinkWriter
from preppald.telemetry.logs import Logger

# More than a candidate may type before the interviewer speaks again, or is given up after half a minute.
UNANSWERED = 2 * ANSWERS_A_MINUTE
# Of a connection that was left on purpose: a rotation, a watchdog's step, the interview's end.
LEFT = "left"
# Takes Gemini's events and those of its connection, in order, and returns at once.
Hear = Callable[[Sequence[GeminiEvent | ConnectionEvent], float], None]


class Client:
    """``run`` is one of the session's tasks, the writer's ``run`` another; everything else returns at once."""

    def __init__(
        self,
        service: GeminiService,
        config: Config,
        *,
        pick: Pick,
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
        self.connections = Connections(course)
        # True where this connection knows the whole dialogue: it got the history, or nothing was lost before it.
        self.prompted = True
        self._service = service
        self._config = config
        self._pick = pick
        self._conversation = conversation
        self._evidence = evidence
        self._uplink = uplink
        self._writer = writer
        self._instructions = instructions
        self._clock = clock
        self._log = log
        good = handle is not None and handle.good(pick.name, service.now_ms())
        self._handle = handle if good else None
        # True where the handle knows the whole dialogue: nobody spoke since it was given.
        self._handle_is_current = True
        self._resumed = self._heard_candidate = False
        self._ladder = Ladder(RESTORE_BUDGET_SECONDS if conversation.begun else START_BUDGET_SECONDS)
        # The generation whose first unreadable member is in the log.
        self._reported_unreadable = 0
        self._lifespan = Lifespan(0.0, config.rotate_after)
        # Typed answers to which the interviewer has not replied: seldom one.
        self._unanswered: tuple[str, ...] = ()
        self._listening: trio.CancelScope | None = None
        self._failure: UpstreamError | None = None
        self._stopping = False
        self._life = trio.CancelScope()
        self._hear: Hear = _nobody

    @property
    def connected(self) -> bool:
        """True while a session with Gemini is set up."""
        return self._writer.upstream is not None

    @property
    def handle(self) -> Handle | None:
        """The last handle that may be resumed with."""
        return self._handle

    @property
    def model(self) -> str:
        """The model of this connection, or of the next."""
        return self._pick.name

    # -------------------------------------------------------------- the reader

    async def run(self, hear: Hear) -> tuple[Ending, str] | None:
        """Connect, listen, rotate and restore, until that is hopeless: return how the interview ends, and why.

        None after ``stop``.
        """
        self._hear = hear
        self._ladder.down(trio.current_time())
        if self._handle is None and not self._conversation.begun and self._pick.begin(trio.current_time()):
            self._report(ModelChanged(self._pick.name))
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
        elsewhere = self._pick.move()
        if elsewhere:
            self._handle = None  # it is of no use to another model
            self._log.warning("interview.model_changed", model=self._pick.name)
            self._report(ModelChanged(self._pick.name))
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
            elsewhere=elsewhere and failure in OF_THE_MODEL,
        )

    async def _converse(self, rung: Rung) -> Cause | None:
        """Hold one connection from dial to end; return why it was lost, or None when it was left on purpose."""
        now = trio.current_time()
        if not self._service.quota.admit(now):
            return self._note(UpstreamError(self._service.quota.cause, detail="not asked again so soon"))
        self.connections.dialled(now, self._pick.name)
        self._pick.dialled(now)
        handle = self._handle.value if rung.resume and self._handle else None
        # Kept until it is accepted: it holds the brief and the application's papers, and a connection lives minutes.
        setup: gemini.Setup | None
        setup = self._service.hints.fit(
            gemini_setup(
                self._config,
                self._instruction(resume=rung.resume),
                self._instructions.context,
                name=self._pick.name,
            )
        )
        connecting = connected(
            self._service.dial,
            self._service.url,
            self._service.key(),
            gemini.setup(setup, handle),
            generation=self.connections.generation,
            by=self._pick.by(rung.by, now),
        )
        try:
            async with connecting as upstream:
                self._service.hints.accept(setup)
                setup = None
                await self._begin(upstream, resume=rung.resume)
                with trio.CancelScope() as self._listening:
                    await upstream.listen(self._listen, self._service.poller)
                self._lose()
                self.connections.ended(LEFT, trio.current_time())
        except UpstreamError as error:
            self._lose()
            self.connections.ended(error.cause.name, trio.current_time(), failed=True)
            if setup is not None and (blamed := self._service.hints.blame(error, setup)):
                self._log.warning("upstream.hints_refused", fields=sorted(blamed), words=str(error))
                return await self._converse(rung)
            return self._failed(error, resuming=handle is not None, accepted=setup is None)
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
        self._service.metrics.upstream_connects.labels("resumed" if resume else "fresh").inc()
        self._lifespan = Lifespan(now, self._config.rotate_after)
        prompt = None
        written = self._unanswered
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
        gap = self.connections.ready(now, resumed=resume)
        self._log.info(
            "upstream.ready",
            generation=self.connections.generation,
            resumed=resume,
            prompted=prompt is not None,
            gap_seconds=round(gap, 4),
        )
        self._report(UpstreamResumed() if prompt is None else UpstreamReady())
        self._writer.attach(upstream)
        if meanwhile := self._unanswered[len(written) :]:
            self._uplink.prompt(interviewer.written(meanwhile))

    def _listen(self, events: Sequence[GeminiEvent], now: float) -> None:
        for event in events:
            match event:
                case AudioSpoken():  # first, for nearly all are this
                    self._handle_is_current = False
                case HandleGiven():
                    self._handle = Handle(event.value, self._pick.name, self._service.now_ms())
                    self._handle_is_current = True
                case GoingAway():
                    self._lifespan.going_away(trio.current_time(), event.seconds_left)
                    self._log.info(
                        "upstream.going_away",
                        generation=self.connections.generation,
                        seconds_left=event.seconds_left,
                    )
                case SpeechBegan() | SpeechEnded() | TextHeard():
                    self._heard_candidate = True
                    self._handle_is_current = False
                    events = self._placed(events)
                case ToolCalled():
                    self._uplink.prompt(ToolAnswer(event.calls))
                    self._log.warning(
                        "upstream.tool_called", generation=self.connections.generation, calls=len(event.calls)
                    )
                case ReplyRejected():
                    self._service.metrics.upstream_rejected.labels(event.reason).inc()
                    self._log.warning(
                        "upstream.rejected", generation=self.connections.generation, reason=event.reason
                    )
                case MemberSkipped():
                    self._note_unreadable(event.what)
                case _:
                    pass
        if events:
            self._hear(events, now)

    def _report(self, *events: ConnectionEvent) -> None:
        self._hear(events, trio.current_time())

    def _placed(self, events: Sequence[GeminiEvent]) -> Sequence[GeminiEvent]:
        """Return the events, the notices of a voice with how much sound has come since, where Gemini named the place."""
        return [
            msgspec.structs.replace(event, behind=self._uplink.behind(event.offset))
            if isinstance(event, SpeechBegan | SpeechEnded) and event.offset is not None
            else event
            for event in events
        ]

    def _note_unreadable(self, what: str) -> None:
        """Count an unreadable member, and log a connection's first: a server that changed sends it in every frame."""
        self._service.metrics.upstream_malformed.inc()
        if self._reported_unreadable != self.connections.generation:
            self._reported_unreadable = self.connections.generation
            self._log.warning("upstream.unreadable", generation=self.connections.generation, what=what)

    def _lose(self) -> None:
        """Detach this connection: nothing more comes or goes over it."""
        upstream = self._writer.upstream
        if upstream is None:
            return
        self._writer.detach()
        self._listening = None
        now = trio.current_time()
        self.connections.lost(now)
        self._ladder.down(now)
        self._report(UpstreamLost())

    def _failed(self, error: UpstreamError, *, resuming: bool, accepted: bool) -> Cause:
        """Note a failure. ``resuming``: of a connection with a handle; ``accepted``: its setup was."""
        refused = resuming and not accepted
        handle_failed = refused and error.is_close and error.cause not in NOT_THE_HANDLE
        if handle_failed or error.cause.remedy is Remedy.FRESH:
            self._drop_handle()
        self._service.failed(error.cause, trio.current_time())
        self._pick.failed(error.cause, trio.current_time(), resuming=resuming)
        return self._note(error)

    def _note(self, error: UpstreamError) -> Cause:
        """Report a failure in the log and the metrics."""
        self._failure = error
        self._service.metrics.upstream_failures.labels(error.cause.name).inc()
        self._log.warning(
            "upstream.failed",
            cause=error.cause.name,
            code=error.code,
            generation=self.connections.generation,
            words=str(error),
        )
        return error.cause

    def _drop_handle(self) -> None:
        if self._handle is not None:
            self._handle = None
            self._report(HandleDropped())

    def _hopeless(self) -> tuple[Ending, str]:
        cause = CLOSED if self._failure is None else self._failure.cause
        if not self._conversation.begun:
            return AI_UNREACHABLE, cause.name
        return AI_ENDED if cause is CLOSED else AI_FAILED, cause.name

    # -------------------------------------------------------------- the candidate's typed answers

    def write(self, answer: str) -> None:
        """Send an answer that the candidate typed, and send it again on each new connection until there is a reply."""
        self._unanswered = (*self._unanswered, answer)[-UNANSWERED:]
        self._heard_candidate = True
        self._handle_is_current = False
        if self.connected:
            self._uplink.prompt(interviewer.written([answer]))

    # -------------------------------------------------------------- told by the watchdog

    def answered(self) -> None:
        """Note that the interviewer spoke over this connection: to the candidate's words, or only to ours."""
        self._unanswered = ()
        if self._heard_candidate:
            self._ladder.proved()
            self._pick.answered(trio.current_time())
        else:
            self._ladder.spoke(resumed=self._resumed)
        self.resumed = False

    def unanswered(self, *, given_up: bool) -> None:
        """Note that the interviewer stays silent; ``given_up``: for so long that this connection is of no more use."""
        if given_up or self._pick.probing:
            self._pick.stalled(trio.current_time())

    def leave(self, why: str, *, fresh: bool = False) -> None:
        """Leave this connection for the next; ``fresh``: without the handle, which is of no use."""
        if fresh:
            self._drop_handle()
        if self._listening is not None:
            self._log.info("upstream.left", generation=self.connections.generation, why=why)
            self._listening.cancel()

    def time_to_leave(self, now: float) -> str | None:
        """Return why this is the moment to change connections, if it is: a quiet one, or the last one."""
        if not self.connected:
            return None
        if self._lifespan.overdue(now):
            return "overdue"
        if not self._conversation.quiet(now) or self._evidence.speaking(now):
            return None
        if self._pick.forsaken():
            return "model"
        ready = self._handle is not None and self._handle_is_current and self._lifespan.ripe(now)
        return "quiet" if ready else None


def _nobody(_events: Sequence[GeminiEvent | ConnectionEvent], _now: float) -> None:
    """Hear nothing, as before ``run``."""
