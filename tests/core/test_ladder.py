"""What is tried after losing Gemini, in which order, and when it is given up."""

from hypothesis import given, strategies as st
import pytest

from preppald.core import closes
from preppald.core.closes import Cause, Remedy
from preppald.core.ladder import (
    BACKOFF_CAP_SECONDS,
    RESTORE_BUDGET_SECONDS,
    RESUMES,
    SETTLED_SECONDS,
    START_BUDGET_SECONDS,
    TRIES,
    WAIT_SPREAD_SECONDS,
    Ladder,
    Rung,
)

CAUSES = [value for value in vars(closes).values() if isinstance(value, Cause)]
PERMANENT = [cause for cause in CAUSES if cause.remedy is Remedy.NONE]
TRANSIENT = [cause for cause in CAUSES if cause.remedy is Remedy.RESUME]
REFUSALS = [cause for cause in CAUSES if cause.remedy is Remedy.FRESH]


def name_of(cause: Cause) -> str:
    return cause.name


def under_way() -> Ladder:
    """An interview's, in which Gemini has already spoken."""
    ladder = Ladder()
    ladder.connected(0.0)
    ladder.proved()
    return ladder


def lost(
    ladder: Ladder,
    cause: Cause = closes.NETWORK,
    *,
    now: float = 100.0,
    has_handle: bool = True,
    chance: float = 0.5,
    wait: float = 0.0,
) -> Rung | None:
    return ladder.lost(cause, now=now, has_handle=has_handle, chance=chance, wait=wait)


def kinds(ladder: Ladder, causes: list[Cause], *, has_handle: bool = True) -> str:
    """What each loss at the same instant leads to: r(esume), f(resh), or - for the end."""
    rungs = [lost(ladder, cause, has_handle=has_handle) for cause in causes]
    return "".join("-" if rung is None else "r" if rung.resume else "f" for rung in rungs)


@pytest.mark.parametrize("cause", PERMANENT, ids=name_of)
def test_what_would_fail_again_is_not_tried_again(cause: Cause) -> None:
    """A bad key stays bad: the interview ends with its cause at once."""
    assert lost(under_way(), cause) is None


@pytest.mark.parametrize("cause", [it for it in CAUSES if it in closes.OF_THE_MODEL], ids=name_of)
def test_a_model_that_refused_says_nothing_of_the_next_one(cause: Cause) -> None:
    """A fresh session with that, within the same budget."""
    ladder = under_way()
    rung = ladder.lost(cause, now=100.0, has_handle=False, chance=0.5, elsewhere=True)
    assert rung is not None
    assert not rung.resume
    assert rung.by == 100.0 + RESTORE_BUDGET_SECONDS


@pytest.mark.parametrize("cause", [each for each in TRANSIENT if each in closes.UNASKED], ids=name_of)
def test_a_gemini_that_cannot_be_reached_uses_up_no_resume(cause: Cause) -> None:
    """It never saw the handle: a network that is away for ten seconds must not cost the session its memory."""
    assert kinds(under_way(), [cause] * 5) == "rrrrr"
    assert kinds(under_way(), [closes.INTERNAL, cause, closes.INTERNAL, closes.INTERNAL]) == "rrrf"


def test_an_answer_to_our_own_prompt_does_not_clear_a_suspect_handle() -> None:
    """It may go on by itself, and die of the candidate's next word, over and over."""
    ladder = under_way()
    found = ""
    for now in (100.0, 200.0, 300.0):
        rung = lost(ladder, closes.INTERNAL, now=now)
        assert rung is not None
        found += "r" if rung.resume else "f"
        ladder.connected(now + rung.delay)
        ladder.spoke(resumed=rung.resume)
    assert found == "rrf"
    assert kinds(ladder, [closes.INTERNAL] * 3) == "rrf", "a fresh session's handle is another one"


@pytest.mark.parametrize("cause", [each for each in TRANSIENT if each not in closes.UNASKED], ids=name_of)
def test_a_passing_fault_is_resumed_twice_and_then_begun_afresh(cause: Cause) -> None:
    """A handle may be poisoned: it gets two tries, and no third."""
    assert kinds(under_way(), [cause] * 4) == "r" * RESUMES + "ff"


@pytest.mark.parametrize("cause", TRANSIENT, ids=name_of)
def test_without_a_handle_every_try_is_a_fresh_session(cause: Cause) -> None:
    assert kinds(under_way(), [cause] * 3, has_handle=False) == "fff"


@pytest.mark.parametrize("cause", REFUSALS, ids=name_of)
def test_what_was_refused_gets_one_fresh_session_and_no_second(cause: Cause) -> None:
    """The same input would be refused again, in a loop (seen with others on 1007)."""
    assert kinds(under_way(), [cause, cause]) == "f-"


def test_after_a_refusal_nothing_is_resumed_in_that_outage() -> None:
    """The handle may be what was refused."""
    assert kinds(under_way(), [closes.UNKNOWN_HANDLE, closes.NETWORK, closes.NETWORK]) == "fff"


def test_once_gemini_spoke_a_new_outage_begins() -> None:
    """Twice resumed and gone again: but it spoke in between, so the handle works."""
    ladder = under_way()
    assert kinds(ladder, [closes.NETWORK, closes.NETWORK, closes.INVALID_ARGUMENT]) == "rrf"
    ladder.connected(101.0)
    ladder.proved()
    assert kinds(ladder, [closes.NETWORK, closes.NETWORK, closes.INVALID_ARGUMENT]) == "rrf"


def test_a_connection_that_sets_up_and_never_speaks_proves_nothing() -> None:
    """A resumed session that dies at the next utterance, in a loop, is given up for a fresh one."""
    ladder = under_way()
    found = ""
    for now in (100.0, 110.0, 120.0):
        rung = lost(ladder, closes.INTERNAL, now=now)
        assert rung is not None
        found += "r" if rung.resume else "f"
        ladder.connected(now + rung.delay)
    assert found == "rrf"


def test_a_connection_that_held_a_minute_has_the_whole_budget_again_but_not_the_handles_trust() -> None:
    """Candidates think and speak for minutes, in which Gemini says nothing that would prove it."""
    ladder = under_way()
    for _ in range(TRIES):
        lost(ladder, closes.NETWORK)
    assert lost(ladder, closes.NETWORK) is None
    ladder.connected(110.0)
    rung = lost(ladder, closes.NETWORK, now=110.0 + SETTLED_SECONDS)
    assert rung is not None
    assert not rung.resume


def test_the_budget_is_geminis_absence_over_all_tries_of_an_outage() -> None:
    """Thirty seconds of silence together, however they are cut up by connections that do not answer."""
    ladder = under_way()
    assert lost(ladder, now=100.0, chance=0.0) is not None
    ladder.connected(120.0)
    rung = lost(ladder, now=130.0, chance=0.0)
    assert rung is not None
    assert rung.by == pytest.approx(140.0)
    assert lost(ladder, now=139.9, chance=0.0) is not None
    assert lost(ladder, now=140.0, chance=0.0) is None


def test_at_the_start_patience_is_shorter_than_in_the_middle() -> None:
    """Nobody has heard a word yet: better a clear failure soon."""
    ladder = Ladder()
    ladder.down(50.0)
    assert ladder.gives_up_at == 50.0 + START_BUDGET_SECONDS
    ladder.connected(51.0)
    ladder.proved()
    ladder.down(60.0)
    assert ladder.gives_up_at == 60.0 + RESTORE_BUDGET_SECONDS


def test_a_rotation_that_fails_counts_from_when_the_old_connection_was_left() -> None:
    """Leaving on purpose makes a candidate wait just as well."""
    ladder = under_way()
    ladder.down(100.0)
    assert ladder.rotated(has_handle=True) == Rung(0.0, resume=True, by=130.0)
    rung = lost(ladder, now=110.0)
    assert rung is not None
    assert rung.by == 130.0


def test_a_quota_is_left_alone_for_its_pause() -> None:
    """Mid-interview there is one more try after it; at the start the pause is longer than the patience."""
    rung = lost(under_way(), closes.QUOTA, wait=20.0)
    assert rung is not None
    assert 20.0 <= rung.delay <= 20.0 + WAIT_SPREAD_SECONDS
    assert lost(Ladder(), closes.QUOTA, wait=20.0) is None


@given(
    losses=st.lists(st.tuples(st.sampled_from(CAUSES), st.floats(0, 5), st.floats(0, 1, exclude_max=True))),
    has_handle=st.booleans(),
)
def test_no_outage_goes_on_beyond_its_budget_or_its_tries(
    *, losses: list[tuple[Cause, float, float]], has_handle: bool
) -> None:
    """Whatever fails, in whatever order and pace: tries and delays are bounded, and the end is the end."""
    ladder = under_way()
    now, rungs = 100.0, 0
    for cause, passed, chance in losses:
        rung = lost(ladder, cause, now=now, has_handle=has_handle, chance=chance, wait=0.0)
        if rung is None:
            break
        rungs += 1
        assert 0 <= rung.delay <= max(BACKOFF_CAP_SECONDS, WAIT_SPREAD_SECONDS)
        assert now + rung.delay < rung.by == 100.0 + RESTORE_BUDGET_SECONDS
        assert has_handle or not rung.resume
        now += rung.delay + passed
    assert rungs <= TRIES


def test_the_tries_come_ever_more_slowly_and_never_all_at_once() -> None:
    """Full jitter: when Gemini drops all of a process's interviews, they do not come back as one."""
    ladder = under_way()
    rungs = [lost(ladder, chance=0.999) for _ in range(6)]
    delays = [rung.delay for rung in rungs if rung is not None]
    assert delays == sorted(delays)
    assert delays[0] < 0.25
    assert max(delays) < BACKOFF_CAP_SECONDS
    assert lost(under_way(), chance=0.0) != lost(under_way(), chance=0.9)
