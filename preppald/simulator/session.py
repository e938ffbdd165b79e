"""One simulated connection after its upgrade: setup, the tasks, the clocks that end it.

Tasks: `_listen` reads the client, `Wire.write` writes to it, `_age` ends the connection in time, `_watch_idle` notices
missing input; a reply under way and a delayed fault are tasks of their own. They end by raising an Ending.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import trio

from preppald.simulator.clock import Clock
from preppald.simulator.dialogue import Dialogue
from preppald.simulator.endings import hang_up
from preppald.simulator.faults import Fault, Flaw, Flawed, Moment, Send, Timed
from preppald.simulator.memory import Handles, Memory
from preppald.simulator.recording import Replay
from preppald.simulator.reply import JsonFrame
from preppald.simulator.rules import Setup, check_setup
from preppald.simulator.scenario import Scenario
from preppald.simulator.wire import Wire

# A connection that never sends its setup is let go (Trio's seconds).
SETUP_SECONDS = 60.0
# realtimeInput held back while an initial history is awaited; the oldest is forgotten. Ten seconds at 50 a second.
HELD_MESSAGES = 500
DEFAULT_INPUT_RATE_HZ = 16_000
# Below 8 kHz nothing is speech, above 192 kHz nothing is a microphone.
INPUT_RATES_HZ = range(8_000, 192_001)


@dataclass(slots=True)
class Times:
    """Moments of a connection, in simulated seconds."""

    ready: float = 0.0
    last_input: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """The identity of a connection."""

    number: int
    """Counts from 1 for each API key."""
    version: str
    """The API version of its URL."""


async def hold_session(
    wire: Wire, *, scenario: Scenario, clock: Clock, handles: Handles, connection: Connection
) -> None:
    """Hold one session over one connection. Ends by an Ending, alone or in a group."""
    limits = scenario.limits
    setup = await _read_setup(wire, connection.version, limits.context_tokens)
    memory = handles.redeem(
        setup, ttl=limits.handle_ttl, reject_while_open=scenario.manners.resume_while_open == "reject"
    )
    if setup.compression is None and memory.lived >= limits.session:
        raise hang_up("invalid-argument")
    memory.lineage.open_connections += 1
    try:
        async with trio.open_nursery() as tasks:
            session = Session(
                wire=wire,
                scenario=scenario,
                clock=clock,
                handles=handles,
                setup=setup,
                memory=memory,
                faults=[
                    fault
                    for fault in scenario.fault
                    if fault.strikes(
                        connection.number, resumed=setup.handle is not None, model=setup.model_name
                    )
                ],
                tasks=tasks,
                connection=connection,
            )
            await session.begin()
    finally:
        memory.lineage.open_connections -= 1
        memory.lineage.ended_at = clock.now()


async def _read_setup(wire: Wire, version: str, context_tokens: int) -> Setup:
    with trio.move_on_after(SETUP_SECONDS):
        kind, message = await wire.read()
        if kind != "setup":
            raise hang_up("invalid-argument")
        return check_setup(message, version=version, context_tokens=context_tokens)
    raise hang_up("aborted")


@dataclass(frozen=True, kw_only=True)
class Session:
    """A connection whose setup was accepted."""

    wire: Wire
    scenario: Scenario
    clock: Clock
    handles: Handles
    setup: Setup
    memory: Memory
    faults: list[Fault]
    tasks: trio.Nursery
    connection: Connection
    times: Times = field(default_factory=Times)

    async def _await_setup_delay(self) -> None:
        """Leave messages that come before setupComplete unread, or end the connection for them."""
        delay = self.scenario.timing.setup_delay
        if self.scenario.manners.early_messages == "queue":
            await self.clock.sleep(delay)
            return
        with trio.move_on_after(delay / self.clock.speed):
            await self.wire.read()
            raise hang_up("invalid-argument")

    # The conversation.

    async def begin(self) -> None:
        """Answer the setup and start the connection's tasks."""
        link, timing = self.wire.link, self.scenario.timing
        if timing.pong_delay:
            self.tasks.start_soon(link.pong_late, timing.pong_delay)
        await self.strike("setup", 0)
        await self._await_setup_delay()
        self.tasks.start_soon(self.wire.write)
        await self.send({"setupComplete": {}})
        link.read_delay = timing.read_delay
        self.times.ready = self.times.last_input = self.clock.now()
        self.tasks.start_soon(self._age)
        if self.scenario.replay:
            self.tasks.start_soon(self._replay)
            self.tasks.start_soon(self._listen_only)
        else:
            self.tasks.start_soon(self._watch_idle)
            self.tasks.start_soon(self._listen)
        await self.strike("ready", 0)

    async def _listen(self) -> None:
        setup = self.setup
        dialogue = Dialogue(
            stage=self,
            setup=setup,
            scenario=self.scenario,
            memory=self.memory,
            clock=self.clock,
            tasks=self.tasks,
        )
        awaiting_history = setup.initial_history
        held: deque[dict[str, Any]] = deque(maxlen=HELD_MESSAGES)
        while True:
            kind, message = await self.wire.read()
            self.times.last_input = self.clock.now()
            match kind:
                case "realtimeInput" if awaiting_history:
                    held.append(message)
                case "realtimeInput":
                    await self._realtime(dialogue, message)
                case "clientContent" if awaiting_history:
                    awaiting_history = not message.get("turnComplete", False)
                    while held and not awaiting_history:
                        await self._realtime(dialogue, held.popleft())
                case "clientContent":
                    await self._content(dialogue, message)
                case "toolResponse":
                    await dialogue.tool_answered(message.get("functionResponses", []))
                case "contextUpdate":
                    pass  # its fields were checked; the interviewer's lines do not depend on it
                case _:  # a second setup
                    raise hang_up("invalid-argument")

    async def _listen_only(self) -> None:
        while True:
            await self.wire.read()

    async def _realtime(self, dialogue: Dialogue, message: dict[str, Any]) -> None:
        if ("activityStart" in message or "activityEnd" in message) and self.setup.vad is not None:
            raise hang_up("invalid-argument")
        if "mediaChunks" in message and self.setup.model.media_chunks == "refused":
            raise hang_up("invalid-argument")
        if "activityStart" in message:
            await dialogue.activity_started()
        if "audio" in message:
            audio = message["audio"]
            await dialogue.hear(audio.get("data", b""), _rate(audio.get("mimeType", "audio/pcm")))
        if "text" in message:
            await dialogue.read(message["text"])
        if message.get("audioStreamEnd"):
            await dialogue.stream_ended()
        if "activityEnd" in message:
            await dialogue.activity_ended()

    async def _content(self, dialogue: Dialogue, message: dict[str, Any]) -> None:
        if not self.setup.model.content_mid_session:
            raise hang_up("invalid-argument")
        texts = (part.get("text", "") for turn in message.get("turns", ()) for part in turn.get("parts", ()))
        await dialogue.add_content(" ".join(texts), complete=message.get("turnComplete", False))

    # The dialogue's demands (dialogue.Stage).

    async def send(self, frame: JsonFrame) -> None:
        await self.wire.send(frame)

    async def strike(self, moment: Moment, turn: int) -> None:
        """Let this moment's faults happen, now or after their delay."""
        for fault in self.faults:
            if isinstance(fault, Timed) and fault.due(moment, turn):
                if fault.after:
                    self.tasks.start_soon(self._happen_later, fault)
                else:
                    await self._happen(fault)

    def flaws(self, turn: int) -> set[Flaw]:
        return {
            fault.flaw for fault in self.faults if isinstance(fault, Flawed) and fault.turn in ("all", turn)
        }

    def new_handle(self) -> str | None:
        """Return a handle to the session in its present state, if the setup asked for resumption."""
        if not self.setup.resumption:
            return None
        return self.handles.issue(self.memory, lived=self.memory.lived + self.clock.now() - self.times.ready)

    async def _happen_later(self, fault: Timed) -> None:
        await self.clock.sleep(fault.after)
        await self._happen(fault)

    async def _happen(self, fault: Timed) -> None:
        if isinstance(fault, Send):
            await self.send(fault.frame())
        else:
            raise fault.ending(self.setup.model_name)

    # The clocks.

    async def _age(self) -> None:
        """Send goAway in time, then close; without compression the session's own limit may come first."""
        limits, go_away = self.scenario.limits, self.scenario.go_away
        lifetime = limits.connection
        if self.setup.compression is None:
            lifetime = min(lifetime, limits.session - self.memory.lived)
        deadline = self.times.ready + lifetime
        if go_away.times:
            await self.clock.sleep_until(deadline - go_away.before)
            for number in range(go_away.times):
                await self.clock.sleep(min(number, 1))
                left = max(0.0, deadline - self.clock.now())
                await self.send({"goAway": _time_left(left, go_away.time_left)})
            await self.strike("go-away", 0)
        await self.clock.sleep_until(deadline)
        raise hang_up(limits.connection_close, model=self.setup.model_name)

    async def _watch_idle(self) -> None:
        while self.clock.now() < self.times.last_input + self.scenario.limits.idle:
            await self.clock.sleep_until(self.times.last_input + self.scenario.limits.idle)
        raise hang_up("aborted")

    async def _replay(self) -> None:
        replay = Replay.load(self.scenario.replay, self.connection.number)
        began = self.clock.now()
        for entry in replay.entries:
            await self.clock.sleep_until(began + entry.t)
            await self.send(entry.frame)


def _time_left(seconds: float, style: str) -> JsonFrame:
    """Return goAway's body; a protobuf Duration is digits, perhaps a fraction, and an s."""
    match style:
        case "absent":
            return {}
        case "fractional":
            return {"timeLeft": f"{seconds:.3f}s"}
        case _:
            return {"timeLeft": f"{round(seconds)}s"}


def _rate(mime_type: str) -> int:
    """Return the samples a second of an audio/pcm mime type (16 000 by default); raise HangUp for any other."""
    kind, *parameters = (part.strip() for part in mime_type.lower().split(";"))
    if kind != "audio/pcm":
        raise hang_up("invalid-argument")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "rate":
            if value.isdecimal() and int(value) in INPUT_RATES_HZ:
                return int(value)
            raise hang_up("invalid-argument")
    return DEFAULT_INPUT_RATE_HZ
