"""The records that a command reads: this host's, or with ``--fleet`` those of all hosts that share a journal."""

import argparse
from collections.abc import Collection, Mapping, Sequence
import os
from pathlib import Path
from typing import Protocol

from preppald.config.load import shared_journal
from preppald.core.deliveries import DeliveryState, OutboxEntry
from preppald.core.interview import Interview
from preppald.core.quality import Quality
from preppald.core.turns import Fragment
from preppald.errors import ConfigError
from preppald.journal.archive import Archive, FoundInterview
from preppald.journal.reader import Which


class Records(Protocol):
    """``where``: the place in words. ``faults``: sentences about what could not be read."""

    faults: list[str]

    @property
    def where(self) -> str: ...

    def interviews(self, which: Which) -> Sequence[FoundInterview]: ...

    def sessions(self, interview_id: str) -> list[Interview]: ...

    def quality(self, interview: Interview, /) -> Quality | None: ...

    def fragments(self, interview_id: str, epoch: int) -> list[Fragment]: ...

    def owed(
        self, states: Collection[DeliveryState] = ..., of: str | None = None
    ) -> Sequence[OutboxEntry]: ...

    def stripped(self, interview_id: str) -> bool: ...


def add_fleet(parser: argparse.ArgumentParser) -> None:
    """Declare ``--fleet``."""
    parser.add_argument(
        "--fleet", action="store_true", help="of all hosts, from the shared journal (PREPPALD_SHARED_JOURNAL)"
    )


def records(arguments: argparse.Namespace, state_dir: Path) -> Records:
    """Return this host's records, or those of all hosts.

    Raises:
        ConfigError: all hosts' are asked for, and there is no shared journal.
    """
    if not arguments.fleet:
        return Archive(state_dir)
    # Memory and a driver that a host alone does without.
    from preppald.shared import archive_at  # noqa: PLC0415

    return archive_at(shared_url(os.environ))


def shared_url(env: Mapping[str, str]) -> str:
    """Return the URL of the shared journal.

    Raises:
        ConfigError: there is none.
    """
    if url := shared_journal(env):
        return url
    raise ConfigError(["PREPPALD_SHARED_JOURNAL: is not set, so this host knows of no others"])
