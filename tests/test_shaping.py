"""The model of a bad line that the benchmark puts between two kernels."""

from itertools import groupby
import random

import pytest

from tests.bench.shaping import LEAST_QUEUE_BYTES, Counts, Shape, Way

SIZE = 1200


def lossy(loss: float, burst: float, packets: int) -> list[bool]:
    """Return which of the packets a line loses."""
    way = Way(Shape(loss=loss, burst=burst), random.Random(1).random)
    return [way.enter(SIZE, float(now)) is None for now in range(packets)]


def test_a_packet_takes_its_time_on_the_line_and_then_the_way() -> None:
    way = Way(Shape(bits=96_000, delay=0.2), lambda: 0.5)
    assert [way.enter(SIZE, 0.0) for _ in range(3)] == pytest.approx([0.3, 0.4, 0.5])
    assert way.enter(SIZE, 10.0) == pytest.approx(10.3)


def test_a_line_without_a_rate_only_delays() -> None:
    way = Way(Shape(delay=0.2), lambda: 0.5)
    assert [way.enter(SIZE, 1.0) for _ in range(1000)] == [pytest.approx(1.2)] * 1000


def test_a_packet_that_finds_the_queue_full_is_dropped() -> None:
    way = Way(Shape(bits=96_000, queue=3 * SIZE), lambda: 0.5)
    came = [way.enter(SIZE, 0.0) is not None for _ in range(5)]
    assert came == [True, True, True, False, False]
    assert way.counts() == Counts(carried=3, lost=0, full=2, kbit=0.0)
    assert way.enter(SIZE, 0.11) == pytest.approx(0.4), "one has left, and one has room"
    assert way.counts().kbit == pytest.approx(4 * SIZE * 8 / 1000 / 0.11)


def test_the_queue_has_a_second_of_the_line_and_some_packets_in_any_case() -> None:
    assert Shape(bits=800_000).queue_bytes == 100_000
    assert Shape(bits=32_000).queue_bytes == LEAST_QUEUE_BYTES


def test_jitter_changes_no_order() -> None:
    way = Way(Shape(bits=1e6, delay=0.1, jitter=0.5), random.Random(1).random)
    arrivals = [way.enter(SIZE, now / 100) for now in range(500)]
    assert None not in arrivals
    times = [at for at in arrivals if at is not None]
    assert times == sorted(times)
    assert max(at - now / 100 for now, at in enumerate(times)) > 0.5


@pytest.mark.parametrize("burst", [1.0, 4.0])
def test_as_many_are_lost_as_was_asked_for_in_bursts_of_that_length(burst: float) -> None:
    fates = lossy(0.05, burst, 200_000)
    assert sum(fates) / len(fates) == pytest.approx(0.05, rel=0.08)
    bursts = [len(list(run)) for gone, run in groupby(fates) if gone]
    # Bursts of one packet follow each other at random, too.
    assert sum(bursts) / len(bursts) == pytest.approx(burst, rel=0.08)


def test_the_same_seed_loses_the_same_packets() -> None:
    assert lossy(0.1, 3.0, 1000) == lossy(0.1, 3.0, 1000)


@pytest.mark.parametrize("wrong", [{"loss": -0.1}, {"loss": 0.7}, {"burst": 0.5}, {"delay": -1.0}])
def test_a_line_that_there_is_not_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"at least|at most"):
        Shape(**wrong)  # type: ignore[arg-type]
