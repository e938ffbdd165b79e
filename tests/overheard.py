"""What Gemini got: all that a daemon sent, connection by connection, with its sound, taken down at the simulator."""

import base64
from collections import defaultdict
from typing import Any

import msgspec
import trio

from preppald.simulator import GeminiSimulator, Scenario
from preppald.simulator.recording import Direction, Recorder
from tests.candidates import RATE_HZ, Candidate, silence, tone
from tests.world import World

# Longer chunks than a browser's: an hour of them is ten times quicker, and as real to everybody who listens.
CHUNK_SECONDS = 0.2


class Overheard(Recorder):
    """Connections by number, from 1. ``audio``: what was said on it. ``prompts``: (connection, text), in order."""

    def __init__(self) -> None:
        self.setups: dict[int, dict[str, Any]] = {}
        self.set_up_at: dict[int, float] = {}
        self.audio: dict[int, bytearray] = defaultdict(bytearray)
        self.prompts: list[tuple[int, str]] = []
        # What the interviewer was only to know: nothing answers it.
        self.notes: list[str] = []
        self.tool_answers: list[dict[str, Any]] = []

    def note(self, connection: int, direction: Direction, frame: dict[str, Any]) -> None:
        """What Gemini says itself is heard elsewhere."""

    def note_bytes(self, connection: int, _direction: Direction, message: bytes) -> None:
        said = msgspec.json.decode(message, type=dict[str, Any])
        if "setup" in said:
            self.setups[connection] = said["setup"]
            self.set_up_at[connection] = trio.current_time()
        elif "clientContent" in said:
            self.notes.append(said["clientContent"]["turns"][0]["parts"][0]["text"])
        elif "toolResponse" in said:
            self.tool_answers.append(said["toolResponse"])
        elif "audio" in said["realtimeInput"]:
            self.audio[connection] += base64.b64decode(said["realtimeInput"]["audio"]["data"])
        else:
            self.prompts.append((connection, said["realtimeInput"]["text"]))

    @property
    def handles(self) -> dict[int, str | None]:
        """What each connection resumed with."""
        return {number: setup["sessionResumption"].get("handle") for number, setup in self.setups.items()}

    def instruction(self, connection: int) -> str:
        text: str = self.setups[connection]["systemInstruction"]["parts"][0]["text"]
        return text

    @property
    def all_audio(self) -> bytes:
        return b"".join(bytes(self.audio[number]) for number in sorted(self.audio))


def overhear(world: World, scenario: Scenario) -> Overheard:
    """Puts another Gemini behind the world, one that is listened to."""
    heard = Overheard()
    world.gemini = GeminiSimulator(scenario, recorder=heard)
    return heard


async def stream(candidate: Candidate, pcm: bytes, chunk: float = CHUNK_SECONDS) -> bytes:
    """Sends it in real time, as a microphone would, until the interview closes; what was sent."""
    step = 2 * round(RATE_HZ * chunk)
    for at in range(0, len(pcm), step):
        if candidate.leaving:
            return pcm[:at]
        await candidate.send_audio(pcm[at : at + step])
        await trio.sleep(len(pcm[at : at + step]) / 2 / RATE_HZ)
    return pcm


async def keep_silent(candidate: Candidate, seconds: float) -> None:
    await stream(candidate, silence(seconds))


async def speak(candidate: Candidate, seconds: float, pause: float = 2.0) -> None:
    """Says something, and then nothing for a while: Gemini takes the pause for the end after 1.5 s."""
    await stream(candidate, tone(seconds) + silence(pause))
