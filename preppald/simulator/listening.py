"""Binding: the one place of the simulator that opens ports."""

import ssl

import trio

Address = tuple[str, int]
"""Host and port; port 0 is any free one."""

Listeners = list[trio.abc.Listener[trio.abc.Stream]]


async def bind(listen: Address | Listeners, tls: ssl.SSLContext | None = None) -> tuple[Listeners, int]:
    """Return listeners for `trio.serve_listeners`, and their TCP port (0 when they have none).

    Connections made from now on wait until they are served: the caller may report that it is ready.
    """
    listeners = await _opened(*listen) if isinstance(listen, tuple) else listen
    first = listeners[0]
    port = int(first.socket.getsockname()[1]) if isinstance(first, trio.SocketListener) else 0
    if tls is not None:
        listeners = [trio.SSLListener(listener, tls, https_compatible=True) for listener in listeners]
    return listeners, port


async def _opened(host: str, port: int) -> Listeners:
    try:
        return [*await trio.open_tcp_listeners(port, host=host)]
    except OSError as error:
        error.filename = f"{host}:{port}"  # the system names no address
        raise
