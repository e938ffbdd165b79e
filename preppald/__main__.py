"""``python -m preppald``, and the ``preppald`` that pip installs."""

import sys

from preppald.cli import main as run


def main() -> None:
    sys.exit(run())


if __name__ == "__main__":
    main()
