"""How an interview can end, and what each ending owes: the table of the design, as data."""

import itertools

import msgspec
import pytest

from preppald.core import deliveries as deliveries_module, endings
from preppald.core.deliveries import (
    NOTHING_SAID,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Feedback,
    Status,
    StatusUpdate,
    TranscriptSubmission,
    iso,
    retry_delay,
    status_delivery,
    transcript_delivery,
)
from preppald.core.endings import PRECEDENCE, Ending, deliveries, first
from preppald.core.turns import CUT_MARK, Speaker, Turn

TURNS = [
    Turn(1, Speaker.AI, "Hello there, you.", 1000, complete=True, heard=5),
    Turn(2, Speaker.USER, " I am Ada. ", 2000, complete=True),
]
ENDED_MS = 1_800_000_000_123


def told(delivery: Delivery) -> str:
    if delivery.kind is DeliveryKind.TRANSCRIPT:
        return "transcript"
    return msgspec.json.decode(delivery.payload, type=StatusUpdate).status.value


@pytest.mark.parametrize(
    ("ending", "with_text", "without"),
    [
        (endings.USER_ENDED, ["transcript"], ["COMPLETED"]),
        (endings.TIME_UP, ["transcript"], ["COMPLETED"]),
        (endings.TOKENS_SPENT, ["transcript"], ["COMPLETED"]),
        (endings.AI_ENDED, ["transcript"], ["COMPLETED"]),
        (endings.OPERATOR_ENDED, ["transcript"], ["ERROR"]),
        (endings.AI_UNREACHABLE, ["ERROR"], ["ERROR"]),
        (endings.AI_FAILED, ["transcript"], ["ERROR"]),
        (endings.CANDIDATE_GONE, ["transcript"], ["ERROR"]),
        (endings.MISUSED, ["transcript"], ["ERROR"]),
        (endings.DAEMON_STOPPED, ["transcript"], ["ERROR"]),
        (endings.BUG, ["transcript"], ["ERROR"]),
        (endings.BLOCK_LEFT, ["transcript"], ["COMPLETED"]),
        (endings.MOVED, [], []),
    ],
    ids=lambda value: value.name if isinstance(value, Ending) else "",
)
def test_what_the_backend_is_owed(ending: Ending, with_text: list[str], without: list[str]) -> None:
    """A transcript completes the interview; an empty one would be refused."""
    for turns, expected in ((TURNS, with_text), ([], without)):
        owed = deliveries(ending, "iv", 2, turns, started_ms=0, ended_ms=ENDED_MS)
        assert [told(delivery) for delivery in owed] == expected
        assert all(delivery.created_ms == ENDED_MS for delivery in owed)
        assert len({delivery.key for delivery in owed}) == len(owed)
        for delivery in owed:
            if delivery.kind is DeliveryKind.STATUS:
                assert msgspec.json.decode(delivery.payload, type=StatusUpdate).ended_ms == ENDED_MS


@pytest.mark.parametrize("ending", PRECEDENCE, ids=lambda ending: ending.name)
def test_a_failed_interview_may_be_told_as_one(ending: Ending) -> None:
    """PREPPALD_PARTIAL=error: a transcript completes the interview, so ERROR comes after it."""
    owed = deliveries(ending, "iv", 2, TURNS, started_ms=0, ended_ms=ENDED_MS, partial="error")
    expected = {
        endings.AI_FAILED: ["transcript", "ERROR"],
        endings.BUG: ["transcript", "ERROR"],
        endings.AI_UNREACHABLE: ["ERROR"],
        endings.MOVED: [],
    }
    assert [told(delivery) for delivery in owed] == expected.get(ending, ["transcript"])


@pytest.mark.parametrize(
    "ending", sorted(set(PRECEDENCE) - {endings.MOVED}, key=PRECEDENCE.index), ids=lambda it: it.name
)
def test_a_block_owes_its_transcript_and_nothing_else(ending: Ending) -> None:
    """The backend completes the interview at its last block; a block that failed does not fail the others."""
    (delivery,) = deliveries(
        ending, "iv", 2, TURNS, started_ms=0, ended_ms=ENDED_MS, block=3, partial="error"
    )
    assert delivery.key == "iv.3:2:transcript"
    assert msgspec.json.decode(delivery.payload, type=TranscriptSubmission).block == 3
    assert deliveries(ending, "iv", 2, [], started_ms=0, ended_ms=ENDED_MS, block=3, feedback=True) == []


def test_feedback_says_that_nothing_was_said() -> None:
    """A page that waits for it waits for ever otherwise."""
    status, feedback = deliveries(
        endings.USER_ENDED, "iv", 2, [], started_ms=0, ended_ms=ENDED_MS, feedback=True
    )
    assert (status.kind, feedback.kind) == (DeliveryKind.STATUS, DeliveryKind.FEEDBACK)
    assert msgspec.json.decode(feedback.payload, type=Feedback) == NOTHING_SAID
    assert [
        it.kind
        for it in deliveries(endings.USER_ENDED, "iv", 2, TURNS, started_ms=0, ended_ms=1, feedback=True)
    ] == [DeliveryKind.TRANSCRIPT]


def test_a_transcript_says_what_was_heard() -> None:
    """Each line with who, what and when; a turn that was spoken over ends in its mark."""
    delivery = transcript_delivery("iv", 3, TURNS, now_ms=5, started_ms=0, ended_ms=ENDED_MS)
    submission = msgspec.json.decode(delivery.payload, type=TranscriptSubmission)
    lines = [(line.speaker, line.content, line.at_ms) for line in submission.lines]
    assert lines == [("AI", "Hello" + CUT_MARK, 1000), ("USER", "I am Ada.", 2000)]
    assert submission.ended_ms == ENDED_MS
    assert delivery.key == "iv:3:transcript"


def test_keys_are_unique_over_every_try_of_an_interview() -> None:
    """An interview may be begun again: its second IN_PROGRESS is another one."""
    keys = {
        status_delivery("iv", epoch, status, now_ms=1).key for epoch in (1, 2) for status in tuple(Status)
    }
    assert len(keys) == 2 * len(Status)


@pytest.mark.parametrize(
    "ending", [ending for ending in vars(endings).values() if isinstance(ending, Ending)]
)
def test_every_ending_has_its_place(ending: Ending) -> None:
    """A closed set: whatever ends an interview can be compared with whatever else does."""
    assert ending in PRECEDENCE
    assert first([ending]) is ending


def test_of_two_endings_the_one_with_precedence_counts() -> None:
    """Whichever came first."""
    for one, other in itertools.permutations(PRECEDENCE, 2):
        assert first([one, other]) is min(one, other, key=PRECEDENCE.index)
    assert first([endings.DAEMON_STOPPED, endings.USER_ENDED, endings.BUG]) is endings.BUG
    # Whoever ended it here, the interview is another host's; and a stop that comes as well takes nothing back.
    assert first([endings.MOVED, endings.USER_ENDED]) is endings.USER_ENDED
    assert first([endings.DAEMON_STOPPED, endings.MOVED]) is endings.MOVED


def test_close_codes_are_plain_or_distinct() -> None:
    """The reason's words are the same either way."""
    plain, distinct = endings.TIME_UP.close("plain"), endings.TIME_UP.close("distinct")
    assert (plain.code, distinct.code) == (1000, 4002)
    assert plain.reason == distinct.reason


def test_every_close_fits_its_frame() -> None:
    """RFC 6455 §5.5 leaves 123 bytes for the reason, and applications the codes from 4000 on."""
    for ending in PRECEDENCE:
        assert len(ending.plain.reason.encode()) <= 123
        for code in (ending.plain.code, ending.distinct):
            assert code in {1000, 1008, 1011, 1012} or 4000 <= code <= 4999


# ------------------------------------------------------------------ deliveries


def test_a_retry_waits_longer_each_time_but_never_past_the_cap() -> None:
    """Full jitter between nothing and the ceiling; the backend's own wish counts, within the cap."""
    assert [retry_delay(attempts, 1.0) for attempts in (0, 1, 2, 8, 9, 1000)] == [1, 2, 4, 256, 300, 300]
    assert retry_delay(5, 0.0) == 0
    assert retry_delay(0, 0.5, retry_after=7.0) == 7
    assert retry_delay(0, 0.5, retry_after=86_400.0) == 300
    assert retry_delay(0, 0.5, retry_after=-1.0) == 0


def test_a_clock_that_was_set_back_delays_nothing_for_long() -> None:
    """A next try that lies further ahead than any wait can be is due at once."""
    delivery = status_delivery("iv", 1, Status.ERROR, now_ms=ENDED_MS)
    owed = endings_owed(delivery, next_ms=ENDED_MS + 200_000)
    assert not owed.due(ENDED_MS)
    assert owed.due(ENDED_MS + 200_000)
    assert owed.due(ENDED_MS - 3_600_000)


def endings_owed(delivery: Delivery, *, next_ms: int) -> deliveries_module.OutboxEntry:
    return deliveries_module.OutboxEntry(delivery).postponed(next_ms, 503, "answered 503")


def test_a_delivery_remembers_how_it_fared() -> None:
    """Attempts add up; an acknowledgement wipes the failures, a refusal keeps its cause."""
    delivery = status_delivery("iv", 1, Status.ERROR, now_ms=ENDED_MS)
    tried = endings_owed(delivery, next_ms=ENDED_MS)
    assert (tried.attempts, tried.last_status, tried.key) == (1, 503, delivery.key)
    done = tried.acknowledged(ENDED_MS + 1)
    assert (done.state, done.attempts, done.last_error) == (DeliveryState.DONE, 2, None)
    assert not done.due(ENDED_MS + 2)
    dead = tried.refused(400, "answered 400 BAD_REQUEST")
    assert (dead.state, dead.last_status) == (DeliveryState.DEAD, 400)


def test_times_are_written_as_javascript_writes_them() -> None:
    assert iso(ENDED_MS) == "2027-01-15T08:00:00.123Z"
    assert iso(0) == "1970-01-01T00:00:00.000Z"
