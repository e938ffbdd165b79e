"""A journal that hosts share, in PostgreSQL.

Two connections: a commit that waits for a standby must not keep the lease from being renewed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, fields, replace
from functools import partial

from preppald.core.interview import Phase
from preppald.errors import NewerSchemaError
from preppald.journal import packing, rows
from preppald.journal.rows import Row
from preppald.shared import migrations, retention_statements, statements
from preppald.shared.link import PATIENCE_SECONDS, Answer, Link
from preppald.shared.protocol import (
    Claimed,
    Ended,
    Fenced,
    Held,
    Joined,
    Known,
    Late,
    Mine,
    Order,
    Owned,
    Peer,
    Presence,
    Pulse,
    Said,
    Session,
    Shipment,
    Standing,
    TooMany,
    Unfit,
    Unreachable,
    Written,
)
from preppald.shared.signal_statements import PostgresSignals

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
        self.signals = PostgresSignals(partial(self._ask, self._asking))

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
        if not self._prepared and (fault := await self.prepare()):
            return fault
        answer = await self._ask(self._asking, statements.JOIN, asdict(presence))
        return Joined(answer[0][0]) if isinstance(answer, list) else _silent(answer)

    async def known(self, me: int, /) -> Known | Fenced | Unreachable:
        if not self._prepared and (fault := await self.prepare()):
            return fault
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
        late = [Peer(*peer) for _, _, *peer in answer if peer[0] is not None]
        return Pulse(answer[0][0], late, answer[0][1])

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
        if not answer:
            return Fenced()
        names, blocks, others = answer[0]
        return Written(tuple(zip(names, blocks, strict=True)), tuple(others))

    async def settle(
        self, me: int, passages: Sequence[Row], upto: int, /
    ) -> Written | Fenced | Unfit | Unreachable:
        values = {"me": me, "upto": upto, **_bound("passage", passages)}
        return _written(await self._ask(self._shipping, statements.SETTLE, values))

    async def sweep(self, me: int, before_ms: int, rows_before_ms: int, /) -> int | Fenced | Unreachable:
        values: dict[str, object] = {"me": me, "limit": SWEEP_INTERVIEWS}
        swept = await self._ask(
            self._asking, retention_statements.SWEEP, {**values, "before_ms": rows_before_ms}
        )
        if not isinstance(swept, list):
            return _silent(swept)
        values["before_ms"] = before_ms
        wordy = await self._ask(self._asking, retention_statements.WORDY, values)
        if not isinstance(wordy, list):
            return _silent(wordy)
        if not swept or not wordy:
            return int(swept[0][0]) if swept else Fenced()
        values |= {
            "names": [row[0] for row in wordy],
            "blocks": [row[1] for row in wordy],
            "before": [row[-1] for row in wordy],
            "after": [_without_context(row)[-1] for row in wordy],
        }
        stripped = await self._ask(self._asking, retention_statements.STRIP, values)
        if not isinstance(stripped, list):
            return _silent(stripped)
        return int(swept[0][0]) + int(stripped[0][0]) if stripped else Fenced()

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

    async def begin(
        self, me: int, row: Row, person: str | None, limit: int, /
    ) -> Mine | Owned | Ended | TooMany | Fenced | Unfit | Unreachable:
        interview_id, block, _, epoch = row[:4]
        key = {"interview_id": interview_id, "block": block, "epoch": epoch}
        values = {"me": me, **key, "person": person, "limit": limit, **_bound("interview", [row])}
        answer = await self._ask(self._asking, statements.BEGIN, values)
        if isinstance(answer, Unreachable) or answer == []:
            return answer if isinstance(answer, Unreachable) else Fenced()
        if isinstance(answer, list):
            (mine, free), *_ = answer
            if mine or free:
                return Mine() if mine else TooMany()
        # Another one's, before or by a hair.
        there = await self.sessions(interview_id)
        if isinstance(there, Unreachable):
            return there
        for it in there:
            if it.row[1] == block:
                return Owned(it.owner) if it.row[8] == Phase.LIVE else Ended(it.row)
        return answer if isinstance(answer, Unfit) else Unreachable("its row is gone while it is asked for")

    async def sessions(self, interview_id: str, /) -> Sequence[Held] | Unreachable:
        answer = await self._ask(self._asking, statements.SESSIONS, {"interview_id": interview_id})
        if not isinstance(answer, list):
            return _silent(answer)
        return [
            Held(tuple(row), None if peer[0] is None else Peer(*peer))
            for *peer, row in ((*it[:6], it[6:]) for it in answer)
        ]

    async def held(self, me: int, /) -> Sequence[Session] | Unreachable:
        answer = await self._ask(self._asking, statements.HELD, {"me": me})
        return [(it, block) for it, block in answer] if isinstance(answer, list) else _silent(answer)

    async def claim(
        self, me: int, limit: int, interview_id: str | None = None, /
    ) -> Sequence[Claimed] | Fenced | Unreachable:
        values = {"me": me, "limit": limit, "interview_id": interview_id}
        answer = await self._ask(self._asking, statements.CLAIM, values)
        if not isinstance(answer, list):
            return _silent(answer)
        if not answer:
            return Fenced()
        end = 1 + len(statements.columns("interview"))
        found: dict[Session, Claimed] = {}
        # A session stands in as many rows as it has deliveries, and in one where it has none.
        for claims, *rest in answer:
            row, (number, due, *owed) = tuple(rest[: end - 1]), rest[end - 1 :]
            if claims is None:
                continue
            it = found.get((row[0], row[1])) or Claimed(row, claims)
            if number is not None:
                own = (*it.owed, tuple(owed))
                it = replace(it, owed=own, due=(*it.due, owed[0]) if due else it.due)
            found[row[0], row[1]] = it
        return list(found.values())

    async def late(self, me: int, found: Sequence[Late], /) -> Written | Fenced | Unfit | Unreachable:
        columns = zip(*map(astuple, found), strict=True) if found else ((),) * len(fields(Late))
        values = {it.name: list(column) for it, column in zip(fields(Late), columns, strict=True)}
        return _written(await self._ask(self._asking, statements.LATE, {"me": me, **values}))

    async def release(self, me: int, sessions: Sequence[Session], /) -> Written | Fenced | Unreachable:
        values = {
            "me": me,
            "ids": [interview_id for interview_id, _ in sessions],
            "blocks": [block for _, block in sessions],
        }
        answer = _written(await self._ask(self._asking, statements.RELEASE, values))
        return _silent(answer) if isinstance(answer, Unfit) else answer

    async def present(self, me: int, presence: Presence, /) -> Written | Fenced | Unreachable:
        values = {"me": me, **asdict(presence)}
        answer = _written(await self._ask(self._asking, statements.PRESENT, values))
        return _silent(answer) if isinstance(answer, Unfit) else answer

    async def standings(self) -> Sequence[Standing] | Unreachable:
        answer = await self._ask(self._asking, statements.STANDINGS, {})
        if not isinstance(answer, list):
            return _silent(answer)
        return [Standing(Peer(*it[:-3]), *it[-3:]) for it in answer]

    async def secret(self, name: str, offered: bytes, /) -> bytes | Unreachable:
        values = {"name": name, "offered": offered}
        for statement in (statements.OFFERED, statements.OFFER, statements.OFFERED):
            answer = await self._ask(self._asking, statement, values)
            if not isinstance(answer, list):
                return _silent(answer)
            if answer:
                return bytes(answer[0][0])
        return Unreachable("the secret was removed a moment ago")

    async def orders(self, me: int, /, *, ready: bool) -> Sequence[Order] | Fenced | Unreachable:
        answer = await self._ask(self._asking, statements.ORDERS, {"me": me, "ready": ready})
        if not isinstance(answer, list):
            return _silent(answer)
        return [Order(*it) for it in answer if it[0] is not None] if answer else Fenced()

    async def obeyed(self, me: int, number: int, answer: str, /) -> Written | Fenced | Unreachable:
        values = {"me": me, "number": number, "answer": answer}
        done = _written(await self._ask(self._asking, statements.OBEYED, values))
        return _silent(done) if isinstance(done, Unfit) else done

    async def aclose(self) -> None:
        self._shipping.close()
        self._asking.close()

    async def _ask(self, link: Link, statement: str, values: Mapping[str, object]) -> Answer:
        if not self._prepared:
            try:
                fault = await self.prepare()
            except NewerSchemaError as error:
                fault = Unreachable(str(error))
            if fault:
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


def _without_context(row: Row) -> Row:
    """Return an interview's row without the application's words; a damaged one stays damaged."""
    try:
        return rows.interview_row(replace(rows.interview(row), context=None))
    except rows.Unreadable:
        return row


def _written(answer: Answer) -> Written | Fenced | Unfit | Unreachable:
    if not isinstance(answer, list):
        return answer
    return Written() if answer else Fenced()


def _silent(answer: Unreachable | Unfit) -> Unreachable:
    """Return the answer of a statement that holds no rows of others: there is nothing unfit in it."""
    return answer if isinstance(answer, Unreachable) else Unreachable(answer.why)


def _unreachable(answer: Answer) -> Unreachable | None:
    return None if isinstance(answer, list) else _silent(answer)
