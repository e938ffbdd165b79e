"""Tokens of Node's `jose` and `jsonwebtoken`: those that both take, the daemon takes, and no other."""

import json
import os
import subprocess

from preppald.core.tokens import TokenRules, verify
from preppald.errors import TokenError
from tests.foreign.programs import HERE

SECRET = "a-secret-for-tests-of-32-bytes-or-more"
NOW = 1_800_000_000
# jsonwebtoken reads no critical header; RFC 7515 §4.1.11 says that an unknown one is to be refused.
STRICTER_THAN_JSONWEBTOKEN = {"an unknown critical header"}


def taken(token: str) -> bool:
    try:
        return not verify(token, TokenRules((SECRET,)), now=NOW).untimely
    except TokenError:
        return False


def test_the_daemon_judges_tokens_as_both_libraries_do() -> None:
    told = subprocess.run(
        ["node", "tokens.mjs"],
        cwd=HERE,
        env={**os.environ, "SECRET": SECRET, "NOW": str(NOW)},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    verdicts = [json.loads(line) for line in told.stdout.splitlines()]
    assert len(verdicts) == 19
    for verdict in verdicts:
        name = verdict["name"]
        assert taken(verdict["token"]) is verdict["jose"], name
        if name not in STRICTER_THAN_JSONWEBTOKEN:
            assert verdict["jsonwebtoken"] is verdict["jose"], name
    assert {verdict["jose"] for verdict in verdicts} == {True, False}
