"""One setting: what a field of Config says of itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Setting:
    """The reading of one field of Config. ``doc`` is its line in docs/configuration.md, the env file and ``--help``.

    ``restart``: it is read at the start only; any other may change at SIGHUP, for the interviews that begin then.
    ``credential``: it names a file, and systemd's credential of its name is one. ``conventional``: other programs
    read the variable, too, and some write its name in small letters.
    """

    env: str
    read: Callable[[str], Any]
    doc: str
    default: str = ""
    secret: bool = False
    needed: bool = False
    restart: bool = False
    credential: bool = False
    conventional: bool = False


def setting(
    env: str,
    read: Callable[[str], Any],
    doc: str,
    *,
    default: str = "",
    secret: bool = False,
    needed: bool = False,
    restart: bool = False,
    credential: bool = False,
    conventional: bool = False,
) -> Any:  # a dataclass field, whatever the attribute's type says
    found = Setting(env, read, doc, default, secret, needed, restart, credential, conventional)
    return field(repr=not secret, metadata={"setting": found})
