"""What passes between the two ends of an interview, and what is put on record of it.

Gemini's events become effects by the rules of ``core.conversation``; here the effects happen. Nothing waits.
"""

from collections.abc import Callable, Sequence

import trio

from preppald.browser.seat import Seat
from preppald.config.settings import Config
from preppald.core import frames, interviewer
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.conversation import Conversation
from preppald.core.endings import TOKENS_SPENT, Ending
from preppald.core.events import (
    Effect,
    GeminiEvent,
    GoingAway,
    HandleGiven,
    InterviewOver,
    Keep,
    Play,
    ReplyBegan,
    ReplyRejected,
    SetupCompleted,
    StopPlaying,
    TokensUsed,
    ToolCalled,
    Unreadable,
    UpstreamLost,
    UpstreamReady,
    UpstreamResumed,
)
from preppald.core.fair_clock import AUDIBLE_GAP_SECONDS, FairClock
from preppald.core.frames import NoticeKind
from preppald.core.interview import Interview, Usage
from preppald.core.models import model_of
from preppald.core.patience import Patience
from preppald.core.turns import Turn
from preppald.gemini.client import Client
from preppald.gemini.uplink import Note, Uplink, UplinkWriter
from preppald.interview.record import Record
from preppald.interview.services import Services
from preppald.interview.stats import Stats
from preppald.recording import NO_TAPE
from preppald.telemetry.logs import Logger

# An application that asks for less has made a mistake: that is no interview.
SHORTEST_SECONDS = 60.0
# Of the ceiling on tokens: the rest is for the last words, which read the whole context once more.
CLOSING_SHARE = 0.9


class Dialogue:
    """The parts of one interview, wired together. ``end`` is the session's; the rest is as in ``Session``."""

    def __init__(
        self,
        services: Services,
        config: Config,
        interview: Interview,
        log: Logger,
        end: Callable[[Ending, str], None],
        *,
        turns: Sequence[Turn],
        last_seq: int,
        recovered: bool,
    ) -> None:
        now = trio.current_time()
        # The interview's own wall clock. One that was set back, or is set while the interview runs, moves neither
        # the order of turns nor the end.
        latest_ms = max([services.now_ms(), interview.started_ms, *(turn.started_ms for turn in turns)])
        self._epoch_ms = latest_ms - now * 1000
        self.end = end
        self.over = False
        self.context = NOTHING_KNOWN
        self.conversation = Conversation(epoch_ms=self._epoch_ms, turns=turns, last_seq=last_seq)
        self.uplink = Uplink()
        self.writer = UplinkWriter(self.uplink)
        self.link = Client(
            services.gemini,
            config,
            self,
            conversation=self.conversation,
            uplink=self.uplink,
            writer=self.writer,
            log=log,
            instruct=self.instruction,
            handle=interview.handle,
        )
        recorder = services.recorder if config.record == "on" else None
        self.tape = NO_TAPE if recorder is None else recorder.tape(interview, self._epoch_ms)
        self.seat = Seat(self.tape)
        self.patience = Patience()
        self.record = Record(services.journal, interview, log)
        self.stats = Stats(services.metrics, self.uplink, self.link, interview.usage, config.prices)
        self.clock = FairClock(
            ends_at=(interview.deadline_ms - self._epoch_ms) / 1000,
            credit_limit=config.credit_limit,
            credited=interview.credited_ms / 1000,
            notices=config.ending_soon,
        )
        self.clock.begin(now)
        self._services = services
        self._config = config
        self._interview = interview
        self._log = log
        self._recovered = recovered
        self._started = False
        self._reconnecting_told = False
        self._closing_for_tokens = False

    # -------------------------------------------------------------- from Gemini

    def gemini_ready(self, *, prompted: bool) -> None:
        if self.over:
            return
        now = trio.current_time()
        self._perform(self.conversation.receive(UpstreamReady() if prompted else UpstreamResumed(), now))
        if not self._started:
            self._started = True
            self._start()
        if gap := self.clock.gap(now):
            self._services.metrics.upstream_gap.observe(gap)
        self._give_back(self.clock.restored(now))
        if self._reconnecting_told:
            self._reconnecting_told = False
            self.tell(NoticeKind.RECONNECTED, "The interviewer is back.")

    def _start(self) -> None:
        # Also after a restart, which may have come before it was durable: where it was, this changes nothing.
        self.record.started(self._services.now_ms())
        self.seat.post(self._session_started(resumed=self._recovered))
        self._log.info(
            "session.started",
            user=self._interview.user_id,
            model=self._interview.model,
            resumed=self._recovered,
        )

    def gemini_lost(self) -> None:
        if self.over:
            return
        now = trio.current_time()
        self.clock.lost(now)
        self._perform(self.conversation.receive(UpstreamLost(), now))

    def handle_changed(self) -> None:
        """A restart is to find the handle that may be resumed with, and none that failed."""
        self.record.keep_handle(self.link.handle)

    def gemini_said(self, events: Sequence[GeminiEvent]) -> None:
        if self.over:
            return
        now = trio.current_time()
        self.seat.gather()
        for event in events:
            match event:
                case TokensUsed():
                    self._use(event.usage)
                case HandleGiven():
                    self.handle_changed()
                case SetupCompleted() | GoingAway() | ToolCalled() | ReplyRejected() | Unreadable():
                    pass
                case _:
                    self._perform(self.conversation.receive(event, now))
        self.seat.flush()

    def _use(self, usage: Usage) -> None:
        """Counts; near the ceiling the interviewer is told to close, and at it the interview ends."""
        self.stats.use(usage)
        self.record.keep_usage(self.stats.usage)
        ceiling, total = self._config.max_tokens, self.stats.usage.total
        if not ceiling:
            return
        if total >= ceiling:
            self.end(TOKENS_SPENT, f"{total} tokens, of at most {ceiling}")
        elif total >= ceiling * CLOSING_SHARE and not self._closing_for_tokens:
            self._closing_for_tokens = True
            self.tell(NoticeKind.ENDING_SOON, "The interview ends soon.")
            self.uplink.prompt(interviewer.CLOSE)

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Play():
                    self.stats.bytes_played += len(effect.pcm)
                    self.seat.play(effect.pcm)
                case Keep():
                    self.record.keep(effect.fragment)
                    self.seat.show(effect.fragment)
                case StopPlaying():
                    self._services.metrics.interruptions.inc()
                    self.seat.stop_playing()
                case ReplyBegan():
                    self.patience.answered()
                    self.link.answered()
                    if effect.delay is not None:
                        self._services.metrics.reply_delay.observe(effect.delay)

    # -------------------------------------------------------------- from the browser

    def browser_said(self, pcm: bytes) -> None:
        """Audio of the candidate: s16le mono 16 kHz, of any length."""
        if self.over:
            return
        self.tape.heard(pcm)
        self.uplink.put(pcm)

    # -------------------------------------------------------------- to the browser

    def welcome(self) -> None:
        """A browser that comes while the interview runs learns so, and whether its interviewer is there."""
        if not self._started:
            return
        self.seat.post(self._session_started(resumed=True))
        if self._reconnecting_told:
            self._tell_reconnecting()

    def tell(self, kind: NoticeKind, words: str) -> None:
        self.seat.tell(kind, words, remaining=self.clock.left(trio.current_time()))

    def _session_started(self, *, resumed: bool) -> bytes:
        remaining = self.clock.left(trio.current_time())
        return frames.session_started(
            self._interview.interview_id, remaining_seconds=remaining, resumed=resumed
        )

    # -------------------------------------------------------------- the brief

    def briefed(self, context: Context) -> None:
        """What the application knows of the interview, before the first setup. It may end sooner than the limit."""
        self.context = context
        if not context.seconds:
            return
        now = trio.current_time()
        began = (self._interview.started_ms - self._epoch_ms) / 1000
        ends_at = began + max(context.seconds, SHORTEST_SECONDS) + self.clock.credited
        if self.clock.shorten(ends_at, now):
            self._keep_deadline()

    def instruction(self, resumed: bool) -> str:  # noqa: FBT001 - the callback has one meaning
        """What the interviewer is told at a setup; a fresh session also learns what was said so far."""
        config = self._config
        planned_ms = self._interview.deadline_ms - self._interview.started_ms - self._interview.credited_ms
        asked = max(self.context.seconds, SHORTEST_SECONDS) if self.context.seconds else planned_ms / 1000
        seconds = min(planned_ms / 1000, asked)
        brief = config.brief.instruction(
            self.context, persona=config.persona, language=config.language, minutes=round(seconds / 60)
        )
        if resumed:
            return brief
        left = self.clock.left(trio.current_time())
        return interviewer.with_history(brief, self.conversation.turns, seconds_left=left)

    def tell_time(self) -> None:
        """Both sides learn how little time is left: the candidate to see it, the interviewer to close in time."""
        left = self.clock.left(trio.current_time())
        self.tell(NoticeKind.ENDING_SOON, f"The interview ends in {interviewer.in_words(left)}.")
        words = interviewer.time_left(left)
        quietly = left > interviewer.CLOSING_SECONDS and model_of(self._interview.model).notes
        self.uplink.prompt(Note(words) if quietly else words)

    # -------------------------------------------------------------- time

    def _keep_deadline(self) -> None:
        ends_ms = round(self._epoch_ms + self.clock.ends_at * 1000)
        self.record.credit(self.clock.credited, ends_ms)

    def _give_back(self, credit: float) -> None:
        """Time lost because Gemini was away is the candidate's: on record, for a restart keeps to it, too."""
        if not credit:
            return
        self._keep_deadline()
        self._log.info("time.credited", seconds=round(credit, 1), total=round(self.clock.credited, 1))

    def each_second(self, now: float) -> None:
        """Tells of a gap that can be heard, and moves the numbers into the metrics."""
        self.stats.flush()
        if self.clock.gap(now) > AUDIBLE_GAP_SECONDS and not self._reconnecting_told:
            self._reconnecting_told = True
            self._tell_reconnecting()

    def _tell_reconnecting(self) -> None:
        self.tell(NoticeKind.RECONNECTING, "The interviewer is being reconnected.")

    def close(self) -> list[Turn]:
        """Nothing more is said; the transcript."""
        self.over = True
        self.tape.silenced()
        self.link.stop()
        self._perform(self.conversation.receive(InterviewOver(), trio.current_time()))
        self.stats.flush()
        return self.conversation.turns
