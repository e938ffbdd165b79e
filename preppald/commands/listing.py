"""The common parts of the operator's commands: the interview that is meant, tables, times, and the output's destination."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
import re
import sys
from typing import Any, NoReturn

import msgspec

from preppald.commands.records import Records
from preppald.config.values import UNIT_SECONDS
from preppald.core.checks import CheckedTurn
from preppald.core.deliveries import DeliveryKind, VerificationSubmission
from preppald.core.interview import Interview
from preppald.core.timeline import Spoken
from preppald.core.turns import Speaker, Turn, fold, in_order
from preppald.core.verification import Flag
from preppald.errors import EX_IOERR, PreppaldError
from preppald.recording import files as recordings

_AGE = re.compile(r"([0-9]{1,6})([smhd])")


def now_ms() -> int:
    """Return the wall clock in milliseconds."""
    return int(datetime.now(UTC).timestamp() * 1000)


def moment(at_ms: int | None) -> str:
    """Return a time for people, in UTC; a dash for none."""
    return "-" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%SZ}"


def span(milliseconds: int | None) -> str:
    """Return a length for people: 31:12, 1:02:03; a dash for none."""
    if milliseconds is None:
        return "-"
    minutes, seconds = divmod(max(milliseconds, 0) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def age(text: str) -> int:
    """Return an age like 90s, 15m, 2h or 7d in milliseconds: an argparse type."""
    match = _AGE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an age like 90s, 15m, 2h or 7d")
    return int(match[1]) * round(UNIT_SECONDS[match[2]] * 1000)


def printable(text: str) -> str:
    """Return the text without the characters that a terminal would obey."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints aligned columns; the last one may be as long as it likes."""
    cells = [list(headings), *([printable(cell) or "-" for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    widths[-1] = 0
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def as_json(value: Any) -> str:
    """Return indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def put(content: str | bytes, output: Path | None) -> None:
    """Writes to a file, which appears whole or not at all, or to standard output without one."""
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    if output is None:
        if isinstance(content, bytes) and sys.stdout.isatty():
            raise PreppaldError("these are bytes, not for a terminal: use --output FILE, or a pipe")
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    # A transcript is personal: only its owner reads a command's output file.
    with recordings.replacing(output) as part:
        try:
            part.write_bytes(data)
        except OSError as error:
            raise PreppaldError(f"{output} cannot be written: {error.strerror}") from error


def finish(archive: Records, status: int = 0) -> int:
    """Return the exit status; report on standard error the databases that could not be read."""
    for fault in archive.faults:
        print(f"preppald: {fault}", file=sys.stderr)
    return EX_IOERR if archive.faults else status


def unknown(archive: Records, what: str) -> NoReturn:
    """Report that nothing has that name, or that the file which has it could not be read."""
    finish(archive)
    raise PreppaldError(f"{what}: see `preppald interviews` and `preppald outbox list --all`")


def sessions_of(archive: Records, interview_id: str, block: int | None) -> list[Interview]:
    """Return an interview, or its blocks in order, or the one of them that is asked for; else report what there is."""
    sessions = archive.sessions(interview_id)
    name = printable(interview_id)
    if not sessions:
        unknown(archive, f"there is no interview {name!r} in {archive.where}")
    if block is None:
        return sessions
    chosen = [it for it in sessions if it.block == block]
    if not chosen:
        there = ", ".join(str(it.block) for it in sessions if it.block)
        among = f"there are {there}" if there else "it is no interview in blocks"
        unknown(archive, f"interview {name!r} has no block {block}: {among}")
    return chosen


def checked_of(archive: Records, interview: Interview) -> dict[int, list[CheckedTurn]]:
    """Return what a second ear heard, by the transcript's line; nothing where it was not checked."""
    found: dict[int, list[CheckedTurn]] = {}
    for owed in archive.owed(of=interview.interview_id):
        delivery = owed.delivery
        mine = delivery.kind is DeliveryKind.VERIFICATION and delivery.block == interview.block
        if mine and delivery.key.split(":")[1] == str(interview.epoch) and delivery.payload:
            for turn in msgspec.json.decode(delivery.payload, type=VerificationSubmission).turns:
                found.setdefault(turn.turn, []).append(turn)
    return found


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a transcript, in milliseconds since the interview began: a turn, and what a second ear heard of it.

    ``it``: None for a voice that only the second ear heard. ``second``: None where that was not asked.
    """

    begin_ms: int
    end_ms: int
    speaker: Speaker
    it: Spoken | None
    second: CheckedTurn | None

    @property
    def better(self) -> CheckedTurn | None:
        """The second ear's, where that is the one to trust."""
        return self.second if self.second is not None and self.second.second_is_better else None


def interleaved(timeline: Sequence[Spoken], checked: Mapping[int, Sequence[CheckedTurn]]) -> Iterator[Line]:
    """Yield a line for each turn, and between them those of which live transcription heard nothing.

    ``checked``: see ``checked_of``.
    """
    for number in range(len(timeline) + 1):
        found = checked.get(number, ())
        for second in found:
            if second.flag is Flag.UNHEARD:
                yield Line(second.begin_ms, second.end_ms, Speaker.USER, None, second)
        if number < len(timeline):
            it = timeline[number]
            own = next((second for second in found if second.flag is not Flag.UNHEARD), None)
            yield Line(it.begin_ms, it.end_ms, it.turn.speaker, it, own)


def turns_of(archive: Records, interview: Interview) -> list[Turn]:
    """Return the transcript of an interview, or of a block.

    Raises:
        PreppaldError: its words were removed after their delivery.
    """
    said = archive.fragments(interview.interview_id, interview.epoch)
    if not said and archive.stripped(interview.interview_id):
        raise PreppaldError(
            f"the words of interview {printable(interview.interview_id)!r} were removed after their delivery "
            "(PREPPALD_TRANSCRIPT_RETENTION): the backend has them"
        )
    return in_order(fold(said).values())
