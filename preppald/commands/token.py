"""``preppald token``: a token for a test, signed as the backend signs it."""

import argparse
import os
import secrets

from preppald.commands.arguments import interview_id, whole
from preppald.commands.serve import wall_clock_ms
from preppald.config.load import signing_secret
from preppald.config.settings import MIN_SECRET_BYTES
from preppald.core import tokens as auth
from preppald.errors import ConfigError

EPILOG = """\
Example: preppald token --interview first-try
Needs JWT_SECRET, from where the daemon has it: the environment, JWT_SECRET_FILE, PREPPALD_ENV_FILE. The token opens one interview, within five minutes.
"""
LIFETIME_SECONDS = 300
# A token for a test is no password: it is over within a month.
MAX_LIFETIME_SECONDS = 30 * 24 * 3600


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "token",
        help="sign a token for a test",
        description="Sign a token as the application's backend does, and print it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--interview", metavar="ID", type=interview_id, help="the interview's id (default: a new one)"
    )
    parser.add_argument(
        "--user", metavar="ID", default="test-user", help="the user's id (default: %(default)s)"
    )
    parser.add_argument(
        "--lifetime",
        metavar="SECONDS",
        type=whole(at_least=1, at_most=MAX_LIFETIME_SECONDS),
        default=LIFETIME_SECONDS,
        help="default: %(default)s",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    secret = signing_secret(os.environ)
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise ConfigError([f"JWT_SECRET: is not set, or shorter than {MIN_SECRET_BYTES} bytes"])
    interview = arguments.interview or f"test-{secrets.token_hex(4)}"
    now = wall_clock_ms() // 1000
    print(
        auth.sign(
            secret, user_id=arguments.user, interview_id=interview, now=now, lifetime=arguments.lifetime
        )
    )
    return 0
