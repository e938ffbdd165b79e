"""A daemon without sockets, threads or waiting: real sessions over memory streams, a simulated Gemini behind them.

For tests with ``autojump_clock``: an hour takes about a second. The wall clock starts at ``WALL_MS`` and follows
Trio's unless a test moves it.
"""

from collections.abc import Callable, Mapping
import sqlite3

import msgspec
import structlog
import trio
import trio.testing

from preppald.audio.opus import Library
from preppald.backend.outbox import Outbox
from preppald.backend.outcomes import Delivered, Outcome, Probe
from preppald.browser.coders import Coders
from preppald.config.current import Current
from preppald.config.load import load
from preppald.config.settings import Config
from preppald.core import tokens as auth
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.deliveries import (
    Delivery,
    DeliveryKind,
    OutboxEntry,
    StatusUpdate,
    TranscriptSubmission,
)
from preppald.daemon import sharing
from preppald.gemini.connection import UpstreamError
from preppald.gemini.models import Models
from preppald.gemini.service import GeminiService
from preppald.interview.dialogue import Dialogue
from preppald.interview.parts import Parts
from preppald.interview.registry import Registry
from preppald.interview.services import Services
from preppald.interview.session import Session
from preppald.journal import Given, Journal, Place
from preppald.net.ticker import Ticker
from preppald.recording import Recorder
from preppald.server.connection import Server
from preppald.shared import Presence, Shared
from preppald.shared.ownership import Ownership
from preppald.shared.shipper import Shipper
from preppald.simulator import GeminiSimulator, Scenario
from preppald.telemetry.health import Health
from preppald.telemetry.metrics import Metrics
from tests.candidates import Candidate
from tests.durable import inline

SECRET = "a-secret-for-tests-of-32-bytes-or-more"
WALL_MS = 1_800_000_000_000
SETTINGS = {
    "JWT_SECRET": SECRET,
    "GEMINI_API_KEY": "key-for-tests",
    "PREPPALD_BACKEND": "none",
    # So that a failed interview is seen as one.
    "PREPPALD_PARTIAL": "error",
}


class RecordingBackend:
    """Takes every delivery, unless ``answer`` says otherwise."""

    def __init__(self) -> None:
        self.posts: list[Delivery] = []
        self.answer: Callable[[Delivery], Outcome] = lambda _delivery: Delivered()
        self.known: Callable[[], Context | Outcome] = lambda: NOTHING_KNOWN

    async def post(self, delivery: Delivery) -> Outcome:
        await trio.lowlevel.checkpoint()
        outcome = self.answer(delivery)
        if isinstance(outcome, Delivered):
            self.posts.append(delivery)
        return outcome

    async def context(self, _interview_id: str, block: int = 0) -> Context | Outcome:  # noqa: ARG002 - the interface has it
        await trio.lowlevel.checkpoint()
        return self.known()

    def lacks(self, _kind: DeliveryKind) -> bool:
        return False

    async def knows(self, _interview_id: str) -> bool | None:
        await trio.lowlevel.checkpoint()
        return None

    async def probe(self) -> Probe:
        return Probe(good=True, sentence="it is there")

    def received(self, interview_id: str) -> list[str | list[tuple[str, str]]]:
        """What was delivered for an interview, in order: a status, or a transcript's lines."""
        found: list[str | list[tuple[str, str]]] = []
        for delivery in self.posts:
            if delivery.interview_id != interview_id:
                continue
            if delivery.kind is DeliveryKind.STATUS:
                found.append(str(msgspec.json.decode(delivery.payload, type=StatusUpdate).status))
            else:
                submission = msgspec.json.decode(delivery.payload, type=TranscriptSubmission)
                found.append([(str(line.speaker), line.content) for line in submission.lines])
        return found


class World:
    """Everything one daemon has, within reach. ``start`` it in a nursery that outlives the test's body.

    ``place``: of its journal, where that is to be on disk. ``library``: for Opus; None: it knows PCM only. ``shared``: a
    journal that it shares with others.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        scenario: Scenario,
        place: Place | None = None,
        library: Library | None = None,
        shared: Shared | None = None,
    ) -> None:
        self.config: Config = load({**SETTINGS, **settings})
        self.wall_offset_ms = 0
        self.gemini = GeminiSimulator(scenario)
        self.backend = RecordingBackend()
        self.metrics = Metrics()
        self.dials = 0
        # What the next dials run into, one each, before any reaches the simulator.
        self.dial_failures: list[UpstreamError] = []
        self.log_lines = structlog.testing.LogCapture()
        log = structlog.wrap_logger(
            structlog.testing.CapturingLogger(),
            processors=[structlog.processors.add_log_level, self.log_lines],
            wrapper_class=structlog.make_filtering_bound_logger(0),
        )
        place = place or Given(lambda: sqlite3.connect(":memory:", check_same_thread=False))
        self.shipper = (
            Shipper(
                shared,
                Presence("here", "10.0.0.1:8788", "1"),
                log=log,
                now_ms=self.now_ms,
                retention_ms=None,
                in_thread=inline,
            )
            if shared is not None
            else None
        )
        self.journal = Journal(
            place,
            log=log,
            now_ms=self.now_ms,
            in_thread=inline,
            retention_ms=None,
            follower=self.shipper,
        )
        self.ownership = (
            Ownership(shared, self.shipper.membership, self.journal, log=log, in_thread=inline)
            if shared is not None and self.shipper is not None
            else None
        )
        # Told of each delivery that is pending no more.
        self.settled: Callable[[OutboxEntry], None] = lambda _owed: None
        self.outbox = Outbox(
            self.journal,
            self.backend,
            log=log,
            now_ms=self.now_ms,
            chance=lambda: 0.5,
            settled=lambda owed: self.settled(owed),  # noqa: PLW0108 - a test sets it later
        )
        recorder = (
            Recorder(self.config.state_dir, log=log, in_thread=inline, free_bytes=0)
            if self.config.record == "on"
            else None
        )
        ticker = Ticker()
        coders = Coders(library, ticker=ticker, metrics=self.metrics, log=log, in_threads=[inline])
        current = Current(self.config)
        self.services = Services(
            current=current,
            journal=self.journal,
            metrics=self.metrics,
            log=log,
            ticker=ticker,
            gemini=GeminiService(
                dial=self._dial,
                url=self.config.gemini_url,
                key=lambda: self.services.config.gemini_key,
                poller=ticker.poller,
                metrics=self.metrics,
                health=(health := Health(log)),
                models=Models(
                    lambda: current.config.gemini_models, log=log, health=health, metrics=self.metrics
                ),
                now_ms=self.now_ms,
                chance=lambda: 0.5,
            ),
            now_ms=self.now_ms,
            chance=lambda: 0.5,
            backend=self.backend,
            recorder=recorder,
            coders=coders,
            ownership=self.ownership,
        )
        self.registry: Registry
        self.nursery: trio.Nursery

    def now_ms(self) -> int:
        return WALL_MS + self.wall_offset_ms + round(trio.current_time() * 1000)

    async def start(self, nursery: trio.Nursery) -> "World":
        self.nursery = nursery
        await sharing.start(self.journal, self.shipper, nursery)
        await nursery.start(self.outbox.run)
        nursery.start_soon(self.services.ticker.run)
        if self.services.coders is not None:
            nursery.start_soon(self.services.coders.run)
        if self.services.recorder is not None:
            nursery.start_soon(self.services.recorder.run)
        self.registry = Registry(self.services, nursery)
        await sharing.recovered(self.services, self.registry, self.shipper)
        if self.ownership is not None:
            nursery.start_soon(self.ownership.run, self.registry.recover, lambda: not self.registry.draining)
        self.server = Server(self.services, self.registry)
        return self

    def session(self, interview_id: str = "iv-1") -> Session:
        """The live session of this interview."""
        return self.registry._sessions[interview_id]

    def parts(self, interview_id: str = "iv-1") -> Parts:
        """What a live interview is made of."""
        return self.session(interview_id)._parts

    def dialogue(self, interview_id: str = "iv-1") -> Dialogue:
        """What passes between the two ends of a live interview."""
        return self.session(interview_id)._dialogue

    def counted(self, name: str, **labels: str) -> float | None:
        """A counter or gauge of the daemon, by its name in the code."""
        value = self.metrics.registry.get_sample_value
        return value(f"preppald_{name}", labels) or value(f"preppald_{name}_total", labels) or 0.0

    def reload(self, config: Config) -> None:
        """As after SIGHUP."""
        self.services.current.config = config

    def token(self, interview_id: str = "iv-1", user_id: str = "user-1", lifetime: int = 300) -> str:
        now = self.now_ms() // 1000
        return auth.sign(SECRET, user_id=user_id, interview_id=interview_id, now=now, lifetime=lifetime)

    def connection(
        self,
    ) -> trio.StapledStream[trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream]:
        """A raw connection to the public port."""
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self.server.handle, theirs)
        return ours

    async def candidate(
        self, interview_id: str = "iv-1", *, token: str | None = None, since: int | None = None
    ) -> Candidate:
        """A browser in an interview; it reads by itself, and keeps all it was sent."""
        candidate = Candidate(self.connection())
        query = "" if since is None else f"?since={since}"
        await candidate.open(f"/{interview_id}{query}", token or self.token(interview_id))
        self.nursery.start_soon(candidate.run)
        return candidate

    def events(self, name: str) -> list[Mapping[str, object]]:
        """The log's lines of this name."""
        return [line for line in self.log_lines.entries if line["event"] == name]

    async def _dial(self) -> trio.abc.Stream:
        self.dials += 1
        if self.dial_failures:
            raise self.dial_failures.pop(0)
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self.gemini.handle_stream, theirs)
        return ours
