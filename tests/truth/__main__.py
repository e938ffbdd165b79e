"""`python -m tests.truth`: the long form of tests/processes/test_truth.py, and the table for docs/architecture.md."""

import argparse
from functools import partial
from pathlib import Path
import tempfile

import trio

from tests.truth.figures import measured, table

parser = argparse.ArgumentParser(prog="python -m tests.truth", description=__doc__)
parser.add_argument("--answers", type=int, default=9, help="of each interview (default %(default)s)")
parser.add_argument(
    "--interviews", type=int, default=3, help="in each condition, at a time (default %(default)s)"
)
parser.add_argument("--seed", type=int, default=1)
arguments = parser.parse_args()
with tempfile.TemporaryDirectory(prefix="preppald-truth-") as folder:
    run = partial(
        measured,
        Path(folder),
        answers=arguments.answers,
        interviews=arguments.interviews,
        seed=arguments.seed,
    )
    print(table(trio.run(run)))  # noqa: T201 - a command
