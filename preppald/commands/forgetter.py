"""Finds and removes all that a state directory holds of some interviews, whether daemons run on it or not.

Rule 1: everything is looked at before anything is removed: one interview that is live or owed stops it all.
Rule 2: a running daemon removes its own rows, for it has some of them in memory; the rest is removed here.
Rule 3: at the end the whole directory is searched for the ids and for words of the candidate, and a file that still has
        one is named.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
import os
from pathlib import Path
import sqlite3
import stat
from typing import TYPE_CHECKING, TypeVar

import msgspec

from preppald.commands.daemons import Daemon, found as daemons_of
from preppald.commands.listing import now_ms
from preppald.daemon.orders import FORGOTTEN_AT_ONCE, Action, Order
from preppald.errors import JournalError, PreppaldError
from preppald.journal import OnDisk, Removed, files, forgetting, schema, set_aside, spool
from preppald.journal.backup import MANIFEST
from preppald.recording import kept
from preppald.recording.shelf import DIRECTORY, Recording, Shelf, is_running

if TYPE_CHECKING:
    from preppald.shared.forgetting import SharedForgetter, SharedRemoved

T = TypeVar("T")

# A journal of gigabytes is written anew in minutes.
FORGET_SECONDS = 1800.0
# A shorter id is found in digests, times and words; its rows go all the same.
ID_CHARS = 8
# Searched at a time, 1 MB: a database may be larger than the memory, and is not mapped, for it may be cut meanwhile.
SEARCHED_BYTES = 2**20
RESERVE = ".reserve"
BESIDE = ("", "-wal", "-shm")


class Report(msgspec.Struct, kw_only=True):
    """The rows and files that were removed, or would be. ``databases``: by file. ``delivered``: the kinds that the backend has, by interview.

    ``rewritten``: rows of others that were kept, by file that was set aside. ``shared``: rows of the shared journal, None
    without one. ``backups`` and ``left`` are files that still
    hold something: backups are never touched; of the others each line says why.
    """

    interviews: list[str]
    databases: dict[str, Removed]
    recordings: list[str]
    recording_bytes: int
    rewritten: dict[str, int]
    shared: "SharedRemoved | None"
    delivered: dict[str, list[str]]
    backups: list[str]
    left: list[str]


class Forgetter:
    """The holdings of one state directory of an interview, or of a user. Making one looks, ``forget`` removes.

    Raises:
        PreppaldError: there is nothing of them, one is live or owed, or a file cannot be read.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        interview: str | None,
        user: str | None,
        also_undelivered: bool,
        shared_journal: str = "",
    ) -> None:
        self._state_dir = state_dir
        self._also = also_undelivered
        # This directory's incarnations in the shared journal.
        self._ours: set[int] = set()
        files.listable(state_dir)
        self._daemons = daemons_of(state_dir)
        self._shelf = Shelf(state_dir)
        self.names = {interview} if interview else self._of_user(user or "")
        self._others: set[str] = set()
        self._texts: set[bytes] = set()
        self._delivered: dict[str, set[str]] = {}
        self._with_rows: set[Path] = set()
        self._look()
        # The hosts that have interviews of them which are not forgotten there, by interview.
        self._elsewhere: dict[str, str] = {}
        self._in_shared: set[str] = set()
        self._shared = self._at_other_hosts(shared_journal, user) if shared_journal else None
        self._ids = self._telling({name for name in (*self.names, user) if name})
        self._recordings = [it for it in self._shelf.all() if it.interview_id in self.names]
        self._aside = {it: set_aside.names_in(it)[0] for it in set_aside.found(state_dir)}
        here = self._with_rows or self._recordings or any(self.names & it for it in self._aside.values())
        if not (here or self._in_shared or self._elsewhere):
            raise PreppaldError(
                f"{state_dir} holds nothing of {'this interview' if interview else 'this user'}: "
                "`preppald interviews` lists what there is"
            )
        for recording in self._recordings:
            if recording.notes and is_running(recording):
                raise PreppaldError(
                    f"interview {recording.interview_id!r} is being recorded, or its recording is being finished: try "
                    "again in a minute. Nothing was forgotten"
                )

    # ---------------------------------------------------------------- looking

    def _of_user(self, user: str) -> set[str]:
        found: set[str] = set()
        for _, names in self._asked(lambda connection: forgetting.of_user(connection, user)):
            found |= names
        for file in set_aside.found(self._state_dir):
            found |= {name for name, theirs in set_aside.names_in(file)[1].items() if theirs == user}
        return found

    def _look(self) -> None:
        def ask(connection: sqlite3.Connection) -> tuple[list[forgetting.Standing], set[bytes], set[str]]:
            life = spool.life(connection)
            self._ours.update({it for it in (life.incarnation, *life.kin) if it})
            standing = list(forgetting.standing(connection, self.names))
            return standing, forgetting.needles(connection, self.names), forgetting.ids(connection)

        for file, (standing, texts, ids) in self._asked(ask):
            for it in standing:
                forgetting.check(it, also_undelivered=self._also)
                self._delivered.setdefault(it.interview, set()).update(it.delivered)
                self._with_rows.add(file)
            self._texts |= texts
            self._others |= ids

    def _asked(self, query: Callable[[sqlite3.Connection], T]) -> Iterator[tuple[Path, T]]:
        """Yield each database's answer.

        Raises:
            JournalError: one cannot be read; nobody knows then what is in it.
        """
        for daemon in self._daemons:
            for _, file in files.generations(self._state_dir, daemon.instance):
                try:
                    with closing(files.read_only(file)) as connection:
                        version = schema.version(connection)
                        if version == len(schema.MIGRATIONS):
                            yield file, query(connection)
                        elif version:
                            raise JournalError(
                                f"{file} was written by another version of preppald: start its daemon once, and repeat "
                                "the command"
                            )
                except sqlite3.Error as error:
                    raise JournalError(
                        f"{file} cannot be read ({error}): start its daemon once, which mends it, and repeat the command"
                    ) from error

    def _telling(self, ids: Collection[str]) -> set[bytes]:
        """Return those ids that are no part of another one, and not so short that they are found in anything."""
        others = self._others.difference(ids)
        return {it.encode() for it in ids if len(it) >= ID_CHARS and not any(it in other for other in others)}

    def _at_other_hosts(self, url: str, user: str | None) -> "SharedForgetter":
        """Look into the shared journal: it forgets what no other living host has."""
        # A driver that a host alone does without.
        from preppald.shared import forgetter_at  # noqa: PLC0415

        shared = forgetter_at(url, self._ours)
        for it in shared.standings(shared.found(self.names, user)):
            if it.live and it.host:
                raise forgetting.NotForgotten(
                    f"interview {it.interview!r} is live at {it.host}: end it there first. Nothing was forgotten"
                )
            if it.host:
                self._elsewhere[it.interview] = it.host
                continue
            found = forgetting.Standing(
                interview=it.interview, live=it.live, owed=it.owed, due=it.due, delivered=[]
            )
            forgetting.check(found, also_undelivered=self._also)
            self._in_shared.add(it.interview)
        self.names |= self._in_shared
        return shared

    # ---------------------------------------------------------------- removing

    def report(self) -> Report:
        """Return what there is to remove."""
        return Report(
            interviews=sorted(self.names),
            databases={it.name: Removed() for it in sorted(self._with_rows)},
            recordings=[it.name for it in self._recordings],
            recording_bytes=sum(it.size for it in self._recordings),
            rewritten={it.name: 0 for it, names in self._aside.items() if names & self.names},
            shared=None,
            delivered={name: sorted(kinds) for name, kinds in sorted(self._delivered.items())},
            backups=[],
            left=[],
        )

    def forget(self) -> Report:
        """Remove it all; return what was removed, and what is left where."""
        report = self.report()
        report.databases = {}
        for daemon in self._daemons:
            own = [file for _, file in files.generations(self._state_dir, daemon.instance)]
            if any(file in self._with_rows or self._names_them(file) for file in own):
                report.databases[daemon.instance] = self._forget_in(daemon, own)
        for recording in self._recordings:
            self._delete(recording, report)
        for name in self.names:
            with _telling(report, f"sound of interview {name} that is kept for its check"):
                kept.forget(self._state_dir, name)
        for file, names in self._aside.items():
            with _telling(report, str(file)):
                if names & self.names or self._names_them(file):
                    report.rewritten[file.name] = set_aside.rewrite(file, self.names)
        report.left += [
            f"{instance}: {removed.left}" for instance, removed in report.databases.items() if removed.left
        ]
        self._forget_in_shared(report)
        self._search(report)
        return report

    def _forget_in_shared(self, report: Report) -> None:
        """Remove the rows of the shared journal last: a daemon here has sent anew by then what was not forgotten."""
        if self._shared is None:
            if self._ours:
                report.left.append(
                    "this host shares a journal, which may hold them, and PREPPALD_SHARED_JOURNAL is not set here: repeat the "
                    "command with it, or with the daemon's PREPPALD_ENV_FILE"
                )
            return
        report.left += [
            f"interview {name}: {host} has it: give the command there, too"
            for name, host in sorted(self._elsewhere.items())
        ]
        if not self._in_shared:
            return
        try:
            report.shared = self._shared.forget(self._in_shared)
        except JournalError as error:
            report.left.append(f"the shared journal: {error}; then repeat the command")

    def _forget_in(self, daemon: Daemon, own: Collection[Path]) -> Removed:
        place = OnDisk(self._state_dir, daemon.instance, reserve_bytes=0)
        # A file without a lock beside it is a copy that somebody put there: no daemon has it.
        if place.was_run() and not place.take():
            return self._ordered(daemon)
        try:
            removed = Removed()
            for file in own:
                removed.add(
                    forgetting.forget_in(file, self.names, also_undelivered=self._also, now_ms=now_ms)
                )
            return removed
        finally:
            place.release()

    def _ordered(self, daemon: Daemon) -> Removed:
        removed, names = Removed(), sorted(self.names)
        for first in range(0, len(names), FORGOTTEN_AT_ONCE):
            some = tuple(names[first : first + FORGOTTEN_AT_ONCE])
            order = Order(action=Action.FORGET, forgotten=some, also_undelivered=self._also)
            removed.add(daemon.order(order, Removed, seconds=FORGET_SECONDS))
        return removed

    def _delete(self, recording: Recording, report: Report) -> None:
        with _telling(report, f"recording {recording.name}"):
            self._shelf.delete(recording)
        # An encoder that was killed leaves a part of a file.
        for file in self._shelf.directory.glob(f"{recording.name}.*"):
            with _telling(report, str(file)):
                file.unlink(missing_ok=True)

    # ---------------------------------------------------------------- searching

    def _names_them(self, file: Path) -> bool:
        return any(_holds(Path(f"{file}{suffix}"), self._ids | self._texts) for suffix in BESIDE)

    def _search(self, report: Report) -> None:
        databases = {
            file for it in self._daemons for _, file in files.generations(self._state_dir, it.instance)
        }
        ours = {Path(f"{file}{suffix}") for file in databases for suffix in BESIDE}
        for file in self._files(report):
            below = file.relative_to(self._state_dir)
            if below.parts[0] == DIRECTORY or file.suffix == RESERVE:
                continue
            try:
                # In a database that was written anew words are another's who said the same.
                if not _holds(file, self._ids if file in ours else self._ids | self._texts):
                    continue
            except OSError as error:
                report.left.append(_unsearched(file, error))
                continue
            if (file.parent / MANIFEST).exists():
                if str(file.parent) not in report.backups:
                    report.backups.append(str(file.parent))
            else:
                report.left.append(
                    f"{file} still names them, or holds their words: look at it, and remove it yourself"
                )

    def _files(self, report: Report) -> list[Path]:
        """Return every file of the state directory; a directory that cannot be listed is left."""

        def unlisted(error: OSError) -> None:
            report.left.append(_unsearched(error.filename, error))

        return sorted(
            Path(directory, name)
            for directory, _, names in os.walk(self._state_dir, onerror=unlisted)
            for name in names
        )


@contextmanager
def _telling(report: Report, what: str) -> Iterator[None]:
    """Have a part that fails told in the report, which tells of all that is gone by then."""
    try:
        yield
    except (OSError, PreppaldError) as error:
        report.left.append(f"{what}: {error}")


def _unsearched(path: Path | str, error: OSError) -> str:
    return f"{path} cannot be read ({error.strerror}): it may name them, or hold their words; look into it yourself"


def _holds(file: Path, needles: Collection[bytes]) -> bool:
    """Return whether one of these is in a file; it is in none that has gone, or is a pipe or a device."""
    overlap = max(map(len, needles), default=1) - 1
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return False
        with file.open("rb") as stream:
            window = b""
            while piece := stream.read(SEARCHED_BYTES):
                window = window[max(0, len(window) - overlap) :] + piece
                if any(it in window for it in needles):
                    return True
    except FileNotFoundError:
        pass
    return False
