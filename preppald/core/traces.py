"""An interview as an OpenTelemetry trace: its spans, made of numbers and names alone, never of words.

Every span is made as soon as its end is known, and each knows its trace and its place in it by the interview's name: so
that what is made by different processes, or behind the interview's end, is one trace all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
import enum
import hashlib
from typing import Protocol

import msgspec

from preppald.core.deliveries import OutboxEntry, session_name
from preppald.core.endings import Debt, Ending
from preppald.core.interview import Interview, Usage
from preppald.core.quality import Quality, Service, word_count
from preppald.core.timeline import Spoken, spoken
from preppald.core.turns import Speaker, Turn

PROVIDER = "gcp.gemini"
TRACE_ID_BYTES, SPAN_ID_BYTES = 16, 8

Value = bool | int | float | str


class Names(enum.StrEnum):
    """The names of attributes: OpenTelemetry's for generative AI besides ours, or ours alone.

    Those for generative AI are under development (https://github.com/open-telemetry/semantic-conventions-genai): these
    are as of v0.1.0 of 2026.
    """

    GEN_AI = "gen_ai"
    PREPPALD = "preppald"


class Span(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stretch of time, wall clock in milliseconds. ``span_id`` and ``parent_id``: hexadecimal; no parent is the root.

    ``calls``: it is a call to another service. ``failed``: it ended in an error.
    """

    name: str
    span_id: str
    begin_ms: int
    end_ms: int
    parent_id: str = ""
    calls: bool = False
    failed: bool = False
    attributes: dict[str, Value] = {}


class Spans(msgspec.Struct, frozen=True):
    """Spans of one trace. ``trace_id``: hexadecimal."""

    trace_id: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection to Gemini, or a try. Seconds on any one clock; ``ready_at`` is None where it was never set up.

    ``why`` it ended: a close cause's name, or why it was left. ``model``: empty for that of the interview's beginning.
    """

    generation: int
    dialled_at: float
    ready_at: float | None
    ended_at: float
    resumed: bool
    why: str
    failed: bool
    model: str = ""


class Course(Protocol):
    """Takes note of connections, for a trace."""

    def connection(self, it: Connection) -> None:
        """Note one that ended."""

    def gap(self, lost_at: float, now: float) -> None:
        """Note the time without one, in Trio's seconds."""


class Trace:
    """The maker of an interview's spans."""

    def __init__(self, interview: Interview, names: Names) -> None:
        self._interview = interview
        self._names = names
        # Of the last connection: an interview may go on with another model.
        self._model = interview.model
        self._session = session_name(interview.interview_id, interview.block, interview.epoch)
        self.trace_id = _digest(self._session, TRACE_ID_BYTES)
        self._root = _digest(f"{self._session} interview", SPAN_ID_BYTES)

    def connection(self, it: Connection, to_ms: "ToMs") -> Spans:
        """Return the span of a connection that ended."""
        self._model = it.model or self._model
        attributes: dict[str, Value] = {
            "preppald.connection.generation": it.generation,
            "preppald.connection.resumed": it.resumed,
            "preppald.connection.end": it.why,
            **self._gen_ai({"gen_ai.provider.name": PROVIDER, "gen_ai.request.model": self._model}),
        }
        if it.ready_at is not None:
            attributes["preppald.connection.setup_seconds"] = round(it.ready_at - it.dialled_at, 3)
        begin_ms, end_ms = to_ms(it.dialled_at), to_ms(it.ended_at)
        return self._of(
            self._span(
                "gemini connection",
                f"connection {begin_ms} {it.generation}",
                begin_ms,
                end_ms,
                attributes,
                calls=True,
                failed=it.failed,
            )
        )

    def gap(self, begin_ms: int, end_ms: int) -> Spans:
        """Return the span of the time between two connections."""
        return self._of(self._span("gap", f"gap {begin_ms}", begin_ms, end_ms, {}))

    def talk(
        self,
        ending: Ending,
        turns: Sequence[Turn],
        numbers: Quality,
        ended_ms: int,
        usage: Usage,
        *,
        cost_dollars: float = 0.0,
    ) -> Spans:
        """Return the root, and a span for each turn; ``turns`` in their order, as the transcript has them."""
        interview = self._interview
        timeline = spoken(turns, interview.started_ms, ended_ms)
        root = Span(
            name="interview",
            span_id=self._root,
            begin_ms=interview.started_ms,
            end_ms=max(ended_ms, interview.started_ms),
            failed=ending.owed in {Debt.ERROR, Debt.PARTIAL_THEN_ERROR},
            attributes=self._own(
                {
                    "preppald.interview.ending": ending.name,
                    **_numbers("preppald.talk", numbers),
                    **({} if numbers.service is None else _numbers("preppald.service", numbers.service)),
                    "preppald.usage.tokens": usage.total,
                    "preppald.usage.cost_dollars": round(cost_dollars, 4),
                    **self._gen_ai(
                        {
                            "gen_ai.provider.name": PROVIDER,
                            "gen_ai.request.model": self._model,
                            "gen_ai.usage.input_tokens": usage.prompt_audio + usage.prompt_text,
                            "gen_ai.usage.output_tokens": usage.response_audio
                            + usage.response_text
                            + usage.thoughts,
                        }
                    ),
                }
            ),
        )
        before: Spoken | None = None
        found = [root]
        for number, it in enumerate(timeline, start=1):
            found.append(self._turn(number, it, before))
            before = it
        return self._of(*found)

    def _turn(self, number: int, it: Spoken, before: Spoken | None) -> Span:
        began_ms = self._interview.started_ms
        begin_ms, end_ms = began_ms + it.begin_ms, began_ms + it.end_ms
        attributes: dict[str, Value] = {
            "preppald.turn.number": number,
            "preppald.turn.words": word_count(it.turn.text),
            "preppald.turn.speech_seconds": it.length_ms / 1000,
        }
        if it.turn.speaker is Speaker.USER:
            attributes["preppald.turn.typed"] = bool(it.turn.answers)
            return self._span("candidate turn", f"turn {number}", begin_ms, end_ms, attributes)
        attributes["preppald.turn.interrupted"] = it.turn.cut
        if before is not None and before.turn.speaker is Speaker.USER and before.end_ms <= it.begin_ms:
            # The reply is awaited from the end of the candidate's voice.
            wait_ms = it.begin_ms - before.end_ms
            begin_ms -= wait_ms
            attributes["preppald.reply.first_sound_seconds"] = wait_ms / 1000
            attributes |= self._gen_ai({"gen_ai.response.time_to_first_chunk": wait_ms / 1000})
        model = self._model
        attributes |= self._gen_ai(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": PROVIDER,
                "gen_ai.request.model": model,
                "gen_ai.output.type": "speech",
            }
        )
        name = f"chat {model}" if self._names is Names.GEN_AI else "reply"
        return self._span(name, f"turn {number}", begin_ms, end_ms, attributes, calls=True)

    def _span(
        self,
        name: str,
        of: str,
        begin_ms: int,
        end_ms: int,
        attributes: dict[str, Value],
        *,
        calls: bool = False,
        failed: bool = False,
    ) -> Span:
        return Span(
            name=name,
            span_id=_digest(f"{self._session} {of}", SPAN_ID_BYTES),
            begin_ms=begin_ms,
            end_ms=max(begin_ms, end_ms),
            parent_id=self._root,
            calls=calls,
            failed=failed,
            attributes=self._own(attributes),
        )

    def _own(self, attributes: dict[str, Value]) -> dict[str, Value]:
        """Add what every span of the interview says."""
        name = self._interview.interview_id
        block: dict[str, Value] = (
            {"preppald.interview.block": self._interview.block} if self._interview.block else {}
        )
        known: dict[str, Value] = {
            "preppald.interview.id": name,
            "preppald.interview.epoch": self._interview.epoch,
            **block,
        }
        return known | self._gen_ai({"gen_ai.conversation.id": name}) | attributes

    def _gen_ai(self, attributes: dict[str, Value]) -> dict[str, Value]:
        return attributes if self._names is Names.GEN_AI else {}

    def _of(self, *spans: Span) -> Spans:
        return Spans(self.trace_id, spans)


class ToMs:
    """Turns a time of Trio's clock into the wall clock in milliseconds, by the wall clock at Trio's time 0."""

    def __init__(self, epoch_ms: float) -> None:
        self._epoch_ms = epoch_ms

    def __call__(self, seconds: float) -> int:
        return round(self._epoch_ms + seconds * 1000)


def delivery(owed: OutboxEntry, now_ms: int) -> Spans:
    """Return the span of a delivery that was settled: from its making to its acknowledgement, or to the giving up."""
    # The key begins with the session's name.
    name = ":".join(owed.key.split(":", 2)[:2])
    made = owed.delivery
    attributes: dict[str, Value] = {
        "preppald.interview.id": made.interview_id,
        "preppald.delivery.kind": made.kind.value,
        "preppald.delivery.state": owed.state.value,
        "preppald.delivery.attempts": owed.attempts,
    }
    if owed.last_status:
        attributes["http.response.status_code"] = owed.last_status
    end_ms = owed.acked_ms if owed.acked_ms is not None else now_ms
    span = Span(
        name=f"delivery {made.kind.value}",
        span_id=_digest(f"{owed.key} {owed.state}", SPAN_ID_BYTES),
        begin_ms=made.created_ms,
        end_ms=max(made.created_ms, end_ms),
        parent_id=_digest(f"{name} interview", SPAN_ID_BYTES),
        calls=True,
        failed=owed.acked_ms is None,
        attributes=attributes,
    )
    return Spans(_digest(name, TRACE_ID_BYTES), (span,))


def _digest(of: str, length: int) -> str:
    return hashlib.sha256(of.encode()).digest()[:length].hex()


def _numbers(prefix: str, of: Quality | Service) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for item in fields(of):
        value = getattr(of, item.name)
        if isinstance(value, Value):
            found[f"{prefix}.{item.name}"] = value
    return found
