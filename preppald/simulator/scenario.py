"""Scenarios: the simulator's lines, speed, limits and faults. One TOML file each.

Every key has a default, so that an empty file is the well-behaved service. All durations are simulated seconds.
"""

from functools import cache
from importlib import resources
from pathlib import Path
import re
import tomllib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from preppald.simulator.backend_scenario import BackendScenario
from preppald.simulator.endings import CLOSE_FRAMES
from preppald.simulator.explain import explain
from preppald.simulator.faults import Fault
from preppald.simulator.voice import Line, recordings, spoken

# An API key of this form chooses a scenario for its connection: scenario:NAME, or scenario:NAME/ANYTHING
# to have connections counted apart from others of that scenario (# serves too, but not in a URL, where Google's
# JavaScript SDK puts the key as it is).
KEY_PREFIX = "scenario:"
_MARKS = re.compile(r"[#/]")

# 15 s of audio are 960 kB of base64. Google's Python SDK closes at a frame of 1 MiB, and no real one is near.
MAX_FRAME_MS = 15_000

Seconds = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=0)]


class ScenarioError(Exception):
    """Raised for a scenario that cannot be used; the message names key, value and the allowed values."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Reply(_Table, frozen=True, kw_only=True):
    """One line of the interviewer: `text` over a `recording`, or hummed for `seconds`."""

    text: str = ""
    recording: str | None = None
    seconds: Annotated[float, Meta(gt=0, le=600)] | None = None

    def __post_init__(self) -> None:
        if self.recording is not None and self.recording not in recordings():
            raise ValueError(f"recording {self.recording!r} is not one of {', '.join(recordings())}")
        if not (self.text or self.recording):
            raise ValueError("a reply needs a text or a recording")


class Frames(_Table, frozen=True, kw_only=True):
    """The form of frames on the wire."""

    opcode: Literal["binary", "text"] = "binary"  # the real service sends BINARY [six observers]
    pretty: bool = False
    """Indented, with a trailing newline."""
    unknown: bool = False
    """Fields, top-level keys and enum values that no client knows, beside those it does."""
    empty: bool = False
    """Sub-messages that say nothing, such as {"serverContent":{}}."""
    bundled: bool = False
    """Audio, its transcription and generationComplete in one frame, as 3.x may do."""


class Audio(_Table, frozen=True, kw_only=True):
    """The cutting of a reply's audio."""

    part_ms: Annotated[int, Meta(ge=5, le=5000)] = 40  # totals recorded on 3.8-live are multiples of 10 ms
    pace: Positive = 4.0
    """How much faster than real time it is sent. Recorded on 3.8-live (2026-09-29): 3.6 to 5."""
    parts_per_frame: Annotated[int, Meta(ge=1, le=16)] = 1
    odd: bool = False
    """Parts of odd length: a sample may be split between two."""
    rate_in_mime_type: bool = True
    thoughts: bool = False
    """A thought part (text that must be neither shown nor spoken) before the audio."""

    def __post_init__(self) -> None:
        if self.part_ms * self.parts_per_frame > MAX_FRAME_MS:
            raise ValueError(
                f"part_ms times parts_per_frame is over {MAX_FRAME_MS}: no frame may reach 1 MiB"
            )


class Timing(_Table, frozen=True, kw_only=True):
    setup_delay: Seconds = 0.05  # 0.1 to 0.5 on the real service; short, for developers
    reply_delay: Seconds = 0.45  # recorded on 3.8-live (2026-09-29): 0.46 to 0.81 after ACTIVITY_END
    turn_complete_lag: Seconds = 0.02  # recorded: 5 to 35 ms after the simulated end of playback
    thinking: Seconds = 12.0
    """Between the two utterances of a reply with the flaw two-utterances; before one with the flaw thoughts."""
    tool_wait: Seconds = 60.0
    """How long a reply waits for the answer to a BLOCKING tool call."""
    pong_delay: Seconds = 0.0  # 8 to 30 s were measured on the real service
    read_delay: Seconds = 0.0
    """Before each message is read: a slow reader makes the client's sends wait."""


class GoAway(_Table, frozen=True, kw_only=True):
    before: Seconds = 50.0  # "50s" observed repeatedly
    time_left: Literal["seconds", "fractional", "absent"] = "seconds"
    times: Count = 1
    """0: the connection ends without a warning; 2: a duplicate follows one second later."""


class Limits(_Table, frozen=True, kw_only=True):
    connection: Positive = 600.0  # about ten minutes, documented
    connection_close: str = "go-away-ignored"
    """The close frame (a row of endings.CLOSE_FRAMES) when the connection's time is up."""
    session: Positive = 900.0  # 15 minutes of audio without contextWindowCompression, documented
    idle: Positive = 170.0  # "The operation was aborted." after 150 to 190 s without input
    handle_ttl: Positive = 7200.0  # 2 h after the last connection ended, documented
    context_tokens: Annotated[int, Meta(gt=0)] = 131_072  # of 3.8-live, documented

    def __post_init__(self) -> None:
        if self.connection_close not in CLOSE_FRAMES:
            raise ValueError(
                f"connection_close {self.connection_close!r} is not one of {', '.join(CLOSE_FRAMES)}"
            )


class Manners(_Table, frozen=True, kw_only=True):
    """The points on which observers of the real service disagree."""

    early_messages: Literal["queue", "reject"] = "queue"
    """Messages that come before setupComplete."""
    resume_while_open: Literal["accept", "reject"] = "accept"
    """A resume while the session's older connection is still open; "reject" closes it with 1011."""


class ToolCall(_Table, frozen=True, kw_only=True):
    """The model calls a function in the `turn`-th reply (from 1) of the session, if the setup declared it.

    `undeclared`: the model calls an undeclared one all the same, and waits for the answer before it speaks; with
    `halfway` it waits in the middle of the reply.
    """

    name: str
    turn: Annotated[int, Meta(ge=1)] = 1
    args: dict[str, object] = {}
    undeclared: bool = False
    halfway: bool = False


class Generate(_Table, frozen=True, kw_only=True):
    """The behaviour of generateContent, which writes the feedback, and transcribes sound."""

    statuses: tuple[Literal[200, 400, 403, 404, 429, 500, 503, 504], ...] = ()
    """Of the first calls of each API key; then 200."""
    hang: bool = False
    """It never answers."""
    text: str | None = None
    """What the model writes; without it, a sentence for each field of the schema."""
    finish_reason: str = "STOP"
    mishear: Literal["", "start", "invent", "language", "cut"] = ""
    """What the transcription model makes of a sound whose words it knows: nothing of its start, more than was said,
    another language, nothing of its end."""


class Scenario(_Table, frozen=True, kw_only=True):
    description: str = ""
    seed: int = 1
    """Of everything that looks random: resumption handles and tool-call ids."""
    speech: tuple[str, ...] = ()
    """What input transcription says, one text an utterance; after the last, the words of recordings that are known, as the
    sample answer's are, and an honest "(3.2 s of speech)" of all else."""
    reply: tuple[Reply, ...] = ()
    """What the interviewer says, in order; without any, the committed recordings."""
    replay: str = ""
    """A recording (JSONL, from `record`) whose outgoing frames are sent instead of a conversation."""
    frames: Frames = Frames()
    audio: Audio = Audio()
    timing: Timing = Timing()
    go_away: GoAway = GoAway()
    limits: Limits = Limits()
    manners: Manners = Manners()
    tool_call: tuple[ToolCall, ...] = ()
    fault: tuple[Fault, ...] = ()
    generate: Generate = Generate()
    backend: BackendScenario = BackendScenario()

    def lines(self) -> list[Line]:
        if not self.reply:
            return list(recordings().values())
        return [spoken(reply.text, reply.recording, reply.seconds) for reply in self.reply]


def parse(toml: str, *, name: str = "scenario") -> Scenario:
    """Return the scenario written in `toml`; `name` is its name in error messages."""
    try:
        raw = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{name}: not TOML: {error}") from None
    try:
        return msgspec.convert(raw, Scenario)
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{name}: {explain(error, raw, Scenario)}") from None


def names() -> list[str]:
    """Return the names of the scenarios that come with the simulator."""
    folder = resources.files(__package__) / "scenarios"
    return sorted(
        entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")
    )


@cache
def named(name: str) -> Scenario:
    """Return the ready-made scenario of that name."""
    if name not in names():
        raise ScenarioError(f"no scenario is called {name!r}; there are {', '.join(names())}")
    file = resources.files(__package__) / "scenarios" / f"{name}.toml"
    return parse(file.read_text("utf-8"), name=name)


def load(name_or_path: str | Path) -> Scenario:
    """Return a ready-made scenario by its name, or one from a file (anything with a slash or ending in .toml)."""
    text = str(name_or_path)
    if isinstance(name_or_path, str) and "/" not in text and not text.endswith(".toml"):
        return named(text)
    try:
        toml = Path(text).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{text}: cannot be read: {error}") from None
    return parse(toml, name=text)


def name_in_key(key: str) -> str | None:
    """Return the scenario that an API key names, if the key is of that form."""
    return _MARKS.split(key.removeprefix(KEY_PREFIX))[0] if key.startswith(KEY_PREFIX) else None
