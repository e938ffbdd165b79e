"""The simulated application backend: the real one's calls, its refusals, and a scenario's failures.

    POST /api/trpc/<procedure>    a call; stored, unless a fault of the scenario says otherwise
    GET  /api/trpc/<procedure>    a query, with its input in the URL
    POST /api/worker              the same in protobuf, by the newest application's wire
    GET  /received                the calls and the interviews so far, as JSON

A Wire answers the calls under one path prefix. Transcripts are shown to anybody: the service is for developing
against, on a loopback address.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
import hmac
import http
from typing import Any, Protocol

import msgspec
import trio

from preppald.simulator.backend_scenario import BackendFault, BackendScenario
from preppald.simulator.faults import HOLD_SECONDS
from preppald.simulator.gemini import Log, no_log
from preppald.simulator.httpd import Answer, Drop, Request, serve_http
from preppald.simulator.listening import Address, Listeners, bind
from preppald.simulator.store import Interview, Refusal, Store
from preppald.simulator.trpc import Router
from preppald.simulator.worker import Worker

# Calls that are remembered; the oldest is forgotten first.
MAX_CALLS = 10_000

TRPC_PREFIX = "/api/trpc/"
WORKER_PREFIX = "/api/worker"


class Wire(Protocol):
    """Answers the calls at one path, or under a path that ends in a slash."""

    content_type: str

    def procedure(self, path: str, body: bytes) -> str:
        """Return the procedure that a request names; empty where that cannot be read."""

    def query(self, path: str, parameters: str) -> bytes | None:
        """Return the body that a GET stands for; None where nothing is asked by GET."""

    def read(self, body: bytes) -> Any:
        """Return the request as /received shows it, or None."""

    def call(self, procedure: str, body: bytes, idempotency_key: str | None) -> tuple[str, bytes]:
        """Return the interview concerned and the answer's body. Raise Refusal; then nothing was stored."""

    def failure(self, status: int, message: str, procedure: str) -> bytes:
        """Return the body of an error answer."""

    def http_status(self, status: int) -> int:
        """Return the HTTP status that carries a refusal with this status."""


class Call(msgspec.Struct, frozen=True, rename="camel"):
    """One call as /received shows it."""

    procedure: str
    body: Any
    """As JSON, or null when it was not."""
    idempotency_key: str | None
    status: int | None
    """Of the answer; null when there was none."""
    stored: bool


class BackendSimulator:
    def __init__(self, scenario: BackendScenario | None = None, *, log: Log = no_log) -> None:
        self.scenario = scenario = scenario or BackendScenario()
        self._log = log
        self._store = Store(scenario.interviews, blocks=len(scenario.block))
        router = Router(
            self._store,
            superjson=scenario.transformer == "superjson",
            honours_idempotency_key=scenario.honours_idempotency_key,
            context=scenario.context if scenario.router == "newer" else None,
        )
        self.wires: dict[str, Wire] = {
            TRPC_PREFIX: router,
            WORKER_PREFIX: Worker(self._store, scenario.context, scenario.block),
        }
        self.calls: deque[Call] = deque(maxlen=MAX_CALLS)
        self._faults_left = [fault.calls for fault in scenario.fault]

    @property
    def interviews(self) -> Mapping[str, Interview]:
        """The stored records, by interview."""
        return self._store.interviews

    async def handle_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection; an error in it ends that connection only."""
        try:
            await serve_http(stream, self._answer)
        except Exception as error:  # noqa: BLE001 - a bug here must not end the other connections
            self._log("backend.bug", {"error": repr(error)})

    async def _answer(self, request: Request) -> Answer:
        path, _, parameters = request.path.partition("?")
        if path == "/received":
            return _json(200, {"calls": list(self.calls), "interviews": self.interviews})
        for prefix, wire in self.wires.items():
            if path == prefix or (prefix.endswith("/") and path.startswith(prefix)):
                path = path.removeprefix(prefix)
                if request.method == "GET" and (asked := wire.query(path, parameters)) is not None:
                    request = replace(request, method="POST", body=asked)
                return await self._call(wire, path, request)
        return _json(404, {"error": "not found"})

    async def _call(self, wire: Wire, path: str, request: Request) -> Answer:
        """Answer one call, through authorization and the scenario's faults."""
        procedure = wire.procedure(path, request.body)
        if request.method != "POST":
            return self._refuse(wire, procedure, request, Refusal(405, "only POST is served"))
        given = request.headers.get("authorization", "")
        wanted = f"Bearer {self.scenario.secret}"
        if self.scenario.secret and not hmac.compare_digest(given.encode(), wanted.encode()):
            return self._refuse(wire, procedure, request, Refusal(401, "UNAUTHORIZED"))
        fault = self._next_fault(procedure)
        if fault is not None and fault.kind == "delete":
            self._store.delete(_interview_of(wire.read(request.body)))
            fault = None
        if fault is not None and fault.kind != "lost-answer":
            return await self._fail(wire, procedure, request, fault)
        try:
            interview, body = wire.call(procedure, request.body, request.headers.get("idempotency-key"))
        except Refusal as error:
            return self._refuse(wire, procedure, request, error)
        if fault is not None:
            self._note(wire, procedure, request, None, stored=True, interview=interview)
            raise Drop
        self._note(wire, procedure, request, 200, stored=True, interview=interview)
        return Answer(200, body, wire.content_type)

    def _next_fault(self, procedure: str) -> BackendFault | None:
        for index, fault in enumerate(self.scenario.fault):
            if self._faults_left[index] and fault.procedure in ("", procedure):
                self._faults_left[index] -= 1
                return fault
        return None

    async def _fail(self, wire: Wire, procedure: str, request: Request, fault: BackendFault) -> Answer:
        status = {"status": fault.status, "hang": None}.get(fault.kind, 200)
        self._note(wire, procedure, request, status, stored=False)
        match fault.kind:
            case "hang":
                await trio.sleep(HOLD_SECONDS)
                raise Drop
            case "garbage":
                return Answer(200, b"<!doctype html><title>Application error</title>", "text/html")
            case "error-in-200":
                return Answer(200, wire.failure(500, "simulated", procedure), wire.content_type)
            case _:
                headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
                body = wire.failure(fault.status, "simulated", procedure)
                return Answer(fault.status, body, wire.content_type, headers)

    def _refuse(self, wire: Wire, procedure: str, request: Request, error: Refusal) -> Answer:
        status = wire.http_status(error.status)
        self._note(wire, procedure, request, status, stored=False)
        return Answer(status, wire.failure(error.status, error.message, procedure), wire.content_type)

    def _note(
        self,
        wire: Wire,
        procedure: str,
        request: Request,
        status: int | None,
        *,
        stored: bool,
        interview: str = "",
    ) -> None:
        body, key = wire.read(request.body), request.headers.get("idempotency-key")
        self.calls.append(
            Call(procedure=procedure, body=body, idempotency_key=key, status=status, stored=stored)
        )
        keys: dict[str, Any] = {"procedure": procedure, "status": status, "stored": stored}
        self._log("backend.call", keys | ({"interview": interview} if interview else {}))


def _interview_of(asked: Any) -> str:
    """Return the interview that a request names; empty where it names none."""
    if isinstance(asked, dict) and isinstance(asked.get("json"), dict):
        asked = asked["json"]
    if not isinstance(asked, dict):
        return ""
    return str(asked.get("interview_id") or asked.get("interviewId") or "")


def _json(status: int, body: Any) -> Answer:
    return Answer(http.HTTPStatus(status), msgspec.json.encode(body))


async def serve_backend(
    listen: Address | Listeners,
    backend: BackendSimulator,
    *,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on `listen` (host and port, or listeners) until cancelled; reports its port when it is ready."""
    listeners, port = await bind(listen)
    task_status.started(port)
    await trio.serve_listeners(backend.handle_stream, listeners)
