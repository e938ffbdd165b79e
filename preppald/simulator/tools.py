"""Function calls: made where the scenario says, awaited when BLOCKING, cancelled by a barge-in."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import trio

from preppald.simulator.clock import Clock
from preppald.simulator.endings import hang_up
from preppald.simulator.memory import Memory
from preppald.simulator.reply import JsonFrame
from preppald.simulator.scenario import Scenario

Scheduling = Literal["SILENT", "WHEN_IDLE", "INTERRUPT"]


class Tools:
    def __init__(
        self,
        send: Callable[[JsonFrame], Awaitable[None]],
        blocking: dict[str, bool],
        scenario: Scenario,
        memory: Memory,
    ) -> None:
        self._send = send
        self._blocking = blocking
        self._calls = scenario.tool_call
        self._memory = memory
        self._made = 0
        self._pending: dict[str, bool] = {}
        """Call id → BLOCKING."""
        self._answered = trio.Event()

    async def call_before_speaking(self, clock: Clock, patience: float) -> None:
        """Make this reply's BLOCKING calls and wait for their answers, for `patience` simulated seconds."""
        await self._call(blocking=True)
        await self._answer(clock, patience)

    async def call_halfway(self, clock: Clock, patience: float) -> None:
        """Make the calls that come in the middle of this reply and wait as long for their answers."""
        await self._call(blocking=True, halfway=True)
        await self._answer(clock, patience)

    async def _answer(self, clock: Clock, patience: float) -> None:
        if True in self._pending.values():
            self._answered = trio.Event()
            with trio.move_on_after(patience / clock.speed):
                await self._answered.wait()

    async def call_while_speaking(self) -> None:
        await self._call(blocking=False)

    async def _call(self, *, blocking: bool, halfway: bool = False) -> None:
        calls = []
        for call in self._calls:
            if (
                call.turn == self._memory.replies
                and call.halfway is halfway
                and self._blocking.get(call.name, call.undeclared or None) is blocking
            ):
                self._made += 1
                call_id = f"function-call-{self._memory.replies}-{self._made}"
                self._pending[call_id] = blocking
                calls.append({"id": call_id, "name": call.name, "args": call.args})
        if calls:
            await self._send({"toolCall": {"functionCalls": calls}})

    def take(self, responses: list[dict[str, Any]]) -> Scheduling:
        """Take the client's answers. The most urgent scheduling of the NON_BLOCKING ones decides the next step.

        An unknown or cancelled id ends the session, as seen on the real service.
        """
        urgency: Scheduling = "SILENT"
        for response in responses:
            if "id" not in response or "response" not in response:
                raise hang_up("invalid-argument")
            if response["id"] not in self._pending:
                raise hang_up("entity-not-found")
            if not self._pending.pop(response["id"]):
                wanted = response.get("scheduling", "WHEN_IDLE")
                if wanted == "INTERRUPT" or (wanted == "WHEN_IDLE" and urgency == "SILENT"):
                    urgency = wanted
        if True not in self._pending.values():
            self._answered.set()
        return urgency

    async def cancel(self) -> None:
        """Withdraw the open calls: the turn was interrupted."""
        if self._pending:
            ids = list(self._pending)
            self._pending.clear()
            await self._send({"toolCallCancellation": {"ids": ids}})
