"""An interview as a trace: times and names, whatever was said."""

from dataclasses import replace

import msgspec

from preppald.core import endings, traces
from preppald.core.deliveries import OutboxEntry, Status, status_delivery
from preppald.core.interview import Interview, Usage
from preppald.core.quality import Service, quality
from preppald.core.timeline import spoken
from preppald.core.traces import Connection, Names, Span, ToMs, Trace
from preppald.core.turns import Speaker, Turn

START_MS = 1_800_000_000_000
INTERVIEW = Interview("iv", "anna", 2, "digest", "gemini-3.8-live", START_MS, START_MS + 3_600_000)
TALK = (
    Turn(
        1,
        Speaker.AI,
        "secretly spoken",
        START_MS,
        complete=True,
        begin_ms=START_MS + 500,
        end_ms=START_MS + 2500,
    ),
    Turn(
        2,
        Speaker.USER,
        "secretly heard words",
        START_MS,
        complete=True,
        begin_ms=START_MS + 3000,
        end_ms=START_MS + 5000,
    ),
    Turn(
        3,
        Speaker.AI,
        "secretly cut",
        START_MS,
        complete=True,
        heard=8,
        begin_ms=START_MS + 5600,
        end_ms=START_MS + 7000,
        sound_ms=START_MS + 5800,
    ),
)
NOTHING = quality([], 0)
USAGE = Usage(prompt_audio=100, prompt_text=20, response_audio=50, response_text=4, thoughts=6, cached=10)


def talk(names: Names = Names.GEN_AI, interview: Interview = INTERVIEW) -> list[Span]:
    numbers = quality(spoken(TALK, START_MS, START_MS + 10_000), 10_000, Service(credited_ms=1500))
    made = Trace(interview, names).talk(
        endings.USER_ENDED, TALK, numbers, START_MS + 10_000, USAGE, cost_dollars=0.00123
    )
    return list(made.spans)


def test_the_interview_is_the_root() -> None:
    root = talk()[0]
    assert (root.name, root.parent_id, root.failed) == ("interview", "", False)
    assert (root.begin_ms, root.end_ms) == (START_MS, START_MS + 10_000)
    told = root.attributes
    assert told["preppald.interview.id"] == told["gen_ai.conversation.id"] == "iv"
    assert told["preppald.interview.ending"] == "user_ended"
    assert told["preppald.service.credited_ms"] == 1500
    assert told["preppald.talk.interruptions"] == 1
    assert told["preppald.usage.tokens"] == USAGE.total
    assert told["preppald.usage.cost_dollars"] == 0.0012
    assert told["gen_ai.usage.input_tokens"] == 120
    assert told["gen_ai.usage.output_tokens"] == 60


def test_turns_and_replies_stand_under_it() -> None:
    root, greeting, answer, reply = talk()
    assert {it.parent_id for it in (greeting, answer, reply)} == {root.span_id}
    assert (answer.name, answer.calls) == ("candidate turn", False)
    assert (answer.begin_ms, answer.end_ms) == (START_MS + 3000, START_MS + 5000)
    assert answer.attributes["preppald.turn.words"] == 3
    assert (greeting.name, greeting.calls) == ("chat gemini-3.8-live", True)
    assert "preppald.reply.first_sound_seconds" not in greeting.attributes
    # Awaited from the end of the candidate's voice on.
    assert (reply.begin_ms, reply.end_ms) == (START_MS + 5000, START_MS + 7000)
    assert reply.attributes["preppald.reply.first_sound_seconds"] == 0.8
    assert reply.attributes["preppald.turn.interrupted"] is True
    assert reply.attributes["preppald.turn.speech_seconds"] == 1.2


def test_no_word_and_no_user_is_in_it() -> None:
    """Not in a name, a value or an id, whatever the names are."""
    for names in Names:
        text = msgspec.json.encode(talk(names)).decode()
        assert "secretly" not in text
        assert "anna" not in text


def test_our_names_alone() -> None:
    spans = talk(Names.PREPPALD)
    assert [it.name for it in spans] == ["interview", "reply", "candidate turn", "reply"]
    assert all(key.startswith("preppald.") for it in spans for key in it.attributes)


def test_an_interview_that_failed_is_an_error() -> None:
    for ending in endings.PRECEDENCE:
        root = Trace(INTERVIEW, Names.GEN_AI).talk(ending, (), NOTHING, START_MS, Usage()).spans[0]
        assert root.failed == (ending.name in {"ai_unreachable", "ai_failed", "bug"})


def test_connections_and_gaps() -> None:
    made = Trace(INTERVIEW, Names.GEN_AI)
    seen = Connection(3, 10.0, 10.25, 70.0, resumed=True, why="left", failed=False)
    (span,) = made.connection(seen, ToMs(START_MS)).spans
    assert (span.begin_ms, span.end_ms) == (START_MS + 10_000, START_MS + 70_000)
    assert span.calls
    assert span.attributes["preppald.connection.generation"] == 3
    assert span.attributes["preppald.connection.setup_seconds"] == 0.25
    assert span.attributes["preppald.connection.end"] == "left"
    never = replace(seen, ready_at=None, why="quota", failed=True)
    (span,) = made.connection(never, ToMs(START_MS)).spans
    assert span.failed
    assert "preppald.connection.setup_seconds" not in span.attributes
    (gap,) = made.gap(START_MS + 1000, START_MS + 1500).spans
    assert (gap.name, gap.end_ms - gap.begin_ms) == ("gap", 500)


def test_a_delivery_belongs_to_its_interview_by_its_key() -> None:
    """It is settled by a process that knows nothing else of the interview."""
    for interview in (INTERVIEW, replace(INTERVIEW, block=4)):
        owed = OutboxEntry(
            status_delivery("iv", 2, Status.IN_PROGRESS, now_ms=START_MS, block=interview.block)
        )
        made = traces.delivery(owed.acknowledged(START_MS + 700), START_MS + 900)
        trace = Trace(interview, Names.GEN_AI).talk(endings.USER_ENDED, (), NOTHING, START_MS, Usage())
        assert made.trace_id == trace.trace_id
        (span,) = made.spans
        assert span.parent_id == trace.spans[0].span_id
        assert (span.name, span.end_ms - span.begin_ms, span.failed) == ("delivery status", 700, False)
        assert span.attributes["preppald.delivery.attempts"] == 1
    owed = OutboxEntry(status_delivery("iv", 2, Status.IN_PROGRESS, now_ms=START_MS))
    dead = traces.delivery(owed.refused(400, "answered 400"), START_MS + 900)
    assert dead.spans[0].failed
    assert dead.spans[0].attributes["http.response.status_code"] == 400
    assert dead.spans[0].end_ms == START_MS + 900


def test_ids_are_of_the_right_size_and_each_span_has_its_own() -> None:
    spans = talk()
    made = Trace(INTERVIEW, Names.GEN_AI)
    assert len(bytes.fromhex(made.trace_id)) == 16
    assert all(len(bytes.fromhex(it.span_id)) == 8 for it in spans)
    assert len({it.span_id for it in spans}) == len(spans)
    # The same interview begun again is another trace.
    assert Trace(replace(INTERVIEW, epoch=3), Names.GEN_AI).trace_id != made.trace_id
