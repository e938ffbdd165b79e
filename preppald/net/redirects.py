"""Keeps httpx from looking where a redirection leads: none is followed here."""

from collections.abc import Awaitable, Callable

import httpx


async def _forgotten(answer: httpx.Response) -> None:
    answer.headers.pop("location", None)


# For ``event_hooks`` of every client. httpx reads an answer's Location also where it does not follow it, and then a host
# that is none (http://xn--0000h/, as of a captive portal) raises an error that is not even httpx's own.
IGNORED: dict[str, list[Callable[[httpx.Response], Awaitable[None]]]] = {"response": [_forgotten]}
