"""``preppald report ID``: writes the page of one interview."""

import argparse
import os
from pathlib import Path

from preppald.commands.arguments import whole
from preppald.commands.listing import checked_of, finish, now_ms, put, sessions_of, turns_of
from preppald.commands.report_page import Talk, page
from preppald.config.load import price_table
from preppald.core.deliveries import missing
from preppald.core.interview import Interview
from preppald.core.quality import quality
from preppald.core.timeline import spoken
from preppald.errors import PreppaldError
from preppald.journal.archive import Archive
from preppald.recording import files
from preppald.recording.shelf import Shelf, steadily

EPILOG = """\
The page is one HTML file that loads nothing: who spoke when as a picture, the talk in numbers, and the transcript with
times, where replies that were cut show what was heard and what was not, and turns that a second ear heard differently
show both texts. Where the interview was recorded the sound is
written beside the page, and a click on a turn plays it. It prints well.

examples:
  preppald report iv-42 --html iv-42.html       writes iv-42.html, and iv-42.flac where it was recorded
  preppald report iv-42 --html iv-42.html --no-sound

exit status: 0; 69 when there is no such interview; 74 when a database could not be read.
It works while the interview goes on, too: then the sound is left out.
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare ``report`` among the commands."""
    parser = subparsers.add_parser(
        "report",
        help="write the page of an interview: picture, numbers, transcript, sound",
        description="Write the page of one interview, live or past.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("interview", metavar="ID", help="the interview, as `preppald interviews` lists it")
    parser.add_argument(
        "--block",
        metavar="N",
        type=whole(at_least=1, at_most=99),
        help="this block of the interview, where it has several",
    )
    parser.add_argument(
        "--html", metavar="FILE", type=_page, required=True, help="write the page there, readable by you only"
    )
    parser.add_argument("--no-sound", dest="sound", action="store_false", help="write no sound beside it")
    parser.set_defaults(run=run)


def _page(text: str) -> Path:
    """Return a file's name for a page: the sound takes the same one, with an ending of its own."""
    file = Path(text)
    if file.name in {"", ".."} or file.is_dir() or file.suffix[1:].lower() in files.FORMATS:
        raise argparse.ArgumentTypeError(f"{text!r} must be a file's name like iv-42.html")
    return file


def run(arguments: argparse.Namespace, state_dir: Path) -> int:
    """Write it; returns the exit status."""
    archive = Archive(state_dir)
    sessions = sessions_of(archive, arguments.interview, arguments.block)
    if len(sessions) > 1:
        numbers = ", ".join(str(it.block) for it in sessions)
        raise PreppaldError(f"a page is of one block: choose it with --block, of {numbers}")
    (interview,) = sessions
    turns = turns_of(archive, interview)
    timeline = spoken(turns, interview.started_ms, interview.ended_ms)
    length_ms = max(
        0, (now_ms() if interview.ended_ms is None else interview.ended_ms) - interview.started_ms
    )
    sound = None
    if arguments.sound:
        sound = steadily(lambda: _sound(Shelf(state_dir), interview, arguments.html))
    talk = Talk(
        interview,
        timeline,
        archive.quality(interview) or quality(timeline, length_ms),
        length_ms,
        price_table(os.environ).cost(interview.usage),
        [f"turn {part.turn + 1}: {part.what}" for part in missing(turns)],
        sound,
        checked_of(archive, interview),
    )
    put(page(talk), arguments.html)
    return finish(archive)


def _sound(shelf: Shelf, interview: Interview, beside: Path) -> str | None:
    """Copy the finished recording beside the page; return its name, None where there is none."""
    wanted = (interview.epoch, interview.block)
    for found in shelf.of(interview.interview_id):
        if found.file is not None and (found.epoch, found.block) == wanted:
            target = beside.with_suffix(found.file.suffix)
            shelf.spare(target)
            with files.replacing(target) as part:
                files.copy(found.file, part)
            return target.name
    return None
