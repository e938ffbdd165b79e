"""Gemini for as long as the interview lasts, over connections that live minutes.

Rule 1: the old connection is closed before the next is dialled; a session that is resumed while its old socket
        is open was seen to be refused.
Rule 2: one connection at a time is read, and only its own task reads it, so that nothing of an old one is ever
        heard after a new one began. Each has a generation number, for the log.
Rule 3: the interviewer greets once.
"""

from collections.abc import Sequence
from typing import Protocol

import trio

from preppald.core import gemini, interviewer
from preppald.core.closes import CLOSED, QUOTA, Cause, Remedy
from preppald.core.conversation import Conversation
from preppald.core.endings import AI_ENDED, AI_FAILED, AI_UNREACHABLE, Ending
from preppald.core.events import GeminiEvent, GoingAway, HandleGiven
from preppald.core.interview import Handle
from preppald.core.ladder import Ladder, Rung
from preppald.logs import Logger
from preppald.services import Services
from preppald.uplink import Uplink
from preppald.upstream import Upstream, UpstreamError, connected

# A send that takes longer has lost its connection: half a frame cannot be taken back.
SEND_SECONDS = 10.0
# Kept from a goAway's time: closing, dialling and setting up must fit.
GO_AWAY_MARGIN_SECONDS = 5.0
# What a goAway without a time is taken to say.
GO_AWAY_DEFAULT_SECONDS = 10.0
# A handle is good for two hours after its session's end.
HANDLE_LIFETIME_MS = 2 * 3600 * 1000


class Owner(Protocol):
    """Who hears what the link brings: the session."""

    def gemini_said(self, events: Sequence[GeminiEvent]) -> None: ...
    def gemini_ready(self, *, prompted: bool) -> None: ...
    def gemini_lost(self) -> None: ...
    def end(self, ending: Ending, cause: str) -> None: ...


class Link:
    """``read`` and ``write`` are two of the session's tasks; everything else returns at once."""

    def __init__(
        self,
        services: Services,
        owner: Owner,
        *,
        conversation: Conversation,
        uplink: Uplink,
        log: Logger,
        handle: Handle | None = None,
    ) -> None:
        self.rotations = 0
        self.restorations = 0
        self.resumed = False
        self.upstream: Upstream | None = None
        self._services = services
        self._owner = owner
        self._conversation = conversation
        self._uplink = uplink
        self._log = log
        self._handle = handle if self._usable(handle) else None
        self._ladder = Ladder()
        self._generation = 0
        self._set_up_at = 0.0
        self._leave_by: float | None = None
        self._listening: trio.CancelScope | None = None
        self._last_failure: UpstreamError | None = None
        self._stopping = False
        self._life = trio.CancelScope()

    @property
    def handle(self) -> Handle | None:
        """The last handle that may be resumed with."""
        return self._handle

    # -------------------------------------------------------------- the reader

    async def read(self) -> None:
        """Connects, listens, rotates and restores, until that is hopeless: then it ends the interview."""
        rung: Rung | None = Rung(0.0, resume=self._handle is not None)
        with self._life:
            while rung is not None:
                await trio.sleep(rung.delay)
                cause = await self._converse(resume=rung.resume)
                if self._stopping:
                    return
                rung = self._next_rung(cause)
            self._give_up()

    def stop(self) -> None:
        """The interview is over: closes in order where there is a connection, else gives up at once."""
        self._stopping = True
        if self._listening is None:
            self._life.cancel()
        else:
            self._listening.cancel()

    def _next_rung(self, cause: Cause | None) -> Rung | None:
        has_handle = self._handle is not None
        if cause is None:
            self.rotations += 1
            return Rung(0.0, resume=has_handle)
        self.restorations += 1
        return self._ladder.lost(
            cause, now=trio.current_time(), has_handle=has_handle, chance=self._services.chance()
        )

    async def _converse(self, *, resume: bool) -> Cause | None:
        """One connection from dial to end; why it was lost, or None when it was left on purpose."""
        if self._services.breaker.open(trio.current_time()):
            return self._failed(UpstreamError(QUOTA))
        self._generation += 1
        setup = gemini.setup(
            self._options(resume=resume), self._handle.value if resume and self._handle else None
        )
        config = self._services.config
        try:
            async with connected(
                self._services.dial, config.gemini_url, config.gemini_key, setup, generation=self._generation
            ) as upstream:
                await self._begin(upstream, resume=resume)
                with trio.CancelScope() as self._listening:
                    while True:
                        self._hear(await upstream.receive())
                self._lose()
        except UpstreamError as error:
            self._lose()
            return self._failed(error)
        return None

    async def _begin(self, upstream: Upstream, *, resume: bool) -> None:
        """Makes the interviewer speak where it must, before the microphone opens: text and noise race."""
        prompt = None
        if not self._conversation.begun:
            prompt = interviewer.GREETING
        elif self._conversation.owed or not resume:
            prompt = interviewer.CONTINUE
        self._ladder.connected(trio.current_time())
        self._services.metrics.upstream_connects.labels("resumed" if resume else "fresh").inc()
        self._log.info(
            "upstream.ready", generation=self._generation, resumed=resume, prompted=prompt is not None
        )
        if prompt is not None:
            await upstream.send(gemini.prompt(prompt))
        self.resumed = resume
        self.upstream = upstream
        self._set_up_at = trio.current_time()
        self._owner.gemini_ready(prompted=prompt is not None)
        self._uplink.open()

    def _hear(self, events: Sequence[GeminiEvent]) -> None:
        for event in events:
            if isinstance(event, HandleGiven):
                config = self._services.config
                self._handle = Handle(event.value, config.gemini_model, self._services.now_ms())
            elif isinstance(event, GoingAway):
                self._going_away(event.seconds_left)
        if events:
            self._owner.gemini_said(events)

    def _lose(self) -> None:
        """Whatever the reason: nothing more comes or goes over this connection."""
        if self.upstream is None:
            return
        self._services.metrics.upstream_malformed.inc(self.upstream.malformed)
        self.upstream = None
        self._listening = None
        self._leave_by = None
        self._uplink.shut()
        self._owner.gemini_lost()

    def _failed(self, error: UpstreamError) -> Cause:
        """Notes a failure where it can be seen: the log, the metrics, the breaker."""
        self._last_failure = error
        if error.cause.remedy is Remedy.FRESH:
            self._handle = None
        self._services.breaker.note(error.cause, trio.current_time())
        self._services.metrics.upstream_failures.labels(error.cause.name).inc()
        self._log.warning(
            "upstream.failed",
            cause=error.cause.name,
            code=error.code,
            generation=self._generation,
            words=str(error),
        )
        return error.cause

    def _give_up(self) -> None:
        failure = self._last_failure
        cause = "" if failure is None else failure.cause.name
        if not self._conversation.begun:
            self._owner.end(AI_UNREACHABLE, cause)
        elif failure is not None and failure.cause is CLOSED:
            self._owner.end(AI_ENDED, cause)
        else:
            self._owner.end(AI_FAILED, cause)

    # -------------------------------------------------------------- the writer

    async def write(self) -> None:
        """Sends prompts and audio; what could not be sent waits for the next connection."""
        while True:
            item = await self._uplink.take()
            upstream = self.upstream
            if upstream is None:
                continue  # pragma: no cover - the uplink is shut in the same step that clears it
            try:
                await upstream.send(gemini.prompt(item) if isinstance(item, str) else gemini.audio(item))
            except UpstreamError:
                # The reader sees the end too, and it knows the close frame. Until then nothing is sent.
                self._uplink.shut()
                if isinstance(item, bytes):
                    self._uplink.give_back(item)

    # -------------------------------------------------------------- told by the watchdog

    def answered(self) -> None:
        """The interviewer spoke over this connection, which therefore works."""
        self.resumed = False
        self._ladder.proved()

    def rotate(self, *, fresh: bool = False) -> None:
        """Leaves this connection for the next; ``fresh``: without the handle, which is of no use."""
        if fresh:
            self._handle = None
        if self._listening is not None:
            self._listening.cancel()

    def rotation_due(self, now: float) -> bool:
        """Whether this is the moment to change connections: a quiet one, or the last one."""
        if self.upstream is None:
            return False
        if self._leave_by is not None and now >= self._leave_by:
            return True
        aged = now - self._set_up_at >= self._services.config.rotate_after
        wanted = aged or self._leave_by is not None
        return wanted and self._handle is not None and self._conversation.quiet(now)

    async def drop_if_stalled(self, now: float) -> None:
        """Hangs up on a connection that takes nothing more."""
        upstream = self.upstream
        if upstream is None or upstream.sending_since is None:
            return
        if now - upstream.sending_since > SEND_SECONDS:
            self._log.warning("upstream.stalled", generation=self._generation)
            await upstream.abort()

    # -------------------------------------------------------------- helpers

    def _going_away(self, seconds_left: float | None) -> None:
        left = GO_AWAY_DEFAULT_SECONDS if seconds_left is None else seconds_left
        leave_by = trio.current_time() + max(0.0, left - GO_AWAY_MARGIN_SECONDS)
        self._leave_by = leave_by if self._leave_by is None else min(self._leave_by, leave_by)
        self._log.info("upstream.going_away", generation=self._generation, seconds_left=seconds_left)

    def _options(self, *, resume: bool) -> gemini.Setup:
        config = self._services.config
        instruction = interviewer.INSTRUCTION
        if not resume:
            instruction = interviewer.with_history(instruction, self._conversation.turns)
        return gemini.Setup(
            model=config.gemini_model,
            voice=config.voice,
            instruction=instruction,
            start_sensitivity=config.vad_start,
            end_sensitivity=config.vad_end,
            silence_ms=round(config.vad_silence * 1000),
            prefix_padding_ms=round(config.vad_prefix * 1000),
        )

    def _usable(self, handle: Handle | None) -> bool:
        if handle is None:
            return False
        age_ms = self._services.now_ms() - handle.at_ms
        return handle.model == self._services.config.gemini_model and age_ms < HANDLE_LIFETIME_MS
