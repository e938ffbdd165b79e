"""The operator's page over interviews that talk: `python -m tests.web.operated [--interviews N] [--watch S] [CHECK…]`.

Starts a daemon with N interviews, then runs CHECK with the page's origin and the secret behind it. ``--watch`` says, before
that, how much of a core the daemon takes in so many seconds without a page, and then with one that watches.
"""

import argparse
from collections import Counter
from contextlib import suppress
import functools
from pathlib import Path
import sys
import tempfile

import trio
from websockets.exceptions import InvalidState

from tests.candidates import RATE_HZ, Candidate, silence, tone
from tests.processes.daemon import Daemon, daemon, many_descriptors

SECRET = "the operator's secret in tests"
SETTINGS = {
    "PREPPALD_ADMIN_SECRET": SECRET,
    "PREPPALD_ADMIN_TEXT": "on",
    "PREPPALD_MAX_CONNECTIONS_PER_ADDRESS": "2000",
    # A connection is changed while somebody looks.
    "PREPPALD_ROTATE_AFTER": "10s",
}
# A handful of different candidates: so long they speak, so long they listen.
SPEAKS, LISTENS = (3, 4, 5, 6, 7), 4
BETWEEN_ARRIVALS = 0.05
# Long pieces: it is the page that is looked at, and hundreds of candidates are one process.
PIECE_SECONDS = 0.1
PIECE_BYTES = round(RATE_HZ * PIECE_SECONDS) * 2


async def talk(candidate: Candidate, number: int) -> None:
    """Speak and listen, until the operator ends it."""
    await candidate.until("session_started")
    with suppress(InvalidState, trio.BrokenResourceError, trio.ClosedResourceError):
        while True:
            sound = tone(SPEAKS[number % len(SPEAKS)]) + silence(LISTENS)
            for at in range(0, len(sound), PIECE_BYTES):
                await candidate.send_audio(sound[at : at + PIECE_BYTES])
                await trio.sleep(PIECE_SECONDS)


def say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


async def load(running: Daemon, seconds: float) -> float:
    """Return the share of a core that the daemon takes."""
    began, before = trio.current_time(), running.cpu_seconds
    await trio.sleep(seconds)
    return (running.cpu_seconds - before) / (trio.current_time() - began)


async def watch(running: Daemon) -> None:
    """Watch as a page does."""
    async with await trio.open_tcp_stream("127.0.0.1", running.admin_port) as stream:
        head = f"GET /live HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {SECRET}\r\n\r\n"
        await stream.send_all(head.encode())
        async for _part in stream:
            pass


async def main(arguments: argparse.Namespace) -> int:
    many_descriptors()
    with tempfile.TemporaryDirectory() as folder:
        async with trio.open_nursery() as nursery, daemon(Path(folder), SETTINGS) as running:
            for number in range(arguments.interviews):
                candidate = await running.candidate(nursery, f"interview-{number:03d}")
                nursery.start_soon(talk, candidate, number)
                await trio.sleep(BETWEEN_ARRIVALS)
            say(f"{arguments.interviews} interviews at http://127.0.0.1:{running.admin_port}/")
            if arguments.watch:
                say(f"without a page {await load(running, arguments.watch):.1%} of a core")
                async with trio.open_nursery() as watching:
                    watching.start_soon(watch, running)
                    say(f"with one       {await load(running, arguments.watch):.1%}")
                    watching.cancel_scope.cancel()
            status = 0
            if arguments.check:
                command = [
                    *arguments.check,
                    f"http://127.0.0.1:{running.admin_port}",
                    SECRET,
                    *arguments.folder,
                ]
                status = (await trio.run_process(command, check=False)).returncode
            ended = Counter(str(line["ending"]) for line in running.lines("session.ended"))
            say(f"ended meanwhile: {dict(ended) or 'none'}")
            nursery.cancel_scope.cancel()
    return status


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interviews", type=int, default=4)
    parser.add_argument("--watch", type=float, default=0.0)
    parser.add_argument("--folder", action="append", default=[])
    parser.add_argument("check", nargs="*")
    sys.exit(trio.run(functools.partial(main, parser.parse_args())))
