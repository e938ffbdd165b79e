"""``python -m tests.fuzz TARGET [SECONDS]``: atheris on one decoder, guided by coverage; 60 s unless told otherwise.

atheris is no dependency of the tests. In a virtual environment of its own:

    python3 -m venv build/fuzz && build/fuzz/bin/pip install atheris -r requirements-dev.lock
    build/fuzz/bin/python -m tests.fuzz gemini_frame

Exit status 0: nothing was found. Else the input is in ``crash-…`` beside it, and belongs into the tests.
"""

from pathlib import Path
import sys
import tempfile

import atheris  # type: ignore[import-untyped]  # a tool of its own, not in any lock

MAX_INPUT_BYTES = 4096


def main() -> None:
    with atheris.instrument_imports(include=["preppald", "websockets", "jwt", "h11"]):
        from tests.fuzz.targets import SEEDS, TARGETS  # noqa: PLC0415 - instrumented while it is imported
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"{__doc__}\nTargets: {', '.join(TARGETS)}")
    name = sys.argv[1]
    seconds = sys.argv[2] if len(sys.argv) > 2 else "60"
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS[name]):
            (Path(corpus) / str(number)).write_bytes(seed)
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={MAX_INPUT_BYTES}",
            "-timeout=10",
            "-print_final_stats=1",
        ]
        atheris.Setup([sys.argv[0], *options, corpus], TARGETS[name])
        atheris.Fuzz()


main()
