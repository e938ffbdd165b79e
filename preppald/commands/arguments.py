"""Types of arguments: each takes the text, and says what is allowed where it is none."""

import argparse
from collections.abc import Callable
import contextlib
import re

from preppald.config.addresses import Address, address
from preppald.config.values import Invalid
from preppald.core.tokens import INTERVIEW_ID


def number(*, at_least: float, at_most: float) -> Callable[[str], float]:
    """Return a reader of numbers within these bounds."""

    def read(text: str) -> float:
        with contextlib.suppress(ValueError):
            if at_least <= (value := float(text)) <= at_most:
                return value
        raise argparse.ArgumentTypeError(f"{text!r} must be a number from {at_least:g} to {at_most:g}")

    return read


def whole(*, at_least: int, at_most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers within these bounds."""

    def read(text: str) -> int:
        # Bounded before int() has it: Python refuses to read thousands of digits.
        if re.fullmatch(r"[0-9]{1,20}", text) and at_least <= int(text) <= at_most:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from {at_least} to {at_most}")

    return read


count = whole(at_least=1, at_most=1000)


def listen(text: str) -> Address:
    """Return an address to listen at."""
    try:
        return address(text)
    except Invalid as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from error


def interview_id(text: str) -> str:
    """Return an interview's id, as a token may hold it."""
    if INTERVIEW_ID.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} must be 1 to 64 of A-Z a-z 0-9 _ -")
    return text
