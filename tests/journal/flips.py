"""``python -m tests.journal.flips --flips 1000``: one flipped bit at a time, anywhere in a journal's files.

A database of about 1 MB with the -wal beside it, as a killed daemon leaves them: half of its interviews are live or
owe something. Each flip is met twice: by the instance's own next start, and by a neighbour that runs and adopts it.

Checked each time: it starts; the neighbour goes on; all that was written of an interview is found, or the log names
the interview; no changed word is taken for true; where a part of a transcript is missing a mark stands.
"""
# ruff: noqa: T201 - it is a command

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
import random
import sys
import tempfile
import time

import msgspec

from preppald.core import endings
from preppald.core.deliveries import (
    DeliveryState,
    OutboxEntry,
    Status,
    TranscriptSubmission,
    transcript_delivery,
)
from preppald.core.interview import Handle, Interview, Phase, Usage
from preppald.core.turns import UNREADABLE, Fragment, fold, in_order, with_holes
from preppald.journal import OnDisk, reader, writes
from preppald.journal.mending import Fallback
from preppald.journal.pending import Batch
from preppald.journal.store import Store
from tests.durable import EPOCH_MS, Notes, begun, interview, said

INTERVIEWS = 64
FRAGMENTS = 200
# As many are in the database itself, the rest in the -wal.
SETTLED = 48
FILES = ("preppald.db", "preppald.db-wal")
PROGRESS_EVERY = 100


@dataclass
class Truth:
    """What was written. ``owed``: what each delivery that is due says, by key."""

    live: dict[str, Interview] = field(default_factory=dict)
    owed: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(map(len, self.files.values()))


def words(name: str) -> list[Fragment]:
    return said(FRAGMENTS, text=f"what {name} says in so many words ")


def store_at(directory: Path, instance: str, notes: Notes) -> Store:
    place = OnDisk(directory, instance, reserve_bytes=0)
    return Store(place, notes, now_ms=lambda: EPOCH_MS + 1000, fallback=Fallback(model="gemini-3.8-live"))


def truth(directory: Path) -> Truth:
    """Writes the journal that is damaged afterwards."""
    found = Truth()
    store = store_at(directory, "preppald", Notes())
    store.open()
    for number in range(INTERVIEWS):
        name = f"iv-{number:02}-{number * 7919:x}"
        if number == SETTLED:
            store.close()
            store.open()
        handle = Handle(f"handle-of-{name}", "gemini-3.8-live", EPOCH_MS)
        row = interview(name, handle=handle, usage=Usage(prompt_audio=number))
        batch = Batch(interviews={(name, 0): row})
        batch.add_fragments(name, 1, words(name))
        store.commit(batch)
        if number % 4 == 0:
            found.live[name] = row
            continue
        over = replace(row, phase=Phase.ENDED, ending=endings.USER_ENDED.name, ended_ms=EPOCH_MS, handle=None)
        turns = in_order(fold(words(name)).values())
        told = transcript_delivery(name, 1, turns, now_ms=EPOCH_MS, started_ms=EPOCH_MS, ended_ms=EPOCH_MS)
        for delivery in (begun(name), told):
            owed = OutboxEntry(delivery)
            if number % 4 == 1:
                found.owed[owed.key] = delivery.payload
            else:
                owed = owed.acknowledged(EPOCH_MS)
            store.commit(Batch(interviews={(name, 0): over}, owed={owed.key: owed}))
    # Half of the buckets are settled: fragments stand in both tables.
    for bucket in range(4):
        while store.read(partial(writes.settle, bucket=bucket)):
            pass
    found.files = {name: (directory / name).read_bytes() for name in FILES}
    store.close()
    return found


@dataclass
class Flip:
    """One bit. ``faults`` is empty when all held; ``outcome`` is what the log says of it, in a word."""

    file: str
    offset: int
    bit: int
    faults: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)


def flipped(the: Truth, chance: random.Random) -> Flip:
    at, bit = chance.randrange(the.size), chance.randrange(8)
    for name, content in the.files.items():
        if at < len(content):
            return Flip(name, at, bit)
        at -= len(content)
    raise AssertionError("past the end")


def lay_out(the: Truth, flip: Flip, directory: Path) -> None:
    directory.mkdir()
    for name, content in the.files.items():
        damaged = bytearray(content)
        if name == flip.file:
            damaged[flip.offset] ^= 1 << flip.bit
        (directory / name).write_bytes(damaged)
    (directory / "preppald.lock").touch()


def meet(the: Truth, flip: Flip, directory: Path) -> None:
    """Both ways of meeting it; what is wrong is added to the flip."""
    lay_out(the, flip, directory / "own")
    notes = Notes()
    store = store_at(directory / "own", "preppald", notes)
    try:
        store.open()
    except Exception as error:  # noqa: BLE001 - whatever it is, it does not start
        flip.faults.append(f"it does not start: {error!r}")
    else:
        flip.faults += examine(the, store, notes)
        store.close()
    flip.outcomes.append(outcome(notes))

    lay_out(the, flip, directory / "theirs")
    notes = Notes()
    neighbour = store_at(directory / "theirs", "b", notes)
    neighbour.open()
    try:
        for place in neighbour.neighbours.owing():
            source = Store(
                place, notes, now_ms=lambda: EPOCH_MS + 1000, fallback=Fallback(model="gemini-3.8-live")
            )
            if source.enter():
                while neighbour.take_over(source, []):
                    pass
                source.close()
        flip.faults += [f"adopted: {it}" for it in examine(the, neighbour, notes)]
    except Exception as error:  # noqa: BLE001 - the neighbour's loop would end of it
        flip.faults.append(f"the neighbour is disturbed: {error!r}")
    neighbour.close()


def examine(the: Truth, store: Store, notes: Notes) -> Iterator[str]:
    named = " ".join(
        str(keys)
        for _, event, keys in notes.lines
        if event in {"journal.row_damaged", "transcript.unreadable"}
    )
    live = {it.interview_id: it for it in store.read(partial(reader.live, report=store.met))}
    for name, row in the.live.items():
        now = live.get(name)
        if name not in named and now != row:
            yield f"{name} was {row}, is {now}, and the log does not say so"
        if now is not None:
            ask = partial(reader.fragments, interview_id=name, epoch=now.epoch, report=store.met)
            lost_to = store.read(partial(reader.lost_to, interview_id=name, epoch=now.epoch))
            yield from compare(name, words(name), store.read(ask), lost_to, named)
    owed = {it.key: it for it in store.read(partial(reader.owed, report=store.met))}
    for key, payload in the.owed.items():
        known = owed.get(key)
        if known is None and key.partition(":")[0] not in named:
            yield f"{key} is gone, and the log does not say so"
        elif known is not None and known.delivery.payload != payload:
            yield from compare_lines(key, payload, known.delivery.payload)
    for key in owed.keys() - the.owed.keys():
        if owed[key].state in {DeliveryState.PENDING, DeliveryState.DEAD}:
            yield f"{key} is owed again"


def compare(
    name: str, true: list[Fragment], fragments: list[Fragment], lost_to: int, named: str
) -> Iterator[str]:
    if changed := [it for it in fragments if it not in true]:
        yield f"{name} has {len(changed)} changed fragments"
    if len(fragments) < len(true):
        if name not in named:
            yield f"{name} lacks {len(true) - len(fragments)} fragments, and the log does not say so"
        if fragments and not any(it.text == UNREADABLE for it in with_holes(fragments, lost_to)):
            yield f"{name} lacks {len(true) - len(fragments)} fragments, and no mark stands there"


def compare_lines(key: str, true: bytes, now: bytes) -> Iterator[str]:
    """A transcript that was made anew: the true words, or a mark."""
    if key.endswith(Status.IN_PROGRESS):
        yield f"{key} says something else"
        return
    before = msgspec.json.decode(true, type=TranscriptSubmission)
    after = msgspec.json.decode(now, type=TranscriptSubmission)
    spoken = " ".join(line.content for line in before.lines)
    for line in after.lines:
        for part in line.content.split(UNREADABLE.strip()):
            if part.strip().removesuffix("[interrupted]").strip() not in spoken:
                yield f"{key} has changed words"
    if any(UNREADABLE.strip() in line.content for line in after.lines) != bool(after.missing):
        yield f"{key} does not say that something is missing"


def outcome(notes: Notes) -> str:
    events = notes.events("error")
    for event, word in (
        ("journal.salvaged", "salvaged"),
        ("journal.wal_damaged", "behind a damaged frame"),
        ("journal.reindexed", "an index made anew"),
        ("journal.row_damaged", "rows set aside"),
    ):
        if event in events:
            return word
    return "unharmed" if not events else events[0]


def run(flips: int, seed: int) -> list[Flip]:
    chance = random.Random(seed)
    found: list[Flip] = []
    with tempfile.TemporaryDirectory() as directory:
        first = Path(directory) / "first"
        first.mkdir()
        the = truth(first)
        for number in range(flips):
            flip = flipped(the, chance)
            with tempfile.TemporaryDirectory(dir=directory) as own:
                meet(the, flip, Path(own))
            for fault in flip.faults:
                print(f"flip {number}: {flip.file} byte {flip.offset} bit {flip.bit}: {fault}", flush=True)
            found.append(flip)
            if len(found) % PROGRESS_EVERY == 0:
                print(f"{len(found)} of {flips} flips", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.journal.flips", description=__doc__)
    parser.add_argument("--flips", type=int, default=1000, metavar="N", help="how many (default %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=time.time_ns() % 1_000_000, help="(default: of the clock)"
    )
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    began = time.perf_counter()
    found = run(arguments.flips, arguments.seed)
    outcomes = Counter(it for flip in found for it in flip.outcomes)
    failed = sum(bool(flip.faults) for flip in found)
    words_ = ", ".join(f"{count} {word}" for word, count in outcomes.most_common())
    print(f"{len(found)} flips in {time.perf_counter() - began:.0f} s: {words_}; {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
