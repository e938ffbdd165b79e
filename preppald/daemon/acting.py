"""The operator's view of a running daemon, and the operator's actions: for the commands and for the operator's page.

Rule 1: an action that is refused says in a sentence why, and what to do.
Rule 2: each action is a line in the log and in the audit, with the uid of the process that ordered it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import os

import msgspec
import trio

from preppald import __version__
from preppald.backend.outbox import Outbox
from preppald.core.endings import OPERATOR_ENDED
from preppald.daemon.audit import Audit, Entry
from preppald.daemon.orders import (
    FORGOTTEN_AT_ONCE,
    REASON_CHARS,
    Drained,
    Ended,
    JournalNow,
    Owed,
    StatusNow,
)
from preppald.errors import PreppaldError
from preppald.interview.goodbye import GOODBYE_SECONDS
from preppald.interview.registry import Registry
from preppald.interview.services import Services
from preppald.journal import Removed
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
    """One daemon's. ``stopping``: whether it is on its way out. ``audit``: None where there is no disk."""

    def __init__(
        self,
        services: Services,
        registry: Registry,
        outbox: Outbox,
        server: Server,
        *,
        instance: str,
        stopping: Callable[[], bool],
        audit: Audit | None = None,
    ) -> None:
        self._services = services
        self._registry = registry
        self._outbox = outbox
        self._server = server
        self._instance = instance
        self._stopping = stopping
        self._audit = audit
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
                held=owed.held,
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
        await self._note("end", by, subject=interview_id, with_reason=bool(reason))
        return done

    async def drain(self, by: Caller) -> Drained:
        """Refuse new interviews from now on, until ``undrain`` or a restart. Those that run go on, and notice nothing."""
        was = self._registry.draining
        self._registry.drain()
        return await self._drained("drain", by, was=was)

    async def undrain(self, by: Caller) -> Drained:
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
        return await self._drained("undrain", by, was=was)

    async def forget(self, names: Sequence[str], by: Caller, *, also_undelivered: bool) -> Removed:
        """Remove all that this instance's journal has of these interviews; ``commands.forget`` sees to everything else.

        ``also_undelivered``: also what the backend is still owed. Neither log nor audit names an interview.

        Raises:
            PreppaldError: one of them is live or owed, or the journal cannot be written now.
        """
        if not names or len(names) > FORGOTTEN_AT_ONCE:
            raise Unacted(f"an order names 1 to {FORGOTTEN_AT_ONCE} interviews to forget")
        for name in names:
            if self._registry.holds(name):  # also one that is over, and says goodbye
                raise Unacted(
                    f"interview {name!r} is live: `preppald end {name}` first, and repeat the command. Nothing was forgotten"
                )
        removed = await self._services.journal.forget(frozenset(names), also_undelivered=also_undelivered)
        counts = {
            name: value for name, value in msgspec.to_builtins(removed).items() if isinstance(value, int)
        }
        self._log("forget", by, **counts)
        await self._note("forget", by, counts=counts)
        return removed

    async def _drained(self, action: str, by: Caller, *, was: bool) -> Drained:
        self._log(action, by, interviews=len(self._registry), changed=was != self._registry.draining)
        done = Drained(
            instance=self._instance,
            draining=self._registry.draining,
            was=was,
            interviews=len(self._registry),
        )
        await self._note(action, by, counts={"interviews": done.interviews})
        return done

    async def _note(
        self,
        action: str,
        by: Caller,
        *,
        subject: str | None = None,
        with_reason: bool = False,
        counts: dict[str, int] | None = None,
    ) -> None:
        """Put an action into the audit."""
        audit = self._audit
        if audit is None:
            return
        at_ms = self._services.now_ms()

        def add() -> None:
            entry = Entry(
                at_ms=at_ms,
                action=action,
                via=by.via,
                uid=by.uid,
                instance=self._instance,
                subject=None if subject is None else audit.digest("interview", subject),
                with_reason=with_reason,
                counts=counts or {},
            )
            audit.add(entry)

        try:
            await trio.to_thread.run_sync(add)
        except OSError as error:
            self._services.log.error("audit.not_written", action=action, why=error.strerror or str(error))  # noqa: TRY400 - the disk's fault

    def _log(self, action: str, by: Caller, **more: object) -> None:
        self._services.log.info("operator.acted", action=action, via=by.via, uid=by.uid, **more)
