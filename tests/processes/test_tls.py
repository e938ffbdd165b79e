"""TLS as it is run: renewed under a live interview, called from the command line, shared by two instances."""

import json
from pathlib import Path
import signal
import socket
import subprocess
import sys
import time

import pytest
import trio

from preppald.config.load import load
from preppald.core import tokens as auth
from preppald.errors import ConfigError
from tests.candidates import Candidate
from tests.certificates import Certificates
from tests.processes.daemon import Daemon, daemon
from tests.world import SECRET


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


async def connected(running: Daemon, certificates: Certificates) -> trio.SSLStream[trio.SocketStream]:
    stream = trio.SSLStream(
        await trio.open_tcp_stream("127.0.0.1", running.port),
        certificates.trust,
        server_hostname="127.0.0.1",
        https_compatible=True,
    )
    await stream.do_handshake()
    return stream


async def seated(
    running: Daemon, certificates: Certificates, nursery: trio.Nursery, interview: str = "iv-1"
) -> Candidate:
    token = auth.sign(SECRET, user_id="user-1", interview_id=interview, now=time.time_ns() // 10**9)
    candidate = Candidate(await connected(running, certificates))
    running.candidates.append(candidate)
    assert await candidate.open(f"/{interview}", token) == 101
    nursery.start_soon(candidate.run)
    return candidate


def shown(stream: trio.abc.Stream) -> bytes:
    assert isinstance(stream, trio.SSLStream)
    certificate = stream.getpeercert(binary_form=True)
    assert isinstance(certificate, bytes)
    return certificate


async def test_a_certificate_is_renewed_under_a_live_interview(
    tmp_path: Path, certificates: Certificates, nursery: trio.Nursery
) -> None:
    """Who comes next sees the new one, who talks notices nothing; a broken one is refused, and the old one stays."""
    async with daemon(tmp_path, certificates.env) as running:
        assert len(running.lines("tls.certificate")) == 1
        candidate = await seated(running, certificates, nursery)
        await candidate.until("session_started")

        certificates.renew(ends_in_days=3)
        running.process.send_signal(signal.SIGHUP)
        assert (await running.logged("daemon.reloaded"))["changed"] == ["PREPPALD_TLS_CERT"]
        assert "expires in 2 days" in str((await running.logged("tls.expires_soon"))["why"])
        later = await connected(running, certificates)
        assert shown(later) == certificates.shown != shown(candidate.stream)
        await trio.aclose_forcefully(later)

        served = certificates.shown
        certificates.cert.write_text("half a certifi")
        running.process.send_signal(signal.SIGHUP)
        assert "PREPPALD_TLS_CERT: " in str((await running.logged("reload.refused"))["faults"])
        later = await connected(running, certificates)
        assert shown(later) == served
        await trio.aclose_forcefully(later)
        assert b"preppald_tls_certificate_expires_seconds" in await running.get("/metrics")

        await candidate.speak(1)
        await candidate.end()
        assert await candidate.closed() == (1000, "Interview ended by user")
        assert "PRIVATE" not in running.log.read_text()


def test_a_broken_certificate_at_the_start_is_told_with_the_settings_name(
    tmp_path: Path, certificates: Certificates
) -> None:
    certificates.renew(begins_in_days=-90, ends_in_days=-1)
    env = {"JWT_SECRET": SECRET, "GEMINI_API_KEY": "key", "PREPPALD_BACKEND": "none", **certificates.env}
    for command in ("serve", "check"):
        # Not 78, after which systemd would not try again: a renewal mends this.
        found = subprocess.run(
            [sys.executable, "-m", "preppald", command],
            env={**env, "PREPPALD_STATE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == 75
        assert "PREPPALD_TLS_CERT: " in found.stderr
        assert "certificate has expired" in found.stderr


def test_a_start_under_systemd_waits_for_a_renewal(tmp_path: Path, certificates: Certificates) -> None:
    """Where the certificate is all that is wrong: the status says so, and the renewed one is served."""
    certificates.renew(begins_in_days=-90, ends_in_days=-1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        env = {
            "JWT_SECRET": SECRET,
            "GEMINI_API_KEY": "key",
            "PREPPALD_BACKEND": "none",
            "PREPPALD_LISTEN": "127.0.0.1:0",
            "PREPPALD_ADMIN_LISTEN": "127.0.0.1:0",
            "PREPPALD_STATE_DIR": str(tmp_path / "state"),
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            **certificates.env,
        }
        command = [sys.executable, "-m", "preppald", "serve"]
        with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as process:
            try:
                assert b"STATUS=Waits for another certificate: PREPPALD_TLS_CERT: " in systemd.recv(1024)
                certificates.renew()
                while b"READY=1" not in systemd.recv(1024):
                    pass
            finally:
                process.kill()


def test_another_fault_beside_it_is_final(tmp_path: Path, certificates: Certificates) -> None:
    certificates.renew(begins_in_days=-90, ends_in_days=-1)
    env = {"JWT_SECRET": "short", "GEMINI_API_KEY": "key", "PREPPALD_BACKEND": "none", **certificates.env}
    with pytest.raises(ConfigError) as raised:
        load(env)
    assert raised.value.exit_status == 78
    assert len(raised.value.faults) == 2


def test_check_tries_two_files_alone(certificates: Certificates) -> None:
    """As the renewal's hook does, which knows no secret."""
    command = [sys.executable, "-m", "preppald", "check", "--certificate"]
    files = [str(certificates.cert), str(certificates.key)]
    assert subprocess.run([*command, *files], env={}, check=False).returncode == 0
    certificates.renew(begins_in_days=-90, ends_in_days=-1)
    assert subprocess.run([*command, *files], env={}, check=False, capture_output=True).returncode == 75


def test_check_warns_of_one_that_ends_soon(certificates: Certificates) -> None:
    """And finds that all is well, for today it is."""
    certificates.renew(ends_in_days=5.5)
    env = {"JWT_SECRET": SECRET, "GEMINI_API_KEY": "key", "PREPPALD_BACKEND": "none", **certificates.env}
    command = [sys.executable, "-m", "preppald", "check", "--json"]
    found = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    of_it = "PREPPALD_TLS_CERT: expires in 5 days"
    (warning,) = [it for it in json.loads(found.stdout)["warnings"] if it.startswith(of_it)]
    found = subprocess.run(command[:-1], env=env, capture_output=True, text=True, check=True)
    assert f"warning: {warning}\n" in found.stderr


async def called(running: Daemon, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "preppald", "call", "--sample", "--speed", "3", "--json"]
    url = f"wss://127.0.0.1:{running.port}"
    with trio.fail_after(120):
        return await trio.run_process(
            [*command, "--url", url, *arguments],
            env={"JWT_SECRET": SECRET},
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )


async def test_a_whole_call_by_wss(tmp_path: Path, certificates: Certificates) -> None:
    async with daemon(tmp_path, certificates.env) as running:
        done = await called(running, "--ca", str(certificates.ca))
        told = json.loads(done.stdout)
        assert (done.returncode, told["ending"]) == (0, "user"), told
        assert told["turns"]["ai"] >= 2
        assert told["turns"]["user"] >= 1

        stranger = await called(running)
        told = json.loads(stranger.stdout)
        assert stranger.returncode == 4
        assert "certificate verify failed" in told["reason"]


async def test_a_file_that_is_no_authority(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Told before anything is called."""
    for file, words in (
        (tmp_path / "none", "cannot be read"),
        (Path(__file__), "holds no certificate in PEM"),
    ):
        command = [sys.executable, "-m", "preppald", "call", "--sample", "--ca", str(file)]
        done = await trio.run_process(command, capture_stderr=True, check=False)
        assert done.returncode == 2
        assert words in done.stderr.decode()


async def test_an_instance_carries_what_is_another_ones(
    tmp_path: Path, certificates: Certificates, nursery: trio.Nursery
) -> None:
    """A candidate who comes back by the wrong door is in the interview; a drain waits for whom it carries."""
    sides = {}
    async with trio.open_nursery() as holding:
        for name in ("a", "b"):
            folder, runtime = tmp_path / name, tmp_path / "runtime" / name
            folder.mkdir()
            runtime.mkdir(parents=True)
            settings = {**certificates.env, "RUNTIME_DIRECTORY": str(runtime), "PREPPALD_INSTANCE": name}
            sides[name] = await holding.start(_run, folder, settings)
        a, b = sides["a"], sides["b"]
        first = await seated(a, certificates, nursery)
        await first.until("session_started")
        await first.vanish()
        back = await seated(b, certificates, nursery)
        started = await back.until("session_started")
        assert started.session_started.resumed
        assert (await b.logged("connection.handed_over"))["to"] == "a"
        await back.speak(1)
        await back.heard_out(30)

        b.process.send_signal(signal.SIGTERM)
        await b.logged("daemon.draining")
        await trio.sleep(0.3)
        assert b.process.poll() is None
        await back.end()
        assert await back.closed() == (1000, "Interview ended by user")
        with trio.fail_after(30):
            assert await b.process.wait() == 0
        holding.cancel_scope.cancel()


async def _run(
    folder: Path, settings: dict[str, str], task_status: trio.TaskStatus[Daemon] = trio.TASK_STATUS_IGNORED
) -> None:
    async with daemon(folder, settings) as running:
        task_status.started(running)
        await trio.sleep_forever()
