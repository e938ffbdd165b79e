"""``preppald transcript ID``: prints the transcript of an interview."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
import shutil
import textwrap

from preppald.commands.listing import as_json, finish, moment, now_ms, printable, put, span, unknown
from preppald.commands.webvtt import webvtt
from preppald.core.deliveries import iso, missing
from preppald.core.interview import Interview
from preppald.core.quality import quality
from preppald.core.timeline import Spoken, spoken
from preppald.core.turns import Speaker, Turn, fold, in_order
from preppald.journal.archive import Archive
from preppald.pb import transcript_pb2 as pb

EPILOG = """\
formats:
  text       for people; times are minutes and seconds since the beginning
  json       {interview, user, epoch, started, ended, ending, cause, turns: [{speaker, content,
             timestamp, complete, interrupted, begin_ms, end_ms, unheard}],
             missing: [{turn, what}], quality: {wait_p50_ms, interruptions, ...}}
             begin_ms and end_ms are places in the recording; unheard is what the candidate did
             not hear of a reply that was cut
  vtt        WebVTT: captions for the recording
  protobuf   a serialized preppal.transcript.Transcript, as proto/transcript.proto has it

examples:
  preppald transcript iv-42
  preppald transcript iv-42 --format json | jq -r '.turns[].content'
  preppald transcript iv-42 --format json | jq .quality
  preppald transcript iv-42 --format vtt --output iv-42.vtt
  preppald transcript iv-42 --format protobuf --output iv-42.pb

exit status: 0; 69 when there is no such interview; 74 when a database could not be read.
It works while the interview goes on, too: the words of a moment ago are there.
Where a part cannot be read from the disk [unreadable] stands, and "missing" says so.
"""
_SPEAKERS = {Speaker.USER: pb.USER, Speaker.AI: pb.AI}
# Wider text is hard to read, narrower columns are not usual.
WIDEST, NARROWEST = 100, 40


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare ``transcript`` among the commands."""
    parser = subparsers.add_parser(
        "transcript",
        help="print the transcript of an interview",
        description="Print the transcript of an interview, live or past.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("interview", metavar="ID", help="the interview, as `preppald interviews` lists it")
    parser.add_argument("--format", choices=tuple(FORMATS), default="text", help="(default %(default)s)")
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help="write there, readable by you only (default: print)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, state_dir: Path) -> int:
    """Print it; returns the exit status."""
    archive = Archive(state_dir)
    interview = archive.interview(arguments.interview)
    if interview is None:
        unknown(archive, f"there is no interview {printable(arguments.interview)!r} in {state_dir}")
    fragments = archive.fragments(interview.interview_id, interview.epoch)
    turns = in_order(fold(fragments).values())
    put(FORMATS[arguments.format](interview, turns), arguments.output)
    return finish(archive)


def as_text(interview: Interview, turns: Sequence[Turn]) -> str:
    """Return lines for people, with nothing in them that a terminal would obey."""
    began, ended = interview.started_ms, interview.ended_ms
    lines = [
        f"interview {interview.interview_id}, user {printable(interview.user_id)}, "
        f"{moment(began)}, " + ("live" if ended is None else f"{span(ended - began)}, {interview.ending}"),
        "",
    ]
    width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))
    for it in _timeline(interview, turns):
        head = f"{span(it.begin_ms):>7}  {it.turn.speaker.value:<4}  "
        said = " ".join(printable(word) for word in it.turn.spoken.split())
        lines += textwrap.wrap(said, width, initial_indent=head, subsequent_indent=" " * len(head))
    if not turns:
        lines.append("nothing was said")
    return "\n".join(lines) + "\n"


def as_vtt(interview: Interview, turns: Sequence[Turn]) -> str:
    """Return captions for the recording."""
    return webvtt(_timeline(interview, turns))


def _timeline(interview: Interview, turns: Sequence[Turn]) -> list[Spoken]:
    return spoken(turns, interview.started_ms, interview.ended_ms)


def _as_json(interview: Interview, turns: Sequence[Turn]) -> str:
    timeline = _timeline(interview, turns)
    until = now_ms() if interview.ended_ms is None else interview.ended_ms
    return (
        as_json(
            {
                "interview": interview.interview_id,
                "user": interview.user_id,
                "epoch": interview.epoch,
                "started": iso(interview.started_ms),
                "ended": None if interview.ended_ms is None else iso(interview.ended_ms),
                "ending": interview.ending,
                "cause": interview.cause,
                "turns": [
                    {
                        "speaker": it.turn.speaker,
                        "content": it.turn.spoken.strip(),
                        "timestamp": iso(it.turn.started_ms),
                        "complete": it.turn.complete,
                        "interrupted": it.turn.cut,
                        "begin_ms": it.begin_ms,
                        "end_ms": it.end_ms,
                        "unheard": it.unheard or None,
                    }
                    for it in timeline
                ],
                "missing": missing(turns),
                "quality": quality(timeline, until - interview.started_ms),
            }
        )
        + "\n"
    )


def as_protobuf(interview: Interview, turns: Sequence[Turn]) -> bytes:
    """Return the application's own form."""
    transcript = pb.Transcript(
        turns=[
            pb.Turn(
                speaker=_SPEAKERS[it.turn.speaker],
                content=it.turn.spoken.strip(),
                timestamp_ms=it.turn.started_ms,
                begin_ms=it.begin_ms,
                end_ms=it.end_ms,
                unheard=it.unheard,
            )
            for it in _timeline(interview, turns)
        ],
        missing=[pb.Missing(turn=part.turn, what=part.what) for part in missing(turns)],
    )
    return transcript.SerializeToString()


FORMATS: dict[str, Callable[[Interview, Sequence[Turn]], str | bytes]] = {
    "text": as_text,
    "json": _as_json,
    "vtt": as_vtt,
    "protobuf": as_protobuf,
}
