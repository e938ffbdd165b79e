"""What must hold after every run, whatever happened in it. Each function yields sentences about what did not."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
import sqlite3

import msgspec

from preppald.core.deliveries import Delivery, DeliveryKind, DeliveryState, TranscriptSubmission
from preppald.core.turns import Turn, fold, in_order, with_holes
from preppald.journal import Which, reader, rows
from preppald.journal.rows import Unreadable
from tests.simulation import neighbour
from tests.simulation.answers import JUDGED, Manner
from tests.simulation.damage import TOLD, judged
from tests.simulation.disk import LOSS_SECONDS, Disk
from tests.simulation.machine import WALL_MS, Machine
from tests.simulation.plan import Act, Plan
from tests.simulation.tab import Tab

# Goodbyes, a tick of the watchdog, the flush.
LATE_SECONDS = 15.0
# Told at ERROR because the plan made it so.
BY_DISK = frozenset(
    {
        "journal.fault",
        "journal.not_adopted",
        "interviews.numbers_not_durable",
        "transcript.not_durable",
        "ending.not_durable",
        "outbox.from_memory",
        "replay.failed",
    }
)
BY_BACKEND = frozenset({"outbox.held", "context.missing"})
BY_SECRET = frozenset({"outbox.paused"})
# The file lost its name.
BY_NAME = frozenset({"journal.broken", "journal.moved_on"})


def violations(machine: Machine, tabs: list[Tab], plan: Plan) -> list[str]:
    """All that did not hold."""
    found = [
        *machine.application.faults,
        *(fault for tab in tabs for fault in tab.faults),
        *_outbox(machine),
        *_transcripts(machine),
        *_kept_over_kills(machine.disk, machine),
        *_shown(machine, tabs),
        *_adopted(machine),
        *_deadlines(machine, plan),
        *_log(machine, plan),
        *_leaks(machine),
    ]
    if not plan.damages:
        return found
    return judged(_without_lost_records(found, machine), machine)


def _without_lost_records(found: list[str], machine: Machine) -> list[str]:
    """Leave out second posts of a status whose record of being delivered is damaged: no start reads those records.

    A transcript is never made again once its interview has ended.
    """
    unread: list[Unreadable] = []
    reader.owed(machine.disk.durable(), report=unread.append)
    again = [it for it in found if "IN_PROGRESS was posted again" in it]
    return found if len(again) > len(unread) else [it for it in found if it not in again]


def _outbox(machine: Machine) -> Iterator[str]:
    """Nothing is owed or dead any more; what the disk calls delivered is what the backend has."""
    unread: list[Unreadable] = []
    owed = reader.owed(machine.disk.durable(), report=unread.append)
    for row in owed:
        if row.state is DeliveryState.DEAD and _dead_rightly(machine, row.delivery):
            continue
        if row.state is not DeliveryState.DONE:
            yield f"{row.key} is {row.state} in the end ({row.last_error})"
    keys = {row.key for row in owed}
    gone = [key for key in machine.application.stored if key not in keys]
    # A delivered row is not read again by a daemon: `preppald journal check` finds it, maybe by a damaged key.
    left_behind = _left_behind(machine)
    gone = [key for key in gone if key.partition(":")[0] not in left_behind]
    if len(gone) > len(unread):
        yield from (f"{key} was stored and is not on disk" for key in gone)
    yield from (
        f"{row.key} is on disk and was not stored"
        for row in owed
        if row.state is DeliveryState.DONE and row.key not in machine.application.stored
    )


def _dead_rightly(machine: Machine, delivery: Delivery) -> bool:
    """Whether the application itself refused it, and not every interview alike; or has deleted the interview."""
    application = machine.application
    return delivery.interview_id in application.deleted or application.refusals.may_be_dead(delivery.key)


def _adopted(machine: Machine) -> Iterator[str]:
    """What another instance owed is delivered, by us."""
    for deliveries in machine.left.values():
        for it in deliveries:
            known = machine.application.stored.get(it.key)
            if known is not None and known.payload != it.payload:
                yield f"{it.key} of another instance was delivered with other words"
            # An ended interview needs no word that it runs.
            needed = it.kind is DeliveryKind.TRANSCRIPT
            if known is None and needed and not _dead_rightly(machine, it):
                yield f"{it.key} of another instance was never delivered"


def _transcripts(machine: Machine) -> Iterator[str]:
    """Every interview has ended, in one way; what was delivered of it is what is durable, each line once."""
    durable = machine.disk.durable()
    left_behind = _left_behind(machine)
    dead = {
        row.delivery.interview_id
        for row in reader.owed(durable, report=_unread)
        if row.state is DeliveryState.DEAD
    }
    for (interview_id,) in durable.execute("SELECT interview_id FROM interview WHERE phase = 'live'"):
        yield f"{interview_id} is still live in the end"
    for interview_id, epoch in durable.execute("SELECT interview_id, epoch FROM interview"):
        said = reader.fragments(durable, interview_id, epoch, report=_unread)
        said = with_holes(said, reader.lost_to(durable, interview_id, epoch))
        turns = in_order(fold(said).values())
        finals = [
            delivery
            for key, delivery in machine.application.stored.items()
            if key.startswith(f"{interview_id}:{epoch}:") and not key.endswith("IN_PROGRESS")
        ]
        transcripts = [delivery for delivery in finals if delivery.kind is DeliveryKind.TRANSCRIPT]
        if interview_id in dead or interview_id in left_behind:
            continue
        if not finals:
            yield f"{interview_id} has no ending at the backend"
        if bool(turns) != bool(transcripts):
            yield f"{interview_id}: {len(turns)} turns are durable, {len(transcripts)} transcripts were delivered"
        for delivery in transcripts:
            yield from _lines(interview_id, turns, delivery.payload)


def _left_behind(machine: Machine) -> set[str]:
    """The interviews that may have been over when the journal went on in a new file: it has their rows, no words.

    What they still owed came along.
    """
    moved = max((at for at, _ in machine.events("journal.moved_on")), default=None)
    if moved is None:
        return set()
    ended = {str(keys["interview"]) for at, keys in machine.events("session.ended") if at <= moved}
    return ended | {neighbour.names(name)[0] for name in machine.left}


def _lines(interview_id: str, turns: list[Turn], payload: bytes) -> Iterator[str]:
    lines = [line.content for line in msgspec.json.decode(payload, type=TranscriptSubmission).lines]
    if lines != [turn.spoken.strip() for turn in turns]:
        yield f"{interview_id}: what was delivered is not what is durable"
    yield from (
        f"{interview_id}: the line {line!r} stands {count} times"
        for line, count in Counter(lines).items()
        if count > 1
    )
    numbers = [turn.number for turn in turns if turn.speaker == "AI"]
    if numbers != sorted(numbers):
        yield f"{interview_id}: the interviewer's turns are not in the order in which they were said"


def _kept_over_kills(disk: Disk, machine: Machine) -> Iterator[str]:
    """What was durable at a kill still is."""
    kept = set(fragments(disk.image))
    left_behind = _left_behind(machine)
    for death in machine.deaths:
        lost = Counter(interview_id for interview_id, *_ in set(fragments(death.image)) - kept)
        for interview_id, count in sorted(lost.items()):
            if interview_id in left_behind:
                continue
            yield f"{interview_id}: {count} fragments that were durable at {death.at:.3f} are gone"


def _shown(machine: Machine, tabs: list[Tab]) -> Iterator[str]:
    """What a candidate was shown is in the journal, but for the last tenth of a second before a kill."""
    kept = {(interview_id, seq) for interview_id, _, seq, _ in fragments(machine.disk.image)}
    left_behind = _left_behind(machine)
    for tab in tabs:
        if tab.interview_id in left_behind:
            continue
        for seq, (_, at) in tab.shown.items():
            excused = any(
                at - LOSS_SECONDS <= death.at and (death.disk_was_slow or death.at <= at + LOSS_SECONDS)
                for death in machine.deaths
            )
            if (tab.interview_id, seq) not in kept and not excused:
                yield f"{tab.interview_id}: seq {seq} was shown at {at:.3f} and is not in the journal"


def fragments(image: bytes) -> list[tuple[str, int, int, str]]:
    """Interview, epoch, seq and text of all that is there."""
    if not image:
        return []
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(image)
        rows.equip(connection)
        try:
            return [
                (it.interview_id, epoch, fragment.seq, fragment.text)
                for it in reader.interviews(connection, Which(), report=_unread)
                for epoch in range(1, it.epoch + 1)
                for fragment in reader.fragments(connection, it.interview_id, epoch, report=_unread)
            ]
        except sqlite3.DatabaseError:  # of a kill right behind a damage
            return []


def _unread(_error: Unreadable) -> None:
    """Pass over a row that is damaged: what follows from that is judged by the log."""


def _deadlines(machine: Machine, plan: Plan) -> Iterator[str]:
    """No interview outlives its limit and its credits, restarts or not; one that a dead daemon held ends at once."""
    set_back = sum(-event.amount for event in plan.events if event.act is Act.CLOCK and event.amount < 0)
    credited_by = dict(
        machine.disk.durable().execute("SELECT interview_id, credited_ms / 1000.0 FROM interview").fetchall()
    )
    # They have the limit that they were begun with.
    others = {interview_id for name in machine.left for interview_id in neighbour.names(name)}
    began: dict[str, float] = {}
    for at, keys in machine.events("interview.seen"):
        began.setdefault(f"{keys['interview']}:{keys['epoch']}", at)
    for at, keys in machine.events("session.ended"):
        start = began.get(f"{keys['interview']}:{keys['epoch']}")
        if start is None:
            yield f"{keys['interview']} ended and was never seen to begin"
            continue
        limit = neighbour.LIMIT_MS / 1000 if keys["interview"] in others else plan.session_limit
        latest = start + limit + credited_by.get(str(keys["interview"]), 0.0)
        # A daemon that was down when the time was up ends it when it is up again.
        up_again = min((boot for boot in machine.boots if boot >= latest), default=latest)
        down_then = any(death.at <= latest for death in machine.deaths) and not _alive(machine, latest)
        latest = up_again if down_then else latest
        # The clock of the wall is all that a restart has: what it lost cannot be known, but for what was said.
        if at > latest + LATE_SECONDS + (set_back if len(machine.boots) > 1 else 0.0):
            yield f"{keys['interview']} ended {at - latest:.1f} s after its time was up ({keys['ending']})"
        credited = credited_by.get(str(keys["interview"]), 0.0)
        if credited > machine.config.credit_limit + 0.001:
            yield f"{keys['interview']} was credited {credited:.1f} s"


def _alive(machine: Machine, at: float) -> bool:
    """Whether a daemon ran then."""
    ends = sorted(
        [death.at for death in machine.deaths] + [at_ for at_, _ in machine.events("daemon.stopped")]
    )
    last_end = max((end for end in ends if end <= at), default=-1.0)
    last_boot = max((boot for boot in machine.boots if boot <= at), default=-1.0)
    return last_boot >= last_end


def _log(machine: Machine, plan: Plan) -> Iterator[str]:
    """Nothing at ERROR that the plan did not bring about, and no bug in anybody."""
    acts = {event.act for event in plan.events}
    # A trouble with one interview alone holds nobody.
    general = any(event.act is Act.BACKEND and not event.mood.only for event in plan.events)
    allowed = BY_BACKEND if general else frozenset[str]()
    if acts & {Act.FULL_DISK, Act.SLOW_DISK}:
        allowed |= BY_DISK
    if plan.damages:
        allowed |= TOLD
    if Act.REPLACE in acts:
        allowed |= BY_NAME
    # A page of a proxy is never taken for the application's word about our secret.
    if any(not it.only and (it.refuses_secret or Manner.FORBIDDEN in it.manners) for it in plan.moods):
        allowed |= BY_SECRET
    if any(not JUDGED.isdisjoint(it.manners) for it in plan.moods):
        allowed |= {"delivery.dead"}
    for at, level, event, keys in machine.log:
        if (level in {"error", "critical"} and event not in allowed) or event.endswith((".bug", ".crashed")):
            yield f"at {at:.3f} the log says {event} {dict(keys)}"


def _leaks(machine: Machine) -> Iterator[str]:
    """No connection is left, and the journal is no larger than what was said."""
    if machine.network.open:
        yield f"{machine.network.open} connections are left"
    if machine.gemini.live:
        yield f"{machine.gemini.live} connections are left at Gemini"


__all__ = ["WALL_MS", "violations"]
