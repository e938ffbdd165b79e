"""Makes the TLS handshake at the public port, within a bound."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import ssl

import trio

from preppald.net.records import Records
from preppald.net.stream import Stream
from preppald.net.tls import Identity

# From the first byte to the last; a distant telephone needs two round trips of half a second.
HANDSHAKE_SECONDS = 5.0


class PlainHttp(Exception):
    """The client began with an HTTP request where TLS is spoken."""


@asynccontextmanager
async def secured(stream: trio.abc.Stream, identity: Identity) -> AsyncIterator[Stream | None]:
    """Yield the stream after its handshake, hung up at the end; None where no handshake came about in time.

    Raises:
        PlainHttp: the client knows of no TLS; it can still be told so.
        trio.BrokenResourceError: it went away, or speaks no TLS that we accept.
    """
    encrypted = Stream(stream, Records(identity.context))
    made = await _handshake(encrypted)
    try:
        yield encrypted if made else None
    finally:
        await encrypted.hang_up()  # noqa: ASYNC102 - shielded, and closes without waiting


async def _handshake(encrypted: Stream) -> bool:
    with trio.move_on_after(HANDSHAKE_SECONDS):
        try:
            await encrypted.handshake()
        except ssl.SSLError as error:
            if error.reason == "HTTP_REQUEST":
                raise PlainHttp from None
            raise trio.BrokenResourceError(f"no TLS handshake: {error.reason}") from error
        return True
    return False
