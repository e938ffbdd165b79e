"""Every effect that the rules can ask for happens somewhere."""

from typing import get_args

from preppald.core.effects import SessionEffect
from preppald.core.events import Effect
from preppald.interview.performer import Performer


def test_every_effect_has_its_method() -> None:
    assert set(Performer.HANDLERS) == {*get_args(Effect), *get_args(SessionEffect)}
