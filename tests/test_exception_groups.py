"""A raise inside ``except*`` is wrapped in another group by Python before 3.11.4: nobody's ``except`` matches it."""

import ast
from pathlib import Path

import preppald

PACKAGE = Path(preppald.__file__).parent


def raises_inside_except_star(source: str) -> list[int]:
    """The lines of all ``raise`` statements in the bodies of ``except*`` clauses."""
    return [
        inner.lineno
        for clauses in ast.walk(ast.parse(source))
        if isinstance(clauses, ast.TryStar)
        for handler in clauses.handlers
        for inner in ast.walk(handler)
        if isinstance(inner, ast.Raise)
    ]


def test_nothing_is_raised_inside_except_star() -> None:
    """An operator on Debian 12's own Python 3.11.2 would see a traceback and exit status 1 for each start error."""
    found = {
        f"{file.relative_to(PACKAGE)}:{line}"
        for file in PACKAGE.rglob("*.py")
        for line in raises_inside_except_star(file.read_text("utf-8"))
    }
    assert not found


def test_the_rule_finds_what_it_is_for() -> None:
    source = "try:\n  pass\nexcept* OSError as group:\n  if group:\n    raise ValueError from group\n"
    assert raises_inside_except_star(source) == [5]
    assert raises_inside_except_star(source.replace("except*", "except")) == []
