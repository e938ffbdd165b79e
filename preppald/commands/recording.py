"""``preppald recording``: lists, exports and deletes recordings."""

import argparse
from collections.abc import Iterator
import contextlib
from datetime import UTC, datetime
from itertools import chain
import os
from pathlib import Path
import shutil
import sys
import tempfile
from typing import Any

import msgspec

from preppald.commands.arguments import whole
from preppald.commands.listing import as_json, moment, now_ms, printable, put, span, table
from preppald.commands.running import run_trio
from preppald.core.checks import Job
from preppald.errors import EX_IOERR, EX_UNAVAILABLE, JournalError, PreppaldError
from preppald.interview.checking import check
from preppald.journal.files import listable
from preppald.recording import files
from preppald.recording.finish import finish
from preppald.recording.notes import NotesError
from preppald.recording.render import RATE_HZ, Notes
from preppald.recording.shelf import LOOKS, BeingRecorded, Recording, Shelf, is_running, steadily

EPILOG = """\
A recording is stereo, 16 kHz: the candidate on the left as it came, the interviewer on the right as the candidate
heard it, cut where the candidate spoke over it. Its time 0 is the interview's beginning, so that the times of
`preppald transcript` are places in it. Each block of an interview in blocks has a recording of its own;
without --block they are joined, as many as there are, in the order of the blocks.

columns:
  STATE   live: it is being recorded; notes: it is not finished yet; flac or wav: it is finished

examples:
  preppald recording                             all there are, the latest first
  preppald recording iv-42 --output iv-42.flac   fetch one; also while the interview goes on
  preppald recording iv-42 --block 2 --output iv-42-2.flac
  preppald recording iv-42 --format opus | ssh archive 'cat > iv-42.opus'
  preppald recording iv-42 --delete              for good: somebody asks to be forgotten

Formats other than wav need a program: flac needs flac or ffmpeg, opus needs opusenc or ffmpeg.

exit status: 0; 69 when there is no such recording, it is live and cannot be deleted, or a program is missing;
74 when a file cannot be read or written.
It works while the daemon runs and while it is down.
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare ``recording`` among the commands."""
    parser = subparsers.add_parser(
        "recording",
        help="list, fetch and delete recordings",
        description="List the recordings, fetch one, or delete what there is of an interview.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("interview", metavar="ID", nargs="?", help="the interview (default: list them all)")
    parser.add_argument(
        "--output", metavar="FILE", help="write there, readable by you only; - prints (default: print)"
    )
    parser.add_argument(
        "--format", choices=files.FORMATS, help="default: as the file's name ends, else as it is kept"
    )
    parser.add_argument(
        "--epoch",
        metavar="N",
        type=whole(at_least=1, at_most=999_999_999),
        help="which try, where there were several (the last)",
    )
    parser.add_argument(
        "--block",
        metavar="N",
        type=whole(at_least=1, at_most=99),
        help="only this block of the interview (all)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--json", action="store_true", help="list as a JSON array, with everything")
    what.add_argument(
        "--delete", action="store_true", help="remove all recordings of this interview for good"
    )
    what.add_argument(
        "--finish",
        action="store_true",
        help="make the finished file of an interview that is over, as the daemon does by itself",
    )
    # The daemon's own: a job on standard input, its result on standard output.
    what.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, state_dir: Path) -> int:
    """Do it; returns the exit status."""
    try:
        if arguments.check:
            return _check()
        return steadily(lambda: _run(arguments, Shelf(state_dir)))
    except PermissionError as error:
        raise PreppaldError(
            f"{error.filename} may not be read by this user: try as the daemon's, or as root"
        ) from error
    except OSError as error:
        if error.filename is None:
            raise  # of our own output: main() knows what to say
        print(f"preppald: {error.filename}: {error.strerror}", file=sys.stderr)
        return EX_IOERR


def _run(arguments: argparse.Namespace, shelf: Shelf) -> int:
    for directory in (shelf.directory.parent, shelf.directory):
        listable(directory)
    if not shelf.directory.parent.is_dir():
        raise JournalError(
            f"there is no state directory {shelf.directory.parent}: is PREPPALD_STATE_DIR what the daemon has?"
        )
    interview_id = arguments.interview
    if interview_id is None and (
        arguments.delete or arguments.finish or arguments.output or arguments.format or arguments.block
    ):
        raise PreppaldError("which interview? see `preppald recording`")
    found = _found(arguments, shelf)
    if interview_id is not None and not found:
        which = "" if arguments.epoch is None and arguments.block is None else " of that try or block"
        print(
            f"preppald: there is no recording{which} of interview {printable(interview_id)!r} in {shelf.directory}: "
            "see `preppald recording`",
            file=sys.stderr,
        )
        return EX_UNAVAILABLE
    if arguments.delete:
        return _delete(arguments, shelf)
    if arguments.finish:
        return _finish(shelf, found)
    if interview_id is None or arguments.json:
        return _list(found, in_json=arguments.json)
    parts = shelf.parts(interview_id) if arguments.epoch is None and arguments.block is None else found[:1]
    return _fetch(shelf, parts, arguments.format, arguments.output)


def _found(arguments: argparse.Namespace, shelf: Shelf) -> list[Recording]:
    """Return the recordings that are asked for."""
    found = shelf.all() if arguments.interview is None else shelf.of(arguments.interview)
    return [it for it in found if arguments.epoch in {None, it.epoch} and arguments.block in {None, it.block}]


# ------------------------------------------------------------------ listing


def _list(found: list[Recording], *, in_json: bool) -> int:
    rows = [_described(it) for it in found]
    if in_json:
        print(as_json(rows))
    elif rows:
        table(
            ("INTERVIEW", "EPOCH", "LAST WRITTEN", "LENGTH", "SIZE", "STATE"),
            [
                (
                    f"{it.interview_id} block {it.block}" if it.block else it.interview_id,
                    str(row["epoch"]),
                    moment(round(it.changed * 1000)),
                    span(None if row["seconds"] is None else round(row["seconds"] * 1000)),
                    _megabytes(row["bytes"]),
                    row["state"],
                )
                for it, row in zip(found, rows, strict=True)
            ],
        )
    else:
        print("there are no recordings")
    return 0


def _described(it: Recording) -> dict[str, Any]:
    state = it.file.suffix[1:] if it.file else "live" if is_running(it) else "notes"
    frames = _frames(it)
    return {
        "interview": it.interview_id,
        "block": it.block or None,
        "epoch": it.epoch,
        "state": state,
        "seconds": None if frames is None else round(frames / RATE_HZ, 3),
        "bytes": it.size,
        "written": datetime.fromtimestamp(it.changed, UTC).isoformat(timespec="milliseconds"),
        "files": [str(file) for file in it.files],
    }


def _frames(it: Recording) -> int | None:
    """Return the frames of a recording; None where a damaged file does not say."""
    try:
        if it.file is not None:
            return files.length(it.file)
        with contextlib.closing(Notes(it.notes)) as notes:
            return notes.frames
    except (NotesError, files.FileError) as error:
        print(f"preppald: {error}", file=sys.stderr)
        return None


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


# ------------------------------------------------------------------ fetching


def _fetch(shelf: Shelf, parts: list[Recording], form: str | None, output: str | None) -> int:
    forms = {"wav" if it.file is None else it.file.suffix[1:] for it in parts}
    kept = forms.pop() if len(forms) == 1 else "wav"
    if form is None:
        ending = "" if output is None else Path(output).suffix[1:]
        form = ending if ending in files.FORMATS else kept
    if output not in {None, "-"}:
        file = Path(str(output))
        shelf.spare(file)
        with files.replacing(file) as part:
            _write(parts, form, part)
        return 0
    if sys.stdout.isatty():
        raise PreppaldError("this is sound, not for a terminal: use --output FILE, or a pipe")
    with tempfile.TemporaryDirectory(prefix="preppald-recording-") as directory:
        file = Path(directory) / f"recording.{form}"
        _write(parts, form, file)
        with file.open("rb") as stream:
            shutil.copyfileobj(stream, sys.stdout.buffer)
    sys.stdout.buffer.flush()
    return 0


def _write(parts: list[Recording], form: str, output: Path) -> None:
    """Write the recordings one behind the other; one that is kept in this format is copied as it is."""
    if len(parts) == 1 and parts[0].file is not None and parts[0].file.suffix == f".{form}":
        files.copy(parts[0].file, output)
        return
    with contextlib.ExitStack() as opened:
        sounds = [_sound(it, opened) for it in parts]
        frames = sum(length for length, _ in sounds)
        files.write(output, form, frames, chain.from_iterable(sound for _, sound in sounds))


def _sound(it: Recording, opened: contextlib.ExitStack) -> tuple[int, Iterator[bytes]]:
    """Return a recording's frames and its sound, second by second."""
    if it.file is not None:
        return files.read(it.file)
    notes = opened.enter_context(contextlib.closing(Notes(it.notes)))
    return notes.frames, notes.blocks()


# ------------------------------------------------------------------ finishing, deleting


def _check() -> int:
    """Check a transcript for the daemon."""
    _give_way()
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    put(msgspec.json.encode(run_trio(check, job)), None)
    return 0


def _give_way() -> None:
    """Give all others the processor first: it is long work that nobody waits for.

    The service's sandbox forbids a lower priority (@resources): there the scheduler, which prefers tasks that mostly
    sleep, has to do.
    """
    with contextlib.suppress(OSError):
        os.nice(19)


def _finish(shelf: Shelf, found: list[Recording]) -> int:
    _give_way()
    todo = [it for it in found if it.notes]
    for it in todo:
        if not it.over(now_ms() / 1000):
            raise BeingRecorded(
                f"interview {it.interview_id} is not over, its candidate may come back: wait until it is"
            )
        print(finish(shelf, it))
    if not todo:
        print("it is finished already")
    return 0


def _delete(arguments: argparse.Namespace, shelf: Shelf) -> int:
    """Delete until nothing of it is there: notes that went meanwhile may have become a file."""
    for _ in range(LOOKS):
        found = _found(arguments, shelf)
        for it in found:
            with contextlib.suppress(FileNotFoundError):
                shelf.delete(it)
                for file in it.files:
                    print(f"removed {file}")
        if not found:
            break
    return 0
