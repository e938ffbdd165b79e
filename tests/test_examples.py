"""The example for a backend in Python: the daemon takes the token. `tests/web/check-examples.mjs` has the one in Node."""

from pathlib import Path
import runpy
import time

from preppald.core import tokens as auth

TOKEN = Path(__file__).parent.parent / "examples/token/interview_token.py"
SECRET = "a-secret-for-tests-of-32-bytes-or-more"


def test_the_daemon_takes_the_examples_token() -> None:
    token = runpy.run_path(str(TOKEN))["interview_token"](SECRET, "user-1", "iv-1")
    claims = auth.verify(token, auth.TokenRules([SECRET]), now=time.time_ns() / 1e9)
    assert (claims.user_id, claims.interview_id, claims.untimely) == ("user-1", "iv-1", "")
