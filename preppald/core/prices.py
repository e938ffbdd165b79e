"""Prices of tokens: a dated table, in the configuration because prices change more often than programs."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
import re

from preppald.core.interview import Usage

# The kinds with a price. Cached tokens are part of the prompt's; they are not taken to be cheaper.
KINDS = tuple(item.name for item in fields(Usage) if item.name != "cached")
# gemini-3.8-live as read on that day, gemini-3.5-flash-lite for feedback, and gemini-3.5-transcribe for checks, whose price
# was seen at a reseller only. US dollars a million tokens.
DEFAULT = (
    "2026-09-28 prompt_audio=3 prompt_text=0.75 response_audio=12 response_text=4.5 thoughts=4.5 "
    "feedback_prompt=0.3 feedback_response=2.5 verification_prompt=2 verification_response=12"
)
_PRICE = re.compile(r"([a-z_]+)=([0-9]{1,6}(?:\.[0-9]{1,6})?)")
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """``dollars``: US dollars a million tokens, by kind. ``dated``: when somebody looked them up."""

    dated: date
    dollars: Mapping[str, float]

    def cost(self, usage: Usage) -> float:
        """Return the estimated cost in US dollars."""
        costs: list[float] = [getattr(usage, kind) * price for kind, price in self.dollars.items()]
        return sum(costs) / MILLION

    def __str__(self) -> str:
        return " ".join([str(self.dated), *(f"{kind}={price:g}" for kind, price in self.dollars.items())])


def parse(raw: str) -> Prices:
    """Return the table that a text like ``DEFAULT`` holds; a kind that is left out costs nothing.

    Raises:
        ValueError: the text is no such table; the message says what is allowed.
    """
    first, *rest = raw.split()
    try:
        dated = date.fromisoformat(first)
    except ValueError:
        raise ValueError("does not begin with the date of the prices, like 2026-09-28") from None
    dollars = {}
    for word in rest:
        match = _PRICE.fullmatch(word)
        if match is None or match[1] not in KINDS or match[1] in dollars:
            raise ValueError(f"has {word!r}; it takes each of {', '.join(KINDS)} once, as kind=dollars")
        dollars[match[1]] = float(match[2])
    return Prices(dated, dollars)
