"""The settings of traces, by the names that OpenTelemetry gives them, so that one set serves every program of a host."""

from dataclasses import dataclass
import re
from typing import Literal
from urllib.parse import unquote

from preppald.config import addresses, values as parse
from preppald.config.setting import setting
from preppald.config.values import Invalid

# Of a header's name, and of an attribute's key.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
# Headers that say what the post is: another's would be a lie, or break it.
OF_THE_POST = {"content-encoding", "content-length", "content-type", "host", "transfer-encoding"}
MOST_MS = 60_000


def pairs(raw: str) -> str:
    """Read ``key=value`` pairs separated by commas, percent-encoded; return the text, which ``parsed`` takes apart."""
    for part in filter(None, map(str.strip, raw.split(","))):
        key, equals, value = part.partition("=")
        if not equals or not _TOKEN.fullmatch(key.strip()):
            raise Invalid("is not a list like key=value,other=value")
        if not unquote(value).isprintable():
            raise Invalid("holds a value with a character that is not printable")
    return raw


def headers(raw: str) -> str:
    """Read pairs that are headers of a post."""
    for name, value in parsed(pairs(raw)).items():
        if name.lower() in OF_THE_POST:
            raise Invalid(f"holds {name}, which each post has by itself: leave it out")
        if not value.isascii() or value != value.strip():
            raise Invalid("holds a value that no header can have: use ASCII, with no blank at its ends")
    return raw


def parsed(text: str) -> dict[str, str]:
    """Return the pairs of a text that ``pairs`` has read."""
    parts = (part.partition("=") for part in filter(None, map(str.strip, text.split(","))))
    return {key.strip(): unquote(value.strip()) for key, _, value in parts}


def _truth(raw: str) -> bool:
    """Return whether it says "true"; anything else is false, as OpenTelemetry has it."""
    return raw.lower() == "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Otel:
    """The part of Config that traces need. ``traces_url`` is None where none are made."""

    otel_endpoint: str = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        parse.optional(addresses.http_url),
        "turns traces on: a collector that speaks OTLP over HTTP, like http://127.0.0.1:4318; they go to its /v1/traces",
        restart=True,
        conventional=True,
    )
    otel_traces_endpoint: str = setting(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        parse.optional(addresses.http_url),
        "the same for traces alone, with the whole path",
        restart=True,
        conventional=True,
    )
    otel_headers: str = setting(
        "OTEL_EXPORTER_OTLP_HEADERS",
        headers,
        "headers for the collector, like authorization=Bearer%20abc, separated by commas",
        secret=True,
        conventional=True,
    )
    otel_traces_headers: str = setting(
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        headers,
        "the same for traces alone; these go before the others",
        secret=True,
        conventional=True,
    )
    otel_protocol: Literal["http/protobuf"] = setting(
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        parse.one_of("http/protobuf"),
        "how the collector is spoken to",
        default="http/protobuf",
        restart=True,
        conventional=True,
    )
    otel_timeout: int = setting(
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        parse.whole_number(least=100, most=MOST_MS),
        "how long one post may take, in milliseconds",
        default="10000",
        restart=True,
        conventional=True,
    )
    otel_exporter: Literal["otlp", "none"] = setting(
        "OTEL_TRACES_EXPORTER",
        parse.one_of("otlp", "none"),
        "none: no traces, whatever the endpoint says",
        default="otlp",
        restart=True,
        conventional=True,
    )
    otel_disabled: bool = setting(
        "OTEL_SDK_DISABLED",
        _truth,
        "true: no traces, whatever the endpoint says",
        restart=True,
        conventional=True,
    )
    otel_service: str = setting(
        "OTEL_SERVICE_NAME",
        parse.text,
        "this service's name in traces",
        default="preppald",
        restart=True,
        conventional=True,
    )
    otel_resource: str = setting(
        "OTEL_RESOURCE_ATTRIBUTES",
        pairs,
        "more about this service in traces, like deployment.environment.name=production, separated by commas",
        restart=True,
        conventional=True,
    )
    trace_names: Literal["gen_ai", "preppald"] = setting(
        "PREPPALD_TRACE_NAMES",
        parse.one_of("gen_ai", "preppald"),
        "the names in traces: gen_ai, OpenTelemetry's for generative AI beside ours; preppald, ours alone",
        default="gen_ai",
        restart=True,
    )

    @property
    def traces_url(self) -> str | None:
        """Return where traces are posted; None where there are none."""
        if self.otel_disabled or self.otel_exporter == "none":
            return None
        if self.otel_traces_endpoint:
            return self.otel_traces_endpoint
        return f"{self.otel_endpoint}/v1/traces" if self.otel_endpoint else None

    @property
    def traces_headers(self) -> dict[str, str]:
        """Return the headers of a post."""
        return parsed(self.otel_headers) | parsed(self.otel_traces_headers)

    @property
    def traces_resource(self) -> dict[str, str]:
        """Return what the service says about itself; its name's own setting goes before the list."""
        named = parsed(self.otel_resource)
        if self.otel_service != "preppald" or "service.name" not in named:
            named["service.name"] = self.otel_service
        return named
