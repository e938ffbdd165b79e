"""One interview, as the journal keeps it."""

from dataclasses import dataclass, field, fields
import enum

# Valid so long after its session's end; we count from the moment it was given, which is sooner.
HANDLE_LIFETIME_MS = 2 * 3600 * 1000


class Phase(enum.StrEnum):
    """The phases of an interview on disk."""

    LIVE = "live"  # a process runs the interview, or died while it did
    ENDED = "ended"  # the ending is written, with the deliveries that follow from it


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens by modality, summed over all of an interview's Gemini connections, and those of its feedback and its check.

    ``cached`` tokens are part of the prompt's.
    """

    prompt_audio: int = 0
    prompt_text: int = 0
    response_audio: int = 0
    response_text: int = 0
    thoughts: int = 0
    cached: int = 0
    feedback_prompt: int = 0
    feedback_response: int = 0
    verification_prompt: int = 0
    verification_response: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(self)))

    @property
    def total(self) -> int:
        counts: list[int] = [getattr(self, item.name) for item in fields(self)]
        return sum(counts) - self.cached


@dataclass(frozen=True, slots=True)
class Handle:
    """Gemini's resumption handle: valid two hours after its session ended, for its own model only.

    ``at_ms``: when it was given, wall clock in milliseconds.
    """

    value: str = field(repr=False)
    model: str
    at_ms: int

    def good(self, model: str, now_ms: int) -> bool:
        """Return whether it resumes a session with this model: another model's ends in an error."""
        return self.model == model and now_ms - self.at_ms < HANDLE_LIFETIME_MS


@dataclass(frozen=True, slots=True)
class Interview:
    """An interview's row. All times are the wall clock in milliseconds.

    ``epoch`` counts how often this interview was begun (a first try that failed before a word was said may
    be tried again) and fences its records. ``token_digest`` is the SHA-256 of the token that opened it,
    hexadecimal: the token itself is never kept. ``deadline_ms`` moves when lost time is credited.
    ``cause`` is the reason of the end, for people. ``block``: the number of a block interview, 0 for an ordinary
    one; part of the key. ``context``: the application's answer about the interview, JSON. ``seq_floor``: the number after
    which the process that runs the interview now numbers its fragments.
    """

    interview_id: str
    user_id: str
    epoch: int
    token_digest: str
    model: str
    started_ms: int
    deadline_ms: int
    phase: Phase = Phase.LIVE
    handle: Handle | None = None
    usage: Usage = Usage()
    credited_ms: int = 0
    ended_ms: int | None = None
    ending: str | None = None
    cause: str | None = None
    block: int = 0
    context: str | None = field(default=None, repr=False)
    seq_floor: int = 0
