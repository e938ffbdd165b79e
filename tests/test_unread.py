"""What the one-file binary does not read before it is used: systemd/binary/unread.py, as the binary runs it."""

import os
from pathlib import Path
import subprocess
import sys

import pytest

HOOK = Path(__file__).parents[1] / "systemd" / "binary" / "unread.py"
# In a process of its own: here they have long been read.
BEGINNING = f"""
import importlib, runpy, sys
hook = runpy.run_path({str(HOOK)!r})
def unread(name): return type(sys.modules[name]).__name__ == "_Unread"
"""


def run(program: str) -> str:
    # Coverage would start in it, and read some of it.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    command = [sys.executable, "-c", BEGINNING + program]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_daemon_uses_none_of_it() -> None:
    """All of it is imported by the binary's Python, or it would not be worth naming; and nothing is read on the way."""
    program = """
import preppald.commands.serve
imported = [name for name in hook["UNUSED"] if name in sys.modules]
print([name for name in imported if not unread(name)], len(hook["UNUSED"]) - len(imported))
"""
    read, left = run(program).rsplit(maxsplit=1)
    assert read == "[]"
    assert left == "0" or sys.version_info[:2] != (3, 11)


@pytest.mark.parametrize(
    ("module", "use"),
    [
        ("asyncio", "asyncio.run(asyncio.sleep(0, 'used'))"),
        ("html", "'used' * (html.escape('<') == '&lt;')"),
        ("csv", "'used' * (next(csv.reader(['a,b'])) == ['a', 'b'])"),
        ("difflib", "'used' * (difflib.get_close_matches('abc', ['abd']) == ['abd'])"),
        ("gzip", "'used' * (gzip.decompress(gzip.compress(b'')) == b'')"),
        ("locale", "'used' * bool(locale.getpreferredencoding())"),
        ("mimetypes", "'used' * (mimetypes.guess_type('a.txt')[0] == 'text/plain')"),
        (
            "google.protobuf.internal.python_message",
            "'used' * bool(python_message.GeneratedProtocolMessageType)",
        ),
    ],
)
def test_whoever_uses_it_has_it(module: str, use: str) -> None:
    """Also after several imports, which importlib's own lazy module takes for a use."""
    package, _, name = module.rpartition(".")
    line = f"from {package} import {name}" if package else f"import {name}"
    program = f"""
{line}
{line}
assert unread({module!r})
print({use})
assert not unread({module!r})
"""
    assert run(program) == "used\n"


def test_threads_that_ask_at_once_have_all_of_it() -> None:
    program = """
import difflib, threading
start, found = threading.Barrier(8), []
def ask():
    start.wait()
    found.append(difflib.restore and difflib.IS_CHARACTER_JUNK(" "))
threads = [threading.Thread(target=ask) for _ in range(8)]
sys.setswitchinterval(1e-6)
for thread in threads: thread.start()
for thread in threads: thread.join()
print(found == [True] * 8)
"""
    assert run(program) == "True\n"
