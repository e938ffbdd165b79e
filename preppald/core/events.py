"""The events of an interview, and the effects that the shell is asked for.

Events are named for the past, effects for the deed. Both are frozen and tiny, and made by msgspec: some come with
every piece of sound, and a frozen dataclass costs four times as much. Sound and text stay out of their repr: a repr
ends in tracebacks.
"""

import msgspec

from preppald.core.interview import Usage
from preppald.core.turns import Fragment


class _Happening(msgspec.Struct, frozen=True, gc=False):
    """Base of everything here."""


class _Said(_Happening, frozen=True):
    """Base of everything that holds speech or secrets."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


# ------------------------------------------------------------------ from Gemini


class SetupCompleted(_Happening, frozen=True):
    """Gemini accepted the setup; until then nothing else may be sent."""


class AudioSpoken(_Said, frozen=True):
    """A piece of the interviewer's voice: PCM s16le mono 24 kHz, any number of bytes, even an odd one."""

    pcm: bytes


class TextSpoken(_Said, frozen=True):
    """A fragment of what the interviewer says, with its own spaces."""

    text: str


class TextHeard(_Said, frozen=True):
    """A fragment of what Gemini understood the candidate to say."""

    text: str


class SpeechBegan(_Happening, frozen=True):
    """Gemini noticed that the candidate began to speak. Not every model reports it.

    ``offset``: the place in the sound of this connection at which it did, in seconds; None where it did not say.
    ``behind``: how much of the candidate's sound has come since that place, in seconds; None where nobody can know.
    """

    offset: float | None = None
    behind: float | None = None


class SpeechEnded(_Happening, frozen=True):
    """Gemini noticed that the candidate stopped; fields as in ``SpeechBegan``. Not every model reports it."""

    offset: float | None = None
    behind: float | None = None


class ReplyInterrupted(_Happening, frozen=True):
    """The candidate spoke over the interviewer; audio that is still queued is stale."""


class ReplyGenerated(_Happening, frozen=True):
    """The whole reply has been sent; most of it is still to be heard. Absent for interrupted turns."""


class UtteranceCompleted(_Happening, frozen=True):
    """Gemini finished an utterance and will speak again unasked: it thinks, or looks something up."""


class TurnCompleted(_Happening, frozen=True):
    """Gemini believes its reply has been played and listens again."""


class AtWork(_Happening, frozen=True):
    """Gemini thinks, or calls a function: no answer yet, and a sign that one comes."""


class WaitingForInput(_Happening, frozen=True):
    """Gemini chose not to answer yet: it waits for the candidate to go on. Comes after its turnComplete."""


class ReplyRejected(_Happening, frozen=True):
    """Gemini held an answer back for its content; ``reason`` is its own word, in lower case."""

    reason: str


class ToolCall(_Happening, frozen=True):
    """One function that Gemini calls."""

    id: str
    name: str


class ToolCalled(_Said, frozen=True):
    """Gemini called functions, and may wait for their answers before it goes on."""

    calls: tuple[ToolCall, ...]


class MemberSkipped(_Happening, frozen=True):
    """A member of a frame, or a whole frame, that could not be read. ``what`` is a path of known names."""

    what: str


class HandleGiven(_Said, frozen=True):
    """The session can be resumed with this handle from here on."""

    value: str


class GoingAway(_Happening, frozen=True):
    """Gemini will close this connection. ``seconds_left`` is None where it did not say."""

    seconds_left: float | None


class TokensUsed(_Happening, frozen=True):
    """Tokens since the last report."""

    usage: Usage


# The dialogue's events; the session itself handles the others.
DialogueEvent = (
    AudioSpoken
    | TextSpoken
    | TextHeard
    | SpeechBegan
    | SpeechEnded
    | ReplyInterrupted
    | ReplyGenerated
    | UtteranceCompleted
    | TurnCompleted
    | AtWork
    | WaitingForInput
)
GeminiEvent = (
    DialogueEvent
    | SetupCompleted
    | HandleGiven
    | GoingAway
    | TokensUsed
    | ToolCalled
    | ReplyRejected
    | MemberSkipped
)

# ------------------------------------------------------------------ from the candidate


class AudioHeard(_Said, frozen=True):
    """A piece of the candidate's voice: PCM s16le mono 16 kHz."""

    pcm: bytes


class PacketsHeard(_Said, frozen=True):
    """A piece of the candidate's voice: Opus, 20 to 60 ms in each packet that is as it should be."""

    packets: tuple[bytes, ...]


class Preferred(_Happening, frozen=True):
    """The page wants the interviewer's voice as Opus from now on, or as PCM."""

    opus: bool


class EndRequested(_Happening, frozen=True):
    """The candidate pressed end."""


class ClientMisused(_Happening, frozen=True):
    """The last ``messages`` messages in a row could not be read: the sender is no client of this contract."""

    messages: int


class HoldAsked(_Happening, frozen=True):
    """The candidate asks for a pause to think, or ends one."""

    on: bool


class TextAnswered(_Said, frozen=True):
    """The candidate typed an answer. ``number``: under which it is taken once."""

    text: str
    number: int


ClientEvent = AudioHeard | PacketsHeard | EndRequested | HoldAsked | TextAnswered | Preferred
# All that a browser tells beside its sound.
BrowserEvent = EndRequested | HoldAsked | TextAnswered | Preferred | ClientMisused

# ------------------------------------------------------------------ from the shell


class UpstreamLost(_Happening, frozen=True):
    """Gemini's connection is gone, planned or not; nothing more comes of the reply under way."""


class UpstreamReady(_Happening, frozen=True):
    """A fresh Gemini session is set up, and says nothing until it is prompted."""


class UpstreamResumed(_Happening, frozen=True):
    """Gemini is back with its whole memory, and waits for the candidate."""


class InterviewOver(_Happening, frozen=True):
    """The interview is over: open turns are closed."""


class HandleDropped(_Happening, frozen=True):
    """The session can no longer be resumed: its handle failed, or is of no use."""


class ModelChanged(_Happening, frozen=True):
    """The interview goes on with another of Gemini's models."""

    name: str


# The fate of the connection to Gemini, which its client reports in the order of Gemini's own events.
ConnectionEvent = UpstreamLost | UpstreamReady | UpstreamResumed | HandleDropped | ModelChanged
ShellEvent = UpstreamLost | UpstreamReady | UpstreamResumed | InterviewOver
Event = DialogueEvent | ShellEvent | TextAnswered

# ------------------------------------------------------------------ effects


class Play(_Said, frozen=True):
    """Send this PCM (s16le mono 24 kHz, whole samples) to the candidate."""

    pcm: bytes


class StopPlaying(_Happening, frozen=True):
    """Drop the queue towards the candidate, and have the browser drop its own."""


class Keep(_Happening, frozen=True):
    """Journal this fragment and show it to the candidate."""

    fragment: Fragment


class ReplyBegan(_Happening, frozen=True):
    """The interviewer begins to answer. ``delay``: seconds since Gemini noticed the candidate's end of speech.

    None where nothing was said before: a greeting.
    """

    delay: float | None


Effect = Play | StopPlaying | Keep | ReplyBegan
