"""Starting programs that we did not write, and hearing what they say."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

import trio

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
# Google's SDK in an environment of its own: nothing of it may leak into what is tested.
SDK_PYTHON = ROOT / "build/foreign/venv/bin/python"
# Node starts in under a second, even where eight people share two cores.
START_SECONDS = 30


@dataclass
class Program:
    """A running program that tells one JSON object a line."""

    process: trio.Process
    told: list[dict[str, Any]] = field(default_factory=list)
    news: trio.Event = field(default_factory=trio.Event)

    async def listen(self) -> None:
        assert self.process.stdout is not None
        unread = b""
        async for data in self.process.stdout:
            *lines, unread = (unread + data).split(b"\n")
            self.told += [json.loads(line) for line in lines if line.startswith(b"{")]
            self.news.set()
            self.news = trio.Event()

    async def line(self, number: int, seconds: float = START_SECONDS) -> dict[str, Any]:
        """The line of this number, when it is there."""
        with trio.fail_after(seconds):
            while len(self.told) <= number:
                await self.news.wait()
        return self.told[number]


@asynccontextmanager
async def started(command: Sequence[str | Path]) -> AsyncIterator[Program]:
    """A program that runs until it is no longer needed."""
    process = await trio.lowlevel.open_process(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    program = Program(process)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(program.listen)
        try:
            yield program
        finally:
            process.terminate()
            with trio.CancelScope(shield=True):
                await process.wait()
            nursery.cancel_scope.cancel()


async def finished(command: Sequence[str | Path], **environment: str) -> None:
    """Runs a program to its end, which must be a good one; what it printed is shown where it is not."""
    done = await trio.run_process(
        [str(word) for word in command],
        capture_stdout=True,
        stderr=subprocess.STDOUT,
        check=False,
        env={**os.environ, **environment},
        cwd=HERE,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")


PREPPALD = (sys.executable, "-m", "preppald")
