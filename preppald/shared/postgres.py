"""A journal that hosts share, in PostgreSQL.

Two connections: a commit that waits for a standby must not keep the lease from being renewed.
"""

from collections.abc import Mapping, Sequence

from preppald.errors import NewerSchemaError
from preppald.journal import packing
from preppald.journal.rows import Row
from preppald.shared import migrations, statements
from preppald.shared.link import PATIENCE_SECONDS, Answer, Link
from preppald.shared.protocol import (
    Claimed,
    Fenced,
    Joined,
    Known,
    Peer,
    Presence,
    Pulse,
    Said,
    Session,
    Shipment,
    Unfit,
    Unreachable,
    Written,
)

# Interviews that one statement forgets, with some thousand passages: a fraction of a second.
SWEEP_INTERVIEWS = 50
# Two hosts that start together make the tables at the same time, and one of them fails.
MIGRATION_TRIES = 3


class Postgres:
    """``url``: a PostgreSQL URL. Nothing is asked before the first method is called. ``patience``: see ``Link``."""

    def __init__(self, url: str, *, patience: float = PATIENCE_SECONDS) -> None:
        self._shipping = Link(url, patience=patience)
        self._asking = Link(url, patience=patience)
        self._prepared = False

    async def prepare(self) -> Unreachable | None:
        """Bring the tables up to date; None when they are.

        Raises:
            NewerSchemaError: they are a newer preppald's, which this one cannot read.
        """
        failed: Answer = []
        for _ in range(MIGRATION_TRIES):
            there = await self._asking.ask(migrations.EXISTS)
            answer = await self._asking.ask(migrations.VERSION) if there == [(True,)] else there
            if not isinstance(answer, list):
                return _unreachable(answer)
            present, oldest_reader = answer[0] if there == [(True,)] else (0, 0)
            if oldest_reader > len(migrations.STEPS):
                raise NewerSchemaError(
                    f"the shared journal was last changed by a newer preppald (schema {present}, this one knows "
                    f"{len(migrations.STEPS)}): upgrade this host"
                )
            if present >= len(migrations.STEPS):
                self._prepared = True
                return None
            failed = await self._asking.ask(migrations.statement(present + 1))
        return _unreachable(failed) or Unreachable("its tables are being made by another host")

    async def join(self, presence: Presence, /) -> Joined | Unreachable:
        answer = await self._ask(
            self._asking,
            statements.JOIN,
            {"name": presence.name, "address": presence.address, "version": presence.version},
        )
        return Joined(answer[0][0]) if isinstance(answer, list) else _silent(answer)

    async def known(self, me: int, /) -> Known | Fenced | Unreachable:
        answer = await self._ask(self._shipping, statements.KNOWN, {"me": me})
        if not isinstance(answer, list):
            return _silent(answer)
        return Known(*answer[0]) if answer else Fenced()

    async def pulse(self, me: int, live: int, /) -> Pulse | Fenced | Unreachable:
        answer = await self._ask(self._asking, statements.PULSE, {"me": me, "live": live})
        if not isinstance(answer, list):
            return _silent(answer)
        if not answer:
            return Fenced()
        lapsed = [Peer(*peer) for _, *peer in answer if peer[0] is not None]
        return Pulse(answer[0][0], lapsed)

    async def append(self, me: int, shipment: Shipment, /) -> Written | Fenced | Unfit | Unreachable:
        values = {
            "me": me,
            "kin": list(shipment.kin),
            "due": [key for key, due in shipment.due.items() if due],
            "not_due": [key for key, due in shipment.due.items() if not due],
            **_bound("recent", shipment.recent, ("number", "part")),
            **_bound("passage", shipment.passages),
            **_bound("interview", shipment.interviews),
            **_bound("outbox", shipment.owed),
        }
        answer = await self._ask(self._shipping, statements.APPEND, values)
        if not isinstance(answer, list):
            return answer
        return Written(tuple(zip(*answer[0], strict=True))) if answer else Fenced()

    async def settle(
        self, me: int, passages: Sequence[Row], upto: int, /
    ) -> Written | Fenced | Unfit | Unreachable:
        values = {"me": me, "upto": upto, **_bound("passage", passages)}
        return _written(await self._ask(self._shipping, statements.SETTLE, values))

    async def sweep(self, me: int, before_ms: int, /) -> int | Fenced | Unreachable:
        values = {"me": me, "before_ms": before_ms, "limit": SWEEP_INTERVIEWS}
        answer = await self._ask(self._asking, statements.SWEEP, values)
        if not isinstance(answer, list):
            return _silent(answer)
        return int(answer[0][0]) if answer else Fenced()

    async def said(self, session: Session, epoch: int, /) -> Said | Unreachable:
        interview_id, block = session
        recent = await self._ask(
            self._asking, statements.SAID_RECENT, {"bucket": packing.bucket(interview_id)}
        )
        values = {"interview_id": interview_id, "block": block, "epoch": epoch}
        passages = await self._ask(self._asking, statements.SAID_PASSAGES, values)
        if not isinstance(recent, list):
            return _silent(recent)
        return Said(tuple(passages), tuple(recent)) if isinstance(passages, list) else _silent(passages)

    async def owner(self, session: Session, /) -> Peer | Unreachable | None:
        interview_id, block = session
        answer = await self._ask(
            self._asking, statements.OWNER, {"interview_id": interview_id, "block": block}
        )
        if not isinstance(answer, list):
            return _silent(answer)
        return Peer(*answer[0]) if answer else None

    async def declare_lost(self, me: int, peer: int, /) -> bool | Unreachable:
        answer = await self._ask(self._asking, statements.DECLARE_LOST, {"me": me, "peer": peer})
        return bool(answer[0][0]) if isinstance(answer, list) else _silent(answer)

    async def unsettled(self, peer: int, /) -> Sequence[Row] | Unreachable:
        answer = await self._ask(self._asking, statements.UNSETTLED, {"peer": peer})
        return answer if isinstance(answer, list) else _silent(answer)

    async def settle_lost(
        self, me: int, peer: int, passages: Sequence[Row], /
    ) -> Written | Fenced | Unreachable:
        values = {"me": me, "peer": peer, **_bound("passage", passages)}
        answer = _written(await self._ask(self._asking, statements.SETTLE_LOST, values))
        return _silent(answer) if isinstance(answer, Unfit) else answer

    async def claim(
        self, me: int, limit: int, interview_id: str | None = None, /
    ) -> Sequence[Claimed] | Fenced | Unreachable:
        values = {"me": me, "limit": limit, "interview_id": interview_id}
        answer = await self._ask(self._asking, statements.CLAIM, values)
        if not isinstance(answer, list):
            return _silent(answer)
        if not answer:
            return Fenced()
        return [Claimed(tuple(row), claims) for claims, *row in answer if claims is not None]

    async def release(self, me: int, sessions: Sequence[Session], /) -> Written | Fenced | Unreachable:
        values = {
            "me": me,
            "ids": [interview_id for interview_id, _ in sessions],
            "blocks": [block for _, block in sessions],
        }
        answer = _written(await self._ask(self._asking, statements.RELEASE, values))
        return _silent(answer) if isinstance(answer, Unfit) else answer

    async def aclose(self) -> None:
        self._shipping.close()
        self._asking.close()

    async def _ask(self, link: Link, statement: str, values: Mapping[str, object]) -> Answer:
        if not self._prepared and (fault := await self.prepare()):
            return fault
        answer = await link.ask(statement, values)
        if isinstance(answer, Unreachable):
            # It may be another database after this, one from before: the tables are looked at again.
            self._prepared = False
        return answer


def _bound(table: str, found: Sequence[Row], extra: tuple[str, ...] = ()) -> dict[str, list[object]]:
    """Return the rows as arrays, one a column, by the names that statements.arrays gives them."""
    names = [*extra, *statements.columns(table)]
    turned = zip(*found, strict=True) if found else ((),) * len(names)
    return {f"{table}_{name}": list(values) for name, values in zip(names, turned, strict=True)}


def _written(answer: Answer) -> Written | Fenced | Unfit | Unreachable:
    if not isinstance(answer, list):
        return answer
    return Written() if answer else Fenced()


def _silent(answer: Unreachable | Unfit) -> Unreachable:
    """Return the answer of a statement that holds no rows of others: there is nothing unfit in it."""
    return answer if isinstance(answer, Unreachable) else Unreachable(answer.why)


def _unreachable(answer: Answer) -> Unreachable | None:
    return None if isinstance(answer, list) else _silent(answer)
