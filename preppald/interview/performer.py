"""Here effects happen: each kind has one method, and none of them waits."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import trio

from preppald.core import frames
from preppald.core.effects import Asked, End, Leave, Prompt, PutSilence, Remark, SessionEffect, ShowHold, Tell
from preppald.core.events import Effect, Keep, Play, ReplyBegan, StopPlaying
from preppald.core.stage import Stage
from preppald.gemini.uplink import Note
from preppald.interview.parts import Parts
from preppald.telemetry.logs import Logger
from preppald.telemetry.metrics import Metrics

# The interventions at a model that has not answered, and those of them that give its connection up.
GIVEN_UP = frozenset({Stage.ROTATE, Stage.FRESH, Stage.GIVE_UP})
UNANSWERED = GIVEN_UP | {Stage.GREET_AGAIN, Stage.NUDGE}


class Performer:
    """One interview's."""

    def __init__(self, parts: Parts, metrics: Metrics, log: Logger) -> None:
        self._parts = parts
        self._metrics = metrics
        self._log = log

    def perform(self, effects: Sequence[Effect | SessionEffect]) -> None:
        """Have these happen, in order."""
        for effect in effects:
            self.HANDLERS[type(effect)](self, effect)

    # -------------------------------------------------------------- of the conversation

    def _play(self, effect: Play) -> None:
        self._parts.stats.bytes_played += len(effect.pcm)
        self._parts.seat.play(effect.pcm)

    def _keep(self, effect: Keep) -> None:
        self._parts.record.keep(effect.fragment)
        self._parts.seat.show(effect.fragment)

    def _stop_playing(self, _effect: StopPlaying) -> None:
        self._metrics.interruptions.inc()
        self._parts.seat.stop_playing(self._parts.conversation.cut_reply)

    def _reply_began(self, effect: ReplyBegan) -> None:
        voice_ended_at = self._parts.evidence.voice_ended_at
        stats = self._parts.stats
        if voice_ended_at is not None:
            from_voice = trio.current_time() - voice_ended_at
            stats.from_voice.add(from_voice)
            self._metrics.reply_delay_from_voice.observe(from_voice)
        self._parts.watchdog.answered()
        self._parts.evidence.replied()
        self._parts.client.answered()
        if effect.delay is not None:
            stats.from_notice.add(effect.delay)
            self._metrics.reply_delay.observe(effect.delay)

    # -------------------------------------------------------------- of the session

    def _put_silence(self, effect: PutSilence) -> None:
        self._parts.uplink.put_silence(effect.seconds)

    def _prompt(self, effect: Prompt) -> None:
        self._parts.uplink.prompt(Note(effect.text) if effect.quiet else effect.text)

    def _leave(self, effect: Leave) -> None:
        self._parts.client.leave(effect.why, fresh=effect.fresh)

    def _tell(self, effect: Tell) -> None:
        left = self._parts.clock.left(trio.current_time())
        self._parts.seat.tell(effect.kind, effect.words, remaining=left)

    def _remark(self, effect: Remark) -> None:
        self._parts.stats.false_interruptions += effect.stage is Stage.TAKE_UP
        self._parts.stats.prompts += 1
        self._metrics.interventions.labels(effect.stage.value).inc()
        self._log.warning("interviewer.silent", stage=effect.stage.value)
        if effect.stage in UNANSWERED:
            self._parts.client.unanswered(given_up=effect.stage in GIVEN_UP)

    def _show_hold(self, effect: ShowHold) -> None:
        self._parts.seat.post(frames.hold_state(on=effect.on, remaining_seconds=effect.remaining))

    def _asked(self, _effect: Asked) -> None:
        self._parts.evidence.asked(trio.current_time())

    def _end(self, effect: End) -> None:
        self._parts.outcome.end(effect.ending, effect.cause)

    # Looked up by type: an effect of the hot path costs one dictionary access. A test holds it to the whole union.
    HANDLERS: ClassVar[dict[type[Effect | SessionEffect], Callable[[Any, Any], None]]] = {
        Play: _play,
        Keep: _keep,
        StopPlaying: _stop_playing,
        ReplyBegan: _reply_began,
        PutSilence: _put_silence,
        Prompt: _prompt,
        Leave: _leave,
        Tell: _tell,
        Remark: _remark,
        Asked: _asked,
        ShowHold: _show_hold,
        End: _end,
    }
