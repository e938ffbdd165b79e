"""The one place that a browser can take in an interview, and all that is said to whoever sits there.

While nobody does, audio is lost and text is not: a browser that comes back says what it has, and gets the rest.
"""

from collections.abc import Sequence

import trio

from preppald.browser.connection import CLOSE_SECONDS, SILENT, Browser
from preppald.core import frames
from preppald.core.allowance import Allowance
from preppald.core.endings import REPLACED, CloseCodes, Ending
from preppald.core.frames import NoticeKind
from preppald.core.presence import Stays
from preppald.core.turns import CutReply, Fragment
from preppald.recording import NO_TAPE, Tape

# A browser that takes not one byte for so long has lost its connection; one that takes some is only slow.
SEND_SECONDS = 10.0
PING_SECONDS = 15.0
# A peer that has not even answered a ping for so long is gone; it has had so long for the answer.
SILENT_SECONDS = 25.0
ANSWER_SECONDS = SILENT_SECONDS - PING_SECONDS


class Seat:
    """``browser`` sits there, or nobody does since ``left_at``; ``stays``: those who did. ``tape``: records what whoever sits there hears.

    ``started_ms``: the interview's start, wall clock in milliseconds.
    """

    def __init__(self, tape: Tape = NO_TAPE, started_ms: int = 0) -> None:
        self.browser: Browser | None = None
        self.stays = Stays()
        self.left_at = trio.current_time()
        self._allowance = Allowance()
        # The last ping, and the first since the browser was heard: after a stop of the whole process there is none.
        self._pinged_at = self._asked_at = 0.0
        self._replaying = False
        self._held: list[Fragment] = []
        self._tape = tape
        self._started_ms = started_ms
        self._knows_turns = False

    def take(self, browser: Browser, *, replaying: bool, knows_turns: bool = False) -> None:
        """Give the seat to the newest connection; tell and close the one before.

        ``replaying``: fragments wait until ``release``, for older ones are being fetched and must go first.
        ``knows_turns``: the page puts an update where ``turn`` says, and not behind the speaker's last one.
        """
        self._knows_turns = knows_turns
        previous, self.browser = self.browser, browser
        browser.charge(self._allowance)
        self._pinged_at = self._asked_at = trio.current_time()
        self.stays.began(self._pinged_at)
        self._replaying = replaying
        self._held = []
        if previous is not None:
            self._tape.silenced()
            previous.close(REPLACED)

    @property
    def opus(self) -> bool:
        """True where whoever sits there may carry the sound as Opus."""
        return self.browser is not None and self.browser.coder is not None

    def leave(self) -> None:
        self.browser = None
        self._tape.silenced()
        self.left_at = trio.current_time()
        self.stays.ended(self.left_at)

    # -------------------------------------------------------------- said to the browser

    def post(self, message: bytes) -> None:
        if self.browser is not None:
            self.browser.post(message)

    def gather(self) -> None:
        """Gather all messages until ``flush`` into one send."""
        if self.browser is not None:
            self.browser.gather()

    def flush(self) -> None:
        if self.browser is not None:
            self.browser.flush()

    def play(self, pcm: bytes) -> None:
        if self.browser is not None:
            if self._tape is not NO_TAPE:  # as in Dialogue.heard
                self._tape.played(pcm)
            self.browser.play(pcm)

    def rest(self) -> None:
        """Send what an encoder keeps for more of the voice: the reply is over."""
        if self.browser is not None:
            self.browser.rest()

    def stop_playing(self, cut: CutReply | None = None) -> None:
        """Silence a reply that the candidate spoke over: in our queue, and in the browser's."""
        if self.browser is not None and not self.browser.plays_all:
            self._tape.silenced()
            self.browser.drop_audio()
            self.browser.post(frames.interrupted(cut))

    def show(self, fragment: Fragment) -> None:
        if self._replaying:
            self._held.append(fragment)
        else:
            self._show(fragment)

    def _show(self, fragment: Fragment) -> None:
        """Post a fragment; to a page that would put a turn's late rest behind the wrong turn, rather not."""
        if self.browser is not None and (self._knows_turns or not fragment.late):
            self.browser.show(fragment, self._started_ms)

    def tell(self, kind: NoticeKind, words: str, *, remaining: float) -> None:
        self.post(frames.notice(kind, words, remaining_seconds=remaining))

    def say_goodbye(self, ending: Ending, close_codes: CloseCodes) -> None:
        """Send the last messages and the close, ahead of any audio."""
        if self.browser is None:
            return
        self.browser.drop_audio()
        if ending.ended is not None:
            self.browser.post(frames.session_ended(ending.ended))
        if ending.error is not None:
            self.browser.post(frames.error(*ending.error))
        self.browser.close(ending.close(close_codes))

    # -------------------------------------------------------------- replay

    def release(self, browser: Browser, missed: Sequence[Fragment]) -> None:
        """Posts what was missed and then what was held, each once; nothing if another browser came meanwhile."""
        if browser is not self.browser or not self._replaying:
            return
        self._replaying = False
        last = missed[-1].seq if missed else 0
        for fragment in [*missed, *(held for held in self._held if held.seq > last)]:
            self._show(fragment)

    # -------------------------------------------------------------- minded once a second

    def mind(self, now: float) -> bool:
        """Ask the browser for a sign of life; return whether it is gone, or takes nothing: then ``hang_up``.

        It is asked even while it speaks: a proxy in between ends connections on which we say nothing for a minute.
        """
        browser = self.browser
        if browser is None:
            return False
        browser.show_due(now)
        silent = now - browser.heard_at
        stuck = browser.sending_since is not None and now - browser.sending_since > SEND_SECONDS
        unanswered = now - self._asked_at if browser.heard_at <= self._asked_at else 0.0
        if silent >= SILENT_SECONDS and unanswered >= ANSWER_SECONDS:
            browser.cut = browser.cut or SILENT
            return True
        if browser.given_up_at is not None:
            return now - browser.given_up_at >= CLOSE_SECONDS
        if stuck:
            browser.give_up(now)
        elif now - self._pinged_at >= PING_SECONDS:
            self._pinged_at = now
            if browser.heard_at > self._asked_at:
                self._asked_at = now
            browser.ping()
        return False

    async def hang_up(self) -> None:
        """Hang up on the browser, if there is one; its reader sees the end."""
        if self.browser is not None:
            await self.browser.hang_up()
