"""No exception about one interview reaches the daemon's nurseries. The loops are found in Trio's own task tree."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from preppald.core.interview import Usage
from preppald.core.turns import Fragment, Speaker
from preppald.journal import Journal
from preppald.recording import Recorder
from preppald.recording.tape import Entry, RunningTape
from tests.durable import EPOCH_MS, Notes, finished, inline, interview, said
from tests.simulation.application import Client
from tests.simulation.machine import Machine, Outside, Process

SETTLE_SECONDS = 60.0


class Planted(Exception):
    """About one interview."""


def _raise(*_: object, **__: object) -> Any:
    raise Planted


async def _araise(*_: object, **__: object) -> Any:
    await trio.lowlevel.checkpoint()
    raise Planted


def in_the_journal(_patch: pytest.MonkeyPatch, journal: Journal) -> None:
    """A record that cannot be made a row of."""
    journal.begin(replace(interview("poison"), usage=Usage(prompt_audio="many")))  # type: ignore[arg-type]
    journal.begin(replace(interview("poison"), user_id="\udcff"))
    journal.add_fragments("poison", 1, [Fragment(1, 1, Speaker.AI, "\udcff", EPOCH_MS)])


def in_the_outbox(patch: pytest.MonkeyPatch, journal: Journal) -> None:
    patch.setattr(Client, "post", _araise)
    journal.add_delivery(finished("poison"))


def in_adoption(patch: pytest.MonkeyPatch, _journal: Journal) -> None:
    patch.setattr(Journal, "owing", _araise)


# By the name of the task, as Trio has it: the end of its function's name.
LOOPS: dict[str, Callable[[pytest.MonkeyPatch, Journal], None]] = {
    "Journal.run": in_the_journal,
    "Outbox.run": in_the_outbox,
    "Registry.adopt": in_adoption,
}
# Loops that know of no interview, or whose own tests plant one: an error of net/ belongs to the task that waits for it.
OTHERS = {
    "Ticker.run": "tests/test_lookout.py: an error of a look is raised in the task that waits",
    "FeedbackWriter.run": "tests/test_feedback.py",
    "FeedbackWriter._write": "tests/test_feedback.py",
    "Supervisor.attend": "systemd's socket",
    "measure": "the clock, and nothing of an interview",
    "Following.run": "begins the loops of this table",
    "NoExporter.run": "drops what an earlier run owed to a collector, once",
    "Coders.run": "begins the rounds",
    "Coders._release": "catches what one browser's coder raises",
    "Round.run": "tests/test_coding.py: a bug on one browser's way is nobody else's",
    "accept": "a port",
    "serve_listeners": "a port",
    "_serve_one_listener": "a port",
    "Handover.serve": "the sockets of other instances",
}


def loops(task: trio.lowlevel.Task) -> Iterator[str]:
    """The tasks below this one, by the last two parts of their functions' names."""
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            name = child.name.split("<locals>")[0].rstrip(".")
            parts = name.rpartition("preppald.")[2].split(".")
            yield ".".join(parts[-2:]) if parts[-2][:1].isupper() else parts[-1]
            yield from loops(child)


def task_of(process: Process) -> trio.lowlevel.Task:
    """The task in which the daemon runs."""
    below = [trio.lowlevel.current_root_task()]
    while below:
        task = below.pop()
        if task is not None:
            if "run_daemon" in task.name:
                return task
            below += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    raise AssertionError(f"process {process.number} does not run")


@pytest.fixture
async def process(nursery: trio.Nursery, autojump_clock: object) -> AsyncIterator[Process]:
    machine = Machine(1, {}, nursery, Outside(1))
    process = machine.boot()
    await process.serves.wait()
    yield process
    machine.disk.finish()


async def test_every_loop_is_known(autojump_clock: object, process: Process) -> None:
    """One that is new needs a planting here, or a reason."""
    found = set(loops(task_of(process)))
    assert found <= LOOPS.keys() | OTHERS.keys()
    assert found >= LOOPS.keys()


@pytest.mark.parametrize("loop", LOOPS)
async def test_the_daemon_goes_on(
    autojump_clock: object, process: Process, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    """With the interview that the exception is about set apart, and every other one recorded and delivered."""
    assert process.running is not None
    journal = process.running.registry._services.journal
    LOOPS[loop](monkeypatch, journal)
    await trio.sleep(SETTLE_SECONDS)
    assert not process.gone.is_set()
    monkeypatch.undo()
    journal.begin(interview("healthy"))
    journal.add_fragments("healthy", 1, said(10))
    healthy = [finished("healthy")]
    journal.end("healthy", 1, ending="user_ended", cause=None, ended_ms=EPOCH_MS, deliveries=healthy)
    await journal.flush()
    await trio.sleep(SETTLE_SECONDS)
    assert await journal.fragments("healthy", 1) == said(10)
    assert finished("healthy").key in process.client._application.stored
    assert loop in set(loops(task_of(process)))


async def test_one_recordings_trouble_ends_no_other(
    autojump_clock: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    recorder = Recorder(tmp_path, log=notes, in_thread=inline, free_bytes=0)
    append = recorder._append

    def planted(tape: RunningTape, entries: Sequence[Entry]) -> str | None:
        return _raise() if tape.head.interview_id == "poison" else append(tape, entries)

    monkeypatch.setattr(recorder, "_append", planted)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        for name in ("poison", "healthy"):
            recorder.tape(interview(name), EPOCH_MS).heard(bytes(640))
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert (tmp_path / "recordings" / "healthy.1" / "0001.notes").stat().st_size > 640
    assert "a bug (Planted)" in str(notes.keys("recording.interrupted")["why"])
