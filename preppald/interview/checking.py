"""Checks one transcript: the work of a process of its own, which base64, TLS and alignments keep busy for seconds.

Each turn's finding goes into a file as soon as it is there, so that nothing is paid for twice: a process that was killed
leaves the file, and the next one goes on behind it. The file is locked, so that only one process checks a transcript.
"""

from collections.abc import Iterator, Sequence
import contextlib
import fcntl
import os
from pathlib import Path
from typing import BinaryIO

import httpx
import msgspec
import trio

from preppald.core import checks
from preppald.core.checks import (
    BYTES_PER_SECOND,
    MOST_SECONDS,
    Checked,
    CheckedTurn,
    Job,
    TurnToCheck,
    doubts,
)
from preppald.core.generation import PASSING, Generated, GenerationError
from preppald.core.verification import UNHEARD_SECONDS, judge
from preppald.errors import EX_TEMPFAIL, EX_UNAVAILABLE, PreppaldError
from preppald.net import redirects, tls
from preppald.net.proxy import Proxy, for_httpx
from preppald.recording import cutting
from preppald.recording.cutting import Channel, Voice
from preppald.recording.kept import find, progress
from preppald.recording.shelf import DIRECTORY_MODE, FILE_MODE, steadily

# Two calls at a time, so that an hour's answers take a minute and a quota of a minute is not used up by one interview.
AT_A_TIME = 2
CALL_SECONDS = 120.0
CONNECT_SECONDS = 10.0
# Waits before the second and the third try of a turn.
WAITS = (2.0, 15.0)
# A fifth of a second: no word is shorter, and an empty file may be refused like a wrong key.
LEAST_BYTES = BYTES_PER_SECOND // 5
# Statuses that every turn would get.
REFUSED = frozenset({400, 401, 403, 404})
# Two minutes' words are 3 kB, and the counts of tokens one more.
MAX_ANSWER_BYTES = 1024 * 1024


class NotChecked(PreppaldError):
    """Raised where a transcript cannot be checked now, or at all; the text gives the reason."""

    exit_status = EX_UNAVAILABLE


class CheckedElsewhere(NotChecked):
    """Another process checks this transcript."""

    exit_status = EX_TEMPFAIL


class _Call(msgspec.Struct, frozen=True):
    """A line of the file: a turn with its finding, None where there was no second text, and what the call cost."""

    number: int
    found: CheckedTurn | None
    sent_bytes: int = 0
    seconds: float = 0.0
    prompt_tokens: int = 0
    response_tokens: int = 0


async def check(job: Job) -> Checked:
    """Check a transcript, or what of it is not checked yet.

    Raises:
        NotChecked: there is no sound, or the model refuses all of it.
        CheckedElsewhere: another process does it.
        FileError, NotesError, NoCodec, OSError: the sound cannot be read.
    """
    state_dir = Path(job.state_dir)

    def open_sound() -> Channel | None:
        found = find(state_dir, job.shelves, job.interview_id, job.epoch, job.block)
        return None if found is None else Channel(found)

    channel = steadily(open_sound)
    if channel is None:
        raise NotChecked("there is no sound of it")
    where = progress(state_dir, job.interview_id, job.epoch, job.block)
    with contextlib.closing(channel), _findings(where) as file:
        voice = await trio.to_thread.run_sync(cutting.listen, channel)
        turns, passed_over = chosen(job, voice)
        work = _Work(job, channel, voice, turns, file)
        await work.run()
    if work.refusal is not None:
        raise NotChecked(work.refusal)
    calls = [it for _, it in sorted(work.calls.items())]
    failed = sum(it.found is None for it in calls)
    if calls and failed == len(calls):
        raise NotChecked("the model gave a text for none of its turns")
    return Checked(
        turns=tuple(it.found for it in calls if it.found is not None),
        calls=len(calls),
        sent_bytes=sum(it.sent_bytes for it in calls),
        seconds=round(sum(it.seconds for it in calls), 1),
        prompt_tokens=sum(it.prompt_tokens for it in calls),
        response_tokens=sum(it.response_tokens for it in calls),
        failed=failed,
        passed_over=passed_over,
    )


def chosen(job: Job, voice: Voice) -> tuple[list[TurnToCheck], int]:
    """Return the turns to be sent, with stretches of voice that are in none of them, and how many are passed over.

    A turn that was typed is not sent, for a second ear would call its text invented; and neither is what was spoken in
    it: what is found out about a turn is about all of its text. Voice in it is not unheard all the same.
    """
    found = [*(it for it in job.turns if not it.typed), *unheard(job, voice)]
    wanted = [
        it
        for it in found
        if not job.doubtful_only or doubts(it, voice.seconds(it.begin_ms, it.end_ms), job.languages)
    ]
    seconds, affordable = 0.0, []
    for it in wanted:
        seconds += (it.end_ms - it.begin_ms) / 1000
        if seconds <= MOST_SECONDS:
            affordable.append(it)
    return affordable, len(found) - len(affordable)


def unheard(job: Job, voice: Voice) -> Iterator[TurnToCheck]:
    """Yield stretches of two seconds of voice and more in which no turn was written down."""
    for begin, end in voice.stretches:
        covered = [(max(begin, it.begin_ms), min(end, it.end_ms)) for it in job.turns]
        written = sum(max(0, until - since) for since, until in covered)
        if end - begin >= UNHEARD_SECONDS * 1000 and not written:
            yield TurnToCheck(sum(it <= begin for it in job.begins_ms), "", begin, end)


class _Work:
    """The calls of one transcript, two at a time. ``refusal``: why there is no use in any more of them."""

    def __init__(
        self, job: Job, channel: Channel, voice: Voice, turns: Sequence[TurnToCheck], file: BinaryIO
    ) -> None:
        self.calls = {it.number: it for it in _read(file)}
        self.refusal: str | None = None
        self._job = job
        self._voice = voice
        self._file = file
        self._numbers = {it: number for number, it in enumerate(turns)}
        missing = [it for it in turns if self._numbers[it] not in self.calls]
        self._pieces = cutting.cut(channel, missing)

    async def run(self) -> None:
        """Send what is not in the file yet."""
        async with _client(self._job) as client, trio.open_nursery() as callers:
            for _ in range(AT_A_TIME):
                callers.start_soon(self._send_each, client)

    async def _send_each(self, client: httpx.AsyncClient) -> None:
        """Send turn after turn, until the last is sent."""
        for turn, pcm in self._pieces:
            body = checks.request(pcm, self._job.languages, self._job.vocabulary)
            found: CheckedTurn | None = None
            try:
                second = await self._ask(client, pcm, body)
            except GenerationError as error:
                paid = error.prompt_tokens, error.response_tokens
            else:
                paid = second.prompt_tokens, second.response_tokens
                found = self._judged(turn, second.text)
            if self.refusal is not None:
                return
            call = _Call(self._numbers[turn], found, len(body), len(pcm) / BYTES_PER_SECOND, *paid)
            self.calls[call.number] = call
            self._file.write(msgspec.json.encode(call) + b"\n")
            os.fsync(self._file.fileno())

    def _judged(self, turn: TurnToCheck, second: str) -> CheckedTurn:
        verdict = judge(turn.live, second, self._voice.seconds(turn.begin_ms, turn.end_ms))
        return CheckedTurn(
            turn.turn, turn.live, second, verdict.flag, verdict.confidence,
            verdict.second_is_better, turn.begin_ms, turn.end_ms,
        )  # fmt: skip

    async def _ask(self, client: httpx.AsyncClient, pcm: bytes, body: bytes) -> Generated:
        """Return the second text of one turn. Raises GenerationError: there is none."""
        if len(pcm) < LEAST_BYTES:
            raise GenerationError("there is no sound of it")
        headers = {
            "x-goog-api-key": self._job.key,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }
        for wait in (*WAITS, None):
            status: int | None = None
            with trio.move_on_after(CALL_SECONDS), contextlib.suppress(httpx.HTTPError, OSError):
                request = client.build_request("POST", self._job.url, headers=headers)
                request.stream = _Body(body)
                response = await client.send(request)
                status = response.status_code
                if status == httpx.codes.OK and len(response.content) <= MAX_ANSWER_BYTES:
                    return checks.decode(response.content)
            if status in REFUSED:
                self.refusal = f"Gemini answered {status}: it takes the key, or the model of PREPPALD_VERIFY_MODEL, for no good"
            if status is not None and status not in PASSING:
                raise GenerationError(f"Gemini answered {status}")
            if self.refusal is not None:
                break
            if wait is not None:
                await trio.sleep(wait)
        raise GenerationError("Gemini gave no answer")


class _Body(httpx.AsyncByteStream):
    """A request's body, sent once and whole.

    httpx's own is a generator: one that a cancelled call leaves behind is ended by the garbage collector, loudly.
    """

    def __init__(self, data: bytes) -> None:
        self._left = [data]

    def __aiter__(self) -> "_Body":
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


def _client(job: Job) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        timeout=httpx.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS),
        event_hooks=redirects.IGNORED,
        trust_env=False,
        verify=tls.machines_own(),
        proxy=for_httpx(None if job.proxy is None else Proxy(*job.proxy)),
    )


@contextlib.contextmanager
def _findings(path: Path) -> Iterator[BinaryIO]:
    """Open the file of findings, for this process alone."""
    path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckedElsewhere("another process checks it") from None
        yield file


def _read(file: BinaryIO) -> Iterator[_Call]:
    """Yield what is in the file; of a line that a dying process cut off nothing, and it is cut away."""
    file.seek(0)
    good = 0
    for line in file.read().splitlines(keepends=True):
        try:
            call = msgspec.json.decode(line, type=_Call)
        except msgspec.MsgspecError:
            break
        if not line.endswith(b"\n"):
            break
        good += len(line)
        yield call
    file.truncate(good)
