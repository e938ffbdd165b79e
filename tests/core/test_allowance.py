"""A microphone's worth: every honest client stays far inside of it, and a flood does not."""

from preppald.core.allowance import PUSHING_SECONDS, Allowance
from preppald.core.bucket import Bucket

FRAME = 92


def test_the_busiest_page_never_meets_it() -> None:
    """375 messages of 86 bytes a second, for an hour, with a clock that is one percent fast."""
    allowance = Allowance()
    for tick in range(3600 * 10):
        now = tick * 0.1 / 1.01
        assert not allowance.throttled(now)
        allowance.spend(now, size=FRAME * 38, frames=38, empty=0)
    assert allowance.fault(3600) is None


def test_a_line_that_stalled_for_25_seconds_may_catch_up_at_once() -> None:
    """And once more half a minute later."""
    allowance = Allowance()
    for now in (100.0, 135.0):
        allowance.spend(now, size=FRAME * 375 * 25, frames=375 * 25, empty=0)
        assert not allowance.throttled(now)


def test_a_page_that_comes_back_sends_what_it_kept() -> None:
    """5 s of audio at once, every six seconds on a bad line, is still real time."""
    allowance = Allowance()
    for reconnection in range(100):
        now = reconnection * 6.0
        assert not allowance.throttled(now)
        allowance.spend(now, size=FRAME * 375 * 5, frames=375 * 5, empty=0)


def test_three_times_real_time_is_throttled_and_then_cut() -> None:
    """What is read stays at twice real time, and the one who pushes on is told why."""
    allowance = Allowance()
    read = 0
    now = 0.0
    while allowance.fault(now) is None:
        if not allowance.throttled(now):
            allowance.spend(now, size=FRAME * 23, frames=23, empty=0)
            read += 23
        now += 0.02
    assert 30 < now < 60
    assert read < 11_250 + 750 * now + 23
    assert allowance.fault(now) == "Sending faster than real time"


def test_who_lets_off_in_time_is_forgiven() -> None:
    """Pushing must go on without a break."""
    allowance = Allowance()
    allowance.spend(0.0, size=2 * 1024 * 1024, frames=100, empty=0)
    assert allowance.throttled(1.0)
    assert allowance.fault(PUSHING_SECONDS) is None
    assert not allowance.throttled(20.0)
    assert allowance.fault(21.0) is None


def test_frames_that_carry_nothing_are_cut_at_once() -> None:
    """A hundred are an accident."""
    allowance = Allowance()
    allowance.spend(0.0, size=600, frames=100, empty=100)
    assert allowance.fault(0.0) is None
    allowance.spend(0.0, size=6, frames=1, empty=1)
    assert allowance.fault(0.0) == "Too many control frames"


def test_pings_each_half_second_are_no_flood() -> None:
    allowance = Allowance()
    for ping in range(10_000):
        allowance.spend(ping * 0.5, size=6, frames=1, empty=1)
    assert allowance.fault(5000.0) is None


def test_a_clock_that_goes_back_fills_no_bucket() -> None:
    """Nor does it empty one."""
    bucket = Bucket(rate=1, burst=10)
    bucket.spend(10, 100.0)
    assert bucket.level(50.0) == 0
    bucket.spend(0, 50.0)
    assert bucket.level(55.0) == 5
    assert bucket.seconds_until(10, 55.0) == 5
