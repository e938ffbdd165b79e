"""Tells how much memory the process and its control group use, and if there is room for another interview."""

from collections.abc import Callable
from contextlib import suppress
import ctypes
from dataclasses import dataclass
from pathlib import Path
import resource

# The share of the control group's memory; the rest is for running interviews, and for the page cache, which counts.
SHARE = 0.8
# A control group without a limit says "max"; the older kind writes a number near 2**63.
NO_LIMIT_BYTES = 2**60
# Of malloc.h.
M_ARENA_MAX = -8
# All files of this kind are one line.
LINE_BYTES = 4096


def resident_bytes() -> int:
    """Return the resident bytes of this process."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0  # not Linux: nothing to go by
    return pages * resource.getpagesize()


def share_one_heap() -> None:
    """Have threads that begin from now on share the process's heap, where the C library can (mallopt(3), glibc).

    Each would keep some hundred kilobytes of a heap of its own; and they wait for Python's lock more than for this one.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def give_back() -> None:
    """Give back to the system what the allocator holds and nobody uses, where the C library can (malloc_trim(3), glibc).

    A start reads some hundred modules, and leaves half a megabyte of it behind.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@dataclass(frozen=True, slots=True)
class Group:
    """The control group, of the process's and those above it, with the tightest limit in bytes."""

    limit: int
    directory: Path

    def used(self) -> int:
        """Return the bytes that the kernel would count against the limit and cannot take back at once.

        That is more than the process: the unpacked binary in a tmpfs, the recordings' finisher, and kernel memory count,
        too. Page cache that nobody has used lately is given back before anybody is killed.
        """
        usage = _number(self.directory / "memory.current") or _number(
            self.directory / "memory.usage_in_bytes"
        )
        stat = dict(
            line.split(" ", 1) for line in _text(self.directory / "memory.stat").splitlines() if " " in line
        )
        idle = stat.get("inactive_file", "0").strip()
        return max(0, usage - (int(idle) if idle.isdigit() else 0))


def group(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> Group | None:
    """Return the group that limits this process's memory most; None for no limit."""
    found: list[Group] = []
    for line in _text(proc).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            found += _limits(root, path, ("memory.max", "memory.high"))
        elif "memory" in controllers.split(","):
            found += _limits(root / "memory", path, ("memory.limit_in_bytes",))
    return min(found, key=lambda it: it.limit, default=None)


def group_limit(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return the memory that the process's control group, and those above it, allow at most; None for no limit."""
    found = group(proc, root)
    return None if found is None else found.limit


def group_used() -> int:
    """Return what counts against the tightest limit now; what the process holds where there is none."""
    found = group()
    return resident_bytes() if found is None else found.used()


def _limits(root: Path, path: str, names: tuple[str, ...]) -> list[Group]:
    here = root / path.lstrip("/")
    found = []
    # In a container the group's path is often that of the host, and not there: the root then holds the limit.
    for directory in (here, *here.parents):
        found += [Group(_number(directory / name), directory) for name in names]
        if directory == root:
            break
    return [it for it in found if 0 < it.limit < NO_LIMIT_BYTES]


def _number(file: Path) -> int:
    text = _text(file).strip()
    return int(text) if text.isascii() and text.isdigit() else 0


def _text(file: Path) -> str:
    try:
        with file.open(encoding="ascii", errors="replace") as lines:
            return lines.read(LINE_BYTES)
    except OSError:
        return ""


class Memory:
    """Answer if there is room for more.

    ``resident``: returns the bytes that the process holds. ``allowed``: returns the bytes that the system allows, if it
    says. ``used``: returns the bytes that count against those; by default those that the process holds.
    """

    def __init__(
        self,
        resident: Callable[[], int] = resident_bytes,
        allowed: Callable[[], int | None] = group_limit,
        used: Callable[[], int] | None = None,
    ) -> None:
        self._resident = resident
        self._used = used or resident
        self._limit = allowed()

    def short(self, high_water: int | None) -> bool:
        """Return True above the operator's mark; without one, above our share of what the system allows."""
        if high_water is not None:
            return self._resident() > high_water
        return self._limit is not None and self._used() > self._limit * SHARE

    def room(self, size: int) -> bool:
        """Return True where ``size`` bytes more fit into our share of what the system allows."""
        return self._limit is None or self._used() + size <= self._limit * SHARE
