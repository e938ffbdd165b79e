"""Whose certificates are believed: this machine's, so that an operator's own CA counts."""

from functools import cache
import ssl


@cache
def machines_own() -> ssl.SSLContext:
    """For every client of the process, read when the first needs it: that takes 20 ms and a megabyte and more.

    httpx would offer HTTP/1.1 by itself, and everyone else with it from then on; so it is offered from the start,
    as browsers do for a WebSocket, too.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
