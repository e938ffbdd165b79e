"""Traces for a collector: what the journal holds of them goes out in its own time.

otlp.py       spans as OpenTelemetry's messages
collector.py  one post to a collector, and the meaning of its answer
exporter.py   the task that posts until the collector has all
"""

from preppald.traces.collector import Collector, Sent, collector_for
from preppald.traces.exporter import Exporter, NoExporter

__all__ = ["Collector", "Exporter", "NoExporter", "Sent", "collector_for"]
