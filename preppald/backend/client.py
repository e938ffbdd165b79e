"""The application's API over HTTP: one client, one try at a time per call, every wait bounded."""

import abc
from collections.abc import Callable
from dataclasses import replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
import os
import socket
import ssl
from typing import Any, ClassVar, Self
import zlib

import httpx
import msgspec
import trio

from preppald import __version__
from preppald.backend import protobuf, trpc
from preppald.backend.breaker import MOST_IN_FLIGHT
from preppald.backend.outcomes import Absent, Outcome, Probe, Refused, Retry, Unauthorized
from preppald.backend.trpc import Transformer
from preppald.backend.wire import UNAUTHORIZED, BackendRequest
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.deliveries import Delivery, DeliveryKind
from preppald.net import redirects, tls
from preppald.net.proxy import Proxy, for_httpx, in_words

# One try in all, also where an answer dribbles in; the outbox tries again later.
TRY_SECONDS = 10.0
# Each step of a try. A host that does not answer a SYN in this time is down.
CONNECT_SECONDS = 5.0
STEP_SECONDS = 10.0
# A mutation's answer is under a kilobyte. Error pages are larger, and nothing of those counts.
MAX_ANSWER_BYTES = 64 * 1024
# A context: two documents and a prompt of 20 000 characters each, of which JSON may take 12 bytes for one.
MAX_CONTEXT_BYTES = 1024 * 1024
# zlib's flag for reading both zlib's and gzip's headers.
EITHER_HEADER = zlib.MAX_WBITS | 32
# Node closes idle connections after 5 s; reusing one at that moment would make a failure look ambiguous.
KEEPALIVE_SECONDS = 2.0


# Interviews that may ask for their context at once, so that posts which hang do not keep them waiting.
CONTEXTS = 16
# An application without getContext is not asked for it again for so long, or until a reload.
ABSENT_SECONDS = 3600.0
# No interview's id: asking for its context finds out whether the secret is right, and changes nothing.
NOBODYS_INTERVIEW = "preppald-check"


class HttpBackend(abc.ABC):
    """The base of both wires. Use it as an async context manager.

    ``base_url``: scheme, host and perhaps a path, without a slash at the end. ``trust``: authorities of its own.
    """

    # True where a delivery posted twice stands once.
    UPSERTS: ClassVar[bool]
    CONNECTIONS: ClassVar[int] = MOST_IN_FLIGHT + CONTEXTS

    def __init__(
        self,
        base_url: str,
        secret: str,
        *,
        accept: str,
        trust: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        # Among hosts that share a journal: how often a session, by its id and block, changed hands.
        self.fence: Callable[[str, int], int] | None = None
        self._base_url = base_url.rstrip("/")
        self._proxy = proxy
        self._client = httpx.AsyncClient(
            headers={
                "Authorization": f"Bearer {secret}",
                "User-Agent": f"preppald/{__version__}",
                "Accept": accept,
                # An answer that is not compressed cannot be a bomb. Some proxies compress all the same.
                "Accept-Encoding": "identity",
            },
            follow_redirects=False,
            event_hooks=redirects.IGNORED,
            timeout=httpx.Timeout(STEP_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=self.CONNECTIONS, keepalive_expiry=KEEPALIVE_SECONDS),
            # Only config.py reads the environment: no proxies and no netrc by surprise.
            trust_env=False,
            # A cookie of one interview's answer would go with the next one's posts, and they would add up.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            # httpx would take certifi's.
            verify=trust or tls.machines_own(),
            proxy=for_httpx(proxy),
        )

    def renew(self, secret: str) -> None:
        """Take a rotated secret: the next try carries it."""
        self._client.headers["Authorization"] = f"Bearer {secret}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._client.aclose()

    @abc.abstractmethod
    def _encode(self, delivery: Delivery) -> BackendRequest:
        """Return the request; raise msgspec.DecodeError, ValueError or OverflowError where the wire cannot say it."""

    @abc.abstractmethod
    def _decode(self, status: int, body: bytes, retry_after: str | None) -> Outcome: ...

    @abc.abstractmethod
    async def probe(self) -> Probe: ...

    async def post(self, delivery: Delivery) -> Outcome:
        try:
            request = self._encode(delivery)
        except (msgspec.DecodeError, ValueError, OverflowError) as error:
            # Ours to repair, and no reason to hold up other deliveries. The error's text may quote the payload.
            return Refused(None, f"the journal's payload cannot be posted ({type(error).__name__})")
        identity = {"Idempotency-Key": delivery.key}
        if self.fence is not None:
            identity["Preppald-Fence"] = str(self.fence(delivery.interview_id, delivery.block))
        answer = await self._try(request, identity)
        if isinstance(answer, Retry):
            return replace(answer, ambiguous=answer.ambiguous and not self.UPSERTS)
        status, headers, body = answer
        return self._decode(status, body, headers.get("retry-after"))

    @abc.abstractmethod
    async def context(self, interview_id: str, block: int = 0) -> Context | Outcome: ...

    async def knows(self, interview_id: str) -> bool | None:
        match await self.context(interview_id):
            case Context():
                return True
            case Refused(404):
                return False
            case _:
                return None

    def lacks(self, kind: DeliveryKind) -> bool:  # noqa: ARG002 - a wire that lacks nothing
        return False

    @property
    def _where(self) -> str:
        url = httpx.URL(self._base_url)
        return f"{url.scheme}://{url.netloc.decode('ascii')}{url.path.rstrip('/')}"

    async def _try(
        self, request: BackendRequest, headers: dict[str, str], most_bytes: int = MAX_ANSWER_BYTES
    ) -> tuple[int, httpx.Headers, bytes] | Retry:
        """Make one request within TRY_SECONDS; return status, headers and body, or the failure.

        A body of more than ``most_bytes`` is one where the answer should be in it; of an error it counts as empty.
        """
        # The request is on its way: from here on the backend may have acted on it.
        sent = False

        async def note(event: str, _info: dict[str, Any]) -> None:
            nonlocal sent
            sent = sent or event.endswith("send_request_body.started")

        with trio.move_on_after(TRY_SECONDS):
            try:
                async with self._client.stream(
                    request.method,
                    self._base_url + request.path,
                    content=request.body,
                    headers={"Content-Type": request.content_type, **headers},
                    extensions={"trace": note},
                ) as response:
                    status, body = response.status_code, await _body(response, most_bytes)
                    if body is None and 200 <= status <= 299:
                        words = f"answered {status} with more than {most_bytes // 1024} KiB"
                        return Retry(status, words, ambiguous=True)
                    return status, response.headers, body or b""
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, zlib.error) as error:
                return Retry(None, why(error, self._proxy), ambiguous=sent)
        return Retry(None, f"no complete answer within {TRY_SECONDS:.0f} seconds", ambiguous=sent)


class TrpcBackend(HttpBackend):
    """Speak the tRPC wire. An application that lacks getContext or submitFeedback is asked again an hour later."""

    UPSERTS = False

    def __init__(
        self,
        base_url: str,
        secret: str,
        transformer: Transformer = Transformer.SUPERJSON,
        *,
        trust: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        super().__init__(base_url, secret, accept="application/json", trust=trust, proxy=proxy)
        self._transformer = transformer
        # Until when the application counts as one without getContext, and without the kinds of delivery (Trio's clock).
        self._no_context_until = 0.0
        self._not_taken_until: dict[DeliveryKind, float] = {}

    def renew(self, secret: str) -> None:
        super().renew(secret)
        self._no_context_until = 0.0
        self._not_taken_until.clear()

    async def post(self, delivery: Delivery) -> Outcome:
        outcome = await super().post(delivery)
        if isinstance(outcome, Absent):
            self._not_taken_until[delivery.kind] = trio.current_time() + ABSENT_SECONDS
        return outcome

    def lacks(self, kind: DeliveryKind) -> bool:
        return trio.current_time() < self._not_taken_until.get(kind, 0.0)

    async def context(self, interview_id: str, block: int = 0) -> Context | Outcome:  # noqa: ARG002 - no such wire has blocks
        if trio.current_time() < self._no_context_until:
            return NOTHING_KNOWN
        answer = await self._try(trpc.context_request(interview_id, self._transformer), {}, MAX_CONTEXT_BYTES)
        if isinstance(answer, Retry):
            return Retry(answer.status, answer.cause)  # nothing was to be stored: nothing is ambiguous
        status, headers, body = answer
        found = trpc.context(status, body, headers.get("retry-after"), self._transformer)
        if isinstance(found, Absent):
            self._no_context_until = trio.current_time() + ABSENT_SECONDS
            return NOTHING_KNOWN
        return found

    async def knows(self, interview_id: str) -> bool | None:
        if trio.current_time() < self._no_context_until:
            return None
        return await super().knows(interview_id)

    def _encode(self, delivery: Delivery) -> BackendRequest:
        return trpc.encode(delivery, self._transformer)

    def _decode(self, status: int, body: bytes, retry_after: str | None) -> Outcome:
        return trpc.decode(status, body, retry_after, self._transformer)

    async def probe(self) -> Probe:
        # An empty input passes the secret's check and fails the input's: nothing can change.
        request = trpc.request("interview.updateStatus", {}, self._transformer)
        answer = await self._try(request, {})
        if isinstance(answer, Retry):
            return Probe(good=False, sentence=f"the backend at {self._where}: {answer.cause}")
        status, _headers, body = answer
        code = trpc.code(body)
        where = f"the backend at {self._where}"
        if code is None:
            return Probe(
                good=False, sentence=f"{where} answered {status}, but not in tRPC: check NEXT_PUBLIC_API_URL"
            )
        if status in UNAUTHORIZED:
            return Probe(
                good=False,
                sentence=f"{where} refuses WORKER_SHARED_SECRET ({status}): it must be the application's",
            )
        if hint := trpc.hint(body, self._transformer):
            return Probe(good=False, sentence=f"{where} answers tRPC, but every post would fail{hint}")
        if status == 400:
            return Probe(good=True, sentence=f"{where} answers tRPC and did not refuse the secret")
        if status == 404:
            return Probe(good=False, sentence=f"{where} answers tRPC, but has no interview.updateStatus")
        return Probe(good=False, sentence=f"{where} answers tRPC, but with {status} {code}")


class ProtobufBackend(HttpBackend):
    """The newest application's wire: one endpoint, protobuf both ways."""

    UPSERTS = True

    def __init__(
        self,
        base_url: str,
        secret: str,
        *,
        trust: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        super().__init__(base_url, secret, accept=protobuf.CONTENT_TYPE, trust=trust, proxy=proxy)

    def _encode(self, delivery: Delivery) -> BackendRequest:
        return protobuf.encode(delivery)

    def _decode(self, status: int, body: bytes, retry_after: str | None) -> Outcome:
        return protobuf.decode(status, body, retry_after)

    async def context(self, interview_id: str, block: int = 0) -> Context | Outcome:
        answer = await self._try(protobuf.context_request(interview_id, block), {}, MAX_CONTEXT_BYTES)
        if isinstance(answer, Retry):
            # Nothing was to be stored: there is nothing ambiguous.
            return Retry(answer.status, answer.cause)
        status, headers, body = answer
        return protobuf.context(status, body, headers.get("retry-after"))

    async def probe(self) -> Probe:
        found = await self.context(NOBODYS_INTERVIEW)
        where = f"the backend at {self._where}"
        match found:
            case Context() | Refused(404):
                return Probe(good=True, sentence=f"{where} answers protobuf and did not refuse the secret")
            case Unauthorized(status):
                return Probe(
                    good=False,
                    sentence=f"{where} refuses WORKER_SHARED_SECRET ({status}): it must be the application's",
                )
            case Refused(_, cause) | Retry(_, cause):
                return Probe(good=False, sentence=f"{where} {cause}")
            case _:
                raise AssertionError("a context is never merely delivered")


async def _body(response: httpx.Response, most_bytes: int) -> bytes | None:
    """Return the body, unpacked; None for one that is longer, of which no more than its beginning is read."""
    body, received = bytearray(), 0
    # Not httpx's own decompression, which has no bound: a page of a kilobyte may hold a gigabyte.
    packed = response.headers.get("content-encoding", "").strip().lower() in {"gzip", "x-gzip", "deflate"}
    unpacking = zlib.decompressobj(EITHER_HEADER) if packed else None
    with trio.CancelScope() as enough:
        async for part in response.aiter_raw():
            received += len(part)
            body += part if unpacking is None else unpacking.decompress(part, most_bytes + 1)
            # Bytes may unfold to nothing, and zlib keeps those that stand behind the packed end.
            if len(body) > most_bytes or received > most_bytes:
                # No break here: httpx's generators end cleanly only by an exception from the innermost one.
                enough.cancel()
    return None if enough.cancel_called else bytes(body)


def why(error: BaseException, proxy: Proxy | None = None) -> str:
    """Return the true cause in words. Library texts stay out of it: they may quote the peer."""
    match error:
        case httpx.ProxyError() if proxy is not None:
            status = str(error)[:3]
            words = in_words(int(status) if status.isdigit() else None)
            return f"the proxy at {proxy.where} (HTTPS_PROXY) lets no connection through: {words}"
        case httpx.ConnectError() if proxy is not None:
            return f"cannot be reached through the proxy at {proxy.where} ({root(error)})"
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return f"no connection within {CONNECT_SECONDS:.0f} seconds"
        case httpx.ConnectError():
            return f"cannot be reached ({root(error)})"
        case httpx.TimeoutException():
            return f"no complete answer within {TRY_SECONDS:.0f} seconds"
        case zlib.error():
            return "its answer is not compressed as its Content-Encoding says"
        case httpx.RemoteProtocolError():
            return "closed the connection before a complete answer, or does not speak HTTP"
        case _:
            return f"the connection broke ({root(error)})"


def root(error: BaseException) -> str:
    """Return the operating system's error at the bottom of the chain."""
    link: BaseException | None = error
    while link is not None:
        match link:
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted: {link.verify_message}"
            case ssl.SSLError():
                reason = getattr(link, "reason", None)
                return f"TLS failed: {reason}" if reason else "TLS failed"
            case socket.gaierror():
                return str(link.strerror)
            case OSError() if link.errno:
                return os.strerror(link.errno)
            case BaseExceptionGroup():
                link = link.exceptions[0]
            case _:
                link = link.__cause__ or link.__context__
    return type(error).__name__
