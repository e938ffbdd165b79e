"""Chooses the journal that hosts share: PostgreSQL where a URL is set, otherwise this host alone."""

from collections.abc import Callable

from preppald.errors import StartError
from preppald.shared.alone import Alone
from preppald.shared.protocol import Shared


async def examined(url: str, now_ms: Callable[[], int]) -> list[tuple[str, bool, str]]:
    """Return findings about the database at a URL: about what, whether that is good, and words; none for empty text."""
    if not url:
        return []
    try:
        from preppald.shared.examine import examine  # noqa: PLC0415 - as below
    except ImportError as error:
        return [("shared journal", False, _lacking(error))]
    return await examine(url, now_ms)


def _lacking(error: ImportError) -> str:
    return (
        f"PREPPALD_SHARED_JOURNAL needs psycopg, which cannot be imported ({error}): "
        "pip install 'preppald[postgres]'"
    )


def shared_for(url: str) -> Shared:
    """Return the shared journal at a URL; for empty text one host alone. Nothing is connected yet.

    Raises:
        StartError: the driver is not installed.
    """
    if not url:
        return Alone()
    try:
        # Eight megabytes that a host alone does without.
        from preppald.shared.postgres import Postgres  # noqa: PLC0415
    except ImportError as error:
        raise StartError(_lacking(error)) from error
    return Postgres(url)
