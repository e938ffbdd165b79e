"""Tests use the public door: what a reader of the code may rely on is what they hold still."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
# Where no public way would make sense to a reader. It only goes down.
MOST = 18
# Of the libraries, whose insides the simulation replaces, and the standard library's parsers.
FOREIGN = {"trio_run", "random", "sys", "parser()"}


def private_accesses(source: str) -> Iterator[str]:
    """Yield each ``obj._name`` of an object that is neither the speaker itself nor a library's."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Attribute) or not node.attr.startswith("_") or node.attr.startswith("__"):
            continue
        owner = ast.unparse(node.value)
        if owner not in {"self", "cls", "super()"} | FOREIGN:
            yield f"{node.lineno}: {owner}.{node.attr}"


def test_what_counts() -> None:
    assert list(private_accesses("self._a\nit._b\nit.c._d\nit.__class__\nsuper()._e\nit._f()")) == [
        "2: it._b",
        "3: it.c._d",
        "6: it._f",
    ]


def test_few_look_inside() -> None:
    found = [
        f"{file.relative_to(TESTS)}:{where}"
        for file in sorted(TESTS.rglob("*.py"))
        for where in private_accesses(file.read_text("utf-8"))
    ]
    assert len(found) <= MOST, "\n".join(found)
