"""Chooses the journal that hosts share: PostgreSQL where a URL is set, otherwise this host alone."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from preppald.errors import StartError
from preppald.shared.alone import Alone
from preppald.shared.protocol import Shared

if TYPE_CHECKING:
    from preppald.shared.archive import SharedArchive
    from preppald.shared.forgetting import SharedForgetter
    from preppald.shared.hosts import Hosts


async def examined(url: str, now_ms: Callable[[], int]) -> list[tuple[str, bool, str]]:
    """Return findings about the database at a URL: about what, whether that is good, and words; none for empty text."""
    if not url:
        return []
    try:
        from preppald.shared.examine import examine  # noqa: PLC0415 - as below
    except ImportError as error:
        return [("shared journal", False, _lacking(error))]
    return await examine(url, now_ms)


def archive_at(url: str) -> "SharedArchive":
    """Return what the shared journal at a URL has, for commands. Nothing is connected yet.

    Raises:
        StartError: the driver is not installed.
    """
    try:
        from preppald.shared.archive import SharedArchive  # noqa: PLC0415 - as below
    except ImportError as error:
        raise StartError(_lacking(error)) from error
    return SharedArchive(url)


def hosts_at(url: str) -> "Hosts":
    """Return the hosts that share the journal at a URL, for commands. Nothing is connected yet.

    Raises:
        StartError: the driver is not installed.
    """
    try:
        from preppald.shared.hosts import Hosts  # noqa: PLC0415 - as below
    except ImportError as error:
        raise StartError(_lacking(error)) from error
    return Hosts(url)


def forgetter_at(url: str, ours: Collection[int]) -> "SharedForgetter":
    """Return what removes interviews from the shared journal at a URL. Nothing is connected yet.

    ``ours``: incarnations of the state directory that is forgotten in.

    Raises:
        StartError: the driver is not installed.
    """
    try:
        from preppald.shared.forgetting import SharedForgetter  # noqa: PLC0415 - as below
    except ImportError as error:
        raise StartError(_lacking(error)) from error
    return SharedForgetter(url, ours)


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
