"""What a client is still sending when it has been answered costs it no answer: with real sockets, for only they reset."""

from http import HTTPStatus

import pytest
import trio

from preppald.server import http as http1
from preppald.server.http import Answer

GET = b"GET /health HTTP/1.1\r\nHost: a\r\n"
# More than one read takes, and less than is thrown away.
MORE_BYTES = 4 * http1.RECEIVE_BYTES


async def serve(stream: trio.SocketStream) -> None:
    async with stream:
        exchange = await http1.read(stream)
        assert exchange is not None
        await http1.answer(stream, Answer(HTTPStatus.OK, b"yes"), to=exchange)


@pytest.mark.parametrize(
    "request_bytes",
    [
        GET + f"Content-Length: {MORE_BYTES}\r\n\r\n".encode() + bytes(MORE_BYTES),
        GET + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * (MORE_BYTES // 6),
        (GET + b"\r\n") * (MORE_BYTES // len(GET)),
    ],
    ids=["a body", "chunks", "requests behind it"],
)
async def test_the_answer_is_not_overtaken_by_a_reset(request_bytes: bytes) -> None:
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        async with await trio.open_tcp_stream(*listener.socket.getsockname()) as stream:
            await stream.send_all(request_bytes)
            answer = b"".join([part async for part in stream])
        assert answer.endswith(b"\r\n\r\nyes")
        nursery.cancel_scope.cancel()
