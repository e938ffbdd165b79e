# ruff: noqa: INP001 - a hook, not a module
"""Runs early in the one-file binary: what libraries import and nobody here uses is not read before it is used.

Each process of each instance would hold it for good: 3 MiB of 47.
"""

from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
import logging
import sys
import threading
from types import ModuleType
from typing import Any

UNUSED = frozenset(
    {
        "asyncio",  # structlog's methods for asyncio
        "csv",  # importlib.metadata's, for the files of a distribution
        "difflib",  # a spelling that is proposed, and verification, which has a process of its own
        "google.protobuf.internal.python_message",  # the parser in Python; ours is the one in C
        "gzip",  # what the Prometheus client could compress with
        "html",  # the error pages of http.server, which the Prometheus client could serve with
        "locale",  # calendars and child processes that speak another language
        "mimetypes",  # files that httpx could send, and http.server serve
    }
)

# One thread reads at a time; the others wait for it.
READING = threading.RLock()


class _Unread(ModuleType):
    """Stands in ``sys.modules`` until somebody asks it for a name. importlib's own is read at the second import."""

    def __getattr__(self, name: str) -> Any:
        later: Any = self.__loader__
        with READING:
            # Begun, it was read by another thread meanwhile, or asks for itself while it is read.
            if not later.begun:
                later.begun = True
                later.then.exec_module(self)
                self.__class__ = ModuleType  # type: ignore[assignment]  # it has the same layout
        return ModuleType.__getattribute__(self, name)


class _Later(Loader):
    def __init__(self, then: Loader) -> None:
        self.then = then
        self.begun = False

    def exec_module(self, module: ModuleType) -> None:
        module.__class__ = _Unread


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in UNUSED:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Later(spec.loader)
        return spec


# From Python 3.12 on every log record would ask asyncio for its task.
logging.logAsyncioTasks = False
sys.meta_path.insert(0, _Finder())
