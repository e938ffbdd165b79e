"""``python -m preppald``, and the ``preppald`` that pip installs."""

import sys

try:
    from preppald.cli import INTERRUPTED, main as run
except KeyboardInterrupt:
    # Ctrl-C while Python still reads its files.
    sys.exit(130)


def main() -> None:
    try:
        status = run()
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)


if __name__ == "__main__":
    main()
