"""Answers that are typed: checked, kept, taken once, and replied to as spoken ones are."""

from collections.abc import Sequence

import pytest
import trio

from preppald.core import interviewer
from preppald.core.closes import REFUSED
from preppald.core.events import TextAnswered
from preppald.core.text_answers import ANSWERS_A_MINUTE, MAX_CHARS, TextAnswers, TextRefused, cleaned
from preppald.gemini.connection import UpstreamError
from preppald.gemini.uplink import Uplink
from preppald.pb.interview_pb2 import ClientToServerMessage, ErrorResponse, Hold, TextAnswer
from preppald.simulator.scenario import Reply, Scenario
from tests.candidates import Candidate
from tests.overheard import Overheard, keep_silent, overhear, speak
from tests.world import World

LINES = (
    Reply(text="Hello there.", seconds=1.0),
    Reply(text="Tell me more about the ship, and about the people who sailed it with you.", seconds=8.0),
    Reply(text="Thank you.", seconds=1.0),
)


async def begin(nursery: trio.Nursery) -> tuple[World, Overheard, Candidate]:
    scenario = Scenario(reply=LINES, speech=("I was at sea.",))
    world = World({}, scenario)
    heard = overhear(world, scenario)
    await world.start(nursery)
    candidate = await world.candidate()
    await candidate.greeted()
    await keep_silent(candidate, 1)
    return world, heard, candidate


async def write(candidate: Candidate, text: str, number: int) -> None:
    answer = TextAnswer(text=text, number=number)
    await candidate.send(ClientToServerMessage(text_answer=answer).SerializeToString())


def errors(candidate: Candidate) -> list[ErrorResponse]:
    return [m.error for m in candidate.messages if m.WhichOneof("payload") == "error"]


def transcript(world: World) -> list[tuple[str, str]]:
    return [(str(turn.speaker), turn.spoken) for turn in world.parts().conversation.turns]


async def test_it_is_in_the_transcript_and_answered_aloud(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world, heard, candidate = await begin(nursery)
    seen = len(candidate.messages)
    await write(candidate, "I was\x00 a sailor (once).", 1)
    await candidate.heard_out(seen=seen)
    assert heard.prompts[1:] == [(1, interviewer.written(["I was a sailor [once]."]))]
    assert transcript(world) == [
        ("AI", LINES[0].text),
        ("USER", "I was a sailor (once)."),
        ("AI", LINES[1].text),
    ]
    assert errors(candidate) == []


async def test_one_that_is_sent_again_is_taken_once(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Over a lost connection, too: the page cannot know what arrived."""
    world, heard, candidate = await begin(nursery)
    await write(candidate, "I was a sailor.", 7)
    await write(candidate, "I was a sailor.", 7)
    await trio.sleep(1)
    await candidate.vanish()
    again = await world.candidate(since=0)
    await again.until("session_started")
    await write(again, "I was a sailor.", 7)
    await trio.sleep(1)
    assert [line for line in transcript(world) if line[0] == "USER"] == [("USER", "I was a sailor.")]
    assert len(heard.prompts) == 2
    assert errors(again) == []


@pytest.mark.parametrize(
    ("text", "number", "code"),
    [("x" * (MAX_CHARS + 1), 1, 413), (" \x07\n", 1, 400), ("An answer.", 0, 400)],
)
async def test_one_that_cannot_be_taken_is_refused_in_words(
    nursery: trio.Nursery, autojump_clock: object, text: str, number: int, code: int
) -> None:
    """And its number is still free."""
    world, heard, candidate = await begin(nursery)
    await write(candidate, text, number)
    told = await candidate.until("error")
    assert told.error.code == code
    assert len(told.error.message) > 20
    assert len(heard.prompts) == 1
    await write(candidate, "😀" * MAX_CHARS, 1)
    await trio.sleep(1)
    assert len(transcript(world)[1][1]) == MAX_CHARS


async def test_before_the_interview_begins_it_is_refused(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world = await World({}, Scenario(reply=LINES)).start(nursery)
    world.dial_failures = [UpstreamError(REFUSED)]
    candidate = await world.candidate()
    await write(candidate, "Hello?", 1)
    assert (await candidate.until("error")).error.code == 425


def test_ten_a_minute() -> None:
    answers = TextAnswers()
    for number in range(1, ANSWERS_A_MINUTE + 1):
        assert answers.take(TextAnswered("Yes.", number), 0.0) == TextAnswered("Yes.", number)
    refused = answers.take(TextAnswered("Yes.", 99), 0.0)
    assert isinstance(refused, TextRefused)
    assert refused.code == 429
    assert answers.take(TextAnswered("Yes.", 1), 0.0) is None, "a repeat costs nothing"
    assert answers.take(TextAnswered("Yes.", 99), refused.retry_after) == TextAnswered("Yes.", 99)


def test_control_characters_go_and_letters_stay() -> None:
    assert cleaned(" a\x00b\x1b[31m\u202ec\u200dd\r\ne\x85 ") == "ab[31mc\u200dd\ne"


@pytest.mark.parametrize("text", ["\u200b", "\ufeff\u2060", "\u0301", " \n\u00ad\u200d"])
def test_characters_that_nobody_sees_are_no_answer(text: str) -> None:
    """Seen before: the interviewer was made to reply to a zero-width space."""
    assert cleaned(text) == ""
    assert cleaned(f"{text}👍") != ""


async def test_while_the_interviewer_speaks_it_is_a_barge_in(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Nothing of the reply that was typed over is played any more, though Gemini has sent more of it."""
    world, _heard, candidate = await begin(nursery)
    await speak(candidate, 2, pause=0)
    await candidate.until(
        lambda m: m.WhichOneof("payload") == "audio_response",
        seen=len(candidate.messages),
    )
    await trio.sleep(1.5)
    await write(candidate, "Wait, I meant the harbour.", 1)
    cut = await candidate.until("interrupted")
    at = candidate.messages.index(cut)
    await candidate.until(lambda m: m.transcript_update.text.startswith("Thank"))
    await candidate.heard_out()
    assert cut.interrupted.turn > 0
    assert 500 < cut.interrupted.heard_ms < 4000
    assert [m.WhichOneof("payload") for m in candidate.messages].count("interrupted") == 1
    turns = transcript(world)
    assert turns[1:2] == [("USER", "I was at sea.")]
    assert turns[2][1].endswith("[interrupted]")
    assert turns[3:] == [("USER", "Wait, I meant the harbour."), ("AI", "Thank you.")]
    rest = [m.audio_response.audio_content for m in candidate.messages[at:]]
    played = len(b"".join(rest)) / 48_000
    assert LINES[2].seconds is not None
    assert abs(played - LINES[2].seconds) < 0.1


async def test_while_gemini_is_away_it_is_kept(nursery: trio.Nursery, autojump_clock: object) -> None:
    """And given to the next session before anything else, once."""
    world, heard, candidate = await begin(nursery)
    world.dial_failures = [UpstreamError(REFUSED)]
    world.parts().client.leave("for the test", fresh=True)
    await trio.sleep(0.05)
    assert not world.parts().client.connected
    await write(candidate, "I was a sailor.", 1)
    await write(candidate, "And a cook.", 2)
    seen = len(candidate.messages)
    await candidate.heard_out(seen=seen)
    (prompt,) = [text for connection, text in heard.prompts if connection > 1]
    assert prompt == interviewer.written(["I was a sailor.", "And a cook."])
    assert transcript(world)[1] == ("USER", "I was a sailor. And a cook.")
    assert [speaker for speaker, _ in transcript(world)] == ["AI", "USER", "AI"]


async def test_one_that_gemini_lost_is_sent_again(nursery: trio.Nursery, autojump_clock: object) -> None:
    world, heard, candidate = await begin(nursery)
    await write(candidate, "I was a sailor.", 1)
    await trio.sleep(0.1)
    assert len(heard.prompts) == 2
    world.parts().client.leave("for the test")
    await trio.sleep(2)
    assert [text for connection, text in heard.prompts if connection == 2] == [
        interviewer.written(["I was a sailor."])
    ]


async def test_it_ends_a_pause(nursery: trio.Nursery, autojump_clock: object) -> None:
    world, _heard, candidate = await begin(nursery)
    await candidate.send(ClientToServerMessage(hold=Hold(on=True)).SerializeToString())
    await candidate.until(lambda m: m.WhichOneof("payload") == "hold_state" and m.hold_state.on)
    await write(candidate, "I was a sailor.", 1)
    await candidate.until(lambda m: m.WhichOneof("payload") == "hold_state" and not m.hold_state.on)
    assert not world.parts().hold.on


async def test_it_is_on_disk_before_it_is_sent(nursery: trio.Nursery, autojump_clock: object) -> None:
    """A disk that does not answer holds it back for two seconds, and no longer."""
    world, heard, candidate = await begin(nursery)
    flush, durable = world.journal.flush, trio.Event()

    async def slow(*, hurry: bool = True) -> None:
        await durable.wait()
        await flush(hurry=hurry)

    world.journal.flush = slow  # type: ignore[method-assign]
    await write(candidate, "I was a sailor.", 1)
    await trio.sleep(1)
    assert len(heard.prompts) == 1
    durable.set()
    await trio.sleep(0.5)
    assert len(heard.prompts) == 2
    durable = trio.Event()
    await write(candidate, "And a cook.", 2)
    await trio.sleep(3)
    assert len(heard.prompts) == 3
    assert world.events("transcript.not_durable")


async def write_at_once(candidate: Candidate, texts: Sequence[str]) -> None:
    """In one read of the daemon's, as a page sends again what may not have arrived."""
    for number, text in enumerate(texts, 1):
        answer = TextAnswer(text=text, number=number)
        candidate.protocol.send_binary(ClientToServerMessage(text_answer=answer).SerializeToString())
    await candidate.flush()


async def test_many_at_once_keep_their_order(nursery: trio.Nursery, autojump_clock: object) -> None:
    """In the transcript, and for the interviewer; and none of a minute's gets lost."""
    world, heard, candidate = await begin(nursery)
    texts = [f"Answer {number}." for number in range(1, ANSWERS_A_MINUTE + 1)]
    await write_at_once(candidate, texts)
    await trio.sleep(1)
    assert [prompt for _, prompt in heard.prompts[1:]] == [interviewer.written([it]) for it in texts]
    assert transcript(world)[1] == ("USER", " ".join(texts))


async def test_one_that_comes_while_others_wait_for_the_disk_is_passed_on_behind_them(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A disk that does not answer costs all of them two seconds, and not each."""
    world, heard, candidate = await begin(nursery)
    world.journal.flush = _never  # type: ignore[method-assign]
    began = trio.current_time()
    await write_at_once(candidate, ["One.", "Two.", "Three."])
    await trio.sleep(1)
    await write(candidate, "Four.", 4)
    await trio.sleep(1.5)
    assert [prompt for _, prompt in heard.prompts[1:]] == [
        interviewer.written([it]) for it in ("One.", "Two.", "Three.")
    ]
    await trio.sleep(2)
    assert heard.prompts[-1][1] == interviewer.written(["Four."])
    assert trio.current_time() - began < 5


async def _never(*, hurry: bool = True) -> None:
    await trio.sleep_forever()


async def test_a_gemini_that_takes_nothing_now_gets_all_of_them_later(autojump_clock: object) -> None:
    uplink = Uplink()
    texts = [f"Answer {number}." for number in range(ANSWERS_A_MINUTE)]
    for text in texts:
        uplink.prompt(text)
    uplink.open(lambda _item: False)
    taken: list[object] = []
    with trio.fail_after(1):
        for _ in texts:
            taken.append(await uplink.take())  # noqa: PERF401 - flake8-async sees no await in a comprehension
    assert taken == texts
