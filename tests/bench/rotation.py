"""How long an interview is without Gemini while its connection is changed, over loopback.

    python -m tests.bench.rotation [--rotations 100] [--way wss ws] [--turns 1]

The daemon is a process; close, dial, TLS, upgrade and setup are real. The simulator's own delay before setupComplete is
zero, for it is Gemini's and not ours. Prints the median, p99 and the longest of the gaps that the daemon logged.
"""

import argparse
from functools import partial
from pathlib import Path
import sys
import tempfile

import trio
import trustme

from preppald.simulator.run import Running, run_simulator
from preppald.simulator.scenario import GoAway, Limits, Reply, Scenario, Timing
from tests.overheard import keep_silent
from tests.processes.daemon import daemon

ROTATIONS = 100
INTERVIEWS = 8
GOAL_SECONDS = 0.3
# With TLS to Gemini, and without.
WAYS = ("wss", "ws")
# Warned at once, and free to leave at once: the watchdog, which looks once a second, changes it then.
SCENARIO = Scenario(
    reply=(Reply(text="Hello.", seconds=0.2),),
    limits=Limits(connection=10),
    go_away=GoAway(before=10),
    timing=Timing(setup_delay=0.0, reply_delay=0.05),
)


async def measure(rotations: int, state: Path, way: str) -> list[float]:
    """The gaps of so many rotations, in seconds, from the shortest to the longest."""
    certificate, ca = state / "gemini.pem", state / "ca.pem"
    authority = trustme.CA()
    authority.cert_pem.write_to_path(ca)
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    async with trio.open_nursery() as nursery:
        simulated: Running = await nursery.start(
            partial(
                run_simulator,
                gemini_listen=("127.0.0.1", 0),
                backend_listen=None,
                scenario=SCENARIO,
                tls_certificate=certificate if way == "wss" else None,
            )
        )
        settings = {
            "PREPPALD_GEMINI_URL": f"{way}://localhost:{simulated.gemini_port}",
            "SSL_CERT_FILE": str(ca),
        }
        async with daemon(state, settings) as running:
            for number in range(INTERVIEWS):
                candidate = await running.candidate(nursery, f"iv-{number}")
                nursery.start_soon(keep_silent, candidate, 3600.0)
                await trio.sleep(1 / INTERVIEWS)  # in step they would wait for each other
            for count in range(1, rotations + 1):
                await running.logged("upstream.ready", times=INTERVIEWS + count)
            lines = running.lines("upstream.ready")
            nursery.cancel_scope.cancel()
    return sorted(float(str(line["gap_seconds"])) for line in lines if line["generation"] != 1)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.rotation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rotations", type=int, default=ROTATIONS, help="in each run (100)")
    parser.add_argument("--way", nargs="+", choices=WAYS, default=[*WAYS], help="default: wss ws, in turns")
    parser.add_argument("--turns", type=int, default=1, help="how many runs of each way (1)")
    given = parser.parse_args()
    slow = False
    for way in given.way * given.turns:
        with tempfile.TemporaryDirectory() as folder:
            gaps = trio.run(measure, given.rotations, Path(folder), way)
        median, p99 = (gaps[min(len(gaps) - 1, round(len(gaps) * share))] for share in (0.5, 0.99))
        slow = slow or p99 >= GOAL_SECONDS
        sys.stdout.write(
            f"{way}: {len(gaps)} rotations of {INTERVIEWS} interviews: without Gemini for {median * 1000:.1f} ms in "
            f"the median, p99 {p99 * 1000:.1f} ms, at most {gaps[-1] * 1000:.1f} ms (goal: p99 under "
            f"{GOAL_SECONDS * 1000:.0f} ms)\n"
        )
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
