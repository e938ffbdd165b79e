"""One reply as a score: each frame with its seconds after the first. Pure; dialogue.py performs it."""

import base64
from collections.abc import Iterator, Sequence, Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from preppald.simulator.faults import Flaw
from preppald.simulator.scenario import Audio, Frames
from preppald.simulator.voice import BYTES_PER_SECOND, SAMPLE_RATE_HZ, Line, deltas

JsonFrame = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cue:
    at: float
    """Simulated seconds after the reply's first frame."""
    frame: JsonFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    cues: list[Cue]
    seconds: float
    """How long the audio plays: turnComplete comes when that time is up."""
    late: Sequence[JsonFrame] = ()
    """Frames that come behind turnComplete."""


def parts(pcm: bytes, part_ms: int, *, odd: bool) -> Iterator[bytes]:
    """Yield `pcm` in parts of that length; `odd`: one byte less and one more in turns, the same in sum."""
    size = part_ms * SAMPLE_RATE_HZ // 1000 * 2
    start, number = 0, 0
    while start < len(pcm):
        end = start + size + (0 if not odd else -1 if number % 2 == 0 else 1)
        yield pcm[start:end]
        start, number = end, number + 1


def compose(
    line: Line, audio: Audio, frames: Frames, *, transcribe: bool, flaws: AbstractSet[Flaw] = frozenset()
) -> Score:
    """Return the score of one reply: audio parts, transcription deltas among them, generationComplete."""
    chunks = list(parts(line.pcm, audio.part_ms, odd=audio.odd))
    words = deltas(line.text) if transcribe and line.text else []
    if "text-only" in flaws:
        return _unheard(line, words, audio)
    kept = len(words) - len(words) // 2 if "late-text" in flaws else len(words)
    words, late = words[:kept], words[kept:]
    cues = [Cue(0.0, frame) for frame in _prelude(audio)]
    groups = [
        chunks[start : start + audio.parts_per_frame]
        for start in range(0, len(chunks), audio.parts_per_frame)
    ]
    sent = said = 0
    for number, group in enumerate(groups):
        at = sent / BYTES_PER_SECOND / audio.pace
        sent += sum(map(len, group))
        # A delta is due as soon as its share of the audio begins; the last group takes the rest.
        due = len(words) if number == len(groups) - 1 else -(-len(words) * (number + 1) // len(groups))
        text = "".join(words[said:due])
        said = due
        cues += [Cue(at, frame) for frame in _audio_frames(group, text, audio, bundled=frames.bundled)]
        if number == 0 and frames.empty:
            cues += [Cue(at, frame) for frame in _EMPTY_FRAMES]
    cut_short = "premature-turn-complete" in flaws
    return Score(
        cues=_finish(cues, sent, audio, frames, flaws),
        seconds=0.0 if cut_short else line.seconds,
        late=[{"serverContent": {"outputTranscription": {"text": text}}} for text in late],
    )


def _unheard(line: Line, words: list[str], audio: Audio) -> Score:
    """Return a reply of text alone, at the pace of its sound."""
    reasoning = {"text": "**Assessing** The answer was short."}
    cues = [Cue(0.0, {"serverContent": {"modelTurn": {"parts": [reasoning]}}})]
    length = line.seconds / audio.pace
    for number, text in enumerate(words):
        at = length * number / len(words)
        cues.append(Cue(at, {"serverContent": {"outputTranscription": {"text": text}}}))
    return Score(cues=[*cues, Cue(length, {"serverContent": {"generationComplete": True}})], seconds=0.0)


def odd(frame: JsonFrame) -> JsonFrame:
    """Return the same frame as a ProtoJSON writer may write it, and a proxy may have damaged it."""
    frame = dict(frame)
    if (content := frame.get("serverContent")) is not None:
        content = {"interrupted": None, "groundingMetadata": None, **content}
        if (written := content.get("outputTranscription")) is not None:
            content["outputTranscription"] = {**written, "text": written["text"] + "\x00\x1b\ud83d"}
        frame["serverContent"] = content
    if (usage := frame.get("usageMetadata")) is not None:
        quoted = {name: str(count) for name, count in usage.items() if isinstance(count, int)}
        frame["usageMetadata"] = {**usage, **quoted, "thoughtsTokenCount": 0.0}
    return frame


_EMPTY_FRAMES: tuple[JsonFrame, ...] = (
    {"serverContent": {}},
    {"serverContent": {"modelTurn": {}}},
    {"serverContent": {"inputTranscription": {}, "outputTranscription": {}}},
    {"sessionResumptionUpdate": {}},
    {"serverContent": {}, "usageMetadata": {}},
)


def _prelude(audio: Audio) -> list[JsonFrame]:
    if not audio.thoughts:
        return []
    thought = {"text": "**Planning the question**\n\nI will ask about their work.", "thought": True}
    return [{"serverContent": {"modelTurn": {"parts": [thought]}}}]


def _audio_frames(group: list[bytes], text: str, audio: Audio, *, bundled: bool) -> list[JsonFrame]:
    mime_type = f"audio/pcm;rate={SAMPLE_RATE_HZ}" if audio.rate_in_mime_type else "audio/pcm"
    blobs = [
        {"inlineData": {"mimeType": mime_type, "data": base64.b64encode(part).decode()}} for part in group
    ]
    spoken: JsonFrame = {"modelTurn": {"role": "model", "parts": blobs}}
    if not text:
        return [{"serverContent": spoken}]
    written: JsonFrame = {"outputTranscription": {"text": text}}
    if bundled:
        return [{"serverContent": spoken | written}]
    return [{"serverContent": spoken}, {"serverContent": written}]


def _finish(cues: list[Cue], sent: int, audio: Audio, frames: Frames, flaws: AbstractSet[Flaw]) -> list[Cue]:
    """Return the score's last cues: generationComplete, or a flaw in its place."""
    if "premature-turn-complete" in flaws:
        return cues[: -(-len(cues) // 2)]
    if "no-generation-complete" in flaws:
        return cues
    at = sent / BYTES_PER_SECOND / audio.pace
    if "late-audio" in flaws:
        last = max(
            index for index, cue in enumerate(cues) if "modelTurn" in cue.frame.get("serverContent", {})
        )
        complete = Cue(at, {"serverContent": {"generationComplete": True}})
        return [*cues[:last], complete, *(Cue(at, cue.frame) for cue in cues[last:])]
    if frames.bundled and cues:
        content = cues[-1].frame["serverContent"] | {"generationComplete": True}
        return [*cues[:-1], Cue(cues[-1].at, cues[-1].frame | {"serverContent": content})]
    return [*cues, Cue(at, {"serverContent": {"generationComplete": True}})]
