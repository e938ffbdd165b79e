"""Frames that the protocol allows and nobody expects, in a whole interview: nothing is lost, and nothing is shown."""

import base64
from collections.abc import Iterable
import json
from pathlib import Path
from typing import Any

import pytest
import trio

from preppald.core.turns import fold
from preppald.simulator import Scenario, load_scenario
from preppald.simulator.faults import Fault, Flawed, Send
from preppald.simulator.scenario import Reply, ToolCall
from preppald.simulator.voice import recordings
from tests.candidates import Candidate
from tests.overheard import keep_silent, speak
from tests.world import World

HELLO = (Reply(text="Hello there.", seconds=2), Reply(text="I see.", seconds=1))


async def begin(
    nursery: trio.Nursery, *faults: Fault, tools: tuple[ToolCall, ...] = (), **settings: str
) -> tuple[World, Candidate]:
    world = World(settings, Scenario(reply=HELLO, fault=faults, tool_call=tools, speech=("I am Ada.",)))
    await world.start(nursery)
    return world, await world.candidate()


async def ended(world: World, candidate: Candidate) -> object:
    """What the backend received last."""
    await candidate.end()
    await candidate.closed()
    await trio.sleep(1)
    return world.backend.received("iv-1")[-1]


async def test_a_function_that_nobody_declared_does_not_silence_the_interviewer(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """It waits for an answer, a minute here and for ever elsewhere: it is answered at once that there is none."""
    world, candidate = await begin(nursery, tools=(ToolCall(name="score", undeclared=True),))
    await candidate.heard_out()
    assert trio.current_time() < 5
    assert candidate.text("AI") == "Hello there."
    (line,) = world.events("upstream.tool_called")
    assert line["calls"] == 1
    assert world.events("upstream.failed") == []


async def test_reasoning_that_is_not_marked_as_such_is_shown_to_nobody(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Only sound is asked for: what is spoken stands in outputTranscription."""
    thought = Send(
        at="utterance", json='{"serverContent":{"modelTurn":{"parts":[{"text":"**Assessing** weak"}]}}}'
    )
    world, candidate = await begin(nursery, thought)
    await candidate.heard_out()
    await candidate.speak(2)
    await candidate.heard_out()
    assert candidate.text("AI") == "Hello there.I see."
    assert await ended(world, candidate) == [("AI", "Hello there."), ("USER", "I am Ada."), ("AI", "I see.")]


async def test_a_model_at_work_is_not_nudged(nursery: trio.Nursery, autojump_clock: object) -> None:
    """A thought a second for twenty seconds: the answer is on its way."""
    thought = '{"serverContent":{"modelTurn":{"parts":[{"text":"Hm.","thought":true}]}}}'
    thinking = [Send(at="ready", after=second, json=thought) for second in range(1, 20)]
    world = World(
        {}, Scenario(reply=HELLO, fault=(*thinking, Flawed(flaw="no-answer", turn=1)), speech=("I am Ada.",))
    )
    await world.start(nursery)
    await world.candidate()
    await trio.sleep(24)
    assert world.events("interviewer.silent") == []
    await trio.sleep(3)
    assert [line["stage"] for line in world.events("interviewer.silent")] == ["greet_again"]


async def test_totals_without_details_reach_the_ceiling(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path
) -> None:
    """A server that says only how many tokens a turn took, 5 300 of at most 6 000: the second turn is one too many."""
    usage = {"promptTokenCount": 5000, "responseTokenCount": 300, "totalTokenCount": 5300}
    replay = tmp_path / "replay.jsonl"
    turn = {"serverContent": {"turnComplete": True}, "usageMetadata": usage}
    pcm = base64.b64encode(bytes(48_000)).decode()
    voice = {"serverContent": {"modelTurn": {"parts": [{"inlineData": {"data": pcm}}]}}}
    frames = [
        (0.0, {"setupComplete": {}}),
        (0.5, voice),
        (2.0, turn),
        (10.0, voice),
        (12.0, turn),
        (20.0, voice),
        (22.0, turn),
    ]
    lines = [{"t": at, "connection": 1, "direction": "out", "frame": frame} for at, frame in frames]
    replay.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    world = World({"PREPPALD_MAX_TOKENS": "6000"}, Scenario(replay=str(replay)))
    await world.start(nursery)
    candidate = await world.candidate()
    assert await candidate.closed() == (1000, "Session token limit")
    (line,) = world.events("session.ended")
    assert line["tokens"] == 10_600


async def test_what_cannot_be_read_is_counted_at_once_and_logged_once(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    odd = '{"serverContent":{"interrupted":"no way","outputTranscription":{"text":" Ada?"}}}'
    world, candidate = await begin(
        nursery, Send(at="generating", json=odd), Send(at="generating", after=0.1, json=odd)
    )
    await candidate.heard_out()
    assert candidate.text("AI").count(" Ada?") == 2
    value = world.metrics.registry.get_sample_value
    assert value("preppald_upstream_malformed_total") == 2
    (line,) = world.events("upstream.unreadable")
    assert line["what"] == "serverContent.interrupted"


@pytest.mark.parametrize("noise", ["\\u0000", "\\u001b[31m", "\\u0085"])
async def test_no_control_character_reaches_the_backend(
    nursery: trio.Nursery, autojump_clock: object, noise: str
) -> None:
    """PostgreSQL refuses a text with NUL: such a transcript could never be stored."""
    odd = f'{{"serverContent":{{"outputTranscription":{{"text":" A{noise}da?"}}}}}}'
    world, candidate = await begin(nursery, Send(at="generating", json=odd))
    await candidate.heard_out()
    transcript = await ended(world, candidate)
    assert isinstance(transcript, list)
    text = transcript[0][1]
    assert text.replace("[31m", "") == "Ada?Hello there."
    assert text.isprintable()


async def odd_words(nursery: trio.Nursery, query: str) -> tuple[World, Candidate]:
    """The ready-made scenario, held to its end by a page that asks with ``query``."""
    scenario = load_scenario("odd-words")
    world = World({}, scenario)
    await world.start(nursery)
    candidate = Candidate(world.connection())
    await candidate.open(f"/iv-1{query}", world.token())
    nursery.start_soon(candidate.run)
    await candidate.greeted()
    for _ in range(4):
        await speak(candidate, 2)
        await keep_silent(candidate, 25)
    return world, candidate


async def test_text_in_every_odd_order_makes_a_true_transcript(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Late, without sound, without blanks, with odd members beside it: the backend gets what was said."""
    world, candidate = await odd_words(nursery, "?turns=1")
    lines = [line.text for line in recordings().values()]
    transcript = await ended(world, candidate)
    assert isinstance(transcript, list)
    assert transcript[0] == ("AI", lines[0])
    answers = [text for speaker, text in transcript if speaker == "USER"]
    assert answers[0] == "I worked at Acme for three years. Then I moved to Oslo."
    spoken = [text for speaker, text in transcript if speaker == "AI"]
    assert not any("Assessing" in text for text in spoken)
    assert all(text.replace("\ufffd", "").isprintable() for text in spoken)
    for line in spoken[1:]:
        assert line.replace("\ufffd", "") in lines
    # The page that knows turns has the same words in the same turns.
    shown: dict[int, str] = {}
    for message in candidate.messages:
        update = message.transcript_update
        if update.text:
            shown[update.turn] = shown.get(update.turn, "") + update.text
    assert {text.strip() for text in shown.values()} >= {text for _, text in transcript}


def shown_by_an_old_page(messages: Iterable[Any]) -> list[tuple[str, str]]:
    """The lines that the client package showed before it knew turns: its ``Turns.add``, which has no numbers."""
    lines: list[list[str]] = []
    complete: list[bool] = []
    for message in messages:
        update = message.transcript_update
        if not message.HasField("transcript_update"):
            continue
        own = [place for place, line in enumerate(lines) if line[0] == update.speaker]
        if not own or complete[own[-1]]:
            if not update.text.strip():
                continue
            lines.append([update.speaker, ""])
            complete.append(False)
            own.append(len(lines) - 1)
        lines[own[-1]][1] += update.text
        complete[own[-1]] = update.turn_complete
    return [(speaker, text.strip()) for speaker, text in lines]


async def test_a_page_of_before_shows_nothing_wrong(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Every line is a turn's, in their order; where a rest came late, its beginning.

    It also has the words of a reply without sound: nobody knows that when they come.
    """
    world, candidate = await odd_words(nursery, "?since=0")
    shown = shown_by_an_old_page(candidate.messages)
    await ended(world, candidate)
    turns = fold(await world.journal.fragments("iv-1", 1, since=0)).values()
    wanted = iter(sorted(turns, key=lambda turn: (turn.started_ms, turn.number)))
    for speaker, text in shown:
        assert any(turn.speaker == speaker and turn.text.strip().startswith(text) for turn in wanted), text
    assert len(shown) == len(turns)


async def test_a_page_that_knows_no_turns_gets_no_late_rest(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """It would show it as a line of its own, behind another's words; what it shows is a part of what was said."""
    world, candidate = await odd_words(nursery, "")
    greeting = recordings()["greeting"].text
    updates = [m.transcript_update for m in candidate.messages if m.HasField("transcript_update")]
    first = "".join(update.text for update in updates if update.turn == 1)
    assert greeting.startswith(first)
    assert len(first) < len(greeting)
    closed: set[int] = set()
    for update in updates:
        assert update.turn not in closed
        if update.turn_complete:
            closed.add(update.turn)
    transcript = await ended(world, candidate)
    assert isinstance(transcript, list)
    assert transcript[0] == ("AI", greeting)
