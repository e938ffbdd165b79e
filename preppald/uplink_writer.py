"""The uplink's way out: prompts and audio, over whichever connection to Gemini there is."""

from preppald.core import gemini
from preppald.core.closes import STALLED
from preppald.uplink import Item, Note, Uplink
from preppald.upstream import Upstream, UpstreamError

# A send that takes longer has lost its connection: half a frame cannot be taken back.
SEND_SECONDS = 5.0


class UplinkWriter:
    """``run`` is its task, for what cannot be sent at once; what can is sent by whoever puts it into the uplink."""

    def __init__(self, uplink: Uplink) -> None:
        self.upstream: Upstream | None = None
        self._uplink = uplink

    def attach(self, upstream: Upstream) -> None:
        """There is a connection: what was kept flows, and all that follows."""
        self.upstream = upstream
        self._uplink.open(self._send_now)

    def detach(self) -> None:
        """It is gone; what comes is kept for the next."""
        self.upstream = None
        self._uplink.shut()

    async def run(self) -> None:
        """Sends until it is cancelled; audio that could not be sent waits for the next connection."""
        while True:
            item = await self._uplink.take()
            upstream = self.upstream
            if upstream is None:
                continue  # pragma: no cover - the uplink is shut in the same step that clears it
            try:
                await upstream.send(_message(item))
            except UpstreamError:
                # The reader sees the end too, and it knows the close frame. Until then nothing is sent.
                if self.upstream is upstream:
                    self._uplink.shut()
                if isinstance(item, bytes):  # prompts were meant for the moment
                    self._uplink.give_back(item)

    async def drop_if_stalled(self, now: float) -> None:
        """Hangs up on a connection that takes nothing more."""
        upstream = self.upstream
        if upstream is None or upstream.sending_since is None:
            return
        if now - upstream.sending_since > SEND_SECONDS:
            await upstream.abort(STALLED)

    def _send_now(self, item: Item) -> bool:
        upstream = self.upstream
        if upstream is None or not upstream.idle:
            return False
        upstream.post(_message(item))
        return True


def _message(item: Item) -> str:
    match item:
        case bytes():
            return gemini.audio(item)
        case str():
            return gemini.prompt(item)
        case Note():
            return gemini.note(item.text)
