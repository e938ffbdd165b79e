"""How an interview ends: the design's table, one test a row, in plain and in distinct close codes.

What the browser is told, how its connection is closed, and what the backend gets.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import pytest
import trio
from websockets.exceptions import InvalidState

from preppald.core import closes, endings
from preppald.core.turns import CUT_MARK
from preppald.gemini.connection import UpstreamError
from preppald.interview.session import Session
from preppald.net.websocket import WebSocket
from preppald.pb.interview_pb2 import Notice, ServerToClientMessage, SessionEnded
from preppald.simulator import Scenario
from preppald.simulator.faults import Close, Drop
from preppald.simulator.scenario import Reply, Timing
from tests.candidates import Candidate
from tests.world import World

SCENARIO = Scenario(speech=("I fixed a race.",), reply=(Reply(text="Hello there.", seconds=1.0),))
CODES = pytest.mark.parametrize("codes", ["plain", "distinct"])


async def begin(
    nursery: trio.Nursery, codes: str, scenario: Scenario = SCENARIO, **settings: str
) -> tuple[World, Candidate]:
    """A world and a candidate who heard the greeting."""
    settings = {f"PREPPALD_{name.upper()}": value for name, value in settings.items()}
    world = await World({"PREPPALD_CLOSE_CODES": codes, **settings}, scenario).start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    return world, candidate


async def received(world: World, interview_id: str = "iv-1") -> list[object]:
    """What the backend got in the end."""
    await world.outbox.drained(trio.current_time() + 30)
    return list(world.backend.received(interview_id))


def session_of(world: World, interview_id: str = "iv-1") -> Session:
    return world.session(interview_id)


def last_words(candidate: Candidate) -> list[tuple[str, object]]:
    """The messages after the last of audio and transcript."""
    found: list[tuple[str, object]] = []
    for message in candidate.messages:
        match message.WhichOneof("payload"):
            case "session_ended":
                found.append(("ended", message.session_ended.reason))
            case "error":
                found.append(("error", (message.error.code, message.error.message)))
            case "notice":
                found.append(("notice", message.notice.kind))
            case _:
                found.clear()
    return found


GREETING = ("AI", "Hello there.")
ANSWERED = [GREETING, ("USER", "I fixed a race."), GREETING]


# ------------------------------------------------------------------ the table


@CODES
async def test_the_candidate_pressed_end(nursery: trio.Nursery, autojump_clock: object, codes: str) -> None:
    """SessionEnded USER_INITIATED; the transcript, which completes the interview."""
    world, candidate = await begin(nursery, codes)
    await candidate.speak(2)
    await candidate.heard_out()
    await candidate.end()
    assert await candidate.closed() == (1000 if codes == "plain" else 4001, "Interview ended by user")
    assert last_words(candidate) == [("ended", SessionEnded.USER_INITIATED)]
    assert await received(world) == ["IN_PROGRESS", ANSWERED]


@CODES
async def test_the_time_was_up(nursery: trio.Nursery, autojump_clock: object, codes: str) -> None:
    """SessionEnded TIMEOUT at the deadline, to the second; the transcript."""
    world, candidate = await begin(nursery, codes, session_limit="100s")
    assert await candidate.closed() == (
        1000 if codes == "plain" else 4002,
        "Session timeout (1 hour limit)",
    )
    assert trio.current_time() == pytest.approx(100, abs=0.1)
    assert last_words(candidate)[-1] == ("ended", SessionEnded.TIMEOUT)
    # A minute before, the interviewer was told to close: its last words.
    assert await received(world) == ["IN_PROGRESS", [GREETING, GREETING]]


@CODES
async def test_gemini_ended_it(nursery: trio.Nursery, autojump_clock: object, codes: str) -> None:
    """It closes in order, and does so again whenever it is asked to go on: SessionEnded GEMINI_ENDED."""
    scenario = Scenario(
        reply=SCENARIO.reply,
        fault=(
            Close(row="normal", at="turn-complete", connection=1),
            *(Close(row="normal", at="setup", connection=number) for number in range(2, 20)),
        ),
    )
    world, candidate = await begin(nursery, codes, scenario)
    assert await candidate.closed() == (1000 if codes == "plain" else 4003, "AI ended session")
    assert last_words(candidate)[-1] == ("ended", SessionEnded.GEMINI_ENDED)
    assert await received(world) == ["IN_PROGRESS", [GREETING]]


@CODES
async def test_gemini_could_not_be_reached(nursery: trio.Nursery, autojump_clock: object, codes: str) -> None:
    """ErrorResponse 4002 and its close; status ERROR, and never IN_PROGRESS."""
    world = await World({"PREPPALD_CLOSE_CODES": codes}, SCENARIO).start(nursery)
    world.dial_failures = [UpstreamError(closes.REFUSED) for _ in range(20)]
    candidate = await world.candidate()
    words = "Failed to connect to AI service"
    assert await candidate.closed() == (4002 if codes == "plain" else 4004, words)
    assert last_words(candidate) == [("error", (4002, words))]
    assert trio.current_time() < 15
    assert await received(world) == ["ERROR"]


@CODES
async def test_gemini_failed_and_could_not_be_restored(
    nursery: trio.Nursery, autojump_clock: object, codes: str
) -> None:
    """ErrorResponse 4002; what was said so far, and then ERROR."""
    scenario = Scenario(
        reply=SCENARIO.reply, speech=SCENARIO.speech, fault=(Drop(at="generating", turn=2, connection=1),)
    )
    world, candidate = await begin(nursery, codes, scenario)
    world.dial_failures = [UpstreamError(closes.REFUSED) for _ in range(50)]
    await candidate.speak(2)
    assert await candidate.closed() == (4002 if codes == "plain" else 4004, "AI service error")
    assert last_words(candidate)[-1] == ("error", (4002, "AI service error"))
    status, lines, last = await received(world)
    assert (status, last) == ("IN_PROGRESS", "ERROR")
    assert isinstance(lines, list)
    assert lines[:2] == ANSWERED[:2]


async def test_a_failed_interview_with_a_transcript_is_completed(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """By default: the application's pages show nothing of an interview that is in ERROR."""
    scenario = Scenario(
        reply=SCENARIO.reply, speech=SCENARIO.speech, fault=(Drop(at="generating", turn=2, connection=1),)
    )
    world, candidate = await begin(nursery, "plain", scenario, partial="completed")
    world.dial_failures = [UpstreamError(closes.REFUSED) for _ in range(50)]
    await candidate.speak(2)
    assert await candidate.closed() == (4002, "AI service error")
    status, lines = await received(world)
    assert status == "IN_PROGRESS"
    assert isinstance(lines, list)
    assert lines[:2] == ANSWERED[:2]


@CODES
async def test_the_candidate_vanished_and_did_not_come_back(
    nursery: trio.Nursery, autojump_clock: object, codes: str
) -> None:
    """Nobody is there to be told; what was said is delivered after the grace."""
    world, candidate = await begin(nursery, codes, reconnect_grace="30s")
    await candidate.vanish()
    left_at = trio.current_time()
    await session_of(world).done.wait()
    assert trio.current_time() - left_at == pytest.approx(30, abs=3)
    assert await received(world) == ["IN_PROGRESS", [GREETING]]


@CODES
async def test_the_candidate_vanished_before_a_word_was_said(
    nursery: trio.Nursery, autojump_clock: object, codes: str
) -> None:
    """There is no transcript to deliver: ERROR."""
    scenario = Scenario(timing=Timing(reply_delay=5))
    world = await World({"PREPPALD_CLOSE_CODES": codes, "PREPPALD_RECONNECT_GRACE": "0"}, scenario).start(
        nursery
    )
    candidate = await world.candidate()
    await candidate.vanish()
    await session_of(world).done.wait()
    assert await received(world) == ["IN_PROGRESS", "ERROR"]


@CODES
async def test_a_newer_connection_took_over(
    nursery: trio.Nursery, autojump_clock: object, codes: str
) -> None:
    """Close 4409 and no other word; nothing to the backend: the session lives on."""
    world, candidate = await begin(nursery, codes)
    newer = await world.candidate()
    assert await candidate.closed() == (4409, "Replaced by a newer connection")
    assert last_words(candidate) == []
    await trio.sleep(30)
    assert newer.close is None
    assert await received(world) == ["IN_PROGRESS"]


@CODES
async def test_the_daemon_had_to_stop(nursery: trio.Nursery, autojump_clock: object, codes: str) -> None:
    """Notice DRAINING first, SessionEnded and 1012 later; what was said so far."""
    world, candidate = await begin(nursery, codes)
    world.registry.prepare_stop()
    notice = (await candidate.until("notice")).notice
    assert notice.kind == Notice.DRAINING
    assert notice.message
    assert 3_500_000 < notice.remaining_ms <= 3_600_000
    assert candidate.close is None
    world.registry.end_all()
    assert await candidate.closed() == (1012, "Service restart")
    assert last_words(candidate)[-1] == ("ended", SessionEnded.REASON_UNSPECIFIED)
    with trio.fail_after(10):
        await world.registry.empty()
    assert await received(world) == ["IN_PROGRESS", [GREETING]]


def boom(*_arguments: object, **_named: object) -> NoReturn:
    raise ZeroDivisionError("a bug")


BUGS: dict[str, Callable[[World, pytest.MonkeyPatch], None]] = {
    "watchdog": lambda world, patch: patch.setattr(world.dialogue(), "look", boom),
    "upstream_reader": lambda world, patch: once(patch, world.parts().conversation, "receive"),
    "upstream_writer": lambda world, patch: patch.setattr(world.parts().uplink, "take", boom),
    "downstream_reader": lambda world, patch: patch.setattr(world.parts().uplink, "feed", boom),
    "downstream_writer": lambda world, patch: patch.setattr(
        world.parts().seat.browser, "_send_waiting", boom
    ),
    "transcript": lambda world, patch: once(patch, world.parts().record, "_look"),
}


def once(patch: pytest.MonkeyPatch, thing: object, name: str) -> None:
    """The next call fails, and no other."""
    real = getattr(thing, name)

    def fail(*_arguments: object) -> NoReturn:
        patch.setattr(thing, name, real)
        boom()

    patch.setattr(thing, name, fail)


@CODES
@pytest.mark.parametrize("task", BUGS)
async def test_a_bug(
    nursery: trio.Nursery, autojump_clock: object, monkeypatch: pytest.MonkeyPatch, codes: str, task: str
) -> None:
    """Whichever task it is in: ErrorResponse 5000, what was said, ERROR; and the neighbours notice nothing."""
    world, candidate = await begin(nursery, codes)
    neighbour = await world.candidate("iv-2")
    await neighbour.heard_out()
    session = session_of(world)
    BUGS[task](world, monkeypatch)
    nursery.start_soon(talk_into_the_void, candidate)
    close = await candidate.closed()
    if task != "downstream_writer":  # then nobody can be told
        assert close == (1011 if codes == "plain" else 4004, "Internal error")
        assert last_words(candidate)[-1] == ("error", (5000, "Internal error"))
    await session.done.wait()
    (line,) = world.events("session.crashed")
    assert line["interview"] == "iv-1"
    status, lines, last = await received(world)
    assert (status, last) == ("IN_PROGRESS", "ERROR")
    assert lines[:1] == [GREETING]  # type: ignore[index]
    assert neighbour.close is None
    await neighbour.speak(2)
    await neighbour.heard_out()
    await neighbour.end()
    assert (await neighbour.closed())[1] == "Interview ended by user"


async def talk_into_the_void(candidate: Candidate) -> None:
    """Speaks until the connection is gone."""
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError, InvalidState):
        await candidate.speak(5)
    await trio.lowlevel.checkpoint()


@CODES
async def test_ten_unreadable_messages_in_a_row(
    nursery: trio.Nursery, autojump_clock: object, codes: str
) -> None:
    """It is another program: ErrorResponse 5000 for each, then 1008; what was said so far."""
    world, candidate = await begin(nursery, codes)
    for _ in range(9):
        await candidate.send(b"\xff")
    await trio.sleep(1)
    assert candidate.close is None
    await candidate.send_text("hello?")
    assert (await candidate.closed())[0] == 1008
    errors = [message.error for message in candidate.messages if message.WhichOneof("payload") == "error"]
    assert [(error.code, error.message) for error in errors] == [(5000, "Failed to process message")] * 10
    assert await received(world) == ["IN_PROGRESS", [GREETING]]


# ------------------------------------------------------------------ around the end


async def test_the_candidate_is_told_five_minutes_and_one_minute_before_the_end(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Notice ENDING_SOON with the time that is left, in words and in milliseconds."""
    _world, candidate = await begin(nursery, "plain", session_limit="7m")
    await candidate.closed(seconds=500)
    found = [
        (round(at), message.notice.remaining_ms, message.notice.message)
        for at, message in zip(candidate.arrivals, candidate.messages, strict=True)
        if message.notice.kind == Notice.ENDING_SOON
    ]
    assert found == [
        (120, 300_000, "The interview ends in 5 minutes."),
        (360, 60_000, "The interview ends in 1 minute."),
    ]


async def test_the_notices_can_be_chosen(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Seconds are told as seconds."""
    _world, candidate = await begin(nursery, "plain", session_limit="60s", ending_soon="20s")
    notice = (await candidate.until("notice")).notice
    assert notice.message == "The interview ends in 20 seconds."
    assert trio.current_time() == pytest.approx(40, abs=0.5)


async def test_the_notices_can_be_turned_off(nursery: trio.Nursery, autojump_clock: object) -> None:
    _world, candidate = await begin(nursery, "plain", session_limit="60s", ending_soon="none")
    await candidate.closed(seconds=100)
    assert not [message for message in candidate.messages if message.HasField("notice")]


@pytest.mark.slow
async def test_an_hour_is_an_hour(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Through every change of Gemini's connections; only what they cost is given back."""
    world, candidate = await begin(nursery, "plain")
    await candidate.closed(seconds=4000)
    (line,) = world.events("session.ended")
    credited = float(str(line["credited_seconds"]))
    assert trio.current_time() == pytest.approx(3600 + credited, abs=1)
    assert credited < 10
    assert int(str(line["rotations"])) >= 5
    assert line["ending"] == "time_up"


async def test_ending_in_the_middle_of_a_reply_keeps_what_was_heard(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Queued audio is not sent any more; the turn is marked."""
    scenario = Scenario(reply=(Reply(text="One two three four five six seven eight.", seconds=20.0),))
    world = await World({}, scenario).start(nursery)
    candidate = await world.candidate()
    await candidate.until(lambda message: "eight" in message.transcript_update.text)
    await candidate.end()
    await candidate.closed()
    _, lines = await received(world)
    assert isinstance(lines, list)
    ((speaker, text),) = lines
    assert speaker == "AI"
    assert text.startswith("One two")
    assert text.endswith(CUT_MARK)
    assert "eight" not in text


async def test_an_interview_in_which_nothing_was_said_is_completed_without_a_transcript(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The backend refuses an empty one."""
    world = await World({}, Scenario(timing=Timing(reply_delay=5))).start(nursery)
    candidate = await world.candidate()
    await candidate.until("session_started")
    await candidate.end()
    assert await candidate.closed() == (1000, "Interview ended by user")
    assert await received(world) == ["IN_PROGRESS", "COMPLETED"]


async def test_of_two_ends_at_one_instant_the_candidates_counts(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The daemon stops in the very moment in which the candidate presses end."""
    world, candidate = await begin(nursery, "plain")
    session_of(world).end(endings.DAEMON_STOPPED, "a test")
    session_of(world).end(endings.USER_ENDED, "a test")
    assert await candidate.closed() == (1000, "Interview ended by user")
    assert await received(world) == ["IN_PROGRESS", [GREETING]]


async def test_a_browser_that_takes_nothing_does_not_hold_up_the_end(
    nursery: trio.Nursery, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The goodbye has its bound, and the transcript does not wait for it."""
    world, candidate = await begin(nursery, "plain")
    browser = world.parts().seat.browser
    assert browser is not None

    stuck, flush = browser._websocket, WebSocket.flush

    async def hang(websocket: WebSocket) -> None:
        if websocket is stuck:
            await trio.sleep(10_000)
        await flush(websocket)

    monkeypatch.setattr(WebSocket, "flush", hang)
    await candidate.end()
    began = trio.current_time()
    await session_of(world).done.wait()
    assert trio.current_time() - began < 10
    assert await received(world) == ["IN_PROGRESS", [GREETING]]


async def test_a_bug_in_the_goodbye_stays_in_its_interview(
    nursery: trio.Nursery, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, candidate = await begin(nursery, "plain")
    neighbour = await world.candidate("iv-2")
    monkeypatch.setattr(world.dialogue(), "close", boom)
    await candidate.end()
    await candidate.closed()
    assert len(world.events("goodbye.crashed")) == 1
    assert neighbour.close is None
    await trio.sleep(5)
    assert len(world.registry) == 1


async def test_each_end_is_counted_and_logged_once_with_its_numbers(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """One line at the start, one at the end."""
    world, candidate = await begin(nursery, "plain")
    await candidate.speak(2)
    await candidate.heard_out()
    await candidate.end()
    await candidate.closed()
    await world.registry.empty()
    assert len(world.events("session.started")) == 1
    (line,) = world.events("session.ended")
    assert (line["ending"], line["turns"], line["rotations"]) == ("user_ended", 3, 0)
    assert float(str(line["audio_out_seconds"])) == pytest.approx(2, abs=0.1)
    assert float(str(line["audio_in_seconds"])) >= 3.9
    assert int(str(line["tokens"])) > 0
    text = world.metrics.exposition().decode()
    assert 'preppald_sessions_ended_total{ending="user_ended"} 1.0' in text
    assert 'preppald_audio_seconds_total{direction="out"} 2.0' in text
    assert "preppald_reply_delay_seconds_count 1.0" in text
    assert world.counted("sessions_live") == 0


def test_kinds_of_messages_are_those_of_the_contract() -> None:
    """The names that this file's helper looks for."""
    names = {field.name for field in ServerToClientMessage.DESCRIPTOR.fields}
    assert {"session_ended", "error", "notice"} <= names
