"""``preppald transcript ID``: prints the transcript of an interview."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
import shutil
import textwrap
from typing import Any

from preppald.commands.arguments import whole
from preppald.commands.listing import (
    Line,
    as_json,
    checked_of,
    finish,
    interleaved,
    moment,
    now_ms,
    printable,
    put,
    sessions_of,
    span,
    turns_of,
)
from preppald.commands.records import add_fleet, records
from preppald.commands.webvtt import webvtt
from preppald.core.checks import CheckedTurn
from preppald.core.deliveries import iso, missing
from preppald.core.interview import Interview
from preppald.core.quality import Quality, quality
from preppald.core.timeline import Spoken, spoken
from preppald.core.turns import Speaker, Turn
from preppald.core.verification import Flag
from preppald.errors import PreppaldError
from preppald.pb import transcript_pb2 as pb

EPILOG = """\
formats:
  text       for people; times are minutes and seconds since the beginning
             with PREPPALD_VERIFY a turn of which a second ear heard the same has a check mark;
             of one with a defect, like [start missing], that ear's text stands first, the live
             one below
  json       {interview, block, user, epoch, started, ended, ending, cause, turns: [{speaker,
             content, timestamp, complete, interrupted, begin_ms, end_ms, unheard}],
             missing: [{turn, what}], quality: {wait_p50_ms, interruptions, ...}}
             with PREPPALD_VERIFY each checked turn has checked: {live, second, flag, confidence,
             second_is_better}, and voice_without_words those that were not written down
             begin_ms and end_ms are places in the recording; unheard is what the candidate did
             not hear of a reply that was cut; of several blocks {interview, blocks: [...]}
  vtt        WebVTT: captions for the recording; of a checked turn with a defect the second ear's
             words, and the live ones in a note
  protobuf   a serialized preppal.transcript.Transcript, as proto/transcript.proto has it

examples:
  preppald transcript iv-42
  preppald transcript iv-42 --block 2
  preppald transcript iv-42 --format json | jq -r '.turns[].content'
  preppald transcript iv-42 --format json | jq .quality
  preppald transcript iv-42 --format vtt --output iv-42.vtt
  preppald transcript iv-42 --format protobuf --output iv-42.pb
  preppald transcript iv-42 --fleet            also one that another host holds, or held

Of an interview in blocks all blocks are printed, in their order; vtt and protobuf are of one.

exit status: 0; 69 when there is no such interview or block, or its words were removed; 74 when a
file could not be read.
It works while the interview goes on, too: the words of a moment ago are there.
Where a part cannot be read from the disk [unreadable] stands, and "missing" says so.
"""
_SPEAKERS = {Speaker.USER: pb.USER, Speaker.AI: pb.AI}
# Wider text is hard to read, narrower columns are not usual.
WIDEST, NARROWEST = 100, 40
# Turns as a second ear heard them, by the line of the transcript: see ``checked_of``.
Checked = Mapping[int, Sequence[CheckedTurn]]


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
    parser.add_argument(
        "--block",
        metavar="N",
        type=whole(at_least=1, at_most=99),
        help="only this block of the interview (all)",
    )
    parser.add_argument("--format", choices=("json", *FORMATS), default="text", help="(default %(default)s)")
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help="write there, readable by you only (default: print)"
    )
    add_fleet(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, state_dir: Path) -> int:
    """Print it; returns the exit status."""
    archive = records(arguments, state_dir)
    sessions = sessions_of(archive, arguments.interview, arguments.block)
    told = [(it, turns_of(archive, it), checked_of(archive, it)) for it in sessions]
    if arguments.format == "json":
        blocks = [_described(*it, archive.quality(it[0])) for it in told]
        whole = blocks[0] if len(blocks) == 1 else {"interview": arguments.interview, "blocks": blocks}
        put(as_json(whole) + "\n", arguments.output)
    else:
        put(_formatted(told, arguments.format), arguments.output)
    return finish(archive)


def _formatted(sessions: Sequence[tuple[Interview, Sequence[Turn], Checked]], form: str) -> str | bytes:
    """Return the transcript of an interview, or of its blocks."""
    if len(sessions) == 1:
        return FORMATS[form](*sessions[0])
    if form == "text":
        return "\n".join(as_text(*it) for it in sessions)
    numbers = ", ".join(str(it.block) for it, *_ in sessions)
    raise PreppaldError(f"{form} is of one block: choose it with --block, of {numbers}")


def as_text(interview: Interview, turns: Sequence[Turn], checked: Checked) -> str:
    """Return lines for people, with nothing in them that a terminal would obey."""
    began, ended = interview.started_ms, interview.ended_ms
    lines = [
        f"{titled(interview)}, user {printable(interview.user_id)}, "
        f"{moment(began)}, " + ("live" if ended is None else f"{span(ended - began)}, {interview.ending}"),
        *_checked_in_all(turns, checked),
        "",
    ]
    width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))
    for line in interleaved(_timeline(interview, turns), checked):
        head = f"{span(line.begin_ms):>7}  {line.speaker.value:<4}  "
        lines += _wrapped(_marked(line), width, head)
        if line.better is not None and line.better.live:
            live = f"(live, {line.better.confidence:.0%} agreed: {line.better.live})"
            lines += _wrapped(live, width, " " * len(head))
    if not turns and not checked:
        lines.append("nothing was said")
    return "\n".join(lines) + "\n"


def _checked_in_all(turns: Sequence[Turn], checked: Checked) -> list[str]:
    """Return what the marks of a second ear mean, in a few words; nothing where nothing was checked."""
    found = [it for line in checked.values() for it in line]
    if not found:
        return []
    answers = sum(it.speaker is Speaker.USER for it in turns)
    heard = sum(it.flag is not Flag.UNHEARD for it in found)
    flagged = sum(it.second_is_better for it in found)
    return [
        f"a second ear heard {heard} of {answers} answers: \N{CHECK MARK} where both texts say the same;",
        f"{flagged} with a mark like [start missing], where its text is to be trusted and stands first",
    ]


def _marked(line: Line) -> str:
    """Return the words to trust of a line, with the mark of what a second ear found."""
    if line.better is not None:
        return f"[{line.better.flag}] {line.better.second or '(nothing)'}"
    said = "" if line.it is None else line.it.turn.spoken
    return said if line.second is None else f"{said} \N{CHECK MARK}"


def _wrapped(words: str, width: int, head: str) -> list[str]:
    said = " ".join(printable(word) for word in words.split())
    return textwrap.wrap(said, width, initial_indent=head, subsequent_indent=" " * len(head))


def as_vtt(interview: Interview, turns: Sequence[Turn], checked: Checked) -> str:
    """Return captions for the recording."""
    return webvtt(_timeline(interview, turns), checked)


def _timeline(interview: Interview, turns: Sequence[Turn]) -> list[Spoken]:
    return spoken(turns, interview.started_ms, interview.ended_ms)


def titled(interview: Interview) -> str:
    """Return the interview's name, with the number of its block."""
    name = f"interview {interview.interview_id}"
    return f"{name} block {interview.block}" if interview.block else name


def _described(
    interview: Interview, turns: Sequence[Turn], checked: Checked, kept: Quality | None
) -> dict[str, Any]:
    """Return everything; ``kept``: the journal's row of how it went."""
    timeline = _timeline(interview, turns)
    until = now_ms() if interview.ended_ms is None else interview.ended_ms
    return {
        "interview": interview.interview_id,
        "block": interview.block or None,
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
                "checked": next((one for one in checked.get(line, ()) if one.flag is not Flag.UNHEARD), None),
            }
            for line, it in enumerate(timeline)
        ],
        "voice_without_words": [
            one for line in sorted(checked) for one in checked[line] if one.flag is Flag.UNHEARD
        ],
        "missing": missing(turns),
        "quality": kept or quality(timeline, until - interview.started_ms),
    }


def as_protobuf(interview: Interview, turns: Sequence[Turn], _checked: Checked) -> bytes:
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


FORMATS: dict[str, Callable[[Interview, Sequence[Turn], Checked], str | bytes]] = {
    "text": as_text,
    "vtt": as_vtt,
    "protobuf": as_protobuf,
}
