"""``preppald forget``: removes all that this host has of an interview, or of a user."""

import argparse
from collections.abc import Iterator
import os
from pathlib import Path

from preppald.commands.arguments import interview_id
from preppald.commands.forgetter import Forgetter, Report
from preppald.commands.listing import as_json, now_ms, printable
from preppald.config.load import shared_journal
from preppald.daemon.audit import Audit, Entry, Kind
from preppald.errors import EX_IOERR, JournalError

EPILOG = """\
It removes the rows of the journal of every instance on this state directory (transcript,
deliveries, damaged rows), recordings, and what damaged files that were set aside hold of them;
with PREPPALD_SHARED_JOURNAL also the rows of the shared journal, unless another living host has
the interview, which is named: give the command there;
databases are written anew, so that no free page keeps a word. Daemons may run; their commits wait
meanwhile, about a second for 80 MB of journal.

Refused, with nothing removed: an interview that is live (`preppald end ID` first), and one that
the backend is still owed (`preppald outbox list`), unless --also-undelivered is given.

Not removed, and named: backups, the log, and the application's own copy. The audit
(`preppald audit`) keeps that it was done, with a keyed digest in place of the id.

examples:
  preppald forget --user u-123 --dry-run        what there is
  preppald forget --user u-123
  preppald forget --interview iv-42 --also-undelivered

exit status: 0 nothing is left here; 69 there is nothing, or it is refused; 74 something is left,
as printed: mend that, and repeat the command.
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare ``forget`` among the commands."""
    parser = subparsers.add_parser(
        "forget",
        help="remove all that this host has of an interview, or of a user",
        description="Remove all that this host has of an interview, or of a user, for good.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument(
        "--interview", metavar="ID", type=interview_id, help="this interview, with all its blocks"
    )
    whose.add_argument("--user", metavar="ID", help="every interview of this user")
    parser.add_argument(
        "--also-undelivered", action="store_true", help="also what the backend is owed: it never gets that"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what there is")
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, state_dir: Path) -> int:
    """Forget it; returns the exit status."""
    try:
        forgetter = Forgetter(
            state_dir,
            interview=arguments.interview,
            user=arguments.user,
            also_undelivered=arguments.also_undelivered,
            shared_journal=shared_journal(os.environ),
        )
    except OSError as error:
        raise JournalError(
            f"{error.filename or state_dir} cannot be read ({error.strerror or error}): nothing was forgotten"
        ) from error
    if arguments.dry_run:
        report = forgetter.report()
    else:
        report = forgetter.forget()
        _note(arguments, state_dir, report)
    if arguments.json:
        print(as_json(report))
    else:
        for line in _lines(report, would=arguments.dry_run):
            print(printable(line))
    return EX_IOERR if report.left else 0


def _note(arguments: argparse.Namespace, state_dir: Path, report: Report) -> None:
    """Put it into the audit; where that cannot be written it is said, for what is gone is gone."""
    audit = Audit(state_dir)
    kind: Kind = "user" if arguments.user else "interview"
    try:
        audit.add(
            Entry(
                at_ms=now_ms(),
                action="forget",
                via="files",
                uid=os.getuid(),
                subject=audit.digest(kind, arguments.user or arguments.interview),
                counts={
                    "interviews": len(report.interviews),
                    "recordings": len(report.recordings),
                    "rewritten": len(report.rewritten),
                    "left": len(report.left),
                },
            )
        )
    except OSError as error:
        report.left.append(f"the audit could not be written: {error.strerror or error}")


def _lines(report: Report, *, would: bool) -> Iterator[str]:
    done = "would be forgotten" if would else "forgotten"
    yield f"{done}: {len(report.interviews)} interviews: {', '.join(report.interviews)}"
    for name, removed in report.databases.items():
        if would:
            yield f"  journal {name}: rows of them are there"
        else:
            yield (
                f"  journal {name}: {removed.interviews} interviews, {removed.passages} pieces of transcript, "
                f"{removed.deliveries} deliveries, {removed.damaged} damaged rows"
            )
        if removed.nameless:
            yield (
                f"  journal {name}: {removed.nameless} damaged rows name no interview, so they stay: "
                "`preppald journal check` shows them"
            )
    yield from _beside(report, would=would)
    for line in report.left:
        yield f"LEFT: {line}"
    yield "not in preppald's hands:"
    for name, kinds in report.delivered.items():
        if kinds:
            yield f"  ask the application to delete its {' and '.join(kinds)} of interview {name}"
    for backup in report.backups:
        yield f"  the backup {backup} holds them: remove it, or keep it as your rules say"
    yield "  backups elsewhere (`preppald journal backup`), and files that were exported, are as they were"
    yield "  a collector of traces has numbers and the ids of interviews, if there is one: by its own age, too"
    yield "  the log names interviews and users by their ids, and never a word: it goes by its own age"


def _beside(report: Report, *, would: bool) -> Iterator[str]:
    """Yield what is beside the journals of this host."""
    if report.recordings:
        yield f"  recordings: {len(report.recordings)} ({report.recording_bytes / 1e6:.1f} MB)"
    for file, kept in report.rewritten.items():
        yield f"  set aside: {file}" + ("" if would else f": written anew, {kept} rows of others kept")
    if report.shared is not None:
        yield (
            f"  shared journal: {report.shared.interviews} interviews, {report.shared.pieces} pieces of transcript, "
            f"{report.shared.deliveries} deliveries"
        )
