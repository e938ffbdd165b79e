"""The faults of a scenario, and their places. Each fault is one `[[fault]]` table of a scenario file."""

from typing import Literal

import msgspec

from preppald.simulator.endings import CLOSE_FRAMES, FellSilent, HangUp, Reset, cut, hang_up

Moment = Literal[
    "setup",  # the setup was read and is right; setupComplete is not sent yet
    "ready",  # setupComplete was sent
    "generating",  # the first audio part of a reply was sent: mid-turn
    "generation-complete",  # the reply is sent, its playback goes on
    "turn-complete",  # a reply is over
    "speech",  # the candidate began to speak
    "utterance",  # the candidate's words were transcribed; the reply has not begun
    "go-away",  # goAway was sent
]

# A hung upgrade and a silent connection are let go after this many seconds (Trio's): a day would be a leak.
HOLD_SECONDS = 3600.0


class _Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    connection: int | Literal["all"] = 1
    """Which connection it strikes. Connections count from 1 for each API key, so that `scenario:NAME/alice`
    and `scenario:NAME/bob` have their own first connections."""
    resumed: bool | None = None
    """Only on connections that resume (true) or begin afresh (false)."""
    model: str = ""
    """Only on connections with this model, such as "gemini-3.8-live"; empty: with any."""

    def strikes(self, connection: int, *, resumed: bool, model: str) -> bool:
        return (
            self.connection in ("all", connection)
            and self.resumed in (None, resumed)
            and self.model in ("", model.removeprefix("models/"))
        )


class _OfUpgrade(_Fault, frozen=True, kw_only=True):
    def __post_init__(self) -> None:
        if self.model:
            raise ValueError("a fault of the upgrade has no model: the setup that names it comes later")


class Http(_OfUpgrade, frozen=True, kw_only=True, tag="http"):
    """The upgrade is answered with this status instead of 101."""

    status: Literal[400, 401, 403, 404, 429, 500, 502, 503, 504]
    retry_after: int | None = None
    """Seconds, for the Retry-After header."""
    body: str = ""


class Hang(_OfUpgrade, frozen=True, kw_only=True, tag="hang"):
    """The upgrade is never answered."""


class _Timed(_Fault, frozen=True, kw_only=True):
    at: Moment = "ready"
    after: float = 0.0
    """Seconds after that moment."""
    turn: int | Literal["all"] = "all"
    """Which reply of the connection (from 1) the moment belongs to. At "ready" no reply has begun: turn 0."""

    def due(self, moment: Moment, turn: int) -> bool:
        return self.at == moment and self.turn in ("all", turn)


class Close(_Timed, frozen=True, kw_only=True, tag="close"):
    """A close frame: a `row` of endings.CLOSE_FRAMES, or a code and a reason of your own."""

    row: str = ""
    code: int = 1011
    reason: str = ""

    def __post_init__(self) -> None:
        if self.row and self.row not in CLOSE_FRAMES:
            raise ValueError(f"row {self.row!r} is not one of {', '.join(CLOSE_FRAMES)}")

    def ending(self, model: str) -> HangUp:
        return hang_up(self.row, model=model) if self.row else HangUp(self.code, cut(self.reason))


class Drop(_Timed, frozen=True, kw_only=True, tag="reset"):
    """A TCP reset: no close frame."""

    def ending(self, _model: str) -> Reset:
        return Reset()


class Silence(_Timed, frozen=True, kw_only=True, tag="silence"):
    """Half open: the socket stays, nothing comes out. `at = "setup"`: setupComplete never comes."""

    def ending(self, _model: str) -> FellSilent:
        return FellSilent()


class Send(_Timed, frozen=True, kw_only=True, tag="send"):
    """A frame of your own, as JSON text, such as an `interrupted` with no generation."""

    json: str

    def __post_init__(self) -> None:
        try:
            frame = msgspec.json.decode(self.json)
        except msgspec.DecodeError as error:
            raise ValueError(f"json is not JSON: {error}") from None
        if not isinstance(frame, dict):
            raise ValueError("json must be an object, as every frame is")  # noqa: TRY004 - msgspec wants it so

    def frame(self) -> dict[str, object]:
        return msgspec.json.decode(self.json, type=dict[str, object])


Flaw = Literal[
    "no-answer",
    "premature-turn-complete",
    "no-generation-complete",
    "no-turn-complete",
    "late-audio",
    "two-utterances",
    "waits",
    "thoughts",
    "stall",
    "cough",
    "late-input-transcription",
    "late-text",
    "text-only",
    "whole-utterances",
    "odd-members",
]
# The effect of each flaw, for the help of `preppald simulate`.
FLAWS: dict[Flaw, str] = {
    "no-answer": "the reply never comes; with `resumed = true` and all turns: a poisoned resume",
    "premature-turn-complete": "turnComplete half way through the sentence, the rest never comes",
    "no-generation-complete": "turnComplete without generationComplete",
    "no-turn-complete": "the whole reply with its generationComplete, and no turnComplete, ever",
    "late-audio": "the last audio part comes after generationComplete",
    "two-utterances": "turnComplete with IN_PROGRESS, a thought of `timing.thinking`, and the reply again",
    "waits": "no reply: waitingForInput, for the model chose to hear more",
    "thoughts": "a thought part a second, for `timing.thinking` seconds, before the reply",
    "stall": "half of the reply, and then nothing for ever: no generationComplete, no turnComplete",
    "cough": "a noise cuts the reply half way: voice activity, interrupted, turnComplete, and no word of anybody's",
    "late-input-transcription": "the candidate's words come after the reply's turnComplete",
    "late-text": "the second half of the reply's text comes after its turnComplete",
    "text-only": "a reply without sound: its text comes, and reasoning that is not marked as a thought",
    "whole-utterances": "the candidate's words come as whole sentences, without the blanks between them",
    "odd-members": "nulls, quoted numbers, control characters, half a surrogate pair and a byte order mark in the reply's frames",
}


class Flawed(_Fault, frozen=True, kw_only=True, tag="reply"):
    """A flaw in a reply."""

    flaw: Flaw
    turn: int | Literal["all"] = 1
    """Which reply of the connection (from 1)."""


Timed = Close | Drop | Silence | Send
Fault = Http | Hang | Close | Drop | Silence | Send | Flawed
