"""A disk that damages what it holds, between a kill and the next start; and what may be lost by that, and what not.

Lost may be what the log names: an interview by its id, or the whole file. Changed may be nothing: whatever is delivered
was said. Every other interview, the daemon's starts and the deliveries are judged as ever.
"""

from collections.abc import Iterator, Sequence
import enum
from pathlib import Path
import random
import re
from typing import TYPE_CHECKING

import msgspec

from preppald.core.deliveries import DeliveryKind, TranscriptSubmission
from preppald.core.turns import CUT_MARK, UNREADABLE
from preppald.journal import Given, OnDisk
from tests.simulation.disk import Mount

if TYPE_CHECKING:
    from tests.simulation.machine import Machine

PAGE_BYTES = 4096
# Said of the whole file, or of a row that does not say whose it is: then anything may be missing.
WHOLE = frozenset({"journal.corrupt", "journal.shortened", "journal.not_salvaged", "journal.reindexed"})
# All that the simulated Gemini says, and hears.
SAID = re.compile(
    r"(?:\s|(?:answer|question)-\d+-\d+(?=\D|$)|is|what|the|candidate|says|interviewer|asks)*", re.ASCII
)
# What one of Gemini's flaws puts into texts.
ODD = re.compile(r"[^A-Za-z0-9\s-]", re.ASCII)
# Told at ERROR because the disk made it so.
TOLD = WHOLE | {
    "journal.misnumbered",
    "journal.salvaged",
    "journal.row_damaged",
    "journal.hole",
    "transcript.incomplete",
    "replay.failed",
}


class Damage(enum.Enum):
    """What a disk does to a file."""

    FLIP = "a bit or three are others"
    LOST = "a page is as it was before"
    TORN = "half a page is as it was before"
    WIPED = "a sector is all zeros"
    CUT = "the end is gone"
    REMOVED = "the file is gone"


def damaged(image: bytes, before: bytes, damage: Damage, chance: random.Random) -> bytes:
    """Return the file as the disk gives it back. ``before``: an earlier state of it."""
    data = bytearray(image)
    if not data:
        return image
    page = chance.randrange(-(-len(data) // PAGE_BYTES)) * PAGE_BYTES
    match damage:
        case Damage.FLIP:
            for _ in range(chance.choice((1, 1, 3))):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        case Damage.LOST | Damage.TORN:
            length = PAGE_BYTES if damage is Damage.LOST else PAGE_BYTES // 2
            changed = [
                at
                for at in range(0, min(len(data), len(before)), PAGE_BYTES)
                if data[at : at + length] != before[at : at + length]
            ]
            at = chance.choice(changed) if changed else page
            data[at : at + length] = before[at : at + length].ljust(length, b"\0")[: len(data) - at]
        case Damage.WIPED:
            at = page + chance.randrange(0, PAGE_BYTES, 512)
            data[at : at + 512] = bytes(512)
        case Damage.CUT:
            del data[page:]
        case Damage.REMOVED:
            data.clear()
    return bytes(data)


class OnThisDisk(Given):
    """The place of the simulated database: it can be cut, replaced, and set aside for salvage, as a file can."""

    def __init__(self, mount: Mount) -> None:
        super().__init__(mount.connect, mount.name)
        self._mount = mount

    @property
    def watched(self) -> bool:
        return True

    def others(self) -> Sequence[OnDisk]:
        return self._mount.others()

    def losses(self) -> list[str]:
        return self._mount.losses()

    def trouble(self) -> str | None:
        return self._mount.trouble()

    def set_aside(self) -> str:
        return str(self._mount.set_aside())

    def succeed(self) -> None:
        self._mount.succeed()
        self.name = self._mount.name

    def earlier(self) -> list[Path]:
        return self._mount.earlier()


# ------------------------------------------------------------------ the verdict


def excused(machine: "Machine") -> tuple[bool, set[str]]:
    """Whether the log says that anything may be missing, and the interviews that it names."""
    whole, names = False, set()
    for _, _, event, keys in machine.log:
        whole |= event in WHOLE
        if event in TOLD and event not in WHOLE:
            named = str(keys.get("interview") or str(keys.get("key") or "").partition(":")[0])
            whole |= event == "journal.row_damaged" and not named
            names.add(named)
    return whole, names - {""}


def judged(violations: list[str], machine: "Machine") -> list[str]:
    """Return the violations that no damage excuses, and what was delivered as true and was never said."""
    whole, names = excused(machine)
    left = [] if whole else [it for it in violations if not any(name in it for name in names)]
    # Never excused: a bug, an interview or a delivery that hangs, connections that leak.
    never = (".bug", ".crashed", "is still live", "in the end (", "connections are left", "came to grief")
    left += [it for it in violations if it not in left and any(word in it for word in never)]
    return [*left, *_untrue(machine)]


def _untrue(machine: "Machine") -> Iterator[str]:
    """Whatever was delivered is made of the words that the simulated Gemini says."""
    for key, delivery in machine.application.stored.items():
        if delivery.kind is DeliveryKind.TRANSCRIPT:
            for line in msgspec.json.decode(delivery.payload, type=TranscriptSubmission).lines:
                words = line.content.replace(UNREADABLE.strip(), " ")
                # A reply that was cut ends within a word.
                whole = words.removesuffix(CUT_MARK).rpartition(" ")[0] if words.endswith(CUT_MARK) else words
                if not SAID.fullmatch(ODD.sub("", whole)):
                    yield f"{key} was delivered with a line that nobody said: {line.content!r}"
