"""Spans as OpenTelemetry's messages (OTLP), in protobuf. No I/O."""

from collections.abc import Iterable, Mapping

from google.protobuf.message import DecodeError
import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message, Status

from preppald import __version__
from preppald.core.traces import Span, Spans, Value

CONTENT_TYPE = "application/x-protobuf"
SCOPE = "preppald"
NANOSECONDS_PER_MS = 1_000_000

_spans = msgspec.json.Decoder(Spans)


def encode(rows: Iterable[str], resource: Mapping[str, str]) -> tuple[bytes, int]:
    """Return a request with the spans of these rows (``Spans`` as JSON), and how many rows could not be read.

    ``resource``: what the service says about itself.
    """
    request = ExportTraceServiceRequest()
    ours = request.resource_spans.add()
    own = {
        "telemetry.sdk.name": "preppald",
        "telemetry.sdk.language": "python",
        "service.version": __version__,
    }
    ours.resource.attributes.extend(_attribute(key, value) for key, value in (own | dict(resource)).items())
    scope = ours.scope_spans.add()
    scope.scope.name, scope.scope.version = SCOPE, __version__
    unreadable = 0
    for row in rows:
        try:
            of = _spans.decode(row)
            messages = [_message(of.trace_id, it) for it in of.spans]
        except (msgspec.MsgspecError, ValueError, OverflowError):
            unreadable += 1
            continue
        scope.spans.extend(messages)
    return request.SerializeToString(), unreadable


def rejected(body: bytes) -> int:
    """Return how many spans the collector refused in an answer that is good otherwise."""
    try:
        answer = ExportTraceServiceResponse.FromString(body)
    except DecodeError:
        return 0
    return max(0, answer.partial_success.rejected_spans)


def _message(trace_id: str, it: Span) -> Message:
    return Message(
        trace_id=bytes.fromhex(trace_id),
        span_id=bytes.fromhex(it.span_id),
        parent_span_id=bytes.fromhex(it.parent_id),
        name=it.name,
        kind=Message.SPAN_KIND_CLIENT if it.calls else Message.SPAN_KIND_INTERNAL,
        start_time_unix_nano=it.begin_ms * NANOSECONDS_PER_MS,
        end_time_unix_nano=it.end_ms * NANOSECONDS_PER_MS,
        attributes=[_attribute(key, value) for key, value in it.attributes.items()],
        status=Status(code=Status.STATUS_CODE_ERROR) if it.failed else None,
    )


def _attribute(key: str, value: Value) -> KeyValue:
    match value:
        case bool():
            said = AnyValue(bool_value=value)
        case int():
            said = AnyValue(int_value=value)
        case float():
            said = AnyValue(double_value=value)
        case _:
            said = AnyValue(string_value=value)
    return KeyValue(key=key, value=said)
