"""What the tests of a call share: a file to say, a display that remembers, a caller."""

from array import array
from collections.abc import Callable, Iterator
import math
from pathlib import Path
import random
from typing import Any
import wave

import pytest

from preppald.candidate.call import Behaviour, Call
from preppald.candidate.display import View
from preppald.candidate.link import Address
from preppald.candidate.speech import Speech
from preppald.candidate.transcript import Turn
from preppald.candidate.wav import WavWriter

from .daemon import Daemon


def write_wav(path: Path, samples: "array[int]", *, rate: int = 16_000, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def sine(frequency: float, seconds: float, *, rate: int = 16_000, amplitude: float = 16_000) -> "array[int]":
    step = 2 * math.pi * frequency / rate
    return array("h", (round(amplitude * math.sin(step * i)) for i in range(round(seconds * rate))))


@pytest.fixture
def two_seconds(tmp_path: Path) -> Path:
    """Two seconds of voice."""
    return write_wav(tmp_path / "answer.wav", sine(300, 2))


class Memory:
    """A display that remembers."""

    def __init__(self) -> None:
        self.turns: list[str] = []
        self.remarks: list[str] = []
        self.states: list[str] = []
        self.views: list[View] = []
        self.closing = ""

    def turn(self, turn: Turn) -> None:
        if turn.complete:
            self.turns.append(f"{turn.speaker}: {turn.text}")

    def remark(self, text: str) -> None:
        self.remarks.append(text)

    def draw(self, view: View) -> None:
        self.views.append(view)
        if view.state not in self.states[-1:]:
            self.states.append(view.state)

    def finish(self, unfinished: list[Turn], closing: str) -> None:
        self.turns += [f"{turn.speaker}: {turn.text}" for turn in unfinished]
        self.closing = closing


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def make_call(two_seconds: Path, memory: Memory) -> Iterator[Callable[..., Call]]:
    """A call to a scripted daemon, saying two seconds of voice."""
    speeches: list[Speech] = []

    def make(
        daemon: Daemon, *, path: Path | None = None, save: WavWriter | None = None, **behaviour: Any
    ) -> Call:
        address = Address("ws://daemon", "call-1", "a.b.c", daemon.dial)
        speech = Speech(path or two_seconds)
        speeches.append(speech)
        return Call(address, speech, Behaviour(**behaviour), memory, save=save, randomness=random.Random(1))

    yield make
    for speech in speeches:
        speech.close()
