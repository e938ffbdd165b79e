"""Makes the TLS handshake at the public port, within a bound."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import ssl

import trio

from preppald.net.tls import Identity

# From the first byte to the last; a distant telephone needs two round trips of half a second.
HANDSHAKE_SECONDS = 5.0


class PlainHttp(Exception):
    """The client began with an HTTP request where TLS is spoken."""


@asynccontextmanager
async def secured(
    stream: trio.abc.Stream, identity: Identity
) -> AsyncIterator[trio.SSLStream[trio.abc.Stream] | None]:
    """The stream after its handshake, closed at the end; None where none came about in time.

    Raises:
        PlainHttp: the client knows of no TLS; it can still be told so.
        trio.BrokenResourceError: it went away.
    """
    # As everywhere with HTTP, either side may hang up without TLS's own goodbye: what matters says its length.
    encrypted = trio.SSLStream(stream, identity.context, server_side=True, https_compatible=True)
    try:
        made = await _handshake(encrypted)
        try:
            yield encrypted if made else None
        finally:
            await trio.aclose_forcefully(encrypted)  # noqa: ASYNC102 - closes without waiting
    finally:
        # It refers to itself by the handshake it might have to make. The garbage collector would find it one day, and
        # sees small objects only, where OpenSSL holds 60 KB each.
        vars(encrypted).pop("_handshook", None)


async def _handshake(encrypted: trio.SSLStream[trio.abc.Stream]) -> bool:
    with trio.move_on_after(HANDSHAKE_SECONDS):
        try:
            await encrypted.do_handshake()
        except trio.BrokenResourceError as error:
            if isinstance(error.__cause__, ssl.SSLError) and error.__cause__.reason == "HTTP_REQUEST":
                raise PlainHttp from None
            raise
        return True
    return False
