"""What must hold after every run of several hosts. Each function yields sentences about what did not.

    a  no row of a lost incarnation is taken after its declaration
    b  an interview has one owner at each moment, and another one only when that is lost and settled, or let go of it
    c  a word that the database acknowledged is there in the end, and in the transcript that was posted, once, in order
    d  nothing is posted that the database did not hold; and nothing under one key with two contents
    e  a candidate who comes back after a death is seated in time
    f  a deadline moves by credit alone
    g  while the database is away no interview ends for that
    h  limits hold over all hosts
    i  no host is declared lost while its pulses reach the database

A failover to a copy that lacks the last seconds may take acknowledged words with it, where their host is lost, too, or
declared so before it could bring them again: these are excused, and counted.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import msgspec

from preppald.core.deliveries import Delivery, DeliveryKind, TranscriptSubmission
from preppald.core.turns import Fragment, fold, in_order
from tests.simulation.fleet.plan import Act, Event
from tests.simulation.fleet.scene import Scene
from tests.simulation.fleet.watch import Word, held, late
from tests.simulation.tab import Tab
from tests.simulation.verdict import fragments

Judge = Callable[[Scene], Iterator[str]]
# The lease, a pulse, a look, a claim; and the pauses of a candidate who finds the wrong host.
SEATED_SECONDS = 15.0 + 8.0
# So long after a fault all that it set off is over.
CALM_SECONDS = 25.0
# The endings that an interview has of itself, whatever becomes of the database.
ITS_OWN = frozenset(
    {
        "user_ended",
        "time_up",
        "tokens_spent",
        "ai_ended",
        "ai_unreachable",
        "ai_failed",
        "candidate_gone",
        "misused",
    }
)
# Told at ERROR because the plan made it so.
BY_ACT: Mapping[Act, frozenset[str]] = {
    Act.BACKEND: frozenset({"outbox.held", "context.missing"}),
    Act.FAILOVER: frozenset({"shared.forgot"}),
}
# And because a host that is not heard for a lease's time is taken for lost, whatever silenced it.
OF_OTHERS = frozenset({"instance.fenced", "interview.owned_elsewhere"})


def violations(scene: Scene) -> tuple[list[str], tuple[str, ...]]:
    """Return all that did not hold, and what is excused."""
    found = [f"({letter}) {words}" for letter, judge in INVARIANTS.items() for words in judge(scene)]
    return [*found, *_log(scene), *_leaks(scene)], tuple(_excused(scene))


def idle(scene: Scene) -> bool:
    """Return whether nothing is live and nothing is owed."""
    tables = scene.engine.tables
    live = any(it.live for it in tables.interviews.values())
    owed = any(it.pending for it in tables.owed.values())
    return not live and not owed and all(_at_rest(host.disk.image, host.disk.durable) for host in scene.hosts)


def _at_rest(image: bytes, durable: Callable[[], "object"]) -> bool:
    if not image:
        return False
    connection = durable()
    (live,) = connection.execute("SELECT count(*) FROM interview WHERE phase = 'live'").fetchone()  # type: ignore[attr-defined]
    (owed,) = connection.execute("SELECT count(*) FROM outbox WHERE state = 'pending'").fetchone()  # type: ignore[attr-defined]
    return not live and not owed


def _watched(letter: str, scene: Scene) -> Iterator[str]:
    yield from (words for of, words in scene.watch.faults if of == letter)


def _kept(scene: Scene) -> Iterator[str]:
    """Whatever the database acknowledged it has until the backend has it, and the backend got it."""
    there, acked = dict(held(scene.engine.tables)), scene.watch.acked
    excused = _forgotten(scene)
    sessions: dict[tuple[str, int, int], dict[int, Fragment]] = {}
    for word, fragment in [*acked.items(), *there.items()]:
        if word not in excused:
            sessions.setdefault(word[:3], {})[word[3]] = fragment
    for (interview_id, block, epoch), said in sessions.items():
        others = sum(acked.get((interview_id, block, epoch, seq), it) != it for seq, it in said.items())
        if others:
            yield f"{interview_id}: {others} words are others than those that were acknowledged"
        yield from _posted(scene, interview_id, epoch, [said[seq] for seq in sorted(said)])
    yield from (
        f"{key} was acknowledged, and is not there in the end"
        for key in scene.watch.acked_owed
        if key not in scene.engine.tables.owed and not scene.watch.failovers
    )


def _forgotten(scene: Scene) -> set[Word]:
    """The words that a failover took, and that nobody could bring again.

    A disk was lost after it; or their host was not heard any more before it was declared lost, and they came too late. A
    word that is there in the end was brought again, whatever was lost later: it is judged like every other one.
    """
    watch, tables = scene.watch, scene.engine.tables
    there, too_late = dict(held(tables)), late(tables)
    disks = [at for host in scene.hosts for at in host.lost_disks]

    def excused(word: Word, at: float) -> bool:
        interview_id, block, _, seq = word
        # The first shipment after a failover would have brought it: one that was heard again has no excuse.
        unheard = watch.heard[watch.brought_by[word]] < at
        return any(gone > at for gone in disks) or (unheard and (interview_id, block, seq) in too_late)

    return {word for word, at in watch.forgotten.items() if word not in there and excused(word, at)}


def _posted(scene: Scene, interview_id: str, epoch: int, said: list[Fragment]) -> Iterator[str]:
    finals = [
        delivery
        for key, delivery in scene.application.stored.items()
        if key.startswith(f"{interview_id}:{epoch}:") and not key.endswith("IN_PROGRESS")
    ]
    transcripts = [it for it in finals if it.kind is DeliveryKind.TRANSCRIPT]
    if not finals:
        yield f"{interview_id} has no ending at the backend"
    elif not transcripts:
        yield f"{interview_id}: {len(said)} words are in the database, and no transcript was posted"
    for delivery in transcripts:
        yield from _lines(interview_id, said, delivery)


def _lines(interview_id: str, said: list[Fragment], delivery: Delivery) -> Iterator[str]:
    posted = [line.content for line in msgspec.json.decode(delivery.payload, type=TranscriptSubmission).lines]
    wanted = [turn.spoken.strip() for turn in in_order(fold(said).values())]
    if posted != wanted:
        lacks = sum((Counter(wanted) - Counter(posted)).values())
        more = sum((Counter(posted) - Counter(wanted)).values())
        yield f"{interview_id}: of {len(wanted)} lines in the database {lacks} were not posted, and {more} others were"
    yield from (
        f"{interview_id}: a line stands {count} times" for count in Counter(posted).values() if count > 1
    )


def _words(scene: Scene) -> Iterator[str]:
    yield from _watched("c", scene)
    yield from _kept(scene)
    yield from _shipped(scene)


def _shipped(scene: Scene) -> Iterator[str]:
    """Whatever stands on a host's disk in the end the database got, if only for people to look at."""
    there = scene.watch.acked.keys() | dict(held(scene.engine.tables)).keys()
    too_late = late(scene.engine.tables)
    for host in scene.hosts:
        found = Counter(
            interview_id
            for interview_id, epoch, seq, _ in fragments(host.disk.image)
            if (interview_id, 0, epoch, seq) not in there and (interview_id, 0, seq) not in too_late
        )
        yield from (
            f"{interview_id}: {count} words on {host.name}'s disk never came to the database"
            for interview_id, count in found.items()
        )


def _seated(scene: Scene) -> Iterator[str]:
    """Judged where nothing else goes wrong meanwhile, and the balancer knows which hosts answer."""
    the = scene.plan
    if not the.checks or the.weather.fatal or the.faulty_gemini:
        return
    for event in the.events:
        until = event.at + SEATED_SECONDS
        others = [it for it in the.events if it is not event and it.act is not Act.BACKEND]
        alone = all(it.at > until or it.at + it.seconds + CALM_SECONDS < event.at for it in others)
        if (
            event.act not in {Act.KILL, Act.LOSE}
            or not alone
            or event.at < CALM_SECONDS
            or until > the.seconds
        ):
            continue
        host = scene.hosts[event.host].name
        for tab in scene.tabs:
            if (
                _sat_at(scene, tab, host, event.at)
                and tab.finished_at > until
                and not _seated_again(scene, tab, event)
            ):
                yield f"{tab.interview_id} was at {host}, which died at {event.at:.3f}, and is not seated after {SEATED_SECONDS} s"


def _sat_at(scene: Scene, tab: Tab, host: str, at: float) -> bool:
    """Return whether a candidate was in a live interview at a host then, and means to come back."""
    owners = [
        owner for when, (name, _), owner in scene.watch.history if name == tab.interview_id and when < at
    ]
    over = any(
        when < at and event == "session.ended" and keys["interview"] == tab.interview_id
        for when, _, event, keys in scene.outside.log
    )
    seated = any(when < at for when in _seats(scene, tab))
    return bool(owners) and scene.watch.host_of.get(owners[-1]) == host and seated and not over


def _seated_again(scene: Scene, tab: Tab, event: Event) -> bool:
    until = event.at + SEATED_SECONDS
    vanished = (
        tab.character.vanishes_at is not None and tab.character.comes_at + tab.character.vanishes_at < until
    )
    return vanished or any(event.at < when <= until for when in _seats(scene, tab))


def _seats(scene: Scene, tab: Tab) -> list[float]:
    return [
        when
        for when, _, event, keys in scene.outside.log
        if event == "tab.answered" and keys["interview"] == tab.interview_id and keys["status"] == 101
    ]


def _held_first(scene: Scene) -> Iterator[str]:
    yield from scene.application.unheld
    yield from scene.application.faults


def _ended_for_that(scene: Scene) -> Iterator[str]:
    """A host whose stop gives up what is left does so whether or not the database is there: that is no end of an interview.

    It is still live in a journal, so that is no excuse for what becomes of it: one that nobody goes on with is live in
    the end, and its words are to be posted once, as of every other (c).
    """
    giving_up: set[str] = set()
    for at, _, event, keys in scene.outside.log:
        if event == "daemon.ending_interviews":
            giving_up.add(keys["host"])
        elif event == "machine.booting":
            giving_up.discard(keys["host"])
        if event != "session.ended" or not any(begun < at < over for begun, over in scene.engine.aways):
            continue
        ending = keys["ending"]
        if ending not in ITS_OWN and not (ending == "moved" and keys["host"] in giving_up):
            yield f"at {at:.3f} {keys['interview']} ended ({ending}: {keys['cause']}) while the database was away"


def _log(scene: Scene) -> Iterator[str]:
    """Nothing at ERROR that the plan did not bring about, and no bug in anybody."""
    allowed = OF_OTHERS.union(*(BY_ACT.get(act, frozenset()) for act in scene.plan.acts()))
    if scene.plan.ailments:
        allowed |= {"model.sick"}
    for at, level, event, keys in scene.outside.log:
        if (level in {"error", "critical"} and event not in allowed) or event.endswith((".bug", ".crashed")):
            yield f"at {at:.3f} the log says {event} {dict(keys)}"


def _leaks(scene: Scene) -> Iterator[str]:
    for host in scene.hosts:
        if host.network.open:
            yield f"{host.network.open} connections are left at {host.name}"
    if scene.outside.gemini.live:
        yield f"{scene.outside.gemini.live} connections are left at Gemini"
    if not idle(scene):
        yield "something is live or owed in the end"


def _excused(scene: Scene) -> Iterator[str]:
    if count := len(_forgotten(scene)):
        yield f"{count} acknowledged words were lost with a failover, and with their host after it"


INVARIANTS: Mapping[str, Judge] = {
    "a": partial(_watched, "a"),
    "b": partial(_watched, "b"),
    "c": _words,
    "d": _held_first,
    "e": _seated,
    "f": partial(_watched, "f"),
    "g": _ended_for_that,
    "h": partial(_watched, "h"),
    "i": partial(_watched, "i"),
}
