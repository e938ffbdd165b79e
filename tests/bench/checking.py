"""The daemon's lateness beside checks of transcripts, in pairs: a run with them and one without, in turns first.

    python -m tests.bench.checking [--nice -15] [--sessions 100] [--pairs 5] [--seconds 10] [--as-service]

With them, hours' interviews of thirty minutes of answers, 120 of 14.8 s, are checked one after another, on the daemon's own
core for as long as it is measured: an hour with such a check takes a few seconds of it. The process is the daemon's own
(`preppald recording --check`); the model is simulated, beside the load. ``--as-service``: at the daemon's own priority, as in
the systemd service, whose sandbox forbids a lower one. Prints each run, and the medians.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
import os
from pathlib import Path
import shutil
import signal
from statistics import median
import subprocess
import sys
import tempfile

import msgspec
import trio

from preppald.core.checks import Checked, Job, TurnToCheck
from preppald.recording import kept
from preppald.recording.shelf import DIRECTORY
from preppald.simulator import GeminiSimulator, Scenario, serve_gemini
from tests.bench.device import PREPPALD, prioritise
from tests.bench.measure import Setting, Steady, steady
from tests.bench.pairs import say, told
from tests.bench.patterns import PATTERNS
from tests.bench.ways import WAYS
from tests.verification.rig import VOICE_ENDS_MS, WORDS, noted

SESSIONS, PAIRS, SECONDS = 100, 5, 10.0
# Two sample answers each, one right behind the other.
ANSWERS, EVERY_SECONDS, SECOND_AFTER = 120, 30.0, 7.67
ANSWER_MS = round(SECOND_AFTER * 1000) + VOICE_ENDS_MS - 200
GO_AWAY_SECONDS = 10.0
# By so much the simulated model gives way to the load: Google's computers are elsewhere.
BEHIND = 5
AT_ITS_OWN = "from preppald.commands import recording; recording._give_way = lambda: None; raise SystemExit(recording._check())"


def job(state_dir: Path, port: int) -> Job:
    """Leave an hour's sound, and return the order to check it."""
    begins = [5.0 + EVERY_SECONDS * number for number in range(ANSWERS)]
    noted(state_dir, [at for begin in begins for at in (begin, begin + SECOND_AFTER)])
    return Job(
        interview_id="iv",
        epoch=1,
        block=0,
        state_dir=str(state_dir),
        shelves=(DIRECTORY,),
        doubtful_only=False,
        begins_ms=tuple(round(begin * 1000) for begin in begins),
        turns=tuple(
            TurnToCheck(number, f"{WORDS} {WORDS}", round(begin * 1000), round(begin * 1000) + ANSWER_MS)
            for number, begin in enumerate(begins)
        ),
        url=f"http://127.0.0.1:{port}/v1beta/models/gemini-3.5-transcribe:generateContent",
        key="any",
    )


async def check_for_ever(state_dir: Path, given: argparse.Namespace) -> None:
    """Check until killed; a line for each check that was done."""
    async with trio.open_nursery() as nursery:
        port = await nursery.start(partial(serve_gemini, ("127.0.0.1", 0), GeminiSimulator(Scenario())))
        order = msgspec.json.encode(job(state_dir, port))
        program = ["-c", AT_ITS_OWN] if given.as_service else ["-m", "preppald", "recording", "--check"]
        # As a child of the daemon's: it inherits that one's priority, and gives way from there.
        command = ["nice", "-n", str(-BEHIND), "taskset", "-c", str(given.core), sys.executable, *program]
        env = {**os.environ, "PREPPALD_STATE_DIR": str(state_dir)}
        while True:
            done = await trio.run_process(command, stdin=order, capture_stdout=True, env=env)
            checked = msgspec.json.decode(done.stdout, type=Checked)
            say(f"{checked.calls} calls, {checked.failed} failed")
            kept.progress(state_dir, "iv", 1, 0).unlink()


@contextmanager
def checks(given: argparse.Namespace) -> Iterator[Callable[[], int]]:
    """Have checks run, one after another; yield a function that counts the answers that were checked."""
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "lines"
        command = [sys.executable, "-m", "tests.bench.checking", "--check", folder, *sys.argv[1:]]
        with lines.open("wb") as output:
            # Behind the load, on whose core it is.
            process = subprocess.Popen(
                ["nice", "-n", str(BEHIND), *command], stdout=output, start_new_session=True
            )
        try:
            findings = kept.progress(Path(folder), "iv", 1, 0)

            def answers() -> int:
                present = findings.read_bytes().count(b"\n") if findings.exists() else 0
                return lines.read_bytes().count(b"calls") * ANSWERS + present

            while not answers():
                if process.poll() is not None:
                    raise RuntimeError("the checks ended")
                trio.run(trio.sleep, 0.1)
            yield answers
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(GO_AWAY_SECONDS)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.checking",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each run (10)")
    parser.add_argument("--pattern", choices=PATTERNS, default="20ms")
    parser.add_argument("--way", choices=WAYS, default="ws")
    parser.add_argument("--core", type=int, default=0, help="the daemon's, and the checks' (0)")
    parser.add_argument("--nice", type=int, default=0, help="the daemon's and the load's priority")
    parser.add_argument("--as-service", action="store_true")
    parser.add_argument("--check", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if shutil.which("taskset") is None:
        parser.error("taskset is needed (util-linux)")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0) - {given.core})})
    if given.check is not None:
        trio.run(check_for_ever, given.check, given)
        return 0
    if given.nice:
        prioritise(os.getpid(), given.nice)
    compare(given)
    return 0


def compare(given: argparse.Namespace) -> None:
    """Run the pairs, and print what they show."""
    setting = Setting(
        sys.executable, Path.cwd(), (given.core,), given.seconds, nice=given.nice, way=WAYS[given.way]
    )
    run = partial(steady, PREPPALD, PATTERNS[given.pattern], given.sessions, setting)
    runs: dict[str, list[Steady]] = {"with": [], "without": []}
    for number in range(given.pairs):
        for which in sorted(runs, reverse=bool(number % 2)):
            if which == "without":
                found, done = run(), 0
            else:
                with checks(given) as answers:
                    before = answers()
                    found = run()
                    done = answers() - before
            runs[which].append(found)
            say(
                f"{number + 1} {told(f'{which:7}', found)}, down {found.down_p99_ms:.1f} ms, {done} answers checked"
            )
    for which, each in runs.items():
        up, down = (median(getattr(it, name) for it in each) for name in ("up_p99_ms", "down_p99_ms"))
        cpu, half = median(it.cpu for it in each), median(it.up_p50_ms for it in each)
        say(f"{which:7} up p50 {half:.2f}, p99 {up:.2f} ms, down p99 {down:.2f} ms, {cpu:.1%} of a core")


if __name__ == "__main__":
    sys.exit(main())
