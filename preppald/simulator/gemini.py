"""The simulated Gemini Live server.

`GeminiSimulator.handle_stream` serves one connection on any Trio stream; `serve_gemini`
only listens on TCP (and TLS) and hands the streams over. An error in one connection ends that connection only.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
import http
import re
import ssl
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trio
from websockets.http11 import Request

from preppald.simulator import scenario as scenarios
from preppald.simulator.clock import Clock
from preppald.simulator.endings import Ending, FellSilent, HangUp, PeerLeft, Reset, hang_up
from preppald.simulator.faults import HOLD_SECONDS, Hang, Http
from preppald.simulator.generate import TextModels
from preppald.simulator.httpd import Answer, Drop, Request as HttpRequest, serve_http
from preppald.simulator.link import Link
from preppald.simulator.listening import Address, Listeners, bind
from preppald.simulator.memory import Handles
from preppald.simulator.recording import Recorder
from preppald.simulator.scenario import Scenario, ScenarioError
from preppald.simulator.session import Connection, hold_session
from preppald.simulator.wire import Wire

Log = Callable[[str, dict[str, Any]], None]
"""Takes an event's name and its keys. No key, handle, audio or text of a conversation is ever among them."""

_METHOD = r"ws/google\.ai\.generativelanguage\.(?P<version>v1|v1beta|v1alpha)\.GenerativeService\.BidiGenerateContent"
PATH = re.compile(rf"^/(?:.*/)?{_METHOD}(?:Constrained)?$")
_SLASHES = re.compile(r"/{2,}")

# API keys whose connections are counted; the key that was silent longest is forgotten first.
MAX_COUNTED_KEYS = 10_000
# Without a client that hangs up, a close takes no longer than this (Trio's seconds).
GOODBYE_SECONDS = 5.0


def no_log(_event: str, _keys: dict[str, Any]) -> None:
    """Say nothing."""


class GeminiSimulator:
    """One simulated service: its scenario, its clock and the sessions it remembers."""

    def __init__(
        self,
        scenario: Scenario | None = None,
        *,
        speed: float = 1.0,
        recorder: Recorder | None = None,
        log: Log = no_log,
    ) -> None:
        self.scenario = scenario or Scenario()
        self.clock = Clock(speed)
        self._texts = TextModels()
        self.handles = Handles(self.clock, self.scenario.seed)
        self._recorder = recorder
        self._log = log
        self._connections: OrderedDict[str, int] = OrderedDict()
        self.accepted = 0
        """Connections so far."""
        self.live = 0
        """Connections now."""

    @property
    def keys(self) -> list[str]:
        """Every API key that was used, the one that was used last comes last."""
        return list(self._connections)

    async def handle_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection, from its HTTP request to its end; then the stream is closed."""
        link = Link(stream, self.clock)
        self.accepted += 1
        self.live += 1
        name = self.accepted
        try:
            first = await link.peek()
            if first.startswith(b"POST"):
                await serve_http(link.replayed(), self._generate)
            elif first:
                await self._serve(link, name)
            else:
                self._log("gemini.refused", {"connection": name, "status": 400})
        except Ending:  # the client left during the answer or the goodbye
            self._log("gemini.gone", {"connection": name})
        except Exception as error:  # noqa: BLE001 - a bug here must not end the other connections
            self._log("gemini.bug", {"connection": name, "error": repr(error)})
        finally:
            self.live -= 1
            with trio.move_on_after(GOODBYE_SECONDS, shield=True):  # TLS says goodbye, too
                await stream.aclose()

    async def _generate(self, request: HttpRequest) -> Answer:
        url = urlsplit(_SLASHES.sub("/", request.path))
        keys = (request.headers.get("x-goog-api-key"), *parse_qs(url.query).get("key", ()))
        key = next((given for given in keys if given), "")
        scenario = self._scenario_for(key)
        answer = self._texts.answer(
            url.path, key, request.body, None if scenario is None else scenario.generate
        )
        if answer is None:
            await trio.sleep(HOLD_SECONDS)
            raise Drop
        self._log("gemini.generated", {"status": answer.status})
        return answer

    async def _serve(self, link: Link, name: int) -> None:
        request = await link.read_request()
        if request is None:
            self._log("gemini.refused", {"connection": name, "status": 400})
            return
        url = urlsplit(_SLASHES.sub("/", request.path))
        path = PATH.match(url.path)
        if path is None:
            await self._refuse(link, name, 404)
            return
        key = _key(request, parse_qs(url.query))
        scenario = self._scenario_for(key)
        number = self._count(key or "")
        if scenario is not None and not await self._pass_upgrade_faults(link, name, scenario, number):
            return
        status = await link.accept(request)
        if status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            self._log("gemini.refused", {"connection": name, "status": int(status)})
            return
        self._log("gemini.connected", {"connection": name, "number": number})
        if not key:
            await self._end(link, name, hang_up("no-key"))
        elif scenario is None:
            await self._end(link, name, hang_up("bad-key"))
        else:
            connection = Connection(number=number, version=path["version"])
            await self._converse(link, name, scenario, connection)

    async def _converse(self, link: Link, name: int, scenario: Scenario, connection: Connection) -> None:
        wire = Wire(link, scenario.frames, self._recorder, connection.number)
        ending: Ending = hang_up("internal-occurred")
        try:
            await hold_session(
                wire, scenario=scenario, clock=self.clock, handles=self.handles, connection=connection
            )
        except* Ending as group:
            ending = min(_leaves(group), key=_weight)
        except* Exception as bugs:  # noqa: BLE001 - as in handle_stream, but with an answer to the client
            self._log("gemini.bug", {"connection": name, "error": repr(bugs)})
        if isinstance(ending, HangUp):
            with trio.move_on_after(GOODBYE_SECONDS):
                await wire.flush()
        await self._end(link, name, ending)

    async def _end(self, link: Link, name: int, ending: Ending) -> None:
        match ending:
            case HangUp(code, reason):
                self._log(
                    "gemini.closed", {"connection": name, "by": "server", "code": code, "reason": reason}
                )
                await link.close(code, reason)
            case PeerLeft(code, _):
                self._log("gemini.closed", {"connection": name, "by": "client", "code": code})
            case FellSilent():
                self._log("gemini.silent", {"connection": name})
                await link.hold_silent(HOLD_SECONDS)
            case _:
                self._log("gemini.reset", {"connection": name})
                await link.reset()

    async def _refuse(
        self, link: Link, name: int, status: int, body: str = "", retry_after: int | None = None
    ) -> None:
        self._log("gemini.refused", {"connection": name, "status": status})
        await link.refuse(status, body, retry_after=retry_after)

    async def _pass_upgrade_faults(self, link: Link, name: int, scenario: Scenario, number: int) -> bool:
        """Return whether the upgrade may go on."""
        for fault in scenario.fault:
            # No setup was read yet that could resume: only the connection's number decides.
            if isinstance(fault, Http | Hang) and fault.connection in ("all", number):
                if isinstance(fault, Http):
                    await self._refuse(link, name, fault.status, fault.body, fault.retry_after)
                else:
                    self._log("gemini.hung", {"connection": name})
                    await link.hold_silent(HOLD_SECONDS)
                return False
        return True

    def _scenario_for(self, key: str | None) -> Scenario | None:
        """Return the scenario that a key names, the simulator's own for any other key, None for an unknown name."""
        name = scenarios.name_in_key(key or "")
        if name is None:
            return self.scenario
        try:
            return scenarios.named(name)
        except ScenarioError as error:
            self._log("gemini.scenario_unknown", {"error": str(error)})
            return None

    def _count(self, key: str) -> int:
        """Return the number of this connection among those with the same key."""
        number = self._connections.pop(key, 0) + 1
        self._connections[key] = number
        if len(self._connections) > MAX_COUNTED_KEYS:
            self._connections.popitem(last=False)
        return number


def _key(request: Request, query: dict[str, list[str]]) -> str | None:
    """Return the API key or token of a request, in any of the forms that clients use."""
    headers = request.headers
    plain = (*query.get("key", ()), *headers.get_all("x-goog-api-key"), *query.get("access_token", ()))
    schemes = (value.partition(" ") for value in headers.get_all("Authorization"))
    tokens = (token.strip() for scheme, _, token in schemes if scheme.lower() in ("token", "bearer"))
    return next((given for given in (*plain, *tokens) if given), None)


def _leaves(group: BaseExceptionGroup[Ending]) -> Iterator[Ending]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


# When several tasks end a connection at once, the scenario's ending goes before its consequences.
_WEIGHTS = (FellSilent, Reset, HangUp, PeerLeft)


def _weight(ending: Ending) -> int:
    return _WEIGHTS.index(type(ending))


async def serve_gemini(
    listen: Address | Listeners,
    simulator: GeminiSimulator,
    *,
    tls: ssl.SSLContext | None = None,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on `listen` (host and port, or listeners) until cancelled; reports its port when it is ready."""
    listeners, port = await bind(listen, tls)
    task_status.started(port)
    await trio.serve_listeners(simulator.handle_stream, listeners)
