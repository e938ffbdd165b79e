"""What is done about an interviewer who owes an answer, and when."""

from hypothesis import given, strategies as st

from preppald.core.patience import (
    ANSWER_SECONDS,
    GREETING_SECONDS,
    POISONED_SECONDS,
    THINKING_SECONDS,
    Patience,
    Stage,
)


def waits(
    patience: Patience, seconds: int, *, since: float = 0.0, greeting: bool = False, resumed: bool = False
) -> list[tuple[int, Stage]]:
    """What happens in so many seconds of looking once a second, and when."""
    found = []
    for now in range(int(since), int(since) + seconds + 1):
        stage = patience.look(float(now), awaited_since=since, greeting=greeting, resumed=resumed)
        if stage is not None:
            found.append((now, stage))
    return found


def test_a_greeting_that_does_not_come_is_asked_for_again_and_then_of_a_fresh_session() -> None:
    """One prompt in twenty goes unanswered; there is nothing yet that could be resumed."""
    assert waits(Patience(), 26, greeting=True) == [
        (GREETING_SECONDS, Stage.GREET_AGAIN),
        (GREETING_SECONDS + ANSWER_SECONDS, Stage.FRESH),
        (GREETING_SECONDS + 2 * ANSWER_SECONDS, Stage.GIVE_UP),
    ]


def test_an_answer_that_does_not_come_is_nudged_then_sought_elsewhere_and_at_last_given_up() -> None:
    """Each stage has the same ten seconds; a fresh session has two chances."""
    assert waits(Patience(), 50) == [
        (10, Stage.NUDGE),
        (20, Stage.ROTATE),
        (30, Stage.FRESH),
        (40, Stage.FRESH),
        (50, Stage.GIVE_UP),
    ]


def test_who_said_that_it_thinks_has_thirty_seconds_and_then_as_long_as_anybody() -> None:
    patience = Patience()
    assert (
        patience.look(THINKING_SECONDS - 1, awaited_since=0, greeting=False, resumed=False, thinking=True)
        is None
    )
    nudged = patience.look(THINKING_SECONDS, awaited_since=0, greeting=False, resumed=False, thinking=True)
    assert nudged is Stage.NUDGE
    later = THINKING_SECONDS + ANSWER_SECONDS
    assert patience.look(later, awaited_since=0, greeting=False, resumed=False, thinking=True) is Stage.ROTATE


def test_a_resumed_session_that_hears_and_never_speaks_is_replaced_without_a_nudge() -> None:
    """A poisoned handle transcribes for ever: the nudge would only be transcribed, too."""
    assert waits(Patience(), 8, resumed=True) == [(POISONED_SECONDS, Stage.FRESH)]


def test_after_a_poisoned_resume_the_stages_go_on_and_not_back() -> None:
    patience = Patience()
    waits(patience, 20)
    assert waits(patience, 8, since=100.0, resumed=True) == [(108, Stage.FRESH)]
    assert waits(patience, 20, since=200.0) == [(210, Stage.FRESH), (220, Stage.GIVE_UP)]


def test_an_answer_starts_the_wait_anew() -> None:
    """An interview has a hundred answers; the stages are for one that is missing."""
    patience = Patience()
    waits(patience, 30)
    patience.answered()
    assert waits(patience, 10, since=40.0) == [(50, Stage.NUDGE)]


def test_who_speaks_again_waits_from_then_on_but_at_the_stage_reached() -> None:
    """ "Hello? Are you there?" is no answer."""
    patience = Patience()
    assert waits(patience, 10) == [(10, Stage.NUDGE)]
    assert waits(patience, 10, since=14.0) == [(24, Stage.ROTATE)]


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans(), st.booleans()), max_size=200))
def test_every_wait_ends(steps: list[tuple[float, bool, bool]]) -> None:
    """However it goes, no more interventions than there are stages come before it is given up."""
    patience, now, stages = Patience(), 0.0, list[Stage]()
    for passed, greeting, resumed in steps:
        now += passed
        stage = patience.look(now, awaited_since=0.0, greeting=greeting, resumed=resumed)
        if stage is not None:
            stages.append(stage)
    before = stages[: stages.index(Stage.GIVE_UP)] if Stage.GIVE_UP in stages else stages
    assert len(before) <= 4
