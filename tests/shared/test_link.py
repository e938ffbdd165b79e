"""The watchdog of a connection to PostgreSQL: a statement has a bound, also where the connection is still being made."""

from collections.abc import Iterator
import socket
import struct
import threading

import pytest
import trio

from preppald.shared.link import PATIENCE_SECONDS, Link
from preppald.shared.protocol import Unreachable

# By the machine's clock: only a client that does not hang up waits for it.
REAL_SECONDS = 5.0
PARAMETERS = {
    "server_version": "15.0",
    "client_encoding": "UTF8",
    "in_hot_standby": "off",
    "default_transaction_read_only": "off",
}


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


class Silent:
    """A server that lets nobody in before ``open`` is set, and answers no statement.

    ``asked``: what came after that, of each connection; None where its client waited for an answer.
    """

    def __init__(self) -> None:
        self.open = threading.Event()
        self.knocked, self.left = threading.Event(), threading.Event()
        self.asked: list[bytes | None] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self.open.set()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                client.settimeout(REAL_SECONDS)
                self._hold(client)
            self.left.set()

    def _hold(self, client: socket.socket) -> None:
        client.recv(4096)
        self.knocked.set()
        self.open.wait()
        told = b"".join(message(b"S", f"{it}\0{value}\0".encode()) for it, value in PARAMETERS.items())
        ready = message(b"K", struct.pack("!II", 1, 1)) + message(b"Z", b"I")
        client.sendall(message(b"R", struct.pack("!I", 0)) + told + ready)
        asked = b""
        try:
            while more := client.recv(4096):
                asked += more
        except ConnectionResetError:
            pass
        except TimeoutError:
            self.asked.append(None)
            return
        self.asked.append(asked)


@pytest.fixture
def silent() -> Iterator[Silent]:
    it = Silent()
    yield it
    it.close()


def link(it: Silent) -> Link:
    return Link(f"postgresql://x:y@127.0.0.1:{it.port}/z?sslmode=disable&gssencmode=disable")


async def test_a_connection_that_is_made_after_the_patience_is_hung_up_on(
    autojump_clock: object, silent: Silent
) -> None:
    """There was no socket to shut when the time was up; the statement that follows would have no bound."""
    ours, answers = link(silent), list[object]()

    async def ask() -> None:
        answers.append(await ours.ask("SELECT 1"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.to_thread.run_sync(silent.knocked.wait)
        await trio.sleep(2 * PATIENCE_SECONDS)
        assert not answers
        silent.open.set()
    assert isinstance(answers[0], Unreachable)
    await trio.to_thread.run_sync(silent.left.wait)
    assert silent.asked[0] is not None
    ours.close()


async def test_a_connection_whose_asker_is_gone_is_not_asked_any_more(
    autojump_clock: object, silent: Silent
) -> None:
    """Nobody would learn the answer, and the next one who asks would wait behind it."""
    ours = link(silent)
    with trio.move_on_after(PATIENCE_SECONDS / 2) as gone:
        await ours.ask("SELECT 1")
    assert gone.cancelled_caught
    await trio.to_thread.run_sync(silent.knocked.wait)
    silent.open.set()
    await trio.to_thread.run_sync(silent.left.wait)
    assert silent.asked[0] is not None
    assert b"SELECT" not in silent.asked[0]
    ours.close()
