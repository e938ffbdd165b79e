"""The metrics, for Prometheus. One registry a process; labels are closed sets, never ids or texts.

A series that an alert counts with ``increase`` is there from the start, at zero: Prometheus does not see the step from
no series to the first of its counts.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
import platform

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric

from preppald import __version__
from preppald.core.closes import CAUSES
from preppald.core.endings import PRECEDENCE
from preppald.core.interview import Usage
from preppald.core.prices import Prices
from preppald.core.quality import Quality

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Seconds. People notice a pause in an answer from about half a second on.
REPLY_BUCKETS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
# A rotation takes a few round trips; from one second on a gap can be heard, after thirty the interview ends.
GAP_BUCKETS = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
BACKEND_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
# The kernel rounds a sleep up to a millisecond; a lag from a tenth of a second on is heard in every interview, and
# after thirty systemd's watchdog ends the process.
LAG_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

# Of one interview each; in thirds of what is usual, so that a shift is seen and a tail, too.
WAIT_BUCKETS = (1.0, 2.0, 3.0, 5.0, 10.0)
SHARE_BUCKETS = (0.2, 0.4, 0.6, 0.8)
# Calm speech has some 130 words a minute. Under 60 and over 270 the transcript is not what was said.
WORD_BUCKETS = (60.0, 100.0, 150.0, 200.0, 270.0)

TOKEN_KINDS = tuple(item.name for item in fields(Usage))

# A *_created series beside each counter adds nothing to the process's start time.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types for it


def counted(metric: Counter | Gauge) -> dict[str, float]:
    """Return what a metric counted, by the values of its only label; by "" for one without."""
    samples = (sample for family in metric.collect() for sample in family.samples)
    return {next(iter(sample.labels.values()), ""): sample.value for sample in samples}


@dataclass(slots=True)
class Metrics:
    """Every metric of the daemon by name; see docs/operating.md."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    sessions_live: Gauge = field(init=False)
    sessions_started: Counter = field(init=False)
    sessions_ended: Counter = field(init=False)
    connections_refused: Counter = field(init=False)
    browsers_cut: Counter = field(init=False)
    browser_reconnects: Counter = field(init=False)
    messages_skipped: Counter = field(init=False)
    upstream_connects: Counter = field(init=False)
    upstream_failures: Counter = field(init=False)
    upstream_last_connected: Gauge = field(init=False)
    upstream_malformed: Counter = field(init=False)
    model_sick: Gauge = field(init=False)
    upstream_rejected: Counter = field(init=False)
    audio_seconds: Counter = field(init=False)
    audio_dropped_seconds: Counter = field(init=False)
    interruptions: Counter = field(init=False)
    interventions: Counter = field(init=False)
    reply_delay: Histogram = field(init=False)
    reply_delay_from_voice: Histogram = field(init=False)
    upstream_gap: Histogram = field(init=False)
    backend_calls: Counter = field(init=False)
    backend_seconds: Histogram = field(init=False)
    tokens: Counter = field(init=False)
    cost: Counter = field(init=False)
    feedback: Counter = field(init=False)
    verification: Counter = field(init=False)
    verified_turns: Counter = field(init=False)
    interview_wait: Histogram = field(init=False)
    interview_longest_wait: Histogram = field(init=False)
    interview_share: Histogram = field(init=False)
    interview_words: Histogram = field(init=False)
    recording_dropped: Counter = field(init=False)
    opus_asked: Counter = field(init=False)
    opus_seconds_in: Counter = field(init=False)
    opus_seconds_out: Counter = field(init=False)
    opus_encoding_seconds: Counter = field(init=False)
    opus_damaged: Counter = field(init=False)
    opus_given_up: Counter = field(init=False)
    traces_sent: Counter = field(init=False)
    traces_dropped: Counter = field(init=False)
    loop_lag: Histogram = field(init=False)

    def __post_init__(self) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"preppald_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"preppald_{name}", text, labels, buckets=buckets, registry=self.registry)

        self.sessions_live = Gauge("preppald_sessions_live", "interviews now", registry=self.registry)
        self.sessions_started = counter("sessions_started", "interviews begun, or taken up again", "how")
        self.sessions_ended = counter("sessions_ended", "interviews ended", "ending")
        self.connections_refused = counter("connections_refused", "connections refused at the door", "why")
        self.browsers_cut = counter(
            "browsers_cut", "connections ended for what the browser or its line did", "why"
        )
        self.browser_reconnects = counter(
            "browser_reconnects", "browsers that came to an interview which had one before"
        )
        self.messages_skipped = counter(
            "messages_skipped", "messages of kinds that a newer client sends and this version does not know"
        )
        self.upstream_connects = counter("upstream_connects", "connections to Gemini set up", "kind")
        self.upstream_failures = counter(
            "upstream_failures", "connections to Gemini lost or not had", "cause"
        )
        self.upstream_last_connected = Gauge(
            "preppald_upstream_last_connected_timestamp_seconds",
            "when Gemini last accepted a session, seconds since 1970; 0: not since the start",
            registry=self.registry,
        )
        self.model_sick = Gauge(
            "preppald_model_sick",
            "1 while a model of PREPPALD_GEMINI_MODELS keeps failing and interviews go on with another",
            ["model"],
            registry=self.registry,
        )
        self.upstream_malformed = counter("upstream_malformed", "what Gemini sent that cannot be read")
        self.upstream_rejected = counter(
            "upstream_rejected", "answers that Gemini held back for their content", "reason"
        )
        self.audio_seconds = counter("audio_seconds", "audio carried", "direction")
        self.audio_dropped_seconds = counter("audio_dropped_seconds", "candidate audio dropped in a gap")
        self.interruptions = counter("interruptions", "replies that the candidate spoke over")
        self.interventions = counter("interventions", "what a watchdog did", "stage")
        self.reply_delay = histogram(
            "reply_delay_seconds", "from Gemini's notice of the end of speech to the reply", REPLY_BUCKETS
        )
        self.reply_delay_from_voice = histogram(
            "reply_delay_from_voice_seconds",
            "from the end of the candidate's voice, as heard here, to the reply",
            REPLY_BUCKETS,
        )
        self.upstream_gap = histogram(
            "upstream_gap_seconds", "between two connections of an interview to Gemini", GAP_BUCKETS
        )
        self.backend_calls = counter("backend_calls", "posts to the backend", "kind", "outcome")
        self.backend_seconds = histogram(
            "backend_call_seconds", "how long posts took", BACKEND_BUCKETS, "kind"
        )
        self.tokens = counter("tokens", "tokens used", "kind")
        self.cost = counter("cost_dollars", "what the tokens cost by PREPPALD_PRICES, in US dollars")
        self.feedback = counter("feedback", "interviews after which feedback was due", "outcome")
        self.verification = counter("verification", "transcripts that were to be checked", "outcome")
        self.verified_turns = counter("verified_turns", "turns that were checked", "flag")
        self.interview_wait = histogram(
            "interview_wait_seconds",
            "an interview's usual wait for a reply, as the candidate heard it",
            WAIT_BUCKETS,
        )
        self.interview_longest_wait = histogram(
            "interview_longest_wait_seconds", "an interview's longest wait for a reply", WAIT_BUCKETS
        )
        self.interview_share = histogram(
            "interview_candidate_share", "the candidate's share of all speech of an interview", SHARE_BUCKETS
        )
        self.interview_words = histogram(
            "interview_words_a_minute", "the candidate's words a minute of speech", WORD_BUCKETS
        )
        self.recording_dropped = counter("recording_dropped_bytes", "sound that was not recorded")
        self.opus_asked = counter("opus_asked", "connections whose page asked for Opus", "outcome")
        opus_seconds = counter("opus_audio_seconds", "audio carried as Opus", "direction")
        self.opus_seconds_in = opus_seconds.labels("in")
        self.opus_seconds_out = opus_seconds.labels("out")
        self.opus_encoding_seconds = counter("opus_encoding_seconds", "time of the threads that encode")
        self.opus_damaged = counter("opus_packets_damaged", "packets of browsers that could not be decoded")
        self.opus_given_up = counter(
            "opus_given_up", "connections that went back to PCM because their voice was not encoded in time"
        )
        self.traces_sent = counter("traces_sent", "parts of traces that the collector took")
        self.traces_dropped = counter("traces_dropped", "parts of traces that were given up", "why")
        self.loop_lag = histogram(
            "loop_lag_seconds", "how late a task of the loop woke that was due", LAG_BUCKETS
        )
        self._begin_at_zero()
        self._describe()

    def _begin_at_zero(self) -> None:
        """Make the series whose first step counts."""
        for counter, values in (
            (self.sessions_started, ("new", "recovered")),
            (self.sessions_ended, [ending.name for ending in PRECEDENCE]),
            (self.upstream_connects, ("fresh", "resumed")),
            (self.upstream_failures, [cause.name for cause in CAUSES]),
        ):
            for value in values:
                counter.labels(value)

    def _describe(self) -> None:
        """Add the version, and the process_* metrics that Prometheus's own libraries have."""
        build = Info("preppald_build", "the version", registry=self.registry)
        build.info({"version": __version__, "python": platform.python_version()})
        ProcessCollector(registry=self.registry)

    def used(self, usage: Usage, prices: Prices) -> None:
        """Count tokens, and their cost."""
        for kind in TOKEN_KINDS:
            self.tokens.labels(kind).inc(getattr(usage, kind))
        self.cost.inc(prices.cost(usage))

    def talked(self, talk: Quality) -> None:
        """Count how an interview went."""
        if talk.wait_p50_ms is not None and talk.wait_longest_ms is not None:
            self.interview_wait.observe(talk.wait_p50_ms / 1000)
            self.interview_longest_wait.observe(talk.wait_longest_ms / 1000)
        if talk.candidate_share is not None:
            self.interview_share.observe(talk.candidate_share)
        if talk.words_a_minute is not None:
            self.interview_words.observe(talk.words_a_minute)

    def backend_call(self, kind: str, outcome: str, seconds: float) -> None:
        """Count a finished try of the outbox."""
        self.backend_calls.labels(kind, outcome).inc()
        self.backend_seconds.labels(kind).observe(seconds)

    def watch(self, *reads: Callable[[], Iterable[tuple[str, str, float]]]) -> None:
        """Add gauges that are read at each scrape: (name, text, value)."""
        for read in reads:
            self.registry.register(_Watched(read))

    def exposition(self) -> bytes:
        return generate_latest(self.registry)


class _Watched:
    def __init__(self, read: Callable[[], Iterable[tuple[str, str, float]]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        for name, text, value in self._read():
            yield GaugeMetricFamily(f"preppald_{name}", text, value=value)
