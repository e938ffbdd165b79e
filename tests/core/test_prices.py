"""What tokens cost: a dated table of the operator's, and estimates by it."""

from datetime import date

import pytest

from preppald.core import prices
from preppald.core.interview import Usage


def test_an_interview_costs_what_the_table_says() -> None:
    """An hour both ways, as read on the day of the table."""
    usage = Usage(prompt_audio=90_000, response_audio=45_000, prompt_text=2_000, cached=50_000)
    assert prices.parse(prices.DEFAULT).cost(usage) == pytest.approx(0.27 + 0.54 + 0.0015)


def test_every_kind_has_a_price_in_the_built_in_table() -> None:
    assert set(prices.parse(prices.DEFAULT).dollars) == set(prices.KINDS)


def test_a_table_is_shown_as_it_is_written() -> None:
    assert str(prices.parse(prices.DEFAULT)) == prices.DEFAULT
    assert prices.parse("2027-01-02 prompt_audio=1.5").dated == date(2027, 1, 2)


def test_what_is_left_out_costs_nothing() -> None:
    assert prices.parse("2027-01-02 prompt_text=1").cost(Usage(prompt_audio=10**9)) == 0


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("prompt_audio=3", "does not begin with the date"),
        ("2026-13-01 prompt_audio=3", "does not begin with the date"),
        ("2026-09-28 prompt_audio=cheap", "has 'prompt_audio=cheap'"),
        ("2026-09-28 prompt_audio=-1", "has 'prompt_audio=-1'"),
        ("2026-09-28 cached=1", "has 'cached=1'; it takes each of prompt_audio"),
        ("2026-09-28 prompt_text=1 prompt_text=2", "has 'prompt_text=2'"),
    ],
)
def test_a_table_with_a_fault_is_refused(raw: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        prices.parse(raw)


def test_usage_adds_up_and_cached_tokens_count_once() -> None:
    usage = Usage(prompt_audio=10, cached=8) + Usage(prompt_audio=5, thoughts=1, feedback_prompt=2)
    assert usage == Usage(prompt_audio=15, cached=8, thoughts=1, feedback_prompt=2)
    assert usage.total == 18
