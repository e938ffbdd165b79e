"""The example configurations of systemd/proxy/, run by the programs they are for.

What an operator would change is changed: ports, names, certificates, and where the logs go.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
import shutil
import subprocess

import trio

from tests.certificates import Certificates

EXAMPLES = Path(__file__).parents[2] / "systemd" / "proxy"
BEHIND = "127.0.0.1:8787"
PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.05


@dataclass
class Proxy:
    """One that runs. ``folder``: everything it writes. ``opened``: connections to it, which are closed before it."""

    port: int
    folder: Path
    opened: list[trio.abc.Stream] = field(default_factory=list)

    def written(self) -> str:
        files = [file for file in self.folder.rglob("*") if file.is_file() and file.stat().st_size]
        return "\n".join(file.read_text("utf-8", "replace") for file in files if "conf" not in file.parts)


def changed(text: str, changes: Mapping[str, str]) -> str:
    """Each of them must be there to be changed."""
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in the example"
        text = text.replace(old, new)
    return text


def _nginx(folder: Path, port: int, behind: int, files: Certificates) -> tuple[list[str], list[str]]:
    example = changed(
        (EXAMPLES / "nginx.conf").read_text(),
        {
            BEHIND: f"127.0.0.1:{behind}",
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "interviews.example.com": "localhost 127.0.0.1",
            "/etc/ssl/preppald/fullchain.pem": str(files.cert),
            "/etc/ssl/preppald/key.pem": str(files.key),
            "/var/log/nginx/": f"{folder}/",
        },
    )
    (folder / "conf" / "preppald.conf").write_text(example)
    temporary = "".join(
        f"{kind}_temp_path {folder}/tmp;\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = folder / "conf" / "nginx.conf"
    main.write_text(
        f"daemon off;\npid {folder}/conf/pid;\nevents {{}}\nhttp {{\n{temporary}include {folder}/conf/preppald.conf;\n}}\n"
    )
    run = ["nginx", "-e", f"{folder}/nginx-error.log", "-c", str(main)]
    return run, [*run, "-t"]


def _caddy(folder: Path, port: int, behind: int, files: Certificates) -> tuple[list[str], list[str]]:
    example = changed(
        (EXAMPLES / "Caddyfile").read_text(),
        {
            BEHIND: f"127.0.0.1:{behind}",
            "interviews.example.com {": f"https://127.0.0.1:{port}, https://localhost:{port} {{\n\ttls {files.cert} {files.key}",
            "{\n\tlog default": "{\n\tadmin off\n\tauto_https disable_redirects\n\tlog default",
        },
    )
    main = folder / "conf" / "Caddyfile"
    main.write_text(example)
    options = ["--config", str(main), "--adapter", "caddyfile"]
    return ["caddy", "run", *options], ["caddy", "validate", *options]


def _haproxy(folder: Path, port: int, behind: int, files: Certificates) -> tuple[list[str], list[str]]:
    together = folder / "conf" / "preppald.pem"
    together.write_bytes(files.cert.read_bytes() + files.key.read_bytes())
    example = changed(
        (EXAMPLES / "haproxy.cfg").read_text(),
        {
            BEHIND: f"127.0.0.1:{behind}",
            "bind :443": f"bind 127.0.0.1:{port}",
            "/etc/haproxy/preppald.pem": str(together),
            "log /dev/log local0": "log stdout format raw local0",
            "\tuser haproxy\n\tgroup haproxy\n": "",
        },
    )
    main = folder / "conf" / "haproxy.cfg"
    main.write_text(example)
    return ["haproxy", "-f", str(main)], ["haproxy", "-c", "-f", str(main)]


PROGRAMS: Mapping[str, Callable[[Path, int, int, Certificates], tuple[list[str], list[str]]]] = {
    "nginx": _nginx,
    "caddy": _caddy,
    "haproxy": _haproxy,
}


@asynccontextmanager
async def proxy(
    name: str, folder: Path, *, port: int, behind: int, certificates: Certificates
) -> AsyncIterator[Proxy]:
    """Running, after its own check of its configuration; before the port ``behind`` of 127.0.0.1."""
    program = shutil.which(name)
    assert program, f"{name} is not installed: apt-get install {name}"
    (folder / "conf").mkdir(parents=True)
    run, check = PROGRAMS[name](folder, port, behind, certificates)
    env = {"HOME": str(folder), "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    checked = await trio.run_process(
        check, env=env, check=False, capture_stdout=True, stderr=subprocess.STDOUT
    )
    assert checked.returncode == 0, checked.stdout.decode()
    with (folder / "output").open("wb") as output:
        process = await trio.lowlevel.open_process(run, env=env, stdout=output, stderr=output)
    found = Proxy(port, folder)
    try:
        await _listening(process, found)
        yield found
    finally:
        for stream in found.opened:
            await trio.aclose_forcefully(stream)
        process.terminate()
        with trio.CancelScope(shield=True):
            with trio.move_on_after(10):
                await process.wait()
            process.kill()
            await process.wait()


async def _listening(process: trio.Process, found: Proxy) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        while True:
            assert process.poll() is None, found.written()
            try:
                await (await trio.open_tcp_stream("127.0.0.1", found.port)).aclose()
            except OSError:
                await trio.sleep(LOOK_SECONDS)
            else:
                return
