"""A whole hour: Gemini's connections live five minutes and some die early, the candidate drops out twice."""

import re

import pytest
import trio

from preppald.core import interviewer
from preppald.simulator.faults import Close, Drop, Fault
from preppald.simulator.scenario import Audio, Limits, Reply, Scenario
from tests.candidates import RATE_HZ, Candidate, silence, tone
from tests.overheard import overhear, stream
from tests.world import World

HOUR = 3600.0
# The end of speech, the next question, and a thought.
PAUSE_SECONDS = 10.0
# As long as a chunk can be before its sender is taken for silent: the fewer, the quicker the hour.
CHUNK_SECONDS = 0.8
# Questions of four seconds, each with its own number.
VOICE = tone(15)
QUESTIONS = tuple(Reply(text=f"Question {number}, please?", seconds=4.0) for number in range(1, 200))
FAULTS: tuple[Fault, ...] = (
    # Unexpected closes of three kinds: an internal error, a lost network, a cap without a warning.
    Close(connection=3, at="turn-complete", turn=4, after=1.0, row="internal"),
    Drop(connection=6, at="turn-complete", turn=3, after=1.0),
    Close(connection=9, at="turn-complete", turn=2, after=1.0, row="deadline"),
    # The tenth connection would resume the ninth: its handle is refused.
    Close(connection=10, at="setup", resumed=True, row="session-not-found"),
    # And one outage that lasts long enough to be heard, and to be given back.
    Close(connection=13, at="turn-complete", turn=2, after=1.0, row="unavailable"),
    *(Close(connection=number, at="setup", row="unavailable") for number in (14, 15, 16)),
)


class Talker:
    """Answers each question with an answer of its own length, by which the transcript knows it again."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.connections: list[Candidate] = []
        self.lengths: list[str] = []

    @property
    def now(self) -> Candidate:
        return self.connections[-1]

    @property
    def last_seq(self) -> int:
        return max(
            (message.transcript_update.seq for one in self.connections for message in one.messages), default=0
        )

    async def join(self, token: str) -> None:
        since = self.last_seq if self.connections else None
        self.connections.append(await self._world.candidate(token=token, since=since))

    async def answer(self) -> None:
        """Waits for the question to be heard out, thinks, and answers."""
        seconds = 2.0 + len(self.lengths) % 60 * 0.2
        self.lengths.append(f"{seconds:.1f}")
        await stream(self.now, VOICE[: 2 * round(seconds * RATE_HZ)] + silence(PAUSE_SECONDS), CHUNK_SECONDS)


@pytest.mark.slow
async def test_an_hour_really_lasts_an_hour(nursery: trio.Nursery, autojump_clock: object) -> None:
    """No turn lost, none twice, one greeting, the deadline at 3600 s and the credits, one transcript."""
    scenario = Scenario(
        reply=QUESTIONS, limits=Limits(connection=300), audio=Audio(part_ms=200), fault=FAULTS
    )
    world = World({}, scenario)
    heard = overhear(world, scenario)
    await world.start(nursery)
    talker, token = Talker(world), world.token()
    began = trio.current_time()
    await talker.join(token)
    await talker.now.heard_out()
    with trio.move_on_after(HOUR + 600):
        while not talker.now.leaving:
            await talker.answer()
            if len(talker.lengths) in (40, 90) and len(talker.connections) < 1 + len(talker.lengths) // 40:
                await talker.now.vanish()
                await trio.sleep(20)
                await talker.join(token)
        await talker.now.closed()
    lasted = trio.current_time() - began
    await world.outbox.drained(trio.current_time() + 10)
    await trio.sleep(60)

    # What happened to it.
    (ended,) = world.events("session.ended")
    credited = [line["seconds"] for line in world.events("time.credited")]
    assert ended["ending"] == "time_up"
    assert isinstance(ended["rotations"], int)
    assert ended["rotations"] >= 6
    causes = [line["cause"] for line in world.events("upstream.failed")]
    assert causes == ["internal", "network", "connection_cap", "unknown_handle", *["overloaded"] * 4]
    assert len(world.events("browser.left")) == 2
    assert [bool(one.messages[0].session_started.resumed) for one in talker.connections] == [
        False,
        True,
        True,
    ]

    # The deadline: an hour, and what Gemini's one audible gap took.
    assert len(credited) == 1
    assert abs(float(str(ended["seconds"])) - HOUR - sum(map(float, map(str, credited)))) < 0.2
    assert lasted >= HOUR
    assert talker.now.close == (1000, "Session timeout (1 hour limit)")

    # One greeting, and nothing that makes the interviewer speak out of turn.
    assert heard.prompts.count((1, interviewer.GREETING)) == 1
    assert [text for _, text in heard.prompts].count(interviewer.GREETING) == 1
    assert interviewer.NUDGE not in [text for _, text in heard.prompts]

    # Exactly one transcript, in which every answer stands once, in its order.
    transcripts = [what for what in world.backend.received("iv-1") if not isinstance(what, str)]
    assert len(transcripts) == 1
    assert world.backend.received("iv-1").count("IN_PROGRESS") == 1
    lines = transcripts[0]
    said = [re.findall(r"\(([0-9.]+) s of speech\)", text) for speaker, text in lines if speaker == "USER"]
    spoken = [length for lengths in said for length in lengths]
    # The last one may have been cut off by the deadline.
    assert len(spoken) in (len(talker.lengths), len(talker.lengths) - 1)
    assert spoken == talker.lengths[: len(spoken)]
    asked = [int(number) for speaker, text in lines if speaker == "AI" for number in re.findall(r"\d+", text)]
    assert len(asked) in (len(spoken), len(spoken) + 1), "one question for each answer, and the first"

    # The candidate's screen: every update once and in order, over three connections.
    seqs = [
        message.transcript_update.seq
        for one in talker.connections
        for message in one.messages
        if message.HasField("transcript_update")
    ]
    assert seqs == list(range(1, len(seqs) + 1))
