"""Runs the Containerfile without a container runtime: its instructions in a Debian tree, its command in namespaces.

As a runtime does by default: processes, mounts and memory of its own; /tmp and the volume are the only places to write
to. The network is the machine's. Needs root, and build/machines/bookworm-empty, which ``.ci/bare`` makes with debootstrap.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import shutil
import subprocess

ROOT = Path(__file__).parents[2]
TREE = ROOT / "build" / "machines" / "bookworm-empty"
GROUPS = Path("/sys/fs/cgroup")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# The arguments: the image, the volume's folder, the file of the group's processes, user:group, the command.
# /tmp may be executed from, as with --tmpfs /tmp:exec. The last line before exec is --read-only.
START = """
image=$1 volume=$2 group=$3 user=$4
shift 4
[ -z "$group" ] || echo $$ >"$group"
mount --bind "$image" "$image"
mount -t proc proc "$image/proc"
mount -t tmpfs -o mode=1777 tmpfs "$image/tmp"
mount -t tmpfs tmpfs "$image/dev"
for device in null zero urandom random; do
  touch "$image/dev/$device"
  mount --bind "/dev/$device" "$image/dev/$device"
done
mount --rbind /sys "$image/sys"
mount --bind "$volume" "$image/var/lib/preppald"
mount -o remount,bind,ro "$image"
exec chroot --userspec="$user" "$image" "$@"
"""
# An image's parts are made as a runtime makes them, and this machine's registry may be behind an authority of its own.
MAKE = """
image=$1
shift
mount -t proc proc "$image/proc"
mount --rbind /dev "$image/dev"
cp /etc/resolv.conf "$image/etc/resolv.conf"
exec chroot "$image" "$@"
"""


@dataclass
class Image:
    """What the Containerfile says, and the folder where it was carried out."""

    folder: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    volumes: list[str] = field(default_factory=list)
    user: str = "0:0"
    health: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


def build(folder: Path) -> Image:
    """Carry the Containerfile out; an instruction that is not known here fails."""
    shutil.rmtree(folder, ignore_errors=True)
    if not TREE.is_dir():
        subprocess.run(["bash", "-c", ". .ci/bare && bare bookworm"], cwd=ROOT, check=True)
    subprocess.run(["cp", "-a", TREE, folder], check=True)
    image = Image(folder)
    for line in (ROOT / "Containerfile").read_text().splitlines():
        if line and not line.startswith("#"):
            _carry_out(image, *line.split(" ", 1))
    return image


def _carry_out(image: Image, instruction: str, rest: str) -> None:
    match instruction:
        case "FROM":
            assert rest == "debian:12-slim"
        case "RUN":
            _unshared(MAKE, str(image.folder), "/bin/sh", "-c", rest, env=image.env)
        case "COPY":
            source, target = rest.split()
            shutil.copy2(ROOT / source, image.folder / target.lstrip("/"))
        case "ENV":
            name, value = rest.split("=", 1)
            image.env[name] = value
        case "VOLUME":
            image.volumes.append(rest)
        case "USER":
            image.user = rest
        case "HEALTHCHECK":
            image.health = json.loads(rest.partition(" CMD ")[2])
        case "ENTRYPOINT" | "CMD":
            setattr(image, "command" if instruction == "CMD" else "entrypoint", json.loads(rest))
        case _:
            assert (instruction, rest) == ("EXPOSE", "8787")


def _unshared(script: str, *arguments: str, env: Mapping[str, str]) -> None:
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-euc", script, "make", *arguments]
    done = subprocess.run(command, env={**env, **proxies}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def started(
    image: Image, *, volume: Path, env: Mapping[str, str], user: str, group: "Group | None" = None
) -> tuple[list[str], dict[str, str]]:
    """Return the command that starts a container, and its environment. Its first process is the second one's child."""
    processes = "" if group is None else str(group.folder / "cgroup.procs")
    arguments = [str(image.folder), str(volume), processes, user, *image.entrypoint, *image.command]
    unshare = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
    return [*unshare, "bash", "-euc", START, "start", *arguments], {**image.env, **env}


def healthy(image: Image, first: int, env: Mapping[str, str]) -> bool:
    """Return whether the health check says so, inside the container whose first process has this id."""
    enter = ["nsenter", "--target", str(first), "--mount", "--pid", "--root", "--wd"]
    done = subprocess.run([*enter, *image.health], env={**image.env, **env}, check=False, timeout=10)
    return done.returncode == 0


@dataclass(frozen=True)
class Group:
    """A control group with a memory limit. ``version``: 1 or 2, of the machine's memory controller."""

    folder: Path
    version: int

    def number(self, *names: str) -> int:
        """The value in the first of these files, by version."""
        return int((self.folder / names[self.version - 1]).read_text())

    @property
    def used(self) -> int:
        return self.number("memory.usage_in_bytes", "memory.current")

    @property
    def killed(self) -> int:
        """How many processes the kernel has killed for want of memory."""
        text = (self.folder / ("memory.oom_control" if self.version == 1 else "memory.events")).read_text()
        return int(dict(line.split() for line in text.splitlines())["oom_kill"])


@contextmanager
def limited(name: str, size: int) -> Iterator[Group]:
    """Make a group with a limit of ``size`` bytes, swap included; remove it when its processes are gone."""
    version = 1 if (GROUPS / "memory").is_dir() else 2
    above = GROUPS / "memory" if version == 1 else GROUPS
    if version == 2:
        (above / "cgroup.subtree_control").write_text("+memory")
    folder = above / name
    folder.mkdir()
    try:
        (folder / ("memory.limit_in_bytes" if version == 1 else "memory.max")).write_text(str(size))
        yield Group(folder, version)
    finally:
        folder.rmdir()
