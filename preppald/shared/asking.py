"""One question of a command to the shared journal, on a connection of its own."""

from collections.abc import Mapping
from typing import Any

from preppald.errors import JournalError
from preppald.shared import migrations
from preppald.shared.link import Link

PATIENCE_SECONDS = 10.0


async def asked(
    url: str, statement: str, values: Mapping[str, object] | None = None
) -> list[tuple[Any, ...]]:
    """Return the rows of a statement's answer.

    Raises:
        JournalError: the shared journal does not answer, or has no tables.
    """
    link = Link(url, name="preppald command", patience=PATIENCE_SECONDS)
    try:
        there = await link.ask(migrations.EXISTS)
        if there == [(False,)]:
            raise JournalError("the shared journal has no tables yet: no preppald has been started with it")
        answer = await link.ask(statement, values) if isinstance(there, list) else there
    finally:
        link.close()
    if not isinstance(answer, list):
        raise JournalError(f"the shared journal does not answer: {answer.why}")
    return answer
