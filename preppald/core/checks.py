"""Checking a transcript: the job, the turns in doubt, the request to the second ear, and the result."""

import binascii
from collections.abc import Sequence
import struct

import msgspec

from preppald.core import generation
from preppald.core.generation import Generated
from preppald.core.interview import Usage
from preppald.core.quality import word_count
from preppald.core.turns import unspaced
from preppald.core.verification import UNHEARD_SECONDS, Flag
from preppald.core.writing import may_be

RATE_HZ = 16_000
BYTES_PER_SECOND = 2 * RATE_HZ
# Cut with the turn on both sides: its times are told to some hundredths of a second, and a word's end fades.
MARGIN_MS = 500
# Of one turn; the rest of a longer one is not checked. As WAV it is 9.6 MB, in base64 12.8: a request may have 20.
MOST_TURN_SECONDS = 300.0
# Of one interview: twice an hour's answers. More is not sent, so that none costs more than some 40 cents.
MOST_SECONDS = 3_600.0
# Speech outside of this is no transcription of it, in words a second of voice; characters of scripts without blanks are
# twice as many.
SLOWEST, FASTEST = 1.0, 4.5
WIDE_FACTOR = 2.0
# A long answer with few words.
LONG_SECONDS, FEW_WORDS = 15.0, 12
# Our own ear's voice and the turn's length are apart by more than this share.
APART_SHARE = 0.5


class TurnToCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """A turn of the candidate. ``turn``: its line in the transcript, from 0; the times are places in the recording.

    ``typed``: some of its text was, or all: no second ear can have heard that.
    """

    turn: int
    live: str
    begin_ms: int
    end_ms: int
    typed: bool = False


class Job(msgspec.Struct, frozen=True):
    """All that the process which checks one transcript is told, and nothing else does it look up.

    ``shelves``: directories of the state directory that may hold the sound. ``turns``: all of the candidate's, in order;
    ``begins_ms``: of each line of the transcript, the interviewer's, too.
    ``url``: of generateContent, with the model. ``proxy``: host, port, user and password; None where there is none.
    """

    interview_id: str
    epoch: int
    block: int
    state_dir: str
    shelves: tuple[str, ...]
    doubtful_only: bool
    begins_ms: tuple[int, ...]
    turns: tuple[TurnToCheck, ...]
    url: str
    key: str
    proxy: tuple[str, int, str, str] | None = None
    languages: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Job({self.interview_id}, epoch {self.epoch}, {len(self.turns)} turns)"


class CheckedTurn(msgspec.Struct, frozen=True, omit_defaults=True):
    """Both texts of a turn, and which to trust.

    ``turn``: its line in the transcript, from 0; of one that was not heard the line before which it was spoken.
    ``confidence``: in the live text, 0 to 1.
    """

    turn: int
    live: str
    second: str
    flag: Flag
    confidence: float
    second_is_better: bool
    begin_ms: int = 0
    end_ms: int = 0


class Checked(msgspec.Struct, frozen=True):
    """The result. ``failed``: turns for which there was no second text; ``passed_over``: not in doubt, or past the bound."""

    turns: tuple[CheckedTurn, ...] = ()
    calls: int = 0
    sent_bytes: int = 0
    seconds: float = 0.0
    prompt_tokens: int = 0
    response_tokens: int = 0
    failed: int = 0
    passed_over: int = 0

    @property
    def usage(self) -> Usage:
        return Usage(verification_prompt=self.prompt_tokens, verification_response=self.response_tokens)


def doubts(turn: TurnToCheck, voice_seconds: float, languages: Sequence[str]) -> list[str]:
    """Return what is suspicious about a turn, in words; nothing where all is well.

    ``voice_seconds``: of voice in it, by our own ear. ``languages``: that were expected, as in BCP-47.
    """
    found = []
    words, seconds = word_count(turn.live), (turn.end_ms - turn.begin_ms) / 1000
    wide = 2 * sum(map(unspaced, turn.live)) > len(turn.live.replace(" ", ""))
    factor = WIDE_FACTOR if wide else 1.0
    spoken = max(min(seconds, voice_seconds), 0.1)
    if not SLOWEST * factor <= words / spoken <= FASTEST * factor:
        found.append("words a second")
    if not may_be(turn.live, tuple(languages)):
        found.append("another language")
    if seconds > LONG_SECONDS and words < FEW_WORDS * factor:
        found.append("few words")
    if abs(voice_seconds - seconds) > max(seconds * APART_SHARE, UNHEARD_SECONDS):
        found.append("our ear")
    return found


def wav(pcm: bytes) -> bytes:
    """Return a WAV file of s16le mono 16 kHz."""
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", 36 + len(pcm), b"WAVE", b"fmt ", 16, 1, 1, RATE_HZ, BYTES_PER_SECOND, 2, 16, b"data", len(pcm),
    )  # fmt: skip
    return head + pcm


def request(pcm: bytes, languages: Sequence[str] = (), vocabulary: Sequence[str] = ()) -> bytes:
    """Return the body of a call: the sound inline, and what is expected in it, as live transcription is told."""
    hints = {"languageCodes": list(languages), "customVocabulary": list(vocabulary)}
    config = {name: value for name, value in hints.items() if value}
    body: dict[str, object] = {
        "contents": [
            {
                "role": "user",
                "parts": [
                    {
                        "inlineData": {
                            "mimeType": "audio/wav",
                            "data": binascii.b2a_base64(wav(pcm), newline=False).decode(),
                        }
                    }
                ],
            }
        ]
    }
    if config:
        body["generationConfig"] = {"audioTranscriptionConfig": config}
    return msgspec.json.encode(body)


def decode(body: bytes) -> Generated:
    """Return the text in an answer of 200; a turn in which nothing was said has an empty one. Raises GenerationError."""
    found = generation.read(body)
    text = " ".join(found.text.replace("\x00", "").split())
    return Generated(text, found.prompt_tokens, found.response_tokens)
