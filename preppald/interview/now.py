"""One interview as it is now, for the operator: states and numbers, never a word that was said."""

import msgspec

from preppald.core.floor import State
from preppald.core.interview import Interview
from preppald.core.presence import Presence
from preppald.core.prices import Prices
from preppald.interview.parts import Parts

# The floor in the operator's words, by the dialogue's state.
FLOOR = {
    State.CONNECTING: "nobody",
    State.LISTENING: "candidate",
    State.AWAITED: "interviewer, awaited",
    State.SPEAKING: "interviewer",
    State.THINKING: "interviewer, thinking",
    State.PLAYING: "interviewer",
    State.CUT: "candidate",
    State.OVER: "over",
}


class InterviewNow(msgspec.Struct, frozen=True, kw_only=True):
    """A live interview. All lengths are in seconds.

    ``block``: the block's number, 0 for an ordinary interview. ``floor``: a value of ``FLOOR``. ``waiting_seconds``: how
    long no browser has been there; None while one is. ``gap_seconds``: how long Gemini has been away; 0 while it is there.
    """

    interview: str
    user: str
    block: int
    epoch: int
    started_ms: int
    age_seconds: float
    left_seconds: float
    floor: str
    waiting_seconds: float | None
    gap_seconds: float
    rotations: int
    restorations: int
    tokens: int
    cost_dollars: float


def presence(interview: Interview, parts: Parts, until: float | None = None) -> Presence:
    """Return when both ends were there; ``until``: the interview's end on Trio's clock, None while it is live."""
    zero = (interview.started_ms - parts.epoch_ms) / 1000
    return Presence(parts.seat.stays.seen(zero, until), parts.client.connections.stays.seen(zero, until))


def seen(interview: Interview, parts: Parts, prices: Prices, now: float) -> InterviewNow:
    """Return the interview as it is at ``now``, on Trio's clock."""
    connected = parts.client.connected
    return InterviewNow(
        interview=interview.interview_id,
        user=interview.user_id,
        block=interview.block,
        epoch=interview.epoch,
        started_ms=interview.started_ms,
        age_seconds=round(max(0.0, (parts.epoch_ms - interview.started_ms) / 1000 + now), 1),
        left_seconds=round(max(0.0, parts.clock.left(now)), 1),
        floor=FLOOR[parts.conversation.state],
        waiting_seconds=None if parts.seat.browser is not None else round(now - parts.seat.left_at, 1),
        gap_seconds=0.0 if connected else round(parts.clock.gap(now), 1),
        rotations=parts.client.rotations,
        restorations=parts.client.restorations,
        tokens=parts.stats.usage.total,
        cost_dollars=round(prices.cost(parts.stats.usage), 4),
    )
