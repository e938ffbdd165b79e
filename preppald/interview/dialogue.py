"""Moves events between the two ends of an interview, and onto its record.

Events become effects by the rules of ``core``, and happen in ``performer``. Nothing waits.
"""

from collections.abc import Sequence

import trio

from preppald.browser.connection import Browser
from preppald.config.settings import Config
from preppald.core import frames, interviewer
from preppald.core.allotment import Allotment
from preppald.core.context import Context
from preppald.core.effects import Prompt, Tell
from preppald.core.events import (
    AudioSpoken,
    ConnectionEvent,
    GeminiEvent,
    GoingAway,
    HandleDropped,
    HandleGiven,
    InterviewOver,
    MemberSkipped,
    ModelChanged,
    ReplyGenerated,
    ReplyRejected,
    SetupCompleted,
    TokensUsed,
    ToolCalled,
    TurnCompleted,
    UpstreamLost,
    UpstreamReady,
    UpstreamResumed,
)
from preppald.core.frames import NoticeKind
from preppald.core.interview import Interview
from preppald.core.models import model_of
from preppald.core.turns import Speaker, Turn
from preppald.core.watchdog import RECONNECTING, Snapshot
from preppald.interview.parts import Parts, answer_seconds_of
from preppald.interview.performer import Performer
from preppald.interview.services import Services
from preppald.recording import NO_TAPE
from preppald.telemetry.logs import Logger


class Dialogue:
    """One interview's. ``recovered``: another process began it. ``started``: Gemini was
    there for the first time; ``over``: nothing more is said.
    """

    def __init__(
        self,
        services: Services,
        config: Config,
        interview: Interview,
        parts: Parts,
        performer: Performer,
        *,
        log: Logger,
        recovered: bool,
    ) -> None:
        self._services = services
        self._config = config
        self._interview = interview
        self._parts = parts
        self._performer = performer
        self._log = log
        self._recovered = recovered
        self.started = False
        self.over = False
        self._allotment = Allotment(config.max_tokens)

    # -------------------------------------------------------------- from Gemini

    def hear(self, events: Sequence[GeminiEvent | ConnectionEvent], now: float) -> None:
        """Take what Gemini said by now, or what became of its connection, in order; one send carries what follows."""
        if self.over:
            return
        gathers = len(events) > 1
        if gathers:
            self._parts.seat.gather()
        for event in events:
            if type(event) is AudioSpoken:  # as nearly all are; it is no evidence beyond the conversation's
                self._performer.perform(self._parts.conversation.receive(event, now))
            else:
                self._take(event, now)
        if gathers:
            self._parts.seat.flush()

    def _take(self, event: GeminiEvent | ConnectionEvent, now: float) -> None:
        match event:
            case TokensUsed():
                stats = self._parts.stats
                stats.use(event.usage)
                self._parts.record.keep_usage(stats.usage)
                self._performer.perform(self._allotment.used(stats.usage.total))
            case HandleGiven() | HandleDropped():
                # A restart is to find the handle that may be resumed with, and none that failed.
                self._parts.record.keep_handle(self._parts.client.handle)
            case ModelChanged():
                self._parts.record.keep_model(event.name)
                self._parts.watchdog.expect(answer_seconds_of(self._config, event.name))
            case ToolCalled():
                self._parts.evidence.note(event, now)
            case SetupCompleted() | GoingAway() | ReplyRejected() | MemberSkipped():
                pass
            case UpstreamReady() | UpstreamResumed():
                self._come_back(event, now)
            case _:
                if isinstance(event, UpstreamLost):
                    self._parts.clock.lost(now)
                    self._parts.evidence.lose(now)
                self._performer.perform(self._parts.conversation.receive(event, now))
                self._parts.evidence.note(event, now)
                if isinstance(event, ReplyGenerated | TurnCompleted | UpstreamLost):
                    self._parts.seat.rest()

    def _come_back(self, event: UpstreamReady | UpstreamResumed, now: float) -> None:
        self._performer.perform(self._parts.conversation.receive(event, now))
        self._parts.evidence.note(event, now)
        if not self.started:
            self.started = True
            self._start()
        clock = self._parts.clock
        if gap := clock.gap(now):
            self._services.metrics.upstream_gap.observe(gap)
            self._parts.stats.gaps.add(gap)
        if credit := clock.restored(now):
            # Time lost because Gemini was away is the candidate's, and a restart keeps to it.
            self._keep_deadline()
            self._log.info("time.credited", seconds=round(credit, 1), total=round(clock.credited, 1))
        self._performer.perform(self._parts.watchdog.back())

    def _start(self) -> None:
        # Also after a restart, which may have come before it was durable: where it was, this changes nothing.
        self._parts.record.started(self._services.now_ms())
        self._parts.seat.post(self._session_started(resumed=self._recovered))
        self._services.metrics.sessions_started.labels("recovered" if self._recovered else "new").inc()
        browser = self._parts.seat.browser
        self._log.info(
            "session.started",
            user=self._interview.user_id,
            model=self._parts.client.model,
            resumed=self._recovered,
            **({} if browser is None else {"client": browser.client, "browser": browser.family}),
        )

    # -------------------------------------------------------------- from the browser

    def heard(self, browser: Browser, pcm: bytes) -> None:
        """Take audio of the candidate, the last read's: s16le mono 16 kHz, of any length.

        Only the browser that has the seat is heard; any other was replaced.
        """
        parts = self._parts
        if self.over or browser is not parts.seat.browser:
            return
        at = browser.heard_at
        if parts.tape is not NO_TAPE:  # a call that does nothing would cost a hundredth of a chunk's way
            parts.tape.heard(pcm)
        if parts.ear.take(pcm):
            parts.evidence.close_block(at)
        hold = parts.hold
        if hold.on or hold.kept:
            pcm = self._held(pcm, at)
            if hold.on:
                return
        parts.uplink.feed(pcm, at)

    def _held(self, pcm: bytes, at: float) -> bytes:
        """Keep the sound while the candidate's pause lasts; return all that goes on after its end."""
        hold = self._parts.hold
        if not hold.on:
            return hold.release() + pcm
        hold.hear(pcm, at)
        if hold.on:
            return b""
        self._performer.perform([hold.shown(at)])
        return hold.release()

    # -------------------------------------------------------------- to the browser

    def welcome(self) -> None:
        """Tell a browser that came while the interview runs so, and whether its interviewer is there."""
        if not self.started:
            return
        self._parts.seat.post(self._session_started(resumed=True))
        if self._parts.watchdog.reconnecting:
            self._performer.perform([RECONNECTING])
        if self._parts.hold.on:
            self._performer.perform([self._parts.hold.shown(trio.current_time())])

    def _session_started(self, *, resumed: bool) -> bytes:
        remaining = self._parts.clock.left(trio.current_time())
        return frames.session_started(
            self._interview.interview_id,
            remaining_seconds=remaining,
            resumed=resumed,
            grace_seconds=self._config.reconnect_grace,
            block=self._interview.block,
            opus=self._parts.seat.opus,
        )

    # -------------------------------------------------------------- time

    def briefed(self, context: Context) -> None:
        """Take what the application knows of the interview, before the first setup: it may end sooner."""
        wanted = self._parts.instructions.learn(context)
        if wanted is None:
            return
        clock = self._parts.clock
        began = (self._interview.started_ms - self._parts.epoch_ms) / 1000
        if clock.shorten(began + wanted + clock.credited, trio.current_time()):
            self._keep_deadline()

    def tell_time(self) -> None:
        """Tell both sides how little time is left: the candidate to see it, the interviewer to close in time."""
        if not self._parts.instructions.tells_time:
            return
        left = self._parts.clock.left(trio.current_time())
        told = Tell(NoticeKind.ENDING_SOON, f"The interview ends in {interviewer.in_words(left)}.")
        quiet = left > interviewer.CLOSING_SECONDS and model_of(self._parts.client.model).notes
        self._performer.perform([told, Prompt(interviewer.time_left(left), quiet=quiet)])

    def _keep_deadline(self) -> None:
        clock = self._parts.clock
        self._parts.record.credit(clock.credited, round(self._parts.epoch_ms + clock.ends_at * 1000))

    def look(self, now: float) -> None:
        """Do what the watchdog finds to do, and move the numbers into the metrics; once a second."""
        parts = self._parts
        seen = Snapshot(
            connected=parts.client.connected,
            gap=parts.clock.gap(now),
            fed_at=parts.uplink.fed_at,
            left_at=parts.seat.left_at if parts.seat.browser is None else None,
            floor=parts.evidence.read(now),
            holding=parts.hold.on,
            begun=parts.conversation.begun,
            resumed=parts.client.resumed,
            leave=parts.client.time_to_leave(now),
            opening=parts.instructions.opening,
            nudge=interviewer.NUDGE if parts.client.prompted else self._account(),
            interrupted_at=parts.evidence.interrupted_at,
            heard=parts.conversation.last_heard if parts.evidence.interrupted_at is not None else "",
        )
        self._performer.perform([*parts.hold.look(now), *parts.watchdog.look(now, seen)])
        parts.stats.flush()

    def tell_draining(self) -> None:
        """Tell the page that the daemon is to stop, and waits for this interview."""
        words = "The service will restart; your interview goes on."
        self._performer.perform([Tell(NoticeKind.DRAINING, words)])

    def _account(self) -> str:
        """Return a nudge that quotes the last answer: this session may not have heard its beginning."""
        turns = self._parts.conversation.turns
        answered = bool(turns) and turns[-1].speaker is Speaker.USER
        return interviewer.go_on(turns[-1].text if answered else "", "")

    def close(self) -> list[Turn]:
        """Stop both ends, for nothing more is said; return the transcript."""
        self.over = True
        parts = self._parts
        parts.tape.silenced()
        parts.client.stop()
        self._performer.perform(parts.conversation.receive(InterviewOver(), trio.current_time()))
        parts.stats.flush()
        return parts.conversation.turns
