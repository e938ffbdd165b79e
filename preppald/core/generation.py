"""Answers of generateContent: their text, and the tokens that were paid for."""

from dataclasses import dataclass

import msgspec

from preppald.core.brief import one_line

# Statuses after which the same request may succeed: quota, overload, a gateway's bad moment.
PASSING = frozenset({429, 500, 502, 503, 504})


class GenerationError(ValueError):
    """Raised for an answer without a text. The message gives the reason, without quotes. The tokens were paid."""

    def __init__(self, why: str, prompt_tokens: int = 0, response_tokens: int = 0) -> None:
        super().__init__(why)
        self.prompt_tokens = prompt_tokens
        self.response_tokens = response_tokens


@dataclass(frozen=True, slots=True)
class Generated:
    """``text``: without the model's thoughts; empty where it wrote nothing. Thinking counts among the response's tokens."""

    text: str
    prompt_tokens: int
    response_tokens: int


class _Message(msgspec.Struct, rename="camel"):
    """Base of everything received; unknown fields are skipped."""


class _Part(_Message):
    text: str = ""
    thought: bool = False


class _Content(_Message):
    parts: list[_Part] = []


class _Candidate(_Message):
    content: _Content | None = None
    finish_reason: str = ""


class _Counts(_Message):
    prompt_token_count: int = 0
    candidates_token_count: int = 0
    thoughts_token_count: int = 0


class _Answer(_Message):
    candidates: list[_Candidate] = []
    usage_metadata: _Counts | None = None


def read(body: bytes) -> Generated:
    """Return what an answer of 200 holds.

    Raises:
        GenerationError: it cannot be read, or the model refused or did not finish.
    """
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise GenerationError(f"the answer cannot be read ({type(error).__name__})") from error
    counts = answer.usage_metadata or _Counts()
    paid = (
        max(0, counts.prompt_token_count),
        max(0, counts.candidates_token_count) + max(0, counts.thoughts_token_count),
    )
    candidate = answer.candidates[0] if answer.candidates else _Candidate()
    if candidate.content is None:
        raise GenerationError("the model refused", *paid)
    if candidate.finish_reason not in {"", "STOP"}:
        raise GenerationError(f"the model did not finish ({one_line(candidate.finish_reason)[:40]})", *paid)
    return Generated("".join(part.text for part in candidate.content.parts if not part.thought), *paid)
