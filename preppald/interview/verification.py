"""Checked transcripts: after a transcript is acknowledged, a second ear hears the candidate's turns. Best effort.

Rule 1: no failure here changes a delivery; the live transcript stands as it was delivered, and the check beside it.
Rule 2: a check goes through the journal and the outbox, like everything that the backend is owed.
Rule 3: one transaction records the acknowledgement and that a check is due; another one records the check and that none
        is due any more. A check that a stop or a kill cuts short is gone on with, where there still is sound: the
        findings so far are in a file, see checking.py.
Rule 4: the work is done by a process of its own, at the lowest priority, one transcript at a time.
"""

from collections.abc import Awaitable, Callable
import contextlib
from functools import partial
import os
from pathlib import Path
import subprocess
import sys
import time

import msgspec
import trio

from preppald.config.gemini_setup import gemini_setup
from preppald.core import gemini
from preppald.core.checks import Checked, Job, TurnToCheck
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.deliveries import (
    Delivery,
    DeliveryKind,
    TranscriptSubmission,
    Work,
    verification_delivery,
)
from preppald.core.interview import Interview
from preppald.core.turns import Speaker
from preppald.errors import EX_TEMPFAIL, JournalError, PreppaldError
from preppald.interview.services import Services
from preppald.interview.spending import interview_of, spend
from preppald.recording import kept
from preppald.recording.keeper import FINISHER_BYTES
from preppald.recording.shelf import BeingRecorded, is_running

# An hour's answers take a minute or two; a model that is slow to each of four hundred turns takes longer.
CHECK_SECONDS = 1800.0
# Waits before the second and the third try, each up to twice that by chance.
WAITS = (10.0, 60.0)
# The recorder's last half second, and a keeper that finishes the recording meanwhile.
SOUND_SECONDS = 30.0
# The wait while the journal's disk does not answer, or no memory is free.
FAULT_SECONDS = 5.0
# How long a check waits for memory, which interviews get first: sound that is kept for it alone goes after an hour.
ROOM_SECONDS = 3600.0
# The interval of looking by itself: transcripts taken over from another instance ring no bell.
LOOK_SECONDS = 60.0

Check = Callable[[Job], Awaitable[Checked]]


class CheckFailed(PreppaldError):
    """Raised where a transcript was not checked. ``passing``: another try may do better."""

    def __init__(self, why: str, *, passing: bool = True) -> None:
        super().__init__(why)
        self.passing = passing


async def in_a_process(job: Job) -> Checked:
    """Check in a process that ends with us.

    Raises:
        CheckFailed: it did not; the text says why.
    """
    frozen = getattr(sys, "frozen", False)
    program = [sys.executable] if frozen else [sys.executable, "-m", "preppald"]
    env = {**os.environ, "PREPPALD_STATE_DIR": job.state_dir, "PYINSTALLER_RESET_ENVIRONMENT": "1"}
    run = partial(trio.run_process, [*program, "recording", "--check"], env=env, check=False)
    done: subprocess.CompletedProcess[bytes] | None = None
    with trio.move_on_after(CHECK_SECONDS):
        try:
            done = await run(stdin=msgspec.json.encode(job), capture_stdout=True, capture_stderr=True)
        except OSError as error:
            raise CheckFailed(f"{program[0]} cannot be run: {error.strerror}") from error
    if done is None:
        raise CheckFailed(f"it takes longer than {CHECK_SECONDS:.0f} s")
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2].removeprefix("preppald: ")
        raise CheckFailed(
            words or f"status {done.returncode}",
            passing=done.returncode < 0 or done.returncode == EX_TEMPFAIL,
        )
    return msgspec.json.decode(done.stdout, type=Checked)


class Verifier:
    """Has transcripts checked. ``run`` is its task; ``delivered`` takes each acknowledged delivery and returns at once.

    ``done`` is called with the key of each transcript that is checked, or will not be.
    """

    def __init__(
        self,
        services: Services,
        *,
        check: Check = in_a_process,
        done: Callable[[str], None] = lambda _key: None,
    ) -> None:
        self._services = services
        self._check = check
        self._done_with = done
        # Keys that are settled, until that is on disk.
        self._settled: set[str] = set()
        self._bell = trio.lowlevel.ParkingLot()
        self._delivered = 0

    def delivered(self, delivery: Delivery) -> None:
        """Note an acknowledged delivery; after a transcript a check is due, in the acknowledgement's transaction."""
        if delivery.kind is DeliveryKind.TRANSCRIPT and self._services.config.verify != "off":
            self._services.journal.note_due(Work.VERIFICATION, delivery.key, due=True)
            self._delivered += 1
            self._bell.unpark_all()

    async def run(self) -> None:
        """Check until cancelled, first what the last process left due."""
        async with trio.open_nursery() as tasks:
            tasks.start_soon(self._remove_old)
            while True:
                delivery = await self._next()
                try:
                    await self._check_one(delivery)
                except JournalError:
                    await trio.sleep(FAULT_SECONDS)  # it is still due
                    continue
                except (PreppaldError, OSError) as error:
                    self._failed(delivery, _words(error))
                except Exception:
                    self._services.log.exception("verification.bug", interview=delivery.interview_id)
                    self._services.metrics.verification.labels("failed").inc()
                # After success and failure alike; what is cancelled stays due.
                await self._settle(delivery)

    def _failed(self, delivery: Delivery, why: str) -> None:
        self._services.log.error("verification.failed", interview=delivery.interview_id, cause=why)
        self._services.metrics.verification.labels("failed").inc()

    async def _settle(self, delivery: Delivery) -> None:
        """Have the check and that none is due any more in one transaction; only then the sound goes.

        Where that fails, the sound goes within the hour.
        """
        journal, name = self._services.journal, delivery.interview_id
        journal.note_due(Work.VERIFICATION, delivery.key, due=False)
        self._settled.add(delivery.key)
        self._done_with(delivery.key)
        try:
            await journal.flush(hurry=False)
            await self._remove(delivery)
        except (
            JournalError,
            OSError,
            BeingRecorded,
        ) as error:  # of the disk, or of an operator at that moment
            self._services.log.warning("verification.not_removed", interview=name, why=_words(error))
        except Exception:
            self._services.log.exception("verification.bug", interview=name)  # it costs no daemon

    async def _next(self) -> Delivery:
        """Return a transcript that is to be checked."""
        while True:
            seen = self._delivered
            try:
                if self._services.config.verify != "off" and (found := await self._ask_journal()):
                    return found
            except JournalError:
                await trio.sleep(FAULT_SECONDS)  # it says so itself
                continue
            if seen == self._delivered:
                with trio.move_on_after(LOOK_SECONDS):
                    await self._bell.park()

    async def _ask_journal(self) -> Delivery | None:
        settled = frozenset(self._settled)
        await self._services.journal.flush(hurry=False)
        self._settled -= settled
        return await self._services.journal.due(Work.VERIFICATION, self._settled)

    async def _check_one(self, delivery: Delivery) -> None:
        services = self._services
        interview = await interview_of(services, delivery)
        submission = msgspec.json.decode(delivery.payload, type=TranscriptSubmission)
        turns = tuple(
            TurnToCheck(number, line.content, line.begin_ms, line.end_ms, line.typed)
            for number, line in enumerate(submission.lines)
            if line.speaker is Speaker.USER and line.begin_ms is not None and line.end_ms is not None
        )
        ceiling = services.config.max_tokens
        if interview is None or (ceiling and interview.usage.total >= ceiling):
            raise CheckFailed("the interview is gone" if interview is None else "its tokens are used up")
        await self._wait_for_room()
        await self._wait_for_sound(interview)
        begins_ms = tuple(line.begin_ms or 0 for line in submission.lines)
        checked = await self._tried(await self._job(interview, turns, begins_ms))
        await spend(services, delivery, checked.usage)
        owed = verification_delivery(
            interview.interview_id,
            interview.epoch,
            checked.turns,
            model=services.config.verify_model,
            now_ms=services.now_ms(),
            block=interview.block,
        )
        services.journal.add_delivery(owed)
        flagged = sum(it.second_is_better for it in checked.turns)
        services.metrics.verification.labels("checked").inc()
        for it in checked.turns:
            services.metrics.verified_turns.labels(it.flag.value.replace(" ", "_")).inc()
        services.log.info(
            "verification.done",
            interview=interview.interview_id,
            turns=len(checked.turns),
            flagged=flagged,
            failed=checked.failed,
            passed_over=checked.passed_over,
            calls=checked.calls,
            seconds=checked.seconds,
            sent_bytes=checked.sent_bytes,
            cost_dollars=round(services.config.prices.cost(checked.usage), 4),
        )

    async def _wait_for_room(self) -> None:
        """Return when the process fits into memory. Raises CheckFailed: it does not within the hour."""
        with trio.move_on_after(ROOM_SECONDS):
            while not self._services.memory.room(FINISHER_BYTES):  # noqa: ASYNC110 - memory rings no bell
                await trio.sleep(FAULT_SECONDS)
            return
        raise CheckFailed("there was no memory for it within the hour", passing=False)

    async def _wait_for_sound(self, interview: Interview) -> None:
        """Return when all of it is written down. Raises CheckFailed: there is none."""
        wanted = interview.interview_id, interview.epoch, interview.block
        find = partial(kept.find, self._state_dir)
        for _ in range(round(SOUND_SECONDS)):
            shelves = kept.shelves(self._state_dir)
            found = await trio.to_thread.run_sync(find, shelves, *wanted)
            if found is None:
                raise CheckFailed("there is no sound of it", passing=False)
            # The interview is over: notes that nobody writes to were left by a process that died before it said so.
            with contextlib.suppress(FileNotFoundError):  # the keeper has finished it since
                if found.file is not None or not await trio.to_thread.run_sync(is_running, found):
                    return
            await trio.sleep(1.0)
        raise CheckFailed("its sound is still being written")

    async def _job(
        self, interview: Interview, turns: tuple[TurnToCheck, ...], begins_ms: tuple[int, ...]
    ) -> Job:
        config = self._services.config
        head, version = gemini.versioned(config.gemini_url.path)
        url = config.gemini_url.http_at(f"{head}/{version}/models/{config.verify_model}:generateContent")
        known = NOTHING_KNOWN
        if interview.context is not None:
            known = msgspec.json.decode(interview.context, type=Context)
        elif isinstance(asked := await self._services.backend.context(interview.interview_id), Context):
            known = asked
        hints = gemini_setup(config, "", known)
        proxy = config.proxy_for(config.gemini_url.http)
        return Job(
            interview_id=interview.interview_id,
            epoch=interview.epoch,
            block=interview.block,
            state_dir=str(self._state_dir),
            shelves=kept.shelves(self._state_dir),
            doubtful_only=config.verify == "doubtful",
            begins_ms=begins_ms,
            turns=turns,
            url=url,
            key=config.gemini_key,
            proxy=None if proxy is None else (proxy.host, proxy.port, proxy.user, proxy.password),
            languages=tuple(hints.language_codes),
            vocabulary=tuple(hints.vocabulary),
        )

    async def _tried(self, job: Job) -> Checked:
        for wait in (*WAITS, None):
            try:
                return await self._check(job)
            except CheckFailed as error:
                if wait is None or not error.passing:
                    raise
            await trio.sleep(wait * (1 + self._services.chance()))
        raise AssertionError("the last wait is none")

    # -------------------------------------------------------------- the sound that is kept for this alone

    @property
    def _state_dir(self) -> Path:
        return self._services.config.state_dir.absolute()

    async def _remove(self, delivery: Delivery) -> None:
        """Remove what was kept for the check alone; a recording stays."""
        own, name = self._services.kept, delivery.interview_id
        remove = partial(kept.remove, self._state_dir, own, name, delivery.epoch, delivery.block)
        await trio.to_thread.run_sync(remove)

    async def _remove_old(self) -> None:
        """Remove sound that nobody checked within the hour, and findings that a kill left behind a check."""
        own = self._services.kept
        if own is None:
            return
        while True:
            await trio.sleep(LOOK_SECONDS)
            now = time.time()  # noqa: TID251 - files have the wall clock's times
            if removed := await self._tried_to_remove(own.remove_older, now):
                self._services.log.warning("verification.sound_removed", interviews=removed)
            await self._tried_to_remove(partial(kept.remove_findings, self._state_dir), now)

    async def _tried_to_remove(self, remove: Callable[[float], int | None], now: float) -> int | None:
        """Return what this returns, or None where it fails: the next look tries again."""
        try:
            return await trio.to_thread.run_sync(remove, now)
        except OSError as error:
            self._services.log.warning("verification.not_removed", why=_words(error))
        except Exception:
            self._services.log.exception("verification.bug")
        return None


def _words(error: Exception) -> str:
    """Return why something failed; without a file's name, which has an interview's in it."""
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
