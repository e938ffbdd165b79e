"""Tells a page why it gets no seat, in words and a close code: a page cannot read the HTTP answer to its handshake.

Rule 1: only a client that offers ``preppal.v2`` is told so, and only by a request that could have opened an interview.
        All others get the HTTP answer, and so does everybody in a flood: limits on connections and handshakes, and bad
        HTTP, never come here.
Rule 2: at most ``AT_ONCE`` goodbyes at a time, of ``SECONDS`` each; none takes an interview's place.
"""

from http import HTTPStatus

import trio

from preppald.browser.connection import Browser
from preppald.core import frames
from preppald.core.endings import Close
from preppald.errors import Refusal
from preppald.server import http as http1
from preppald.server.http import Exchange
from preppald.server.request import SUBPROTOCOL_2

AT_ONCE = 32
SECONDS = 2.0
# 4000 and the HTTP status: what a page reads in the close frame.
CODES = {
    HTTPStatus.BAD_REQUEST: 4400,
    HTTPStatus.UNAUTHORIZED: 4401,
    HTTPStatus.FORBIDDEN: 4403,
    HTTPStatus.GONE: 4410,
    HTTPStatus.TOO_MANY_REQUESTS: 4429,
    HTTPStatus.SERVICE_UNAVAILABLE: 4503,
}
# RFC 6455 §5.5: a control frame carries 125 bytes, of which two are the code.
MAX_REASON_BYTES = 123


class Goodbyes:
    """All goodbyes of one process."""

    def __init__(self) -> None:
        self._saying = 0

    async def say(self, stream: trio.abc.Stream, exchange: Exchange, refusal: Refusal) -> bool:
        """Tell the page why; return False where it must have the HTTP answer instead, and nothing was sent."""
        request = exchange.request
        code = CODES.get(refusal.status)
        if code is None or not request.wants_upgrade or SUBPROTOCOL_2 not in request.subprotocols:
            return False
        if self._saying >= AT_ONCE:
            return False
        try:
            upgrade = http1.handshake(exchange)
        except Refusal:
            return False
        self._saying += 1
        try:
            with trio.move_on_after(SECONDS):
                protocol = await http1.upgrade(stream, upgrade)
                if protocol is not None:
                    await tell(Browser(stream, protocol, upgrade.early), refusal)
        finally:
            self._saying -= 1
        return True


async def tell(browser: Browser, refusal: Refusal) -> None:
    """Send the refusal as an ErrorResponse and a close code, and see the browser off."""
    code = CODES.get(refusal.status, CODES[HTTPStatus.SERVICE_UNAVAILABLE])
    words = str(refusal)
    again = float(refusal.retry_after or 0)
    browser.post(frames.error(code, words, retry_after_seconds=again))
    browser.close(Close(code, words.encode()[:MAX_REASON_BYTES].decode(errors="ignore")))
    await browser.write()
