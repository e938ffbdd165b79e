"""A journal, an outbox and what follows a transcript, over a real connection to a simulated Gemini; sound on a real disk."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib import resources
import os
from pathlib import Path
import sqlite3
from typing import Any
import wave

import msgspec
import structlog
import trio

from preppald.backend.outbox import Outbox
from preppald.config.current import Current
from preppald.config.load import load
from preppald.core.deliveries import Delivery, DeliveryKind, VerificationSubmission, transcript_delivery
from preppald.core.turns import Speaker, Turn
from preppald.gemini.models import Models
from preppald.gemini.service import GeminiService
from preppald.interview import checking
from preppald.interview.feedback import FeedbackWriter
from preppald.interview.services import Services
from preppald.interview.verification import Check, Verifier
from preppald.journal import Given, Journal
from preppald.journal.place import Place
from preppald.net.ticker import Ticker
from preppald.recording import Kept, shelf
from preppald.recording.notes import Head, NoteKind, head, record
from preppald.recording.recorder import Uncounted
from preppald.simulator import GeminiSimulator, Scenario, serve_gemini
from preppald.simulator.scenario import Generate
from preppald.telemetry.health import Health
from preppald.telemetry.metrics import Metrics
from tests.durable import EPOCH_MS, interview
from tests.world import SECRET, RecordingBackend

WORDS = (resources.files("preppald.candidate") / "answer.txt").read_text("utf-8").strip()
RATE_HZ = 16_000
# Of the sample answer, by ear: voice from 0.2 s on.
VOICE_BEGINS_MS, VOICE_ENDS_MS = 200, 7_330


def answer() -> bytes:
    """The sample answer: s16le mono 16 kHz, of 7.6 s."""
    with (
        (resources.files("preppald.candidate") / "answer.wav").open("rb") as file,
        wave.open(file) as recording,
    ):
        pcm: bytes = recording.readframes(recording.getnframes())
        return pcm


def turn(number: int, text: str, at: float, length: float = 7.13, speaker: Speaker = Speaker.USER) -> Turn:
    """A turn whose voice began ``at`` this second of the interview."""
    begin = EPOCH_MS + round(at * 1000)
    end = begin + round(length * 1000)
    return Turn(number, speaker, text, begin, complete=True, begin_ms=begin, end_ms=end, sound_ms=begin)


def noted(
    state_dir: Path, answers_at: Sequence[float], name: str = "iv", directory: str = shelf.DIRECTORY
) -> None:
    """Leaves the notes of an interview in which the sample answer was given at these seconds."""
    file, _ = shelf.new_notes(state_dir / directory, shelf.name_of(name, 1))
    pcm = answer()
    with os.fdopen(file, "wb") as stream:
        stream.write(head(Head(name, 1, EPOCH_MS)))
        for at in answers_at:
            for place in range(0, len(pcm), 640):
                piece = pcm[place : place + 640]
                ends = at - VOICE_BEGINS_MS / 1000 + (place + len(piece)) / 2 / RATE_HZ
                stream.write(record(NoteKind.CANDIDATE, round(ends * 1_000_000), piece))
        stream.write(record(NoteKind.SILENCED, round((max(answers_at) + 12) * 1_000_000), b""))
        stream.write(record(NoteKind.OVER, round((max(answers_at) + 12) * 1_000_000), b""))


class Rig:
    """One daemon's parts; ``asked``: the simulator's log, a line a call of the model."""

    def __init__(
        self, port: int, state_dir: Path, check: Check, place: Place | None, **settings: str
    ) -> None:
        self.asked: list[str] = []
        self.backend = RecordingBackend()
        self.lines = structlog.testing.LogCapture()
        log = structlog.wrap_logger(
            structlog.testing.CapturingLogger(),
            processors=[structlog.processors.add_log_level, self.lines],
            wrapper_class=structlog.make_filtering_bound_logger(0),
        )
        now_ms = lambda: EPOCH_MS  # noqa: E731 - a clock that stands
        place = place or Given(lambda: sqlite3.connect(":memory:", check_same_thread=False))
        self.journal = Journal(place, log=log, now_ms=now_ms, retention_ms=None)
        self.metrics = Metrics()
        config = load(
            {
                "JWT_SECRET": SECRET,
                "GEMINI_API_KEY": "any",
                "PREPPALD_BACKEND": "none",
                "PREPPALD_GEMINI_URL": f"ws://127.0.0.1:{port}",
                "PREPPALD_VERIFY": "all",
                "PREPPALD_STATE_DIR": str(state_dir),
                **settings,
            }
        )
        self.services = Services(
            current=Current(config),
            journal=self.journal,
            metrics=self.metrics,
            log=log,
            ticker=(ticker := Ticker()),
            gemini=GeminiService(
                dial=self._no_dial,
                url=config.gemini_url,
                key=lambda: config.gemini_key,
                poller=ticker.poller,
                metrics=self.metrics,
                health=(health := Health(log)),
                models=Models(lambda: config.gemini_models, log=log, health=health, metrics=self.metrics),
                now_ms=now_ms,
                chance=lambda: 0.0,
            ),
            now_ms=now_ms,
            chance=lambda: 0.0,
            backend=self.backend,
            kept=Kept(state_dir, log=log, dropped=Uncounted()),
        )
        self.writer = FeedbackWriter(self.services)
        self.verifier = Verifier(self.services, check=check, done=self.writer.checked)
        self.outbox = Outbox(
            self.journal,
            self.backend,
            log=log,
            now_ms=now_ms,
            chance=lambda: 0.0,
            delivered=self._delivered,
        )

    async def _no_dial(self) -> trio.abc.Stream:
        raise NotImplementedError

    def _delivered(self, delivery: Delivery) -> None:
        self.verifier.delivered(delivery)
        self.writer.delivered(delivery)

    def end(self, turns: list[Turn], name: str = "iv") -> None:
        self.journal.begin(interview(name))
        owed = transcript_delivery(
            name, 1, turns, now_ms=EPOCH_MS, started_ms=EPOCH_MS, ended_ms=EPOCH_MS + 60_000
        )
        self.journal.end(
            name, 1, ending="user_ended", cause="", ended_ms=EPOCH_MS + 60_000, deliveries=[owed]
        )

    async def counted(self, outcome: str, times: int = 1) -> None:
        """Returns when so many checks came to this."""
        value = self.metrics.registry.get_sample_value
        with trio.fail_after(60):
            while value("preppald_verification_total", {"outcome": outcome}) != times:  # noqa: ASYNC110 - no bell
                await trio.sleep(0.01)

    async def delivered(self, kind: DeliveryKind) -> Delivery:
        with trio.fail_after(60):
            while True:
                for post in self.backend.posts:
                    if post.kind is kind:
                        return post
                await trio.sleep(0.01)

    async def checked(self) -> VerificationSubmission:
        owed = await self.delivered(DeliveryKind.VERIFICATION)
        return msgspec.json.decode(owed.payload, type=VerificationSubmission)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [dict(line) for line in self.lines.entries if line["event"] == name]


@asynccontextmanager
async def rigged(
    state_dir: Path,
    generate: Generate | None = None,
    place: Place | None = None,
    check: Check = checking.check,
    **settings: str,
) -> AsyncIterator[Rig]:
    """``check``: here, where no process is wanted; ``place``: of a journal that is opened again."""
    scenario = Scenario(generate=generate or Generate())
    calls: list[str] = []
    simulator = GeminiSimulator(scenario, log=lambda event, _keys: calls.append(event))
    async with trio.open_nursery() as nursery:
        port = await nursery.start(partial(serve_gemini, ("127.0.0.1", 0), simulator))
        rig = Rig(port, state_dir, check, place, **settings)
        rig.asked = calls
        await nursery.start(rig.journal.run)
        await nursery.start(rig.outbox.run)
        await nursery.start(rig.writer.run)
        nursery.start_soon(rig.verifier.run)
        yield rig
        nursery.cancel_scope.cancel()
