"""Measures the process's memory, and decides whether there is room for another interview."""

from collections.abc import Callable
from pathlib import Path
import resource

# The share of the control group's memory; the rest is for running interviews, and for the page cache, which counts.
SHARE = 0.8
# A control group without a limit says "max"; the older kind writes a number near 2**63.
NO_LIMIT_BYTES = 2**60
# All files of this kind are one line.
LINE_BYTES = 4096


def resident_bytes() -> int:
    """Return the resident bytes of this process."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0  # not Linux: nothing to go by
    return pages * resource.getpagesize()


def group_limit(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return the bytes that the process's control group, and those above it, allow; None for no limit."""
    found = []
    for line in _text(proc).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            found += _limits(root, path, ("memory.max", "memory.high"))
        elif "memory" in controllers.split(","):
            found += _limits(root / "memory", path, ("memory.limit_in_bytes",))
    return min(found, default=None)


def _limits(root: Path, path: str, names: tuple[str, ...]) -> list[int]:
    here = root / path.lstrip("/")
    found = []
    # In a container the group's path is often that of the host, and not there: the root then holds the limit.
    for directory in (here, *here.parents):
        texts = [_text(directory / name).strip() for name in names]
        found += [int(text) for text in texts if text.isascii() and text.isdigit()]
        if directory == root:
            break
    return [limit for limit in found if 0 < limit < NO_LIMIT_BYTES]


def _text(file: Path) -> str:
    try:
        with file.open(encoding="ascii", errors="replace") as lines:
            return lines.read(LINE_BYTES)
    except OSError:
        return ""


class Memory:
    """``resident``: bytes held now. ``allowed``: bytes that the system allows, None without a limit."""

    def __init__(
        self, resident: Callable[[], int] = resident_bytes, allowed: Callable[[], int | None] = group_limit
    ) -> None:
        self._resident = resident
        limit = allowed()
        self._high_water = None if limit is None else round(limit * SHARE)

    def short(self, high_water: int | None) -> bool:
        """Return whether the process holds more than the operator's mark, by default its share of the allowed bytes."""
        mark = self._high_water if high_water is None else high_water
        return mark is not None and self._resident() > mark
