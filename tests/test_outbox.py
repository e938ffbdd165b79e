"""Deliveries: in order, once, for as long as it takes. A virtual clock, a database in memory."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
import random
import sqlite3

import pytest
import trio

from preppald.backend import Absent, Delivered, NoBackend, Outcome, Refused, Retry, Unauthorized
from preppald.backend.breaker import HELD_SECONDS, IN_FLIGHT, PAUSED_SECONDS, SLOW_SECONDS, Flow
from preppald.backend.outbox import LOOK_SECONDS, TRIES_BEFORE_ASKING, UNKNOWN, Outbox
from preppald.core.deliveries import (
    RETRY_CAP_SECONDS,
    Delivery,
    DeliveryKind,
    Feedback,
    Status,
    feedback_delivery,
    status_delivery,
)
from preppald.journal import Given, Journal, OnDisk, reader, writes
from tests.durable import EPOCH_MS, Notes, Rig, begun, finished, full, interview, running, wall_ms

POST_SECONDS = 0.1
HOURS = 2 * 3600
SECRET_TEXT = "what the candidate said"


@dataclass
class Application(NoBackend):
    """A backend by script. ``answer`` decides; ``accepted`` is what it has stored, in order."""

    answer: Callable[[Delivery], Outcome] = lambda _: Delivered()
    tries: list[tuple[float, str]] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    busy: int = 0
    most: int = 0
    before: Callable[[Delivery], Awaitable[None]] | None = None

    async def post(self, delivery: Delivery) -> Outcome:
        self.tries.append((trio.current_time(), delivery.key))
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            await trio.sleep(POST_SECONDS)
            if self.before is not None:
                await self.before(delivery)
            outcome = self.answer(delivery)
        finally:
            self.busy -= 1
        if isinstance(outcome, Delivered):
            self.accepted.append(delivery.key)
        return outcome


class Meters:
    def __init__(self) -> None:
        self.calls: list[tuple[str, str, float]] = []

    def backend_call(self, kind: str, outcome: str, seconds: float) -> None:
        self.calls.append((kind, outcome, seconds))


@dataclass
class World:
    journal: Journal
    outbox: Outbox
    notes: Notes
    meters: Meters
    stop: trio.CancelScope

    async def pending(self) -> int:
        return (await self.journal.queue(1)).pending


@asynccontextmanager
async def world(
    application: Application,
    *,
    rig: Rig | None = None,
    place: Given | OnDisk | None = None,
    seed: int = 1,
    delivered: Callable[[Delivery], None] = lambda _delivery: None,
) -> AsyncIterator[World]:
    notes, meters = Notes(), Meters()
    rig = rig or Rig()
    async with running(place or Given(lambda: rig.connection(":memory:")), notes) as journal:
        outbox = Outbox(
            journal,
            application,
            log=notes,
            now_ms=wall_ms,
            chance=random.Random(seed).random,
            meters=meters,
            delivered=delivered,
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(outbox.run)
            yield World(journal, outbox, notes, meters, nursery.cancel_scope)
            nursery.cancel_scope.cancel()


def owe(journal: Journal, name: str) -> None:
    """A whole interview's worth: begun and finished."""
    journal.begin(interview(name))
    journal.add_delivery(begun(name))
    journal.end(name, 1, ending="timeout", cause=None, ended_ms=wall_ms(), deliveries=[finished(name)])


async def test_a_delivery_is_posted_at_once_and_once(autojump_clock: object) -> None:
    application = Application()
    async with world(application) as it:
        await trio.sleep(100)
        began = trio.current_time()
        it.journal.add_delivery(begun())
        await trio.sleep(1)
        ((at, key),) = application.tries
        assert key == begun().key
        assert at - began < 0.1
        await trio.sleep(3600)
        assert len(application.tries) == 1
        assert await it.pending() == 0
    assert it.notes.events() == ["delivery.done"]
    assert it.notes.keys("delivery.done")["attempts"] == 1
    ((kind, outcome, seconds),) = it.meters.calls
    assert (kind, outcome) == ("status", "delivered")
    assert seconds == pytest.approx(POST_SECONDS)


async def test_nothing_is_posted_before_it_is_durable(autojump_clock: object) -> None:
    """At the moment of each post the row is in a committed transaction."""
    rig = Rig()

    async def check(delivery: Delivery) -> None:
        with closing(sqlite3.connect(":memory:")) as copy:
            copy.deserialize(await it.journal.ask(lambda connection: connection.serialize()))
            assert [owed.key for owed in reader.owed(copy, of=delivery.key)] == [delivery.key]

    application = Application(before=check)
    async with world(application, rig=rig) as it:
        for number in range(20):
            owe(it.journal, f"iv{number}")
            await trio.sleep(0.013)
        await trio.sleep(10)
    assert len(application.accepted) == 40


async def test_order_within_an_interview(autojump_clock: object) -> None:
    """The next one goes when the one before it is settled for good; interviews do not wait for each other."""
    hold = trio.Event()

    async def wait(delivery: Delivery) -> None:
        if delivery.key == begun("slow").key:
            await hold.wait()

    application = Application(before=wait)
    async with world(application) as it:
        owe(it.journal, "slow")
        owe(it.journal, "fast")
        await trio.sleep(60)
        assert application.accepted == [begun("fast").key, finished("fast").key]
        hold.set()
        await trio.sleep(1)
        assert application.accepted[2:] == [begun("slow").key, finished("slow").key]


async def test_four_in_flight(autojump_clock: object) -> None:
    application = Application()
    async with world(application) as it:
        for number in range(40):
            owe(it.journal, f"iv{number}")
        await trio.sleep(60)
    assert application.most == IN_FLIGHT
    assert len(application.accepted) == 80


@pytest.mark.parametrize("status", [None, 503])
async def test_it_never_gives_up(autojump_clock: object, status: int | None) -> None:
    """Hours of failures, and the wait between two tries never passes five minutes."""
    application = Application(lambda _: Retry(status, "no"))
    async with world(application) as it:
        it.journal.add_delivery(finished())
        await trio.sleep(HOURS)
        times = [at for at, _ in application.tries]
        assert len(times) > HOURS / (RETRY_CAP_SECONDS + 1)
        waits = [later - earlier for earlier, later in pairwise(times)]
        assert max(waits) <= RETRY_CAP_SECONDS + POST_SECONDS + 0.1
        application.answer = lambda _: Delivered()
        await trio.sleep(RETRY_CAP_SECONDS + 10)
        assert application.accepted == [finished().key]
        assert await it.pending() == 0
    assert "delivery.dead" not in it.notes.events()


async def test_retry_after_is_honoured(autojump_clock: object) -> None:
    """Up to the cap: a day would break the promise."""
    for asked, waited in ((42.0, 42.0), (86_400.0, RETRY_CAP_SECONDS)):
        application = Application(lambda _, asked=asked: Retry(503, "later", retry_after=asked))  # type: ignore[misc]
        async with world(application) as it:
            it.journal.add_delivery(begun())
            await trio.sleep(waited + 10)
            (first, _), (second, _) = application.tries[:2]
            assert second - first == pytest.approx(waited + POST_SECONDS, abs=0.1)


async def test_what_is_refused_is_dead_and_holds_up_nothing(autojump_clock: object) -> None:
    application = Application(
        lambda delivery: Refused(400, "answered 400 BAD_REQUEST") if "status" in delivery.key else Delivered()
    )
    async with world(application) as it:
        owe(it.journal, "iv")
        await trio.sleep(3600)
        assert [key for _, key in application.tries] == [begun("iv").key, finished("iv").key]
        assert it.outbox.statistics().dead == 1
    assert it.notes.keys("delivery.dead")["cause"] == "answered 400 BAD_REQUEST"
    assert it.notes.events("error") == ["delivery.dead"]


async def test_a_refused_secret_pauses_everything(autojump_clock: object) -> None:
    """At last one try a minute, nothing dies, and all flows at once when it is right again."""
    application = Application(lambda _: Unauthorized(401))
    async with world(application) as it:
        for number in range(20):
            owe(it.journal, f"iv{number}")
        await trio.sleep(3600)
        assert it.outbox.paused
        assert it.outbox.statistics().flow is Flow.PAUSED
        # Waits of 1, 2, 4 … 32 s come before those of a minute.
        assert len(application.tries) <= IN_FLIGHT + 6 + 3600 / PAUSED_SECONDS
        assert it.outbox.statistics().dead == 0
        assert it.outbox.statistics().oldest_seconds >= 3600
        application.answer = lambda _: Delivered()
        await trio.sleep(PAUSED_SECONDS + 10)
        assert not it.outbox.paused
        assert len(application.accepted) == 40
    assert "outbox.paused" in it.notes.events("error")
    assert it.notes.events().count("outbox.resumed") == 1


@pytest.mark.slow
async def test_one_forbidden_interview(autojump_clock: object) -> None:
    """The application refuses our secret for one interview only: it waits alone, and is no dead letter in a day."""
    application = Application(
        lambda delivery: Unauthorized(403) if delivery.interview_id == "theirs" else Delivered()
    )
    async with world(application) as it:
        owe(it.journal, "theirs")
        for number in range(24):
            owe(it.journal, f"iv{number}")
            await trio.sleep(5)
            assert application.accepted[-1] == finished(f"iv{number}").key
            await trio.sleep(3600)
        assert it.outbox.statistics().flow is Flow.OPEN
        assert it.outbox.statistics().dead == 0
        tries = [at for at, key in application.tries if key.startswith("theirs")]
        assert len(tries) < 24 * 3600 / RETRY_CAP_SECONDS + 10
        application.answer = lambda _: Delivered()
        await trio.sleep(RETRY_CAP_SECONDS + 5)
        assert {begun("theirs").key, finished("theirs").key} <= set(application.accepted)


async def test_a_deploy_that_refuses_everything(autojump_clock: object) -> None:
    """Eight interviews refused alike: none is a dead letter in the end, and all are delivered in order."""
    refusing = True
    application = Application(lambda _: Refused(400, "answered 400 BAD_REQUEST") if refusing else Delivered())
    async with world(application) as it:
        for number in range(8):
            owe(it.journal, f"iv{number}")
            await trio.sleep(600)
        assert it.outbox.statistics().flow is Flow.HELD
        assert it.outbox.statistics().dead == 0
        assert it.outbox.statistics().pending == 16
        refusing = False
        await trio.sleep(PAUSED_SECONDS + 10)
        assert len(application.accepted) == 16
        for number in range(8):
            first, second = begun(f"iv{number}").key, finished(f"iv{number}").key
            assert application.accepted.index(first) < application.accepted.index(second)
    assert it.notes.keys("outbox.held")["cause"] == "answered 400 BAD_REQUEST"
    assert it.notes.events().count("delivery.revived") == 1


async def test_refusals_within_a_hold_count(autojump_clock: object) -> None:
    """Two are refused; the third meets a missing procedure, which holds the queue, and is then refused alike."""
    answers: list[Outcome] = [
        Refused(400, "answered 400 BAD_REQUEST"),
        Refused(400, "answered 400 BAD_REQUEST"),
        Absent(404, "answered 404 NOT_FOUND"),
        Refused(400, "answered 400 BAD_REQUEST"),
    ]
    application = Application(lambda _: answers.pop(0) if answers else Delivered())
    async with world(application) as it:
        for number in range(3):
            it.journal.add_delivery(begun(f"iv{number}"))
            await trio.sleep(1)
        await trio.sleep(PAUSED_SECONDS)
        assert sorted(application.accepted) == [begun(f"iv{number}").key for number in range(3)]
        assert it.outbox.statistics().dead == 0


async def test_deleted_interviews_do_not_hold_the_queue_again(autojump_clock: object) -> None:
    gone = {f"gone{number}" for number in range(5)}
    application = Application(
        lambda delivery: (
            Refused(404, "answered 404 NOT_FOUND") if delivery.interview_id in gone else Delivered()
        )
    )
    async with world(application) as it:
        for name in sorted(gone):
            owe(it.journal, name)
        for number in range(60):
            owe(it.journal, f"iv{number}")
            await trio.sleep(60)
        assert it.outbox.statistics().flow is Flow.OPEN
        assert it.outbox.statistics().pending == 0
        assert it.outbox.statistics().dead == 10
        assert len(application.accepted) == 120
    assert it.notes.events().count("outbox.held") <= 2


async def test_posts_that_hang_delay_others_by_a_second(autojump_clock: object) -> None:
    async def hang(delivery: Delivery) -> None:
        if delivery.interview_id.startswith("slow"):
            await trio.sleep(10)

    application = Application(before=hang)
    async with world(application) as it:
        for number in range(IN_FLIGHT):
            it.journal.add_delivery(finished(f"slow{number}"))
        await trio.sleep(0.2)
        it.journal.add_delivery(finished("quick"))
        await trio.sleep(SLOW_SECONDS + 2 * POST_SECONDS)
        assert application.accepted == [finished("quick").key]
        assert application.most == IN_FLIGHT + 1


async def test_an_unknown_interview_is_not_tried_for_ever(autojump_clock: object) -> None:
    """The application answers 500 for an interview that was deleted: asked, it says so."""

    class Deleted(Application):
        asked = 0

        async def knows(self, interview_id: str) -> bool | None:
            self.asked += 1
            return interview_id != "iv"

    application = Deleted(lambda _: Retry(500, "answered 500 INTERNAL_SERVER_ERROR"))
    async with world(application) as it:
        it.journal.add_delivery(finished("iv"))
        it.journal.add_delivery(finished("known"))
        await trio.sleep(4 * 3600)
        assert it.outbox.statistics().dead == 1
        assert it.outbox.statistics().pending == 1
        tries = [key for _, key in application.tries]
        assert tries.count(finished("iv").key) == TRIES_BEFORE_ASKING
        assert application.asked <= 12
    assert it.notes.keys("delivery.dead")["cause"] == UNKNOWN


async def test_a_procedure_that_is_missing_holds_what_must_be_taken(autojump_clock: object) -> None:
    missing = True
    application = Application(lambda _: Absent(404, "no such procedure") if missing else Delivered())
    async with world(application) as it:
        owe(it.journal, "iv")
        await trio.sleep(3600)
        assert it.outbox.statistics().flow is Flow.HELD
        assert len(application.tries) < 70
        missing = False
        await trio.sleep(PAUSED_SECONDS + 1)
        assert application.accepted == [begun("iv").key, finished("iv").key]


async def test_a_procedure_that_an_application_may_lack_is_closed_quietly(autojump_clock: object) -> None:
    """Feedback that nobody takes is asked for once an hour, or after a reload; nothing else waits for it."""
    lacking = True
    application = Application(
        lambda delivery: (
            Absent(404, "none") if lacking and delivery.kind is DeliveryKind.FEEDBACK else Delivered()
        )
    )
    words = Feedback("a", "b", "c", "d", "e")
    async with world(application) as it:
        for number in range(3):
            it.journal.add_delivery(feedback_delivery(f"iv{number}", 1, words, now_ms=wall_ms()))
            await trio.sleep(60)
        assert len(application.tries) == 1
        assert it.outbox.statistics().pending == it.outbox.statistics().dead == 0
        lacking = False
        it.outbox.renew()
        it.journal.add_delivery(feedback_delivery("iv4", 1, words, now_ms=wall_ms()))
        await trio.sleep(1)
        assert len(application.accepted) == 1
    assert it.notes.events("error") == []


async def test_one_poisonous_delivery(autojump_clock: object) -> None:
    """The backend fails on one transcript only: the others are delivered as if nothing were."""
    application = Application(
        lambda delivery: Retry(500, "no") if delivery.interview_id == "poison" else Delivered()
    )
    async with world(application) as it:
        it.journal.add_delivery(finished("poison"))
        for number in range(50):
            await trio.sleep(100)
            began = trio.current_time()
            it.journal.add_delivery(finished(f"iv{number}"))
            await trio.sleep(1)
            assert application.accepted[-1] == finished(f"iv{number}").key
            assert application.tries[-1][0] - began < 1
    assert "outbox.held" not in it.notes.events()


async def test_an_hour_without_the_backend(autojump_clock: object) -> None:
    """200 interviews end meanwhile. It is not hammered, and six minutes after it is back it has everything."""
    down = True
    application = Application(lambda _: Retry(None, "cannot be reached") if down else Delivered())
    async with world(application) as it:
        for number in range(200):
            owe(it.journal, f"iv{number}")
            await trio.sleep(3600 / 200)
        assert len(application.tries) < 200
        assert await it.pending() == 400
        down = False
        await trio.sleep(360)
        assert len(application.accepted) == 400
        assert len(set(application.accepted)) == 400
        await trio.sleep(10)
        assert await it.pending() == 0
        assert it.outbox.statistics().flow is Flow.OPEN
        for number in range(200):
            first, second = begun(f"iv{number}").key, finished(f"iv{number}").key
            assert application.accepted.index(first) < application.accepted.index(second)
    assert it.notes.events().count("outbox.held") == 1
    assert it.notes.events().count("outbox.resumed") == 1


async def test_all_at_once_against_a_dead_backend(autojump_clock: object) -> None:
    """A start with hundreds of rows: five tries tell enough."""
    application = Application(lambda _: Retry(None, "no"))
    async with world(application) as it:
        for number in range(300):
            it.journal.add_delivery(finished(f"iv{number}"))
        await trio.sleep(HELD_SECONDS - 5)
        assert len(application.tries) <= 20
        await trio.sleep(600)
        assert len(application.tries) <= 20 + 600 / HELD_SECONDS + 1


async def test_an_ambiguous_transcript_is_told(autojump_clock: object) -> None:
    """The log says that it may stand twice; a status may be repeated without a word."""
    for delivery, told in ((finished(), 1), (begun(), 0)):
        outcomes: list[Outcome] = [Retry(None, "the answer was lost", ambiguous=True)]
        application = Application(lambda _, outcomes=outcomes: outcomes.pop() if outcomes else Delivered())  # type: ignore[misc]
        async with world(application) as it:
            it.journal.add_delivery(delivery)
            await trio.sleep(60)
            assert [key for _, key in application.tries] == [delivery.key] * 2
        assert it.notes.events().count("delivery.ambiguous") == told
        if told:
            assert it.notes.keys("delivery.ambiguous")["key"] == delivery.key


async def test_a_bug_in_a_wire_stops_nothing(autojump_clock: object) -> None:
    def answer(delivery: Delivery) -> Outcome:
        if delivery.interview_id == "odd":
            raise KeyError(SECRET_TEXT)
        return Delivered()

    application = Application(answer)
    async with world(application) as it:
        it.journal.add_delivery(finished("odd"))
        it.journal.add_delivery(finished("even"))
        await trio.sleep(60)
        assert application.accepted == [finished("even").key]
        (odd,) = await it.journal.ask(lambda connection: reader.owed(connection, of="odd"))
        assert odd.last_error == "a bug (KeyError)"
    assert "delivery.bug" in it.notes.events("error")


async def test_what_follows_from_a_delivery_does_not_undo_it(autojump_clock: object) -> None:
    """A bug in the feedback that is due after a transcript: the transcript stays delivered, and others are."""

    def planted(delivery: Delivery) -> None:
        if delivery.interview_id == "odd":
            raise KeyError(SECRET_TEXT)

    application = Application()
    async with world(application, delivered=planted) as it:
        it.journal.add_delivery(finished("odd"))
        it.journal.add_delivery(finished("even"))
        await trio.sleep(60)
        assert sorted(application.accepted) == sorted([finished("odd").key, finished("even").key])
        assert await it.pending() == 0
        it.journal.add_delivery(begun("odd"))  # its interview is not held
        await trio.sleep(60)
        assert begun("odd").key in application.accepted
    assert "delivery.bug" in it.notes.events("error")


async def test_an_operators_retry_is_noticed(autojump_clock: object) -> None:
    """A change from outside rings no bell; it is found within seconds."""
    application = Application(lambda _: Refused(400, "no"))
    async with world(application) as it:
        it.journal.add_delivery(finished())
        await trio.sleep(60)
        assert it.outbox.statistics().dead == 1
        application.answer = lambda _: Delivered()
        await it.journal.ask(lambda connection: writes.retry(connection, [finished().key]))
        await trio.sleep(LOOK_SECONDS + 1)
        assert application.accepted == [finished().key]
        assert it.outbox.statistics().dead == 0


async def test_an_operators_drop_wins_over_a_failing_try(autojump_clock: object) -> None:
    """Also over the one that is in flight; but not over the backend's word."""
    started, go_on = trio.Event(), trio.Event()

    async def wait(_: Delivery) -> None:
        started.set()
        await go_on.wait()

    for outcome, state in ((Retry(500, "no"), "dropped"), (Delivered(), "done")):
        started, go_on = trio.Event(), trio.Event()
        application = Application(lambda _, outcome=outcome: outcome, before=wait)  # type: ignore[misc]
        async with world(application) as it:
            it.journal.add_delivery(finished())
            await started.wait()
            await it.journal.ask(lambda connection: writes.drop(connection, [finished().key], 1))
            go_on.set()
            await trio.sleep(600)
            assert len(application.tries) == 1
            (owed,) = await it.journal.ask(reader.owed)
            assert owed.state == state


async def test_a_full_disk_does_not_keep_an_ending_from_the_backend(autojump_clock: object) -> None:
    """From memory, loudly, in order, once; and when the disk is back it agrees."""
    rig = Rig()
    application = Application()
    async with world(application, rig=rig) as it:
        owe(it.journal, "before")
        await trio.sleep(5)
        rig.always = full()
        owe(it.journal, "during")
        await trio.sleep(5)
        assert application.accepted[2:] == [begun("during").key, finished("during").key]
        await trio.sleep(600)
        assert len(application.tries) == 4
        rig.always = None
        await trio.sleep(600)
        assert len(application.tries) == 4
        states = {owed.state.value for owed in await it.journal.ask(reader.owed)}
        assert states == {"done"}
    assert "outbox.from_memory" in it.notes.events("error")


async def test_drained_delivers_what_it_can(autojump_clock: object) -> None:
    """All of it when the backend is there."""
    application = Application()
    async with world(application) as it:
        for number in range(20):
            owe(it.journal, f"iv{number}")
        began = trio.current_time()
        assert await it.outbox.drained(began + 60) == 0
        assert len(application.accepted) == 40
        assert trio.current_time() < began + 10
        # Nothing more to do: no waiting.
        began = trio.current_time()
        assert await it.outbox.drained(began + 60) == 0
        assert trio.current_time() < began + 1


async def test_drained_does_not_wait_in_vain(autojump_clock: object) -> None:
    """What cannot be tried before the deadline stays for the next start."""
    application = Application(lambda _: Retry(503, "later", retry_after=200.0))
    async with world(application) as it:
        for number in range(3):
            it.journal.add_delivery(finished(f"iv{number}"))
        await trio.sleep(1)
        began = trio.current_time()
        assert await it.outbox.drained(began + 60) == 3
        assert trio.current_time() < began + 1
        assert await it.outbox.drained(began + 300) == 3
    application = Application(lambda _: Unauthorized(403))
    async with world(application) as it:
        it.journal.add_delivery(finished())
        await trio.sleep(1)
        began = trio.current_time()
        assert await it.outbox.drained(began + 20) == 1
        assert trio.current_time() < began + 1


async def test_drained_keeps_its_deadline(autojump_clock: object) -> None:
    async def hang(_: Delivery) -> None:
        await trio.sleep(3600)

    application = Application(before=hang)
    async with world(application) as it:
        it.journal.add_delivery(finished())
        await trio.sleep(1)
        began = trio.current_time()
        assert await it.outbox.drained(began + 20) == 1
        assert trio.current_time() == pytest.approx(began + 20)


async def test_drained_while_the_disk_fails(autojump_clock: object) -> None:
    rig = Rig()
    application = Application()
    async with world(application, rig=rig) as it:
        await trio.sleep(1)
        rig.always = full()
        owe(it.journal, "iv")
        await trio.sleep(0.01)
        await it.outbox.drained(trio.current_time() + 20)
        assert application.accepted == [begun("iv").key, finished("iv").key]


async def test_a_post_that_is_cut_stays_owed(autojump_clock: object, tmp_path: Path) -> None:
    """The process stops in the middle of it: the next one posts it again, with the same key."""
    place = OnDisk(tmp_path, reserve_bytes=0)
    application = Application()
    async with world(application, place=place) as it:
        it.journal.add_delivery(finished())
        await it.journal.flush()
        await trio.sleep(POST_SECONDS / 2)
        it.stop.cancel()
    assert "delivery.cut" in it.notes.events("warning")
    assert application.accepted == []
    async with world(application, place=place) as it:
        await trio.sleep(1)
    assert [key for _, key in application.tries] == [finished().key] * 2
    assert application.accepted == [finished().key]
    async with world(application, place=place) as it:
        await trio.sleep(3600)
    assert len(application.tries) == 2


async def test_nothing_waits_after_the_clock_is_set_back(autojump_clock: object) -> None:
    """A try that was to be in five minutes is not put off by the day that the clock went back."""
    shift = 0

    def shifting_ms() -> int:
        return wall_ms() - shift

    application = Application(lambda _: Retry(500, "no", retry_after=60.0))
    notes = Notes()
    async with (
        running(Given(lambda: sqlite3.connect(":memory:")), notes, now_ms=shifting_ms) as journal,
        trio.open_nursery() as nursery,
    ):
        outbox = Outbox(journal, application, log=notes, now_ms=shifting_ms, chance=lambda: 0.5)
        await nursery.start(outbox.run)
        journal.add_delivery(finished())
        await trio.sleep(1)
        shift = 24 * 3600 * 1000
        application.answer = lambda _: Delivered()
        await trio.sleep(60)
        assert application.accepted == [finished().key]
        nursery.cancel_scope.cancel()


async def test_an_idle_outbox_sleeps(autojump_clock: object) -> None:
    """No look without a reason: an hour of nothing is no work."""
    async with world(Application()) as it:
        await trio.sleep(10)
        looks = it.outbox._begun
        await trio.sleep(3000)
        assert it.outbox._begun == looks


async def test_without_a_backend(autojump_clock: object) -> None:
    """Everything is accepted, so that nothing is ever overdue."""
    notes = Notes()
    async with running(Given(lambda: sqlite3.connect(":memory:")), notes) as journal:
        backend = NoBackend()
        outbox = Outbox(journal, backend, log=notes, now_ms=wall_ms, chance=random.random)
        async with trio.open_nursery() as nursery:
            await nursery.start(outbox.run)
            journal.add_delivery(status_delivery("iv", 1, Status.ERROR, now_ms=EPOCH_MS, ended_ms=EPOCH_MS))
            assert await outbox.drained(trio.current_time() + 10) == 0
            nursery.cancel_scope.cancel()
        assert (await backend.probe()).good
    assert notes.events() == ["delivery.done"]
