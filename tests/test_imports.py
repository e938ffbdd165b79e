"""Holds imports to allow-lists, by folder: a new module is covered without an edit.

The order of the folders is import-linter's (pyproject.toml); it has no contract that says what is allowed.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "preppald"
MODULES = sorted(
    file
    for file in PACKAGE.rglob("*.py")
    if "pb" not in file.relative_to(PACKAGE).parts and file.name != "__main__.py"
)

# Rules without I/O, clock, log or randomness: what they are given is all they know.
PURE = ("core/", "audio/", "server/admission.py", "server/request.py", "shared/hello.py", "shared/tenure.py")
PURE_LIBRARIES = {
    "array", "binascii", "bisect", "codecs", "collections", "dataclasses", "datetime", "difflib", "enum",
    "functools", "google",
    "hashlib", "hmac", "http", "itertools", "json", "jwt", "math", "msgspec", "operator", "re", "string", "struct", "types",
    "typing", "unicodedata", "zlib",
}  # fmt: skip
# A codec is a pure function of its stream, and the best one is in C.
PURE_BUT = {"audio/opus.py": {"ctypes"}}
PURE_OF_OURS = (
    "preppald.core",
    "preppald.audio",
    "preppald.errors",
    "preppald.pb",
    "preppald.server.request",
)
# Libraries that few may speak: where, and why so few.
RESERVED = {
    # Towards Gemini, for the handshake only.
    "trio_websocket": ("gemini/dial.py", "simulator/"),
    "wsproto": ("gemini/dial.py", "simulator/"),
    # The framing of both ends and the public handshake; the simulator and the candidate each for itself.
    "websockets": ("net/", "server/http.py", "simulator/", "candidate/", "commands/call.py"),
    "h11": ("server/http.py", "net/proxy.py", "simulator/"),
    "opentelemetry": ("traces/otlp.py",),
    "httpx": (
        "backend/",
        "traces/collector.py",
        "interview/feedback.py",
        "interview/checking.py",
        "net/",
        "candidate/",
    ),
    "sqlite3": ("journal/", "commands/"),
    # Towards PostgreSQL: its errors and its threads stay in one file, which is imported only where a setting asks for it.
    "psycopg": ("shared/link.py",),
    "prometheus_client": ("telemetry/",),
    "structlog": ("telemetry/logs.py",),
    # Calls into C, where a wrong argument ends the process.
    "ctypes": ("audio/opus.py", "net/timer.py", "telemetry/memory.py"),
}
# The programs that stand beside the daemon, and who may start them.
PROGRAMS = ("simulator", "candidate")
MAY_START_PROGRAMS = ("commands/", "simulator/", "candidate/")
# The simulator must not agree with the daemon by sharing its faults: the contract's messages are all they share.
SIMULATOR_OF_OURS = ("preppald.simulator", "preppald.pb", "preppald.errors")


def name(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            if node.module.startswith("preppald"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def under(module: str, allowed: tuple[str, ...]) -> bool:
    return any(module == it or module.startswith(f"{it}.") for it in allowed)


@pytest.mark.parametrize("file", [it for it in MODULES if name(it).startswith(PURE)], ids=name)
def test_rules_import_rules(file: Path) -> None:
    for module in imported(file):
        if module.startswith("preppald."):
            assert under(module, PURE_OF_OURS), f"{name(file)} imports {module}"
        elif module != "preppald":
            allowed = PURE_LIBRARIES | PURE_BUT.get(name(file), set())
            assert module.split(".")[0] in allowed, f"{name(file)} imports {module}"


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_few_speak_what_is_reserved(file: Path) -> None:
    for module in imported(file):
        allowed = RESERVED.get(module.split(".")[0])
        assert allowed is None or name(file).startswith(allowed), f"{name(file)} imports {module}"


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_the_daemon_knows_neither_simulator_nor_candidate(file: Path) -> None:
    for module in imported(file):
        program = module.split(".")[1] if module.startswith("preppald.") else ""
        assert program not in PROGRAMS or name(file).startswith(MAY_START_PROGRAMS), f"{name(file)}: {module}"


@pytest.mark.parametrize("file", [it for it in MODULES if name(it).startswith("simulator/")], ids=name)
def test_the_simulator_shares_nothing_with_what_it_tests(file: Path) -> None:
    for module in imported(file):
        assert not module.startswith("preppald.") or under(module, SIMULATOR_OF_OURS), (
            f"{name(file)}: {module}"
        )
