"""Speech with the exact time of every word, by espeak-ng's library: its events name the sample at which a sound begins."""

from array import array
from collections.abc import Sequence
import ctypes
from dataclasses import dataclass
from functools import cache
import os
from typing import Any, ClassVar

import pytest

from preppald.audio.resample import Resampler
from tests.candidates import RATE_HZ

REQUIRED = "TESTS_NEED_ESPEAK"
LIBRARY = "libespeak-ng.so.1"
# Of espeak-ng/speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_PHONEME_EVENTS = 1
CHARS_UTF8 = 1
EVENT_LIST_TERMINATED, EVENT_WORD, EVENT_END, EVENT_PHONEME = 0, 1, 5, 7
RATE_PARAMETER, VOLUME_PARAMETER = 1, 2
# Phonemes that begin so are pauses: a word's sound ends there.
PAUSE = b"_"
# Speech at arm's length.
VOLUME = 100


class _Id(ctypes.Union):
    _fields_: ClassVar[Sequence[Any]] = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_: ClassVar[Sequence[Any]] = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class Speech:
    """``pcm``: s16le mono 16 kHz. ``words``: the begin and the end of each word's sound, in seconds from its first sample."""

    pcm: bytes
    words: tuple[tuple[float, float], ...]

    @property
    def begin(self) -> float:
        return self.words[0][0]

    @property
    def end(self) -> float:
        return self.words[-1][1]


class Synthesizer:
    """espeak-ng in this process. It has one state for the whole process, so there is one of these: ``synthesizer()``."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._rate = library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, None, INITIALIZE_PHONEME_EVENTS)
        assert self._rate > 0, "espeak-ng finds none of its data"
        self._pcm = bytearray()
        self._events: list[tuple[int, int, bytes]] = []
        self._callback = _Callback(self._take)  # the library keeps no reference of its own
        library.espeak_SetSynthCallback(self._callback)
        library.espeak_SetParameter(VOLUME_PARAMETER, VOLUME, 0)

    def _take(
        self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: "ctypes._Pointer[_Event]"
    ) -> int:
        if count > 0:
            self._pcm += ctypes.string_at(samples, 2 * count)
        number = 0
        while (event := events[number]).type != EVENT_LIST_TERMINATED:
            name = event.id.string if event.type == EVENT_PHONEME else b""
            self._events.append((event.type, event.sample, name))
            number += 1
        return 0

    def say(self, voice: str, text: str) -> Speech:
        """Speak; ``voice``: an espeak-ng voice, as `espeak-ng --voices` lists them."""
        self._pcm.clear()
        self._events.clear()
        assert self._library.espeak_SetVoiceByName(voice.encode()) == 0, f"espeak-ng has no voice {voice}"
        written = text.encode() + b"\0"
        size = ctypes.c_size_t(len(written))
        status = self._library.espeak_Synth(written, size, 0, 0, 0, CHARS_UTF8, None, None)
        assert status == 0, f"espeak-ng answers {status}"
        self._library.espeak_Synchronize()
        resampler = Resampler(self._rate, RATE_HZ)
        made = resampler.feed(array("h", bytes(self._pcm)))
        made += resampler.finish()
        return Speech(made.tobytes(), tuple(self._words()))

    def _words(self) -> list[tuple[float, float]]:
        """Return from when to when there is sound of each word: the pause behind its last sound is none of it."""
        found: list[tuple[float, float]] = []
        begun: int | None = None
        for kind, sample, name in self._events:
            sounds = kind == EVENT_PHONEME and not name.startswith((PAUSE, b"("))
            if begun is not None and (
                kind in (EVENT_WORD, EVENT_END) or (kind == EVENT_PHONEME and not sounds)
            ):
                found.append((begun / self._rate, sample / self._rate))
                begun = None
            if sounds and begun is None:
                begun = sample
        return found


@cache
def synthesizer() -> Synthesizer:
    """Return espeak-ng; skip the test where the system has none and nobody asked for it."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, and there is no {LIBRARY} here")
        pytest.skip(f"needs {LIBRARY} (Debian: libespeak-ng1)")
    return Synthesizer(library)
