"""Tenure: whether this instance still holds the interviews that it runs. One table, total over every case.

An instance holds what it runs by a lease in the shared journal, which every answer renews or refuses. The clock that
decides is the database's: this process never takes a lease for lost by its own clock, it only stops to count on it.

Rule 1: only a refusal ends a tenure. A database that is silent, for however long, ends nothing.
Rule 2: a tenure that was refused never comes back: the instance joins anew, as another incarnation.
Rule 3: while a tenure is doubtful nothing is posted and nothing begun; what runs goes on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import enum


class Tenure(enum.Enum):
    """The states of an instance towards the shared journal."""

    HOLDS = "its lease was renewed within the last lease time"
    CUT_OFF = "no answer for longer than that, or none yet: others may take it for lost"
    FENCED = "it was declared lost: its interviews are others'"


class Event(enum.Enum):
    """The events of a tenure."""

    GRANTED = "a pulse or a commit was taken"
    REFUSED = "a pulse or a commit was answered with: this incarnation is lost"
    SILENCE = "no answer for as long as a lease lasts"
    JOINED = "the database gave a new incarnation"


class Effect(enum.Enum):
    """The instance's deeds on the way from one state to the next."""

    CATCH_UP = "send what the database has not"
    SEND_ALL = "send everything that is unfinished: a new incarnation has nothing there yet"
    LEAVE = "join anew: nothing more is written under the old incarnation"


@dataclass(frozen=True, slots=True)
class Step:
    """The answer to an event: the state after it, and the effects."""

    state: Tenure
    effects: tuple[Effect, ...] = ()


_HOLDS, _CUT_OFF, _FENCED = Tenure.HOLDS, Tenure.CUT_OFF, Tenure.FENCED

TABLE: Mapping[tuple[Tenure, Event], Step] = {
    (_HOLDS, Event.GRANTED): Step(_HOLDS),
    (_HOLDS, Event.SILENCE): Step(_CUT_OFF),
    (_HOLDS, Event.REFUSED): Step(_FENCED, (Effect.LEAVE,)),
    # Somebody gave the state file another incarnation: it was a copy of another host's.
    (_HOLDS, Event.JOINED): Step(_HOLDS, (Effect.SEND_ALL,)),
    (_CUT_OFF, Event.GRANTED): Step(_HOLDS, (Effect.CATCH_UP,)),
    (_CUT_OFF, Event.SILENCE): Step(_CUT_OFF),
    (_CUT_OFF, Event.REFUSED): Step(_FENCED, (Effect.LEAVE,)),
    (_CUT_OFF, Event.JOINED): Step(_HOLDS, (Effect.SEND_ALL,)),
    # An answer to a question that was asked before the refusal: rule 2.
    (_FENCED, Event.GRANTED): Step(_FENCED),
    (_FENCED, Event.SILENCE): Step(_FENCED),
    (_FENCED, Event.REFUSED): Step(_FENCED),
    (_FENCED, Event.JOINED): Step(_HOLDS, (Effect.SEND_ALL,)),
}

# May deliveries be posted, and interviews begun? Those that run go on in every state but FENCED.
MAY_POST: Mapping[Tenure, bool] = {_HOLDS: True, _CUT_OFF: False, _FENCED: False}
MAY_GO_ON: Mapping[Tenure, bool] = {_HOLDS: True, _CUT_OFF: True, _FENCED: False}


def step(state: Tenure, event: Event) -> Step:
    """Return the state after the event, with the effects."""
    return TABLE[state, event]
