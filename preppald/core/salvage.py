"""Read what a strict JSON reader refuses: member by member, keeping all that makes sense.

Google's servers write ProtoJSON, and so do the proxies before them: null stands for "not set", an int64 may be
quoted or written as 100.0, base64 may be URL-safe, without padding or over several lines. Half a surrogate pair, a
byte order mark and raw control characters come from texts that were cut or pasted; NaN and numbers of a thousand digits
from sums that went wrong. None of these may cost the words beside them.
"""

import binascii
from collections.abc import Mapping
import json
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

import msgspec

T = TypeVar("T", bound=msgspec.Struct)

# MIME breaks base64 into lines of 76.
_AS_ONE_LINE = str.maketrans("-_", "+/", " \t\r\n")
_ABSENT: Any = object()
# Stands for a number that is none, or that nobody could count to: no member takes it.
_NO_NUMBER: Any = object()
# Of an int64 there are 19, and a sign; Python refuses to read thousands.
MAX_DIGITS = 20


def salvage(kind: type[T], frame: bytes | str) -> tuple[T, list[str]]:
    """Return the message, and the paths of the members that had to be left out (``goAway.timeLeft``).

    The paths are made of the struct's own field names, so that they may be logged.

    Raises:
        TypeError, ValueError: the frame is not one JSON object.
        RecursionError: the frame is nested too deeply.
    """
    text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
    tree = json.loads(
        text.removeprefix("\ufeff"), strict=False, parse_constant=_no_number, parse_int=_whole_number
    )
    if not isinstance(tree, dict):
        raise TypeError("not a JSON object")
    dropped: list[str] = []
    return _struct(kind, tree, "", dropped), dropped


def _no_number(_constant: str) -> Any:
    """Return what stands for NaN and Infinity, which Python's reader takes and JSON does not have."""
    return _NO_NUMBER


def _whole_number(digits: str) -> Any:
    return int(digits) if len(digits) <= MAX_DIGITS else _NO_NUMBER


def _struct(kind: type[T], tree: Mapping[str, Any], path: str, dropped: list[str]) -> T:
    members = {}
    for field in msgspec.structs.fields(kind):
        raw = tree.get(field.encode_name)
        if raw is None:  # null is ProtoJSON's way to say "absent"
            continue
        value = _value(field.type, raw, f"{path}{field.encode_name}", dropped)
        if value is not _ABSENT:
            members[field.name] = value
    return kind(**members)


def _value(kind: Any, raw: Any, path: str, dropped: list[str]) -> Any:
    """Return ``raw`` as a value of the annotation ``kind``; or note its path and return _ABSENT."""
    if isinstance(kind, UnionType):
        kind = get_args(kind)[0]
    try:
        if get_origin(kind) is list:
            return _items(get_args(kind)[0], raw, path, dropped)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            if isinstance(raw, dict):
                return _struct(kind, raw, f"{path}.", dropped)
        elif kind is str:
            if isinstance(raw, str):
                return _whole(raw)
        elif kind is bytes:
            return _decoded(raw)
        else:
            return msgspec.convert(raw, kind, strict=False)
    except (TypeError, ValueError):  # msgspec's and binascii's own errors are among these
        pass
    dropped.append(path)
    return _ABSENT


def _items(kind: Any, raw: Any, path: str, dropped: list[str]) -> list[Any]:
    if not isinstance(raw, list):
        raise TypeError(path)
    values = (_value(kind, item, path, dropped) for item in raw if item is not None)
    return [value for value in values if value is not _ABSENT]


def _whole(text: str) -> str:
    """Return the text with U+FFFD for each half of a surrogate pair: no encoder takes half of one."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _decoded(raw: Any) -> bytes:
    text = raw.translate(_AS_ONE_LINE).rstrip("=") if isinstance(raw, str) else raw
    return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
