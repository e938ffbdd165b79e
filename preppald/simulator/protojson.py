"""Reads client frames as Google's ProtoJSON parser does.

It takes lowerCamelCase and snake_case names, standard and URL-safe base64 with or without padding, and int64 as
a number or a string; it refuses an unknown field. The result has lowerCamelCase names, `bytes` for
base64 and `int` for int64, and lacks the fields that were null.
"""

import base64
import binascii
from functools import cache
import re
from typing import Any

import msgspec

from preppald.simulator.endings import HangUp, cut, hang_up
from preppald.simulator.schema import CLIENT_MESSAGE, Enum, Field, Message, Repeated

_HUMP = re.compile(r"(?<!^)(?=[A-Z])")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


@cache
def snake_case(camel: str) -> str:
    return _HUMP.sub("_", camel).lower()


@cache
def camel_case(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def read(frame: bytes) -> tuple[str, dict[str, Any]]:
    """Return the kind of a client frame's message, and the message.

    Raise HangUp (1007) for anything that the real parser refuses.
    """
    try:
        value = msgspec.json.decode(frame)
    except (msgspec.DecodeError, RecursionError):  # not UTF-8 is a DecodeError too
        raise hang_up("invalid-argument") from None
    message = _message(CLIENT_MESSAGE.fields, value, "")
    if len(message) != 1:  # exactly one of its kinds is a message's rule
        raise hang_up("invalid-argument")
    return next(iter(message.items()))


def _read(field: Field, value: Any, path: str) -> Any:
    match field:
        case Message(fields):
            return _message(fields, value, path)
        case Repeated(item):
            if isinstance(value, list):
                return [_read(item, entry, f"{path}[{index}]") for index, entry in enumerate(value)]
        case Enum(values):
            if value in values:
                return value
        case "any":
            return value
        case "bytes":
            return _bytes(value)
        case "int":
            return _int(value)
        case _:
            if isinstance(value, _TYPES[field]) and not (field == "number" and isinstance(value, bool)):
                return value
    raise hang_up("invalid-argument")


_TYPES: dict[str, type | tuple[type, ...]] = {"string": str, "bool": bool, "number": (int, float)}


def _message(fields: dict[str, Field], value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise hang_up("invalid-argument")
    message = {}
    for written, inner in value.items():
        name = written if written in fields else camel_case(written)
        if name not in fields:
            where = f" at '{path}'" if path else ""
            raise HangUp(
                1007,
                cut(f'Invalid JSON payload received. Unknown name "{written}"{where}: Cannot find field.'),
            )
        if inner is not None:
            below = snake_case(name)
            message[name] = _read(fields[name], inner, f"{path}.{below}" if path else below)
    return message


def _bytes(value: Any) -> bytes:
    if not isinstance(value, str):
        raise hang_up("invalid-argument")
    try:
        text = value.encode("ascii").translate(_URL_SAFE).rstrip(b"=")
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise hang_up("invalid-argument") from None


# int64 is the widest; a longer run of digits is not a number to anybody.
_INT64 = re.compile(r"-?\d{1,19}")


def _int(value: Any) -> int:
    if isinstance(value, str) and _INT64.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise hang_up("invalid-argument")
