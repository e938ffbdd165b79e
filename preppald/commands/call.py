"""``preppald call``: be the candidate, from the command line."""

import argparse
from collections.abc import AsyncIterator, Iterator, Mapping
import contextlib
from datetime import UTC, datetime
from functools import partial
import os
from pathlib import Path
import random
import sys

from preppald.audio import opus
from preppald.candidate.admission import (
    SECRET_VARIABLE,
    TOKEN_VARIABLE,
    UsageError,
    admission,
    checked_url,
    from_demo,
    trusted,
)
from preppald.candidate.call import Behaviour, Call
from preppald.candidate.display import Display, PlainDisplay, SilentDisplay, TerminalDisplay, put
from preppald.candidate.endings import Ending, Outcome
from preppald.candidate.line import Line, along, line
from preppald.candidate.link import Address, OpenStream
from preppald.candidate.playback import RATE_HZ
from preppald.candidate.report import Report
from preppald.candidate.slow_line import slow_line
from preppald.candidate.speech import SAMPLE_ANSWER, Speech
from preppald.candidate.transcript import Transcript
from preppald.candidate.wav import BadWavError, CannotWriteError, WavWriter
from preppald.commands.arguments import count, number
from preppald.commands.running import run_trio
from preppald.config.load import daemon_url, signing_secret
from preppald.core.hold import HOLD_SECONDS

DEFAULT_URL = "ws://127.0.0.1:8787"

STATUSES = "\n".join(
    f"  {ending.status:3}  {ending.label}: {ending.sentence}"
    for ending in sorted(Ending, key=lambda ending: ending.status)
)

EPILOG = f"""\
what happens:
  The candidate connects, streams silence, hears the greeting to its end, says FILE, hears the
  reply to its end, and ends the interview. The file may have one or two channels and any sample
  rate from 8 to 192 kHz; its samples must be 16-bit PCM. A lost connection is made again for up
  to a minute; speech waits meanwhile. Ctrl-C ends the interview politely, a second
  one at once; either way the files are finished.

examples:
  preppald call --sample                      an answer that comes with preppald, to a daemon here
  preppald call answer.wav --save reply.wav --transcript talk.json
  preppald call answer.wav --barge-in         speak over the greeting
  preppald call --sample --think 60           "let me think", for a minute before the answer
  preppald call --sample --repeat 3 --hold 60 --url wss://interviews.example.com --token-file token
  preppald call --sample --codec opus --line 96kbit,200ms,3%
  preppald call --sample --speed 20 --json    for scripts: twenty times as fast, one JSON object

the token, the first of these that is there:
  --token, --token-file, PREPPALD_TOKEN; otherwise one is signed with JWT_SECRET, the daemon's own;
  otherwise a running `preppald demo` gives one.
  It names its interview by itself. It is sent as a WebSocket subprotocol and never printed.

exit status:
{STATUSES}
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare ``call`` among the commands."""
    parser = subparsers.add_parser(
        "call",
        help="be the candidate: speak a WAV file to a daemon, hear its interviewer",
        description="Be the candidate of one interview: speak a WAV file, hear the interviewer.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE.wav", type=Path, nargs="?", help="the recording to speak")
    parser.add_argument("--sample", action="store_true", help="say the answer that comes with preppald")
    parser.set_defaults(run=run)

    where = parser.add_argument_group("the daemon and the interview")
    where.add_argument(
        "--url", help=f"the daemon (default: PREPPALD_LISTEN's, the daemon's own; else {DEFAULT_URL})"
    )
    where.add_argument(
        "--ca",
        metavar="PEM",
        type=Path,
        help="the authorities to trust with wss:// (default: the system's)",
    )
    where.add_argument("--interview", metavar="ID", help="default: the token's, or a new call-<8 hex digits>")
    where.add_argument(
        "--user", metavar="ID", default="preppald-call", help="when signing (default %(default)s)"
    )
    where.add_argument("--token", help="other users of this machine can read it here; better:")
    where.add_argument("--token-file", metavar="PATH", type=Path, help="a file that holds the token")

    how = parser.add_argument_group("how to behave")
    how.add_argument(
        "--speed",
        metavar="N",
        type=number(at_least=0.1, at_most=100),
        default=1.0,
        help="times real time; waits and playback go as fast (default 1)",
    )
    how.add_argument(
        "--wait",
        metavar="SECONDS",
        type=number(at_least=0.1, at_most=3600),
        default=15.0,
        help="how long to bear a silent interviewer (default 15); one that speaks is heard out",
    )
    how.add_argument("--barge-in", action="store_true", help="begin to speak while the greeting still plays")
    how.add_argument(
        "--repeat",
        metavar="N",
        type=count,
        default=1,
        help="say the file N times, hearing a reply after each (default 1)",
    )
    how.add_argument(
        "--hold",
        metavar="SECONDS",
        type=number(at_least=0, at_most=86_400),
        default=0.0,
        help="after the last reply, stay silent for so long before ending (default 0)",
    )
    how.add_argument(
        "--think",
        metavar="SECONDS",
        type=number(at_least=0, at_most=86_400),
        default=0.0,
        help="before each answer, ask for a pause to think and stay silent for so long (default 0); the interviewer "
        f"waits for {HOLD_SECONDS:.0f} s at most",
    )
    how.add_argument(
        "--slow-line",
        metavar="KB",
        type=number(at_least=0.5, at_most=10_000),
        help="take at most so many kilobytes a second; the interviewer's voice needs 49",
    )

    how.add_argument(
        "--line",
        metavar="LINE",
        type=_shape,
        help="be at the end of a bad line, like 96kbit,200ms,3%%: so many bits a second, so much delay and so many "
        "packets lost, each way; PCM needs 270kbit to the daemon and 400kbit back",
    )
    how.add_argument(
        "--codec",
        choices=("pcm", "opus"),
        default="pcm",
        help="carry the sound as Opus, a tenth of PCM, where the daemon grants it (default %(default)s)",
    )

    output = parser.add_argument_group("output")
    output.add_argument(
        "--save", metavar="WAV", type=Path, help="the interviewer's voice as it would have been heard, 24 kHz"
    )
    output.add_argument(
        "--transcript",
        metavar="JSON",
        type=Path,
        help="the turns: [{turn, speaker, text, began, complete, interrupted}]",
    )
    output.add_argument("--json", action="store_true", help="print only one JSON object, at the end")
    output.add_argument("--quiet", action="store_true", help="print failures only")


def run(arguments: argparse.Namespace) -> int:
    """Make the call; returns the exit status."""
    try:
        report = _call(arguments, os.environ)
    except BadWavError as error:
        report = Report(outcome=Outcome(Ending.BAD_FILE, reason=f"{error}."))
    except CannotWriteError as error:
        report = Report(outcome=Outcome(Ending.NOT_WRITTEN, reason=f"{error}."))
    except UsageError as error:
        report = Report(outcome=Outcome(Ending.USAGE, reason=f"{error}."))
    except KeyboardInterrupt:
        report = Report(outcome=Outcome(Ending.INTERRUPTED))
    if arguments.json:
        put(sys.stdout, report.as_json() + "\n")
    elif report.outcome.ending.status and (arguments.quiet or not report.interview_id):
        put(sys.stderr, f"preppald call: {report.outcome.sentence}\n")
    return report.outcome.ending.status


def _call(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Report:
    path = _speech_path(arguments)
    url = checked_url(arguments.url or daemon_url(environ) or DEFAULT_URL)
    trust = trusted(arguments.ca)
    if arguments.line is not None and arguments.slow_line is not None:
        raise UsageError("--line says how slow the line is: leave --slow-line out")
    library = opus.library() if arguments.codec == "opus" else None
    if arguments.codec == "opus" and library is None:
        raise UsageError("there is no libopus here (Debian: apt-get install libopus0)")
    for output in (arguments.save, arguments.transcript):
        _check_output(output, path)
    if not (arguments.token or arguments.token_file or environ.get(TOKEN_VARIABLE)):
        environ = {**environ, SECRET_VARIABLE: signing_secret(environ)}
    admitted = admission(
        token=arguments.token,
        token_file=arguments.token_file,
        interview_id=arguments.interview,
        user_id=arguments.user,
        environ=environ,
        now=int(datetime.now(UTC).timestamp()),
        demo=partial(from_demo, url, trust),
    )
    behaviour = Behaviour(
        speed=arguments.speed,
        wait=arguments.wait,
        hold=arguments.hold,
        think=arguments.think,
        answers=arguments.repeat,
        barge_in=arguments.barge_in,
    )
    with contextlib.closing(Speech(path)) as speech, _writer(arguments.save) as save:
        display = display_for(arguments)

        async def call() -> tuple[Report, Transcript]:
            async with _line(url, arguments) as dial:
                address = Address(url, admitted.interview_id, admitted.token, open_stream=dial, trust=trust)
                made = Call(address, speech, behaviour, display, save=save, library=library)
                return await made.run(), made.transcript

        report, transcript = run_trio(call)
        if arguments.transcript is not None:
            _write(arguments.transcript, transcript.as_json())
    return report


def _shape(text: str) -> Line:
    try:
        return line(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


@contextlib.asynccontextmanager
async def _line(url: str, arguments: argparse.Namespace) -> AsyncIterator[OpenStream | None]:
    """Yield how to dial; None for the usual way."""
    if arguments.line is not None:
        async with along(url, arguments.line, random.random) as dial:
            yield dial
    elif arguments.slow_line is not None:
        yield slow_line(url, arguments.slow_line * 1000)
    else:
        yield None


def _speech_path(arguments: argparse.Namespace) -> Path:
    if arguments.sample == (arguments.file is not None):
        raise UsageError("say what to say: either FILE.wav or --sample")
    path: Path = SAMPLE_ANSWER if arguments.sample else arguments.file
    if arguments.repeat > 1 and path.exists() and not path.is_file():
        raise UsageError(f"{path} can be read only once: --repeat needs a regular file")
    return path


def _check_output(output: Path | None, speech: Path) -> None:
    """Faults that would only show themselves after the call."""
    if output is None:
        return
    if not output.parent.is_dir():
        raise UsageError(f"{output} cannot be written: there is no folder {output.parent}")
    if output.exists() and speech.exists() and output.samefile(speech):
        raise UsageError(f"{output} is the file to say: it would be overwritten")


@contextlib.contextmanager
def _writer(path: Path | None) -> Iterator[WavWriter | None]:
    if path is None:
        yield None
        return
    with contextlib.closing(WavWriter(path, RATE_HZ)) as writer:
        yield writer


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise CannotWriteError(f"{path} cannot be written: {error.strerror or error}") from error


def display_for(arguments: argparse.Namespace) -> Display:
    """Return the display that the arguments and the terminal ask for."""
    if arguments.quiet or arguments.json:
        return SilentDisplay()
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        return TerminalDisplay(sys.stdout)
    return PlainDisplay(sys.stdout, sys.stderr)
