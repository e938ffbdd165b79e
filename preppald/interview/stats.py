"""Counts one interview: for the metrics once a second, for the log once."""

from preppald.core import frames
from preppald.core.interview import Usage
from preppald.core.prices import Prices
from preppald.core.quality import Service
from preppald.gemini.client import Client
from preppald.gemini.uplink import BYTES_PER_SECOND, Uplink
from preppald.telemetry.metrics import TOKEN_KINDS, Metrics


class Delays:
    """Adds up one kind of delay, in seconds: how many, in all, and the longest."""

    def __init__(self) -> None:
        self.count = 0
        self.total = self.longest = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.total += seconds
        self.longest = max(self.longest, seconds)

    def summary(self, name: str) -> dict[str, float]:
        """Return the mean and the longest; nothing where there was none."""
        if not self.count:
            return {}
        return {
            f"{name}_seconds": round(self.total / self.count, 2),
            f"{name}_longest_seconds": round(self.longest, 2),
        }


class Stats:
    """Adds up without a call a message; ``flush`` moves the new numbers into the metrics."""

    def __init__(self, metrics: Metrics, uplink: Uplink, link: Client, usage: Usage, prices: Prices) -> None:
        self.bytes_played = 0
        self.false_interruptions = 0
        # Interventions at a silent interviewer.
        self.prompts = 0
        self.gaps = Delays()
        # From the end of the candidate's voice as we hear it, and from Gemini's notice of that, to each reply's first sound.
        self.from_voice = Delays()
        self.from_notice = Delays()
        self.usage = usage
        self._metrics = metrics
        self._audio_in = metrics.audio_seconds.labels("in")
        self._audio_out = metrics.audio_seconds.labels("out")
        self._uplink = uplink
        self._link = link
        self._prices = prices
        self._flushed = (0, 0, 0)

    def use(self, usage: Usage) -> None:
        self.usage += usage
        self._metrics.used(usage, self._prices)

    def flush(self) -> None:
        totals = (self._uplink.taken_bytes, self.bytes_played, self._uplink.dropped_bytes)
        taken, played, dropped = (now - before for now, before in zip(totals, self._flushed, strict=True))
        self._flushed = totals
        # Audio that could not be sent is given back, and then counts a second time.
        self._audio_in.inc(max(0, taken) / BYTES_PER_SECOND)
        self._audio_out.inc(played / frames.OUTPUT_BYTES_PER_SECOND)
        self._metrics.audio_dropped_seconds.inc(dropped / BYTES_PER_SECOND)

    def service(self, credited_seconds: float) -> Service:
        """Return the daemon's part in how the interview went."""
        return Service(
            false_interruptions=self.false_interruptions,
            prompts=self.prompts,
            gaps=self.gaps.count,
            gap_ms=round(self.gaps.total * 1000),
            gap_longest_ms=round(self.gaps.longest * 1000),
            credited_ms=round(credited_seconds * 1000),
            dropped_ms=self._uplink.dropped_bytes * 1000 // BYTES_PER_SECOND,
            rotations=self._link.rotations,
            restorations=self._link.restorations,
        )

    def summary(self) -> dict[str, float]:
        """Return the numbers of the interview's last log line."""
        return {
            "audio_in_seconds": round(self._uplink.taken_bytes / BYTES_PER_SECOND, 1),
            "audio_out_seconds": round(self.bytes_played / frames.OUTPUT_BYTES_PER_SECOND, 1),
            "audio_dropped_seconds": round(self._uplink.dropped_bytes / BYTES_PER_SECOND, 1),
            "tokens": self.usage.total,
            **{f"tokens_{kind}": count for kind in TOKEN_KINDS if (count := getattr(self.usage, kind))},
            "cost_dollars": round(self._prices.cost(self.usage), 4),
            "rotations": self._link.rotations,
            "restorations": self._link.restorations,
            "false_interruptions": self.false_interruptions,
            **self.from_voice.summary("reply_from_voice"),
            **self.from_notice.summary("reply_from_notice"),
        }
