"""Explains a validation error of a scenario: the key, its value and the allowed values."""

from collections.abc import Iterator
import difflib
import re
from typing import Any

import msgspec
from msgspec import inspect

# msgspec ends its messages with the path of the value: "… - at `$.fault[0].status`".
_PATH = re.compile(r" - at `\$(?P<path>.*)`$")
_STEP = re.compile(r"\.?(?P<key>[^.\[\]]+)|\[(?P<index>\d+)\]")
# The key that says which kind of table it is.
_TAG = "kind"
_UNKNOWN = re.compile(r"unknown field `(?P<field>[^`]+)`")


def explain(error: msgspec.ValidationError, raw: object, model: type) -> str:
    message = str(error)
    place = _PATH.search(message)
    path = place["path"].lstrip(".") if place else ""
    message = _PATH.sub("", message)
    found: Any = raw
    expected = inspect.type_info(model)
    for step in _steps(path):
        expected = _inner(expected, found, step)
        found = found[step]
    unknown = _UNKNOWN.search(message)
    if unknown:
        allowed = _keys(expected, found)
        near = difflib.get_close_matches(unknown["field"], allowed, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        key = f"{path}.{unknown['field']}".lstrip(".")
        return f"{key} is not a key.{hint} Allowed: {', '.join(allowed)}"
    values = _values(expected)
    tail = f" (allowed: {', '.join(map(repr, values))})" if values else ""
    shown = "" if isinstance(found, dict) else f" = {found!r}"
    return f"{path or 'the file'}{shown}: {message}{tail}"


def _steps(path: str) -> Iterator[Any]:
    for step in _STEP.finditer(path):
        yield int(step["index"]) if step["index"] else step["key"]


def _inner(expected: inspect.Type, found: object, step: object) -> inspect.Type:
    """Return the type expected one step further down."""
    if isinstance(expected, inspect.VarTupleType):
        return expected.item_type
    if isinstance(expected, inspect.UnionType) and step == _TAG:
        return inspect.LiteralType(tuple(str(kind.tag) for kind in _tables(expected)))
    struct = _struct(expected, found)
    fields = struct.fields if struct else ()
    return next((field.type for field in fields if field.encode_name == step), inspect.AnyType())


def _struct(expected: inspect.Type, found: object) -> inspect.StructType | None:
    """Return the table expected; of several kinds of table, the one whose `kind` was written."""
    if isinstance(expected, inspect.StructType):
        return expected
    if isinstance(expected, inspect.UnionType) and isinstance(found, dict):
        return next((kind for kind in _tables(expected) if kind.tag == found.get(_TAG)), None)
    return None


def _tables(expected: inspect.UnionType) -> list[inspect.StructType]:
    return [kind for kind in expected.types if isinstance(kind, inspect.StructType)]


def _keys(expected: inspect.Type, found: object) -> list[str]:
    struct = _struct(expected, found)
    return [field.encode_name for field in struct.fields] if struct else []


def _values(expected: inspect.Type) -> list[object]:
    if isinstance(expected, inspect.LiteralType):
        return list(expected.values)
    if isinstance(expected, inspect.UnionType):
        tags: list[object] = [kind.tag for kind in _tables(expected)]
        return tags or [value for kind in expected.types for value in _values(kind)]
    return []
