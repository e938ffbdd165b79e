"""Finds the live interviews of the journal that nothing runs, and makes sure that none of their numbers is used again."""

from collections.abc import Container
from dataclasses import replace

from preppald.core.interview import Interview
from preppald.core.turns import SEQ_LEAP, Fragment
from preppald.errors import JournalError
from preppald.journal import Journal
from preppald.telemetry.logs import Logger


async def to_resume(
    journal: Journal, running: Container[str], log: Logger
) -> list[tuple[Interview, list[Fragment]]]:
    """Return the interviews that are to be run, each with what was said. One's trouble is its own.

    ``running``: the ids of those that run here already.
    """
    found: list[tuple[Interview, list[Fragment]]] = []
    for interview in journal.live():
        if interview.interview_id in running:
            continue
        try:
            said = await journal.history(interview.interview_id, interview.epoch)
        except JournalError as error:
            log.error("interviews.not_resumed", interview=interview.interview_id, cause=str(error))  # noqa: TRY400 - the disk's fault
            continue
        floor = SEQ_LEAP + max(interview.seq_floor, said[-1].seq if said else 0)
        journal.raise_floor(interview.interview_id, interview.epoch, floor)
        found.append((replace(interview, seq_floor=floor), said))
    if found:
        try:
            # A process that is killed now must not have its numbers used again by the next one.
            await journal.flush()
        except JournalError as error:
            log.error("interviews.numbers_not_durable", cause=str(error))  # noqa: TRY400 - the disk's fault
    return found
