"""Turn-taking: hears the candidate, answers in time, and stops when spoken over.

Rule 1: at most one reply is being given. `_speaking` says so, and is set and unset without a checkpoint between
the decision and the deed, so that a barge-in finds a reply either under way or over.
Rule 2: every frame goes through `send`, in order. A cancelled reply sends nothing more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import trio

from preppald.simulator.clock import Clock
from preppald.simulator.faults import Flaw, Moment
from preppald.simulator.hearing import Utterance
from preppald.simulator.memory import Memory
from preppald.simulator.reply import JsonFrame, compose, odd
from preppald.simulator.rules import Setup
from preppald.simulator.scenario import Scenario
from preppald.simulator.tools import Tools
from preppald.simulator.usage import Meter
from preppald.simulator.vad import Ear, SpeechEnded, SpeechStarted
from preppald.simulator.voice import BYTES_PER_SECOND, deltas, line_of_turn, sentences

# Between turnComplete and the text that the flaw late-text keeps back.
LATE_TEXT_SECONDS = 0.05


class Stage(Protocol):
    """The dialogue's demands on its connection."""

    async def send(self, frame: JsonFrame) -> None: ...
    async def strike(self, moment: Moment, turn: int) -> None: ...
    def flaws(self, turn: int) -> set[Flaw]: ...
    def new_handle(self) -> str | None: ...


@dataclass(slots=True)
class _Reply:
    """A reply under way."""

    scope: trio.CancelScope
    begun: bool = False
    """Something of it was sent."""
    spoken_bytes: int = 0


class Dialogue:
    def __init__(
        self,
        *,
        stage: Stage,
        setup: Setup,
        scenario: Scenario,
        memory: Memory,
        clock: Clock,
        tasks: trio.Nursery,
    ) -> None:
        self._stage = stage
        self._setup = setup
        self._scenario = scenario
        self._memory = memory
        self._clock = clock
        self._tasks = tasks
        self._lines = scenario.lines()
        self._meter = Meter(memory, setup.compression, scenario.limits.context_tokens)
        self._ear = Ear(setup.vad) if setup.vad is not None else None
        self._utterance = Utterance(0.0 if setup.vad is None else setup.vad.prefix_padding_ms / 1000)
        self._tools = Tools(stage.send, setup.blocking, scenario, memory)
        self._speaking: _Reply | None = None
        self._owed = False
        self._turn = 0
        self._manual_seconds: float | None = None
        self._withheld: str | None = None
        self._late_text: Sequence[JsonFrame] = ()

    # Input.

    async def hear(self, pcm: bytes, rate: int) -> None:
        """Take audio of the candidate: s16le mono PCM at `rate` samples a second."""
        if self._ear is not None:
            self._utterance.add(pcm, rate, speaking=self._ear.speaking)
            for event in self._ear.feed(pcm, rate):
                await self._voice_activity(event)
        elif self._manual_seconds is not None:
            self._utterance.add(pcm, rate, speaking=True)
            self._manual_seconds += len(pcm) / 2 / rate

    async def stream_ended(self) -> None:
        if self._ear is not None:
            for event in self._ear.flush():
                await self._voice_activity(event)

    async def activity_started(self) -> None:
        self._manual_seconds = 0.0
        self._utterance = Utterance(0.0)
        await self._speech_started()

    async def activity_ended(self) -> None:
        seconds, self._manual_seconds = self._manual_seconds, None
        if seconds is not None:
            await self._transcribe(seconds)
            await self._utterance_ended(seconds)

    async def read(self, text: str) -> None:
        """Take realtimeInput.text, which counts as activity: it interrupts, and is answered."""
        self._meter.read_text(text)
        await self._speech_started()
        self._answer()

    async def add_content(self, text: str, *, complete: bool) -> None:
        """Take clientContent. Measured on 3.8: turnComplete interrupts at once, its absence never does."""
        self._meter.read_text(text)
        if complete:
            await self._interrupt()
            self._answer()

    async def tool_answered(self, responses: list[dict[str, Any]]) -> None:
        match self._tools.take(responses):
            case "INTERRUPT":
                await self._interrupt()
                self._answer()
            case "WHEN_IDLE":
                self._answer()
            case "SILENT":
                pass

    # The candidate's turn.

    async def _voice_activity(self, event: SpeechStarted | SpeechEnded) -> None:
        started = isinstance(event, SpeechStarted)
        if isinstance(event, SpeechEnded):
            await self._transcribe(event.seconds)
        if self._setup.model.speaks_vad:
            kind = "ACTIVITY_START" if started else "ACTIVITY_END"
            offset = f"{event.offset:.3f}s"
            await self._stage.send({"voiceActivity": {"type": kind, "audioOffset": offset}})
        if isinstance(event, SpeechEnded):
            await self._utterance_ended(event.seconds)
        else:
            await self._speech_started()

    async def _speech_started(self) -> None:
        await self._stage.strike("speech", self._turn)
        if self._setup.interrupts:
            await self._interrupt()

    async def _utterance_ended(self, seconds: float) -> None:
        self._meter.heard_audio(seconds)
        await self._stage.strike("utterance", self._turn + 1)
        self._answer()

    async def _transcribe(self, seconds: float) -> None:
        """Send the candidate's words: one whole message on 3.x, deltas on 2.5."""
        number, self._memory.utterances = self._memory.utterances, self._memory.utterances + 1
        if not self._setup.transcribe_input:
            return
        speech = self._scenario.speech
        text = speech[number] if number < len(speech) else self._utterance.over(seconds)
        if "late-input-transcription" in self._stage.flaws(self._turn + 1):
            self._withheld = text
            return
        if "whole-utterances" in self._stage.flaws(self._turn + 1):
            await self._transcribe_sentences(text)
            return
        for piece in [text] if self._setup.model.speaks_vad else deltas(text):
            await self._stage.send({"serverContent": {"inputTranscription": {"text": piece}}})

    async def _transcribe_sentences(self, text: str) -> None:
        """Send each sentence as an utterance of its own; the last one's end is the caller's."""
        for number, sentence in enumerate(sentences(text)):
            if number and self._setup.model.speaks_vad:
                await self._stage.send({"voiceActivity": {"type": "ACTIVITY_END"}})
                await self._stage.send({"voiceActivity": {"type": "ACTIVITY_START"}})
            await self._stage.send({"serverContent": {"inputTranscription": {"text": sentence}}})

    # The model's turn.

    def _answer(self) -> None:
        if self._speaking is not None:  # NO_INTERRUPTION: one answer to everything said meanwhile
            self._owed = True
            return
        self._turn += 1
        if "no-answer" not in self._stage.flaws(self._turn):
            self._speaking = _Reply(trio.CancelScope())
            self._tasks.start_soon(self._give, self._speaking, self._turn)

    async def _interrupt(self) -> None:
        """Send a barge-in's frames: `interrupted`, then turnComplete without generationComplete."""
        reply, self._speaking = self._speaking, None
        self._owed = False
        if reply is None:
            return
        reply.scope.cancel()
        await self._tools.cancel()
        if reply.begun:
            await self._stage.send({"serverContent": {"interrupted": True}})
            await self._end_turn(reply, self._turn)

    async def _give(self, reply: _Reply, turn: int) -> None:
        with reply.scope:
            await self._clock.sleep(self._scenario.timing.reply_delay)
            flaws = self._stage.flaws(turn)
            if "waits" in flaws:
                self._speaking = None
                await self._choose_to_wait()
                return
            if "thoughts" in flaws:
                await self._think()
            await self._perform(reply, turn)
            if "no-turn-complete" in flaws:
                self._speaking = None
                return
            if "cough" in flaws:
                self._speaking = None
                await self._cut_by_a_noise(reply, turn)
                return
            if "two-utterances" in self._stage.flaws(turn):
                over = {"turnComplete": True, "interactionStatus": "IN_PROGRESS"}
                await self._stage.send({"serverContent": over})
                await self._clock.sleep(self._scenario.timing.thinking)
                await self._perform(reply, turn)
        if self._speaking is reply:
            self._speaking = None
            await self._end_turn(reply, turn)
            if self._owed and self._speaking is None:
                self._owed = False
                self._answer()

    async def _choose_to_wait(self) -> None:
        over = {"waitingForInput": True, "turnComplete": True, "interactionStatus": "IDLE"}
        await self._stage.send({"serverContent": over})

    async def _think(self) -> None:
        for _ in range(round(self._scenario.timing.thinking)):
            thought = {"text": "**Weighing the answer**", "thought": True}
            await self._stage.send({"serverContent": {"modelTurn": {"parts": [thought]}}})
            await self._clock.sleep(1.0)

    async def _cut_by_a_noise(self, reply: _Reply, turn: int) -> None:
        if self._setup.model.speaks_vad:
            await self._stage.send({"voiceActivity": {"type": "ACTIVITY_START"}})
        await self._stage.send({"serverContent": {"interrupted": True}})
        await self._end_turn(reply, turn)
        if self._setup.model.speaks_vad:
            await self._stage.send({"voiceActivity": {"type": "ACTIVITY_END"}})

    async def _perform(self, reply: _Reply, turn: int) -> None:
        self._memory.replies += 1
        line = line_of_turn(self._lines, self._memory.replies)
        if self._setup.resumption:
            await self._stage.send({"sessionResumptionUpdate": {}})  # not resumable while generating
        await self._tools.call_before_speaking(self._clock, self._scenario.timing.tool_wait)
        scenario, flaws = self._scenario, self._stage.flaws(turn)
        score = compose(
            line,
            scenario.audio,
            scenario.frames,
            transcribe=self._setup.transcribe_output,
            flaws=flaws,
        )
        half = len(score.cues) // 2 if flaws & {"stall", "cough"} else len(score.cues)
        first = self._clock.now()
        for number, cue in enumerate(score.cues[:half]):
            if number == len(score.cues) // 2:
                await self._tools.call_halfway(self._clock, self._scenario.timing.tool_wait)
            await self._clock.sleep_until(first + cue.at)
            new = not reply.begun
            reply.begun = True
            reply.spoken_bytes += _audio_bytes(cue.frame)
            await self._stage.send(odd(cue.frame) if "odd-members" in flaws else cue.frame)
            if new:
                await self._stage.strike("generating", turn)
                await self._tools.call_while_speaking()
        if "stall" in flaws:
            await self._tools.call_halfway(self._clock, scenario.timing.tool_wait)
            await trio.sleep_forever()
        if "cough" in flaws:
            return
        self._late_text = score.late
        await self._stage.strike("generation-complete", turn)
        await self._clock.sleep_until(first + score.seconds + scenario.timing.turn_complete_lag)

    async def _end_turn(self, reply: _Reply, turn: int) -> None:
        """Send turnComplete with usage and status, and then everything that follows a turn."""
        usage = self._meter.turn(reply.spoken_bytes / BYTES_PER_SECOND)
        over = {"turnComplete": True, "interactionStatus": "IDLE"}
        completed = {"serverContent": over, "usageMetadata": usage}
        await self._stage.send(odd(completed) if "odd-members" in self._stage.flaws(turn) else completed)
        late_text, self._late_text = self._late_text, ()
        if late_text:
            await self._clock.sleep(LATE_TEXT_SECONDS)
        for frame in late_text:
            await self._stage.send(frame)
        if self._withheld is not None:
            late, self._withheld = self._withheld, None
            await self._stage.send({"serverContent": {"inputTranscription": {"text": late}}})
        handle = self._stage.new_handle()
        if handle is not None:
            await self._stage.send({"sessionResumptionUpdate": {"newHandle": handle, "resumable": True}})
        await self._stage.strike("turn-complete", turn)


def _audio_bytes(frame: JsonFrame) -> int:
    """Return the bytes of PCM in a frame: base64 has four characters for three bytes."""
    parts = frame.get("serverContent", {}).get("modelTurn", {}).get("parts", ())
    return sum(
        len(data) * 3 // 4 - data.count("=", -2)
        for part in parts
        if (data := part.get("inlineData", {}).get("data"))
    )
