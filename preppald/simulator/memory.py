"""The service's memory of sessions, and the handles by which a later connection finds one again."""

import base64
from dataclasses import dataclass, field, replace
import random

from preppald.simulator.clock import Clock
from preppald.simulator.endings import hang_up
from preppald.simulator.rules import Setup

# Handles kept in all; the oldest are forgotten first. A thousand sessions' last ten.
MAX_HANDLES = 10_000
# A real handle is an opaque text of some eighty characters.
HANDLE_BYTES = 60

TOKENS_PER_AUDIO_SECOND = 25  # recorded on 3.8-live, in and out
CHARS_PER_TOKEN = 4  # the usual rule of thumb for English


@dataclass(slots=True)
class Lineage:
    """One session over all its connections."""

    open_connections: int = 0
    ended_at: float = 0.0
    """When its last connection ended, in simulated seconds."""


@dataclass(slots=True, kw_only=True)
class Memory:
    """The state that a handle preserves."""

    model_name: str
    lineage: Lineage = field(default_factory=Lineage)
    context_tokens: float = 0.0
    replies: int = 0
    utterances: int = 0
    lived: float = 0.0
    """Simulated seconds in earlier connections."""


class Handles:
    """Opaque handle → snapshot of a session."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311 - handles are to be repeatable, not secret
        self._snapshots: dict[str, Memory] = {}

    def issue(self, memory: Memory, *, lived: float) -> str:
        """Return a new handle for the session in its present state; `lived`: its seconds so far."""
        handle = base64.urlsafe_b64encode(self._random.randbytes(HANDLE_BYTES)).decode()
        self._snapshots[handle] = replace(memory, lived=lived)
        if len(self._snapshots) > MAX_HANDLES:
            del self._snapshots[next(iter(self._snapshots))]
        return handle

    def redeem(self, setup: Setup, *, ttl: float, reject_while_open: bool) -> Memory:
        """Return the session that the setup resumes, or a new one. Raise HangUp."""
        if setup.handle is None:
            tokens = setup.instruction_chars / CHARS_PER_TOKEN
            return Memory(model_name=setup.model_name, context_tokens=tokens)
        snapshot = self._snapshots.get(setup.handle)
        if snapshot is None or self._expired(snapshot, ttl):
            raise hang_up("session-not-found")
        if snapshot.model_name != setup.model_name:
            raise hang_up("invalid-argument")
        if reject_while_open and snapshot.lineage.open_connections > 0:
            raise hang_up("internal")
        return replace(snapshot)

    def _expired(self, snapshot: Memory, ttl: float) -> bool:
        lineage = snapshot.lineage
        return lineage.open_connections == 0 and self._clock.now() > lineage.ended_at + ttl
