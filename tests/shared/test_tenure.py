"""Whether an instance holds what it runs: the table is total, and its rules hold in every case and every order."""

from itertools import product

import pytest

from preppald.shared.tenure import MAY_GO_ON, MAY_POST, TABLE, Effect, Event, Tenure, step

CASES = set(product(Tenure, Event))


def test_every_case_is_in_the_table_and_none_besides() -> None:
    assert set(TABLE) == CASES
    assert set(MAY_POST) == set(MAY_GO_ON) == set(Tenure)


def test_every_state_is_reached_and_every_effect_is_had() -> None:
    assert {it.state for it in TABLE.values()} == set(Tenure)
    assert {effect for it in TABLE.values() for effect in it.effects} == set(Effect)


@pytest.mark.parametrize("state", Tenure)
def test_silence_ends_no_tenure(state: Tenure) -> None:
    """Rule 1: only a refusal does."""
    fencing = {event for event in Event if step(state, event).state is Tenure.FENCED}
    assert fencing == (set(Event) - {Event.JOINED} if state is Tenure.FENCED else {Event.REFUSED})


def test_only_a_new_incarnation_comes_back() -> None:
    """Rule 2."""
    assert {event for event in Event if step(Tenure.FENCED, event).state is not Tenure.FENCED} == {
        Event.JOINED
    }


def test_who_is_in_doubt_posts_nothing_and_goes_on() -> None:
    """Rule 3."""
    assert [state for state in Tenure if MAY_POST[state]] == [Tenure.HOLDS]
    assert [state for state in Tenure if not MAY_GO_ON[state]] == [Tenure.FENCED]


@pytest.mark.parametrize("case", sorted(CASES, key=str), ids=str)
def test_everything_is_sent_that_could_be_missing(case: tuple[Tenure, Event]) -> None:
    """Who holds again has caught up, and who holds as another incarnation sends everything."""
    before, event = case
    after = TABLE[case]
    assert (Effect.SEND_ALL in after.effects) == (event is Event.JOINED)
    returns = before is Tenure.CUT_OFF and event is Event.GRANTED
    assert (Effect.CATCH_UP in after.effects) == returns
    assert (Effect.LEAVE in after.effects) == (before is not Tenure.FENCED and after.state is Tenure.FENCED)


def test_no_order_of_events_posts_between_a_refusal_and_a_new_incarnation() -> None:
    """All histories of six events."""
    for history in product(Event, repeat=6):
        state, refused = Tenure.CUT_OFF, False
        for event in history:
            state = step(state, event).state
            refused = event is not Event.JOINED and (refused or event is Event.REFUSED)
            assert not (refused and MAY_POST[state]), history
