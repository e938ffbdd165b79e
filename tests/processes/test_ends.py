"""The end of a connection over a socket that is polled: both sides have said goodbye, and it is closed at once."""

from pathlib import Path

import trio

from preppald.browser.connection import CLOSE_SECONDS
from tests.candidates import tone
from tests.processes.daemon import daemon

# A daemon that did not notice the browser's close would wait for it so long.
PROMPT_SECONDS = CLOSE_SECONDS / 2


async def test_the_connection_of_an_interview_that_was_ended_is_closed_at_once(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    """A browser shows its user the end when the connection is gone, and not when the close frame has come."""
    async with daemon(tmp_path, {}) as running:
        candidate = await running.candidate(nursery)
        await candidate.until("session_started")
        await candidate.send_audio(tone(0.02))
        began = trio.current_time()
        await candidate.end()
        assert await candidate.closed() == (1000, "Interview ended by user")
        assert trio.current_time() - began < PROMPT_SECONDS


async def test_a_browser_that_says_goodbye_has_left_at_once(tmp_path: Path, nursery: trio.Nursery) -> None:
    """Its connection is the daemon's to close (RFC 6455 §7.1.1)."""
    async with daemon(tmp_path, {}) as running:
        candidate = await running.candidate(nursery)
        await candidate.until("session_started")
        await candidate.send_audio(tone(0.02))
        began = trio.current_time()
        candidate.protocol.send_close(1001, "the page is left")
        await candidate.flush()
        left = await running.logged("browser.left")
        assert left["code"] == 1001
        await candidate.closed()
        assert trio.current_time() - began < PROMPT_SECONDS
