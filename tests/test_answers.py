"""The table that answers for the registry: every reason for which there is no seat has its row."""

from collections.abc import Iterator
from http import HTTPStatus

import pytest

from preppald.errors import RETRY_AFTER_SECONDS
from preppald.interview import no_seat
from preppald.interview.no_seat import AlreadyEnded, NoSeat, NotReady
from preppald.server import answers


def kinds(base: type[NoSeat]) -> Iterator[type[NoSeat]]:
    for kind in base.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_every_reason_has_an_answer() -> None:
    """But for the one that is told by a close code, and the two that only group others."""
    assert set(answers.REFUSED) == set(kinds(NoSeat)) - {NotReady, AlreadyEnded}


def test_no_two_reasons_are_counted_as_one() -> None:
    labels = [why for _, why in answers.REFUSED.values()]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("error", [no_seat.Draining(), no_seat.JournalUnwritable("disk full")])
def test_what_passes_is_worth_coming_again(error: NoSeat) -> None:
    refusal = answers.refusal(error)
    assert (refusal.status, refusal.retry_after) == (HTTPStatus.SERVICE_UNAVAILABLE, RETRY_AFTER_SECONDS)
    assert str(refusal) == str(error)


def test_what_does_not_pass_says_nothing_of_coming_again() -> None:
    assert answers.refusal(no_seat.AnotherUsers()).retry_after is None
