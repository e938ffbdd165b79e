"""The demonstration of several hosts comes up as it says, and leaves nothing behind.

Needs Debian's postgresql and haproxy: run by .ci/extra/35-postgres.
"""

from pathlib import Path
import re
import signal
import subprocess
import sys

import trio

ROOT = Path(__file__).parent.parent.parent
# Two databases and three daemons, on a busy machine.
UP_SECONDS = 120.0


async def test_three_hosts_come_up_and_go() -> None:
    demo = await trio.lowlevel.open_process(
        [str(ROOT / "systemd/several-hosts-demo")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert demo.stdout is not None
    said = b""
    try:
        with trio.fail_after(UP_SECONDS):
            while b"Ctrl-C" not in said:
                part = await demo.stdout.receive_some()
                assert part, said.decode()
                said += part
        found = re.search(r"PREPPALD_ENV_FILE=(\S+)", said.decode())
        assert found is not None
        room = Path(found[1]).parent
        listed = await trio.run_process(
            [sys.executable, "-m", "preppald", "hosts"],
            env={"PREPPALD_ENV_FILE": found[1]},
            capture_stdout=True,
        )
        assert [line.split()[1] for line in listed.stdout.decode().splitlines()[1:]] == ["up"] * 3
        demo.send_signal(signal.SIGTERM)
        with trio.fail_after(UP_SECONDS):
            await demo.wait()
        assert not room.exists()
        left = await trio.run_process(["pgrep", "-s", str(demo.pid)], check=False, capture_stdout=True)
        assert left.stdout == b""
    finally:
        # A kill would leave everything that it has begun.
        demo.terminate()
        with trio.CancelScope(shield=True):
            await demo.wait()
