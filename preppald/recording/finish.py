"""Makes the finished file of an interview that is over, and removes its notes. Blocks: for a process of its own."""

import os
from pathlib import Path
import shutil

from preppald.recording import files
from preppald.recording.files import FileError
from preppald.recording.render import FRAME_BYTES, Notes
from preppald.recording.shelf import UNFINISHED, Recording, Shelf, locked

# Notes are 115 to 330 MB an hour, a WAV 230: there must be room for both, and for the journal.
SPARE_BYTES = 256 * 1024 * 1024


def finish(shelf: Shelf, recording: Recording) -> Path:
    """Make the file and return its path. The file appears whole, or not at all; only then the notes go.

    Raises:
        BeingRecorded: the interview goes on, or another process finishes it.
        FileError, NotesError, OSError: the file cannot be made, and the notes stay.
    """
    with locked(recording):
        form = files.kept_format()
        file = shelf.directory / f"{recording.name}.{form}"
        if file.exists():
            raise FileError(f"{file} is there already, and there are notes beside it: move one of them away")
        notes = Notes(recording.notes)
        try:
            free = shutil.disk_usage(shelf.directory).free
            if free < notes.frames * FRAME_BYTES + SPARE_BYTES:
                raise FileError(f"there is too little space for {file}: make room, and it is tried again")
            unfinished = file.with_name(file.name + UNFINISHED)
            files.write(unfinished, form, notes.frames, notes.blocks())
        finally:
            notes.close()
        # The file's age counts from the interview's end, not from its finishing.
        os.utime(unfinished, (recording.changed, recording.changed))
        if os.geteuid() == 0:
            # An operator's: the notes' user, the daemon, has to read it, too.
            of_notes = recording.notes[0].stat()
            os.chown(unfinished, of_notes.st_uid, of_notes.st_gid, follow_symlinks=False)
        _make_durable(unfinished)
        unfinished.rename(file)
        _make_durable(shelf.directory)
        shutil.rmtree(recording.notes[0].parent)
    return file


def _make_durable(path: Path) -> None:
    """Sync the file: before the notes go, it must be on the disk, and not only on its way."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
