"""What is done about an interviewer that owes an answer, and when."""

from hypothesis import given, strategies as st
import pytest

from preppald.core.evidence import Floor
from preppald.core.patience import (
    ANSWER_SECONDS,
    GREETING_SECONDS,
    POISONED_SECONDS,
    THINKING_SECONDS,
    Patience,
    answer_seconds,
)
from preppald.core.stage import Stage


def waits(
    patience: Patience,
    seconds: int,
    *,
    since: float = 0.0,
    floor: Floor = Floor.OWED,
    greeting: bool = False,
    resumed: bool = False,
    sound: bool = False,
) -> list[tuple[int, Stage]]:
    """What happens in so many seconds of looking once a second, and when."""
    found = []
    for now in range(int(since), int(since) + seconds + 1):
        stage = patience.look(
            float(now), since=since, floor=floor, greeting=greeting, resumed=resumed, sound=sound
        )
        if stage is not None:
            found.append((now, stage))
    return found


def test_a_greeting_that_does_not_come_is_asked_for_again_and_then_of_a_fresh_session() -> None:
    """One prompt in twenty goes unanswered; there is nothing yet that could be resumed."""
    assert waits(Patience(), 26, greeting=True) == [
        (GREETING_SECONDS, Stage.GREET_AGAIN),
        (GREETING_SECONDS + 10, Stage.FRESH),
        (GREETING_SECONDS + 20, Stage.GIVE_UP),
    ]


def test_an_answer_that_does_not_come_is_nudged_then_sought_elsewhere_and_at_last_given_up() -> None:
    """8, 12, 20 and 35 seconds; then the candidate is told, and only then it ends."""
    assert waits(Patience(), 65) == [
        (8, Stage.NUDGE),
        (12, Stage.ROTATE),
        (20, Stage.FRESH),
        (35, Stage.FRESH),
        (50, Stage.TELL),
        (65, Stage.GIVE_UP),
    ]


def test_who_said_that_it_thinks_has_thirty_seconds_and_then_as_long_as_anybody() -> None:
    patience = Patience()
    assert waits(patience, 42, floor=Floor.THINKING) == [
        (THINKING_SECONDS, Stage.NUDGE),
        (THINKING_SECONDS + 4, Stage.ROTATE),
        (THINKING_SECONDS + 12, Stage.FRESH),
    ]


def test_a_resumed_session_that_hears_and_never_speaks_is_replaced_without_a_nudge() -> None:
    """A poisoned handle transcribes for ever: the nudge would only be transcribed, too."""
    assert waits(Patience(), 8, resumed=True) == [(POISONED_SECONDS, Stage.FRESH)]


def test_after_a_poisoned_resume_the_stages_go_on_and_not_back() -> None:
    patience = Patience()
    waits(patience, 12)
    assert waits(patience, 8, since=100.0, resumed=True) == [(108, Stage.FRESH)]
    assert waits(patience, 30, since=200.0) == [(215, Stage.FRESH), (230, Stage.TELL)]


def test_an_answer_starts_the_wait_anew() -> None:
    """An interview has a hundred answers; the stages are for one that is missing."""
    patience = Patience()
    waits(patience, 30)
    patience.answered()
    assert waits(patience, 8, since=40.0) == [(48, Stage.NUDGE)]


def test_who_speaks_again_waits_from_then_on_but_at_the_stage_reached() -> None:
    """ "Hello? Are you there?" is no answer."""
    patience = Patience()
    assert waits(patience, 8) == [(8, Stage.NUDGE)]
    assert waits(patience, 4, since=14.0) == [(18, Stage.ROTATE)]


def test_sound_holds_back_a_prompt_and_no_change_of_connection() -> None:
    """A reply that stalled is not brought back by waiting for a candidate who asks where it is."""
    assert waits(Patience(), 20, floor=Floor.STALLED, sound=True) == [(12, Stage.ROTATE), (20, Stage.FRESH)]


@pytest.mark.parametrize(
    ("model", "thinking", "silence", "seconds"),
    [
        ("gemini-3.8-live", "", 1.2, ANSWER_SECONDS),
        ("gemini-3.8-live-extended-thinking", "high", 1.2, 24.0),
        ("gemini-3.8-live", "", 10.0, ANSWER_SECONDS + 8.0),
    ],
)
def test_a_slower_model_and_a_longer_silence_have_more_time(
    model: str, thinking: str, silence: float, seconds: float
) -> None:
    assert answer_seconds(model, thinking, silence) == seconds
    assert waits(Patience(seconds), 30)[0] == (seconds, Stage.NUDGE)


@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.booleans(), st.booleans(), st.sampled_from(Floor), st.booleans()),
        max_size=200,
    )
)
def test_every_wait_ends(steps: list[tuple[float, bool, bool, Floor, bool]]) -> None:
    """However it goes, no more interventions than there are stages come before it is given up."""
    patience, now, stages = Patience(), 0.0, list[Stage]()
    for passed, greeting, resumed, floor, sound in steps:
        now += passed
        stage = patience.look(now, since=0.0, floor=floor, greeting=greeting, resumed=resumed, sound=sound)
        if stage is not None:
            stages.append(stage)
    before = stages[: stages.index(Stage.GIVE_UP)] if Stage.GIVE_UP in stages else stages
    assert len(before) <= 5
