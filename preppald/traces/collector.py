"""One post to a collector of traces, and the meaning of its answer."""

from collections.abc import Mapping
from dataclasses import dataclass
import os
import socket
from typing import Self

import httpx
import trio

from preppald import __version__
from preppald.config.otel import OF_THE_POST
from preppald.config.settings import Config
from preppald.net import redirects, tls
from preppald.net.proxy import Proxy, for_httpx
from preppald.traces import otlp

# A good answer is empty, or a few words. No more of one is read.
MOST_ANSWER_BYTES = 64 * 1024
# The request itself is refused: another try gives the same answer.
REFUSED = frozenset({400, 413, 415, 422})


@dataclass(frozen=True, slots=True)
class Sent:
    """The collector has it. ``rejected``: spans that it did not take."""

    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Later:
    """The try failed, and a later one may succeed. ``retry_after``: seconds that the collector asked for."""

    cause: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The collector will never take this request."""

    cause: str


Answer = Sent | Later | Refused


class Collector:
    """``url``: where traces are posted. ``seconds``: how long one post may take. Use it as an async context manager."""

    def __init__(
        self, url: str, headers: Mapping[str, str], seconds: float, *, proxy: Proxy | None = None
    ) -> None:
        self._url = url
        self._headers = dict(headers)
        self._seconds = seconds
        self._client = httpx.AsyncClient(
            headers={"User-Agent": f"preppald/{__version__}", "Accept-Encoding": "identity"},
            follow_redirects=False,
            event_hooks=redirects.IGNORED,
            timeout=seconds,
            # Only config reads the environment.
            trust_env=False,
            verify=tls.machines_own(),
            proxy=for_httpx(proxy),
        )

    @property
    def where(self) -> str:
        """Return the address for people, without what may be a key in it."""
        url = httpx.URL(self._url)
        return f"{url.scheme}://{url.netloc.decode('ascii')}{url.path}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._client.aclose()

    def renew(self, headers: Mapping[str, str]) -> None:
        """Take rotated headers: the next post carries them."""
        self._headers = dict(headers)

    async def post(self, body: bytes) -> Answer:
        """Try once, within the bound; raise nothing but Cancelled."""
        headers = {name: it for name, it in self._headers.items() if name.lower() not in OF_THE_POST}
        headers["Content-Type"] = otlp.CONTENT_TYPE
        with trio.move_on_after(self._seconds):
            try:
                async with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
                    return _meaning(
                        answer.status_code, answer.headers.get("retry-after"), await _read(answer)
                    )
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, UnicodeError) as error:
                # The library's words may quote the address, which may hold a key.
                return Later(_why(error))
        return Later(f"no complete answer within {self._seconds:g} seconds")


def collector_for(config: Config) -> Collector:
    """Return the collector that the configuration names; it must name one."""
    url = config.traces_url
    if url is None:
        raise ValueError("the configuration names no collector")
    seconds = config.otel_timeout / 1000
    return Collector(url, config.traces_headers, seconds, proxy=config.proxy_for(url))


def _why(error: BaseException) -> str:
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, socket.gaierror):
            return f"cannot be reached ({link.strerror})"
        if isinstance(link, OSError) and link.errno:
            return f"cannot be reached ({os.strerror(link.errno)})"
        if isinstance(link, BaseExceptionGroup):  # several addresses of one name
            link = link.exceptions[0]
        else:
            link = link.__cause__ or link.__context__
    return f"the connection failed ({type(error).__name__})"


def _meaning(status: int, retry_after: str | None, body: bytes) -> Answer:
    if 200 <= status <= 299:
        return Sent(otlp.rejected(body))
    if status in REFUSED:
        return Refused(f"answered {status}")
    said = (retry_after or "").strip()
    return Later(f"answered {status}", float(said) if said.isascii() and said.isdigit() else None)


async def _read(answer: httpx.Response) -> bytes:
    body = bytearray()
    with trio.CancelScope() as enough:
        async for part in answer.aiter_raw():
            body += part
            if len(body) > MOST_ANSWER_BYTES:
                enough.cancel()
    return bytes(body[:MOST_ANSWER_BYTES])
