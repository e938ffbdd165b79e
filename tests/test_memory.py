"""The memory mark: what the process holds, what it may hold, and who says so."""

from pathlib import Path
import subprocess
import sys

import pytest

from preppald.telemetry.memory import Memory, give_back, group, group_limit, resident_bytes

MIB = 2**20


def test_what_the_process_holds_is_known() -> None:
    """A Python with the daemon in it holds more than 10 MiB and less than 10 GiB; memory that is touched counts."""
    before = resident_bytes()
    assert 10 * MIB < before < 10_000 * MIB
    touched = bytearray(b"\x01") * (64 * MIB)
    assert resident_bytes() - before > 32 * MIB
    del touched


def test_what_nobody_uses_is_given_back() -> None:
    """Blocks of a heap whose last one is in use stay with the process otherwise."""
    blocks = [bytes([1]) * 2000 for _ in range(20_000)]
    last = blocks.pop()
    del blocks
    before = resident_bytes()
    give_back()
    assert before - resident_bytes() > 20 * MIB
    assert len(last) == 2000


def test_a_thread_needs_no_heap_of_its_own() -> None:
    """In a process of its own: what a thread allocates is in the one heap that /proc names."""
    program = """
import ctypes, re, sys, threading
from preppald.telemetry.memory import share_one_heap
if sys.argv[1] == "shared":
    share_one_heap()
malloc = ctypes.CDLL(None).malloc
malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
places = []
thread = threading.Thread(target=lambda: places.append(malloc(3000)))
thread.start()
thread.join()
with open("/proc/self/maps") as maps:
    first, last = next((int(a, 16), int(b, 16)) for a, b in re.findall(r"(\\w+)-(\\w+) .*\\[heap\\]", maps.read()))
print(first <= places[0] < last)
"""
    said = [
        subprocess.run(
            [sys.executable, "-c", program, how], check=True, capture_output=True, text=True
        ).stdout
        for how in ("shared", "each its own")
    ]
    assert said == ["True\n", "False\n"]


def grouped(tmp_path: Path, line: str, **limits: str) -> int | None:
    """The limit where the process is in this group; ``limits``: files by their path, with _ for / and - for ."""
    proc = tmp_path / "cgroup"
    proc.write_text(line + "\n")
    root = tmp_path / "fs"
    for name, text in limits.items():
        file = root.joinpath(*name.replace("0", ".").split("__"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return group_limit(proc, root)


@pytest.mark.parametrize(
    ("line", "limits", "limit"),
    [
        ("0::/a/b", {"a__b__memory0max": "1000"}, 1000),
        ("0::/a/b", {"a__b__memory0max": "1000", "a__memory0max": "500"}, 500),
        ("0::/a/b", {"a__b__memory0max": "max", "a__memory0high": "700"}, 700),
        ("0::/a/b", {"a__b__memory0max": "max"}, None),
        ("0::/a/b", {"a__b__memory0max": "nonsense"}, None),
        ("0::/host/path", {"memory0max": "800"}, 800),
        ("0::/", {"memory0max": "900"}, 900),
        ("5:cpu,memory:/a", {"memory__a__memory0limit_in_bytes": "600"}, 600),
        ("5:cpu,memory:/a", {"memory__a__memory0limit_in_bytes": str(2**63 - 4096)}, None),
        ("5:cpu:/a", {"memory__a__memory0limit_in_bytes": "600"}, None),
        ("garbage", {}, None),
        ("", {}, None),
    ],
)
def test_the_control_group_says_what_is_allowed(
    tmp_path: Path, line: str, limits: dict[str, str], limit: int | None
) -> None:
    """The tightest of the group's and those above it, in both generations of control groups."""
    assert grouped(tmp_path, line, **limits) == limit


def test_without_a_control_group_there_is_no_limit(tmp_path: Path) -> None:
    assert group_limit(tmp_path / "nothing", tmp_path) is None


def test_the_operators_mark_goes_before_the_groups() -> None:
    """Four fifths of what the group allows, unless somebody said otherwise."""
    memory = Memory(resident=lambda: 900, allowed=lambda: 1000)
    assert memory.short(None)
    assert not memory.short(900)
    assert memory.short(899)
    assert not Memory(resident=lambda: 800, allowed=lambda: 1000).short(None)


def test_what_the_group_uses_is_what_the_kernel_counts(tmp_path: Path) -> None:
    """All of its processes and files in memory, but for the cache that the kernel would give back."""
    here = tmp_path / "fs" / "a"
    here.mkdir(parents=True)
    (tmp_path / "cgroup").write_text("0::/a\n")
    (here / "memory.max").write_text("1000\n")
    (here / "memory.current").write_text("900\n")
    (here / "memory.stat").write_text("anon 400\nfile 450\ninactive_file 150\n")
    found = group(tmp_path / "cgroup", tmp_path / "fs")
    assert found is not None
    assert (found.limit, found.used()) == (1000, 750)
    (here / "memory.stat").unlink()
    assert found.used() == 900
    (here / "memory.current").unlink()
    assert found.used() == 0


def test_there_is_room_below_our_share() -> None:
    memory = Memory(resident=lambda: 1, allowed=lambda: 1000, used=lambda: 700)
    assert memory.room(100)
    assert not memory.room(101)
    assert Memory(allowed=lambda: None).room(10**15)


def test_without_any_mark_memory_is_never_short() -> None:
    assert not Memory(resident=lambda: 10**15, allowed=lambda: None).short(None)
