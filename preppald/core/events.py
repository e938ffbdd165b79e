"""What can happen in an interview, and what the shell is asked to do about it.

Events are named for what happened, effects for what is to be done. Both are frozen and tiny. What was said,
as sound or as text, stays out of their repr: a repr ends in tracebacks.
"""

from dataclasses import dataclass, field

from preppald.core.interview import Usage
from preppald.core.turns import Fragment

# ------------------------------------------------------------------ from Gemini


@dataclass(frozen=True, slots=True)
class SetupCompleted:
    """Gemini accepted the setup; until then nothing else may be sent."""


@dataclass(frozen=True, slots=True)
class AudioSpoken:
    """A piece of the interviewer's voice: PCM s16le mono 24 kHz, any number of bytes, even an odd one."""

    pcm: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TextSpoken:
    """A fragment of what the interviewer says, with its own spaces."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TextHeard:
    """A fragment of what Gemini understood the candidate to say."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """Gemini noticed that the candidate began to speak. Not every model says so."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Gemini noticed that the candidate stopped. Not every model says so."""


@dataclass(frozen=True, slots=True)
class ReplyInterrupted:
    """The candidate spoke over the interviewer; audio that is still queued is stale."""


@dataclass(frozen=True, slots=True)
class ReplyGenerated:
    """The whole reply has been sent; most of it is still to be heard. Absent for interrupted turns."""


@dataclass(frozen=True, slots=True)
class UtteranceCompleted:
    """Gemini has said one thing and will say another without being spoken to: it thinks, or looks something up."""


@dataclass(frozen=True, slots=True)
class TurnCompleted:
    """Gemini believes its reply has been played and listens again."""


@dataclass(frozen=True, slots=True)
class HandleGiven:
    """The session can be resumed with this handle from here on."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class GoingAway:
    """Gemini will close this connection. ``seconds_left`` is None where it did not say."""

    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class TokensUsed:
    """Tokens since the last report."""

    usage: Usage


# What the dialogue is made of; the session itself sees to the others.
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
)
GeminiEvent = DialogueEvent | SetupCompleted | HandleGiven | GoingAway | TokensUsed

# ------------------------------------------------------------------ from the candidate


@dataclass(frozen=True, slots=True)
class AudioHeard:
    """A piece of the candidate's voice: PCM s16le mono 16 kHz."""

    pcm: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class EndRequested:
    """The candidate pressed end."""


ClientEvent = AudioHeard | EndRequested

# ------------------------------------------------------------------ from the shell


@dataclass(frozen=True, slots=True)
class UpstreamLost:
    """Gemini's connection is gone, planned or not; nothing more comes of the reply under way."""


@dataclass(frozen=True, slots=True)
class UpstreamReady:
    """A fresh Gemini session is set up, and says nothing until it is prompted."""


@dataclass(frozen=True, slots=True)
class UpstreamResumed:
    """Gemini is back with all it knew, and waits for the candidate."""


@dataclass(frozen=True, slots=True)
class InterviewOver:
    """Nothing more will be said; what is open is closed."""


ShellEvent = UpstreamLost | UpstreamReady | UpstreamResumed | InterviewOver
Event = DialogueEvent | ShellEvent

# ------------------------------------------------------------------ effects


@dataclass(frozen=True, slots=True)
class Play:
    """Send this PCM (s16le mono 24 kHz, whole samples) to the candidate."""

    pcm: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StopPlaying:
    """Drop what is queued towards the candidate and tell the browser to do the same."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Journal this fragment and show it to the candidate."""

    fragment: Fragment


@dataclass(frozen=True, slots=True)
class ReplyBegan:
    """The interviewer begins to answer. ``delay``: seconds since Gemini noticed the candidate's end of speech.

    None where nothing was said before: a greeting.
    """

    delay: float | None


Effect = Play | StopPlaying | Keep | ReplyBegan
