"""Block interviews: one connection and one prompt a block, one transcript with its number."""

import msgspec
import pytest
import trio

from preppald.backend import Outcome, Refused, Retry
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.deliveries import DeliveryKind, TranscriptSubmission
from preppald.core.frames import NoticeKind
from preppald.core.interview import Phase
from preppald.core.interviewer import BEGIN
from preppald.interview.prompting import known_of
from preppald.simulator import Scenario
from preppald.simulator.faults import Flawed
from preppald.simulator.scenario import Reply
from tests.candidates import RATE_HZ, Candidate
from tests.overheard import Overheard, overhear, stream
from tests.world import World

HELLO = Scenario(speech=("I drive trains.",), reply=(Reply(text="Hello there.", seconds=1),))
MANDARIN = Context(seconds=25.0, system_prompt="Ask one question about trains, in Mandarin.", language="zh")
ENGLISH = Context(seconds=120.0, system_prompt="Ask one question about trams.", language="en")
# Its row has no language codes: see core/models.py.
OLD_MODEL = "gemini-2.5-flash-native-audio-latest"
TRY_AGAIN = "the application does not answer, and the block needs its prompt: try again"


# A first prompt that is not answered.
NO_GREETING = Flawed(flaw="no-answer", turn=1)


class Application:
    """What the application says of each block, and what it was asked."""

    def __init__(self, *blocks: Context) -> None:
        self.blocks = blocks
        self.asked: list[int] = []
        self.silent = False
        # The next so many questions are refused.
        self.refusals = 0

    async def context(self, _interview_id: str, block: int = 0) -> Context | Outcome:
        await trio.lowlevel.checkpoint()
        self.asked.append(block)
        if self.silent:
            return Retry(503, "away")
        if self.refusals:
            self.refusals -= 1
            return Refused(400, "answered 400")
        return self.blocks[block - 1] if 0 < block <= len(self.blocks) else NOTHING_KNOWN


async def begin(
    nursery: trio.Nursery, application: Application, scenario: Scenario = HELLO, **settings: str
) -> tuple[World, Overheard]:
    world = World(settings, scenario)
    world.backend.context = application.context  # type: ignore[method-assign]
    heard = overhear(world, scenario)
    return await world.start(nursery), heard


async def joined(world: World, nursery: trio.Nursery, block: int | None) -> Candidate:
    candidate = Candidate(world.connection())
    query = "" if block is None else f"?block={block}"
    await candidate.open(f"/iv-1{query}", world.token())
    if candidate.status == 101:
        nursery.start_soon(candidate.run)
    return candidate


def transcripts(world: World) -> list[tuple[int, str]]:
    """Each transcript that the backend has: its block, and its key."""
    return [
        (msgspec.json.decode(it.payload, type=TranscriptSubmission).block, it.key)
        for it in world.backend.posts
        if it.kind is DeliveryKind.TRANSCRIPT
    ]


async def leave(candidate: Candidate) -> None:
    """The page closes its socket as it does between two blocks."""
    candidate.protocol.send_close(4005, "Block transition")
    await candidate.flush()
    await candidate.closed()


async def test_two_blocks_are_two_sessions(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Each has its prompt verbatim, a neutral beginning, its length, and one transcript with its number."""
    application = Application(MANDARIN, ENGLISH)
    world, heard = await begin(nursery, application)
    for block, context in ((1, MANDARIN), (2, ENGLISH)):
        candidate = await joined(world, nursery, block)
        await candidate.greeted()
        started = (await candidate.until("session_started")).session_started
        assert started.block_number == block
        assert started.remaining_ms <= context.seconds * 1000
        assert world.session().interview.block == block
        assert heard.instruction(max(heard.setups)) == context.system_prompt
        transcription = heard.setups[max(heard.setups)]["inputAudioTranscription"]
        assert transcription["languageCodes"] == [context.language]
        await leave(candidate)
        await trio.sleep(2)
        assert len(world.registry) == 0
    assert application.asked == [1, 2]
    assert transcripts(world) == [(1, "iv-1.1:1:transcript"), (2, "iv-1.2:2:transcript")]
    assert "ERROR" not in world.backend.received("iv-1")
    assert "COMPLETED" not in world.backend.received("iv-1")


async def test_a_model_that_takes_no_language_gets_none(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world, heard = await begin(nursery, Application(MANDARIN), PREPPALD_GEMINI_MODEL=OLD_MODEL)
    candidate = await joined(world, nursery, 1)
    await candidate.greeted()
    assert heard.setups[1]["inputAudioTranscription"] == {}


async def test_a_block_that_does_not_begin_is_begun_again_as_neutrally(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The application's prompt says how the block begins; a second prompt to greet would be ours."""
    scenario = Scenario(speech=HELLO.speech, reply=HELLO.reply, fault=(NO_GREETING,))
    world, heard = await begin(nursery, Application(ENGLISH), scenario)
    candidate = await joined(world, nursery, 1)
    await candidate.greeted()
    assert heard.prompts == [(1, BEGIN), (1, BEGIN)]


async def test_nobody_is_told_the_time_in_a_short_block(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world, _ = await begin(nursery, Application(MANDARIN))
    candidate = await joined(world, nursery, 1)
    await candidate.closed()
    assert not any(int(it.notice.kind) == int(NoticeKind.ENDING_SOON) for it in candidate.messages)
    assert candidate.close == (1000, "Session timeout (1 hour limit)")
    assert world.events("session.ended")[0]["seconds"] == pytest.approx(25, abs=1)


async def test_a_block_that_ended_is_over_and_the_next_is_not(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world, _ = await begin(nursery, Application(MANDARIN, ENGLISH))
    first = await joined(world, nursery, 1)
    await first.greeted()
    await leave(first)
    await trio.sleep(2)
    again = await joined(world, nursery, 1)
    assert await again.closed() == (4410, "Interview already ended")
    second = await joined(world, nursery, 2)
    await second.greeted()
    earlier = await joined(world, nursery, 1)
    assert await earlier.closed() == (4410, "Interview already ended")
    assert second.close is None


async def test_the_next_connection_may_come_before_the_close(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world, _ = await begin(nursery, Application(MANDARIN, ENGLISH))
    first = await joined(world, nursery, 1)
    await first.greeted()
    second = await joined(world, nursery, 2)
    await second.greeted()
    await second.end()
    await second.closed()
    await trio.sleep(1)
    assert [block for block, _ in transcripts(world)] == [1, 2]


async def test_block_1_of_an_ordinary_interview_is_forgotten(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The newest page asks for it of every interview."""
    application = Application()
    world, _ = await begin(nursery, application)
    candidate = await joined(world, nursery, 1)
    await candidate.greeted()
    assert not (await candidate.until("session_started")).session_started.HasField("block_number")
    again = await joined(world, nursery, 1)
    assert await candidate.closed() == (4409, "Replaced by a newer connection")
    await again.end()
    await again.closed()
    await trio.sleep(1)
    assert transcripts(world) == [(0, "iv-1:1:transcript")]
    assert application.asked == [1]  # one answer is enough, also for the documents


async def test_a_later_block_without_an_answer_begins_nothing(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """It is tried for a quarter of a minute, and refused as one that may be asked for again."""
    application = Application(MANDARIN, ENGLISH)
    application.silent = True
    world, _ = await begin(nursery, application)
    began = trio.current_time()
    refused = await joined(world, nursery, 2)
    assert refused.status == 101
    told = (await refused.until("error")).error
    assert 14 < trio.current_time() - began < 16
    assert await refused.closed() == (4503, TRY_AGAIN)
    assert (told.code, told.message) == (4503, TRY_AGAIN)
    assert told.retry_after_ms > 0
    assert world.backend.posts == []
    assert await world.journal.sessions("iv-1") == []
    assert [line["why"] for line in world.events("connection.refused")] == ["block unknown"]
    application.silent = False
    candidate = await joined(world, nursery, 2)
    await candidate.greeted()
    assert world.session().interview.block == 2


async def test_a_backend_that_is_away_at_the_first_block_costs_seconds_and_no_interview(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    application = Application(MANDARIN)
    application.silent = True
    world, _ = await begin(nursery, application)
    candidate = await joined(world, nursery, 1)
    await candidate.greeted()
    assert world.session().interview.block == 0
    assert 9 < trio.current_time() < 14


@pytest.mark.parametrize("block", [1, 2])
async def test_a_block_whose_context_is_refused_once_is_asked_for_again(
    nursery: trio.Nursery, autojump_clock: object, block: int
) -> None:
    """Before anything is posted, and before the interviewer is set up: it has the block's prompt."""
    application = Application(MANDARIN, ENGLISH)
    application.refusals = 1
    world, heard = await begin(nursery, application)
    candidate = await joined(world, nursery, block)
    await candidate.greeted()
    assert application.asked == [block, block]
    assert world.session().interview.block == block
    assert heard.instruction(1) == (MANDARIN, ENGLISH)[block - 1].system_prompt
    await leave(candidate)
    await trio.sleep(2)
    assert transcripts(world) == [(block, f"iv-1.{block}:1:transcript")]


async def test_the_sound_of_a_candidate_who_waits_for_a_block_reaches_gemini(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """All of it, from the first piece behind the handshake on, and before what comes later."""
    application = Application(MANDARIN, ENGLISH)
    application.silent = True
    world, heard = await begin(nursery, application)
    candidate = await joined(world, nursery, 2)
    first, rest = bytes([1, 1]) * (RATE_HZ * 12), bytes([2, 1]) * (RATE_HZ * 2)
    await stream(candidate, first)
    assert len(world.registry) == 0
    application.silent = False
    await stream(candidate, rest)
    await candidate.until("session_started")
    await trio.sleep(2)
    assert heard.all_audio.startswith(first + rest)


async def test_a_page_that_waits_for_a_block_is_told_how_much_arrived(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Or it would take the line for dead. The count goes on in the session."""
    application = Application(MANDARIN, ENGLISH)
    application.silent = True
    world, _ = await begin(nursery, application)
    candidate = Candidate(world.connection(), subprotocol="preppal.v2")
    await candidate.open("/iv-1?block=2", world.token())
    nursery.start_soon(candidate.run)
    await stream(candidate, bytes(2 * RATE_HZ * 5))
    application.silent = False
    await stream(candidate, bytes(2 * RATE_HZ * 5))
    counts = [it.received.audio_ms for it in candidate.messages if it.WhichOneof("payload") == "received"]
    assert counts == sorted(counts)
    assert len(counts) >= 8
    assert counts[-1] > 8_000


@pytest.mark.parametrize("way", ["leaves", "ends", "vanishes"])
async def test_a_candidate_who_goes_while_the_application_is_asked_begins_nothing(
    nursery: trio.Nursery, autojump_clock: object, way: str
) -> None:
    application = Application(MANDARIN, ENGLISH)
    application.silent = True
    world, _ = await begin(nursery, application)
    candidate = await joined(world, nursery, 2)
    await trio.sleep(3)
    if way == "leaves":
        await leave(candidate)
    elif way == "ends":
        await candidate.end()
        assert await candidate.closed() == (1000, "Interview ended by user")
    else:
        await candidate.vanish()
    await trio.sleep(1)
    asked = len(application.asked)
    await trio.sleep(20)
    assert len(application.asked) == asked
    assert await world.journal.sessions("iv-1") == []
    assert world.backend.posts == []
    assert world.server.connections == 0


async def test_a_refusal_before_the_question_costs_no_question(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Asking marks the block as begun: an instance that may begin nothing does not ask."""
    application = Application(MANDARIN)
    world, _ = await begin(nursery, application)
    world.registry.drain()
    refused = await joined(world, nursery, 1)
    assert refused.status == 503
    assert application.asked == []


async def test_the_first_prompt_is_neutral(nursery: trio.Nursery, autojump_clock: object) -> None:
    world, heard = await begin(nursery, Application(MANDARIN))
    candidate = await joined(world, nursery, 1)
    await candidate.greeted()
    assert heard.prompts == [(1, BEGIN)]


async def test_a_block_is_restored_with_its_prompt_and_asks_nothing(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A kill in the second block: the row has the block and its context; asking again would begin it again."""
    application = Application(MANDARIN, ENGLISH)
    world, _ = await begin(nursery, application)
    first = await joined(world, nursery, 1)
    await first.greeted()
    await leave(first)
    await trio.sleep(2)
    second = await joined(world, nursery, 2)
    await second.greeted()
    await world.journal.flush()
    (row,) = world.journal.live()
    assert (row.block, row.epoch) == (2, 2)
    assert row.context is not None
    assert msgspec.json.decode(row.context, type=Context) == ENGLISH
    said = await world.journal.fragments("iv-1", row.epoch)
    assert said
    # As the next process asks, which takes it over.
    assert await known_of(world.services, row, world.services.log) == ENGLISH
    assert application.asked == [1, 2]
    rows = await world.journal.sessions("iv-1")
    assert [(it.block, it.phase) for it in rows] == [(1, Phase.ENDED), (2, Phase.LIVE)]
