"""The operator's view of a running daemon, and the operator's actions: for the commands and for the operator's page.

Rule 1: an action that is refused says in a sentence why, and what to do.
Rule 2: each action is a line in the log, with the uid of the process that ordered it.
"""

from collections.abc import Callable
from dataclasses import dataclass
import os

import trio

from preppald import __version__
from preppald.backend.outbox import Outbox
from preppald.core.endings import OPERATOR_ENDED
from preppald.daemon.orders import REASON_CHARS, Drained, Ended, JournalNow, Owed, StatusNow
from preppald.errors import PreppaldError
from preppald.interview.registry import Registry
from preppald.interview.services import Services
from preppald.interview.session import GOODBYE_SECONDS
from preppald.server.connection import Server

# The goodbye has a bound of its own; a little more for the nursery behind it.
END_SECONDS = GOODBYE_SECONDS + 2.0


class Unacted(PreppaldError):
    """An action that was refused, or could not be carried out."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The origin of an order: ``via`` the command socket or the operator's page. ``uid``: None where it is not known."""

    via: str
    uid: int | None = None


class Acting:
    """One daemon's. ``stopping``: whether it is on its way out."""

    def __init__(
        self,
        services: Services,
        registry: Registry,
        outbox: Outbox,
        server: Server,
        *,
        instance: str,
        stopping: Callable[[], bool],
    ) -> None:
        self._services = services
        self._registry = registry
        self._outbox = outbox
        self._server = server
        self._instance = instance
        self._stopping = stopping
        self._began = trio.current_time()

    def status(self) -> StatusNow:
        """Return the daemon as it is now."""
        owed, journal, registry = self._outbox.statistics(), self._services.journal, self._registry
        unready = registry.unready()
        return StatusNow(
            instance=self._instance,
            version=__version__,
            pid=os.getpid(),
            up_seconds=round(trio.current_time() - self._began, 1),
            stopping=self._stopping(),
            draining=registry.draining,
            unready=None if unready is None else str(unready),
            degraded=self._services.gemini.health.words,
            waiting=registry.waiting,
            connections=self._server.connections,
            carried=self._server.relays.carried,
            owed=Owed(
                pending=owed.pending,
                dead=owed.dead,
                oldest_seconds=round(owed.oldest_seconds, 1),
                paused=self._outbox.paused,
            ),
            journal=JournalNow(
                fault=journal.fault,
                pending_bytes=journal.pending_bytes,
                damaged_rows=journal.damaged_rows,
                left_files=journal.left_files,
            ),
            interviews=registry.now(),
        )

    async def end(self, interview_id: str, reason: str, by: Caller) -> Ended:
        """End a live interview: its candidate is told, the backend gets what was said.

        ``reason``: kept with the interview, as the cause of its end; the candidate is not shown it, and neither is the log.

        Raises:
            Unacted: it is not live here, or the reason is too long.
        """
        if len(reason) > REASON_CHARS or not reason.isprintable():
            raise Unacted(
                f"a reason is one line of at most {REASON_CHARS} characters, without control characters"
            )
        session = self._registry.session(interview_id)
        if session is None:
            raise Unacted(
                f"interview {interview_id!r} is not live in instance {self._instance}: "
                "`preppald status` lists those that are, `preppald interviews` the others"
            )
        if not session.over:
            session.end(
                OPERATOR_ENDED, f"an operator ended it: {reason}" if reason else "an operator ended it"
            )
        with trio.move_on_after(END_SECONDS):
            await session.done.wait()
        done = Ended(
            instance=self._instance,
            interview=interview_id,
            block=session.interview.block,
            ending=session.ending.name,
            over=session.done.is_set(),
        )
        self._log("end", by, interview=interview_id, ending=done.ending, with_reason=bool(reason))
        return done

    def drain(self, by: Caller) -> Drained:
        """Refuse new interviews from now on, until ``undrain`` or a restart. Those that run go on, and notice nothing."""
        was = self._registry.draining
        self._registry.drain()
        return self._drained("drain", by, was=was)

    def undrain(self, by: Caller) -> Drained:
        """Let interviews begin again.

        Raises:
            Unacted: the daemon stops, and that cannot be taken back.
        """
        if self._stopping():
            raise Unacted(
                f"instance {self._instance} is stopping, which cannot be undone: start it again when it has ended"
            )
        was = self._registry.draining
        self._registry.undrain()
        return self._drained("undrain", by, was=was)

    def _drained(self, action: str, by: Caller, *, was: bool) -> Drained:
        self._log(action, by, interviews=len(self._registry), changed=was != self._registry.draining)
        return Drained(
            instance=self._instance,
            draining=self._registry.draining,
            was=was,
            interviews=len(self._registry),
        )

    def _log(self, action: str, by: Caller, **more: object) -> None:
        self._services.log.info("operator.acted", action=action, via=by.via, uid=by.uid, **more)
