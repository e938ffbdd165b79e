"""The browser's end of one connection: a WebSocket with an outbox towards the browser and an allowance for its sender.

``post`` never waits, so that any code may call it: the kernel takes the message at once, or the writer's task sends
it. A browser that takes too little, or sends too much, is closed with its reason, and no other notices.
"""

from collections.abc import Awaitable, Sequence

import trio

from preppald.browser.coding import MAX_PACKET_PCM_BYTES, Coder
from preppald.core import frames
from preppald.core.allowance import Allowance
from preppald.core.endings import Close
from preppald.core.pieces import Pieces
from preppald.core.turns import Fragment
from preppald.net.framing import Message
from preppald.net.poll import Look
from preppald.net.poller import Poller
from preppald.net.wakeup import Sleep, Wakeup
from preppald.net.websocket import Protocol, WebSocket, WebSocketClosed

# A tick's audio is 700 bytes. After a stall this is twelve times real time, and the smallest frames that fit take
# a few milliseconds, which is all that other connections have to wait for this one.
READ_BYTES = 8 * 1024
# 96 s of 24 kHz PCM in pieces of 40 ms. Gemini speaks at four times real time, so that a slow line may lag by most of a
# long answer; a browser further behind than this is not listening any more.
OUTBOX_BYTES = 5 * 1024 * 1024
# A message costs its place in the queue, too: without that, a flood of single letters would hold a hundred times its size.
PLACE_BYTES = 256
# One write, a third of a second of the interviewer's voice: the rest stays here, where Interrupted and a goodbye
# overtake it.
PIECE_BYTES = 16 * 1024
# How long the peer may take to answer a close frame.
CLOSE_SECONDS = 2.0
# Why we ended a connection: the name in logs and metrics.
TOO_SLOW = "too_slow"
FLOOD = "flood"
STUCK = "stuck"
SILENT = "silent"
# The line is at fault, not the page, which should come back.
GOING_AWAY = 1001


class Browser:
    """One browser's connection after its handshake.

    One task reads, one task writes; all other code only posts messages, which never blocks.
    ``heard_at``: when the browser last sent anything. ``gone`` is set once nothing more will happen here.
    ``troubled``: after a read, whether it has ``ended``, or is ``strained``: seldom, and then the two say which.
    ``cut``: why we ended the connection, if that was the browser's fault or its line's. ``given_up_at``: when its line
    was taken for dead. ``plays_all``: the page plays every reply to its end, whatever the candidate says meanwhile.
    ``measures``: the page wants to know how much of its sound arrived, which is ``audio_bytes`` so far.
    ``coder``: its Opus, where it asked for that and was granted it.
    ``client``: the subprotocol that the page speaks; "old" for one from before preppal.v1. ``family``: chrome, firefox,
    safari or other.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        protocol: Protocol,
        early: bytes = b"",
        *,
        peer: str = "",
        measures: bool = False,
        family: str = "other",
    ) -> None:
        self.peer = peer
        self.measures = measures
        self.audio_bytes = 0
        self.coder: Coder | None = None
        self.gone = trio.Event()
        self.heard_at = trio.current_time()
        self.cut: str | None = None
        self.given_up_at: float | None = None
        # A page that offers no subprotocol is from before preppal.v1: it knows no Interrupted and plays all it gets.
        self.plays_all = protocol.subprotocol is None
        self.client = protocol.subprotocol or "old"
        self.family = family
        self._pieces = Pieces() if self.plays_all else None
        self._started_ms = 0
        self.troubled = False
        self._allowance = Allowance()
        self._websocket = WebSocket(stream, protocol, early, read_bytes=READ_BYTES)
        # A list, for it is nearly always empty: a deque would take 760 bytes of each browser.
        self._outbox: list[tuple[bytes, bool]] = []
        self._outbox_bytes = 0
        self._gathering = False
        self._closing: Close | None = None
        self._writing = False
        self._to_write = Wakeup()
        self._written = Sleep()

    @property
    def sending_since(self) -> float | None:
        """Return since when a send waits without a byte taken, for a watchdog."""
        return self._websocket.sending_since

    def charge(self, allowance: Allowance) -> None:
        """Count what comes from now on against the interview's own allowance, which outlives connections."""
        self._allowance = allowance

    # -------------------------------------------------------------- posting

    def show(self, fragment: Fragment, started_ms: int) -> None:
        """Post a piece of the transcript, in the form that this page understands. ``started_ms``: the interview's."""
        self._started_ms = started_ms
        if self._pieces is None:
            self.post(frames.transcript(fragment, started_ms))
        else:
            self._show_all(self._pieces.show(fragment, trio.current_time()))

    def show_due(self, now: float) -> None:
        """Post the piece that has waited long enough for its turn's end."""
        if self._pieces is not None:
            self._show_all(self._pieces.due(now))

    def _show_all(self, pieces: list[Fragment]) -> None:
        for piece in pieces:
            self.post(frames.transcript(piece, self._started_ms))

    def post(self, message: bytes, *, audio: bool = False) -> None:
        """Send or queue a message. A browser whose outbox is full is too slow, and is closed instead."""
        if self._closing is not None:
            return
        if not self._gathering and not self._outbox and self._websocket.idle:
            if not self._websocket.post(message):
                self._to_write.ring()
            return
        size = len(message) + PLACE_BYTES
        if self._outbox_bytes + self._websocket.unsent + size > OUTBOX_BYTES:
            self._cut(TOO_SLOW, "Too slow to receive")
            return
        self._outbox.append((message, audio))
        self._outbox_bytes += size
        if not self._gathering:
            self.flush()

    def play(self, pcm: bytes) -> None:
        """Post a piece of the interviewer's voice (s16le mono 24 kHz), now or as soon as it is encoded."""
        if self.coder is None or not self.coder.play(pcm):
            self.post(frames.audio(pcm), audio=True)

    def rest(self) -> None:
        """Have an encoder bring out what it holds back for more of the voice."""
        if self.coder is not None:
            self.coder.rest()

    def prefer(self, *, opus: bool) -> None:
        """Carry the voice as Opus from now on, or as PCM; a page that was not granted Opus asks in vain."""
        self.charge_nothing_said()  # a page changes its mind once a minute at most
        if self.coder is not None:
            self.coder.prefer(packets=opus)

    def gather(self) -> None:
        """Keep what is posted from now on for the next ``flush``, so that one write sends it all."""
        self._gathering = True

    def flush(self) -> None:
        """Send the outbox if that needs no waiting; otherwise wake the writer."""
        self._gathering = False
        if not self._outbox:
            return
        if not self._websocket.idle or self._closing is not None or not self._send_now():
            self._to_write.ring()

    def drop_audio(self) -> None:
        """Forget audio that is not sent yet: the candidate spoke over it."""
        if self.coder is not None:
            self.coder.drop()
        self._outbox = [item for item in self._outbox if not item[1]]
        self._outbox_bytes = sum(len(message) + PLACE_BYTES for message, _ in self._outbox)

    def ping(self) -> None:
        """Ask for a sign of life, which ``heard_at`` will show."""
        if not self._websocket.ping():
            self._to_write.ring()

    def close(self, close: Close) -> None:
        """Close after what is queued; the first reason given counts."""
        if self._pieces is not None:
            self._show_all(self._pieces.flush())
        self._closing = self._closing or close
        self._to_write.ring()

    # -------------------------------------------------------------- the reader

    @property
    def strained(self) -> bool:
        """Return whether it sends so much that it may not be read at any moment."""
        return self._allowance.strained

    @property
    def ended(self) -> bool:
        """Return whether the browser sends no messages any more, so that ``receive`` raises."""
        return self._websocket.ended

    def receive_now(self, now: float) -> list[Message] | None:
        """Return all messages that are here already, often none; None where only ``receive`` can tell.

        ``now``: Trio's time, as the poller's step found it.
        """
        if self.cut == FLOOD:
            return None
        if self._pieces is not None and self._pieces.held is not None:
            self.show_due(now)
        allowance, websocket = self._allowance, self._websocket
        if allowance.strained and self._throttled():
            self.troubled = True
            return []
        messages = websocket.receive_now(now)
        if websocket.received and messages is not None:
            self.heard_at = now
            empty = websocket.empty
            allowance.spend(now, size=websocket.received, frames=websocket.frames, empty=empty)
            if empty or websocket.ended:
                self._see_to(empty)
        self.troubled = websocket.ended or allowance.strained
        return messages

    def poll(self, poller: Poller, look: Look) -> Awaitable[None]:
        """Have the poller call ``look`` whenever there is something to read, until it returns true.

        Returns at once where there is nothing that could be polled.
        """
        return self._websocket.poll(poller, look)

    async def receive(self) -> list[Message]:
        """Return all messages that the next read brings, often none. Text comes as ``str``.

        A browser that sends too much is not read for a while, and then cut.

        Raises:
            WebSocketClosed: the connection ended.
        """
        if self.cut == FLOOD:
            await self._websocket.discard()
            return []
        if self._throttled():
            return []
        websocket = self._websocket
        messages = await websocket.receive()
        self.heard_at = now = websocket.heard_at
        self._allowance.spend(now, size=websocket.received, frames=websocket.frames, empty=websocket.empty)
        self._see_to(websocket.empty)
        return messages

    def _throttled(self) -> bool:
        now = trio.current_time()
        if not self._allowance.throttled(now):
            return False
        self.heard_at = now
        self._cut_if_faulty(now)
        return True

    def _see_to(self, empty: int) -> None:
        """See to what a read brought beside messages: ``empty`` frames, or the end."""
        websocket = self._websocket
        if empty:
            self._cut_if_faulty(self.heard_at)
        if (empty or websocket.ended) and (websocket.unsent or not websocket.open):
            self._to_write.ring()  # a pong that the kernel did not take, or the end

    def unpack(self, packets: Sequence[bytes]) -> bytes:
        """Return the sound in Opus packets (PCM s16le mono 16 kHz), charged like PCM; only where there is a ``coder``.

        Nothing is decoded on credit: a read of 8 KiB can hold minutes of sound.
        """
        pcm, size = b"", len(packets) * MAX_PACKET_PCM_BYTES
        if self.coder is not None and not self._allowance.overdrawn(self.heard_at):
            pcm = self.coder.hear(packets)
            size = len(pcm)
        self._allowance.spend(self.heard_at, size=size, frames=0, empty=0)
        return pcm

    def charge_nothing_said(self) -> None:
        """Count a message that said nothing among the frames that carry nothing: many of them are an abuse."""
        now = trio.current_time()
        self._allowance.spend(now, size=0, frames=0, empty=1)
        self._cut_if_faulty(now)

    def _cut_if_faulty(self, now: float) -> None:
        if fault := self._allowance.fault(now):
            self._cut(FLOOD, fault)

    def give_up(self, now: float) -> None:
        """Close the connection of a line that takes nothing; if it comes to life in time, the candidate reads why."""
        self.given_up_at = now
        self._cut(STUCK, "The line took nothing", code=GOING_AWAY)

    def _cut(self, why: str, words: str, *, code: int = 1008) -> None:
        self.cut = self.cut or why
        self.drop_audio()
        self.close(Close(code, words))

    # -------------------------------------------------------------- the writer

    async def write(self) -> None:
        """Send what is posted until either side closed, then see the connection off, within a bound."""
        self._writing = True
        try:
            while self._websocket.open:
                if not self._waiting():
                    await self._to_write.heard()
                await self._send_waiting()
            await self._send_waiting()
        except WebSocketClosed:
            pass
        finally:
            self._writing = False
        self._written.end()
        with trio.move_on_after(CLOSE_SECONDS):
            await self.gone.wait()
        await self.hang_up()

    def _waiting(self) -> bool:
        return bool(self._outbox or self._websocket.unsent or self._closing is not None)

    async def _send_waiting(self) -> None:
        """Send all there is, piece by piece, and wait for each that the kernel does not take at once."""
        await self._websocket.flush()
        while not self._send_now():
            await self._websocket.flush()

    def _send_now(self) -> bool:
        """Send all there is, until the kernel is full; return whether it took everything. A close comes last."""
        sent = self._websocket.post(*self._piece())
        while sent and self._outbox:
            sent = self._websocket.post(*self._piece())
        if self._closing is not None and not self._outbox:
            sent = self._websocket.close(self._closing.code, self._closing.reason)
        return sent

    def _piece(self) -> list[bytes]:
        """Take the next messages from the outbox: one at least, and more as far as one write carries them."""
        piece: list[bytes] = []
        size = 0
        for message, _ in self._outbox:
            if piece and size + len(message) > PIECE_BYTES:
                break
            piece.append(message)
            size += len(message)
        del self._outbox[: len(piece)]
        self._outbox_bytes -= size + PLACE_BYTES * len(piece)
        return piece

    # -------------------------------------------------------------- the end

    async def part(self) -> None:
        """See the end through after ``receive`` raised: let the writer finish, then hang up."""
        with trio.move_on_after(CLOSE_SECONDS):
            await self._written.sleep()
            await self._websocket.linger()
        await self.hang_up()

    async def see_off(self) -> None:
        """Return, after ``close``, when the connection is gone. Writes itself where the writer's task has ended."""
        if not self._writing and self.sending_since is None:
            await self.write()
        await self.gone.wait()

    async def hang_up(self) -> None:
        """Drop the connection; tasks that read or write here see it end."""
        await self._websocket.hang_up()
        if self.coder is not None:
            self.coder.drop()  # a thread may be at work for it
            self.coder = None
        self.gone.set()
