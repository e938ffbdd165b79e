"""Copies of a journal: made while the daemon runs, brought back where none is, and examined. Blocking; for commands.

    <directory>/preppald-20261129T101500Z/<instance>.db     each database of the state directory, whole
    <directory>/preppald-20261129T101500Z/manifest.json     what is in the backup, and the recordings beside the journal

Rule 1: a backup is complete when its directory has its name: until then it is called ``.unfinished``.
Rule 2: restoring overwrites nothing.
"""

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
import os
from pathlib import Path
import shutil
import sqlite3

import msgspec

from preppald.errors import JournalError
from preppald.journal import files, rows, schema

MANIFEST = "manifest.json"
RECORDINGS = "recordings"
# Copied at a time, so that the daemon's commits come between: 1 MB.
PAGES = 256
PAUSE_SECONDS = 0.01


class Copied(msgspec.Struct):
    """A file of a backup: ``size`` in bytes."""

    name: str
    size: int


class Manifest(msgspec.Struct):
    """The content of a backup. ``recordings`` are named, not copied: copy that directory with your own tools."""

    made: str
    databases: list[Copied]
    recordings: list[Copied]


@dataclass(frozen=True, slots=True)
class Examined:
    """A database: rows by table, the damaged ones among them in words, those set aside, and SQLite's own verdict."""

    file: Path
    rows: dict[str, int]
    damaged: list[str]
    set_aside: list[str]
    structure: str


def back_up(state_dir: Path, directory: Path, now: datetime) -> Path:
    """Copy every database of the state directory; return where the backup is.

    Raises:
        JournalError: there is nothing to copy, or it cannot be read, copied or written.
    """
    files.listable(state_dir)
    databases = list(_databases(state_dir))
    if not databases:
        raise JournalError(f"there is no journal in {state_dir}: is PREPPALD_STATE_DIR what the daemon has?")
    done = directory / f"preppald-{now:%Y%m%dT%H%M%SZ}"
    unfinished = done.with_name(f"{done.name}.unfinished")
    try:
        unfinished.mkdir(mode=files.DIRECTORY_MODE, parents=True)
        copied = [_copy(file, unfinished / file.name) for file in databases]
        manifest = Manifest(f"{now:%Y-%m-%dT%H:%M:%SZ}", copied, list(_recordings(state_dir)))
        _write(unfinished / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        _sync(unfinished)
        unfinished.rename(done)
        _sync(directory)
    except (OSError, sqlite3.Error) as error:
        raise JournalError(f"the backup {done} cannot be made: {error}") from error
    return done


def restore(backup: Path, state_dir: Path) -> Manifest:
    """Put a backup's databases into a state directory that has none of their names.

    Raises:
        JournalError: it is no backup, it is damaged, or something is in the way. Then nothing was changed.
    """
    try:
        manifest = msgspec.json.decode((backup / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise JournalError(f"{backup} is no backup of `preppald journal backup`: {error}") from error
    files.listable(state_dir)
    for copied in manifest.databases:
        instance = copied.name.split(".")[0]
        if Path(copied.name).name != copied.name or not files.INSTANCE_NAME.fullmatch(instance):
            raise JournalError(f"{backup} names a file {copied.name!r} that no backup has")
        if in_the_way := list(state_dir.glob(f"{instance}.*db*")):
            raise JournalError(
                f"{in_the_way[0]} is in the way: restore into an empty state directory, or move that file aside"
            )
        found = examine(backup / copied.name)
        if found.structure != "ok":
            raise JournalError(f"{found.file} is damaged ({found.structure}): try `preppald journal salvage`")
    try:
        state_dir.mkdir(mode=files.DIRECTORY_MODE, parents=True, exist_ok=True)
        for copied in manifest.databases:
            target = state_dir / copied.name
            part = target.with_name(f"{copied.name}.restoring")
            shutil.copyfile(backup / copied.name, part)
            part.chmod(files.FILE_MODE)
            files.give_to_owner(part)
            _sync(part)
            part.rename(target)
        _sync(state_dir)
    except OSError as error:
        raise JournalError(f"{backup} cannot be restored into {state_dir}: {error}") from error
    return manifest


def examine(file: Path) -> Examined:
    """Look at every row of a database; the daemon may run.

    Raises:
        JournalError: the file cannot be read at all.
    """
    damaged: list[str] = []
    counts = dict.fromkeys(rows.COLUMNS, 0)
    set_aside: list[str] = []
    structure = "ok"
    try:
        with closing(files.read_only(file)) as connection:
            try:
                schema.check(connection, mend=False)
            except sqlite3.DatabaseError as error:
                structure = str(error)
            version = schema.version(connection)
            if version != len(schema.MIGRATIONS):
                return Examined(file, {}, [], [], f"its schema is {version}: start the daemon once")
            # A structure that is damaged may end any question.
            with suppress(sqlite3.DatabaseError):
                for table, decode in rows.DECODERS.items():
                    found = connection.execute(f"SELECT {rows.COLUMNS[table]} FROM {table}")  # noqa: S608 - a table's name
                    for _ in rows.readable(found, decode, lambda error: damaged.append(_words(error))):
                        counts[table] += 1
                kept = connection.execute(
                    "SELECT origin, interview_id, key, why FROM damaged ORDER BY number"
                )
                set_aside = [f"{origin} {key or name or '?'}: {why}" for origin, name, key, why in kept]
    except sqlite3.Error as error:
        raise JournalError(f"{file} cannot be read: {error}") from error
    return Examined(file, counts, damaged, set_aside, structure)


def _words(error: rows.Unreadable) -> str:
    return f"{error.table} {error.key or error.interview_id or '?'}: {error.why}"


def _databases(state_dir: Path) -> Iterator[Path]:
    for instance in files.instances(state_dir):
        for _, file in files.generations(state_dir, instance):
            yield file


def _copy(file: Path, target: Path) -> Copied:
    """Copy by SQLite, which takes whole transactions only, and those in the -wal, too."""
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, files.FILE_MODE)
    os.close(descriptor)
    with closing(files.read_only(file)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy, pages=PAGES, sleep=PAUSE_SECONDS)
        copy.execute("PRAGMA journal_mode = DELETE")
    _sync(target)
    return Copied(target.name, target.stat().st_size)


def _recordings(state_dir: Path) -> Iterator[Copied]:
    directory = state_dir / RECORDINGS
    for file in sorted(directory.rglob("*")):
        with suppress(OSError):
            if file.is_file():
                yield Copied(str(file.relative_to(directory)), file.stat().st_size)


def _write(file: Path, data: bytes) -> None:
    descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, files.FILE_MODE)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
