"""kill -9 of a daemon that was given a typed answer: it is in the transcript once, and it is replied to."""

from pathlib import Path

import trio

from preppald.pb.interview_pb2 import ClientToServerMessage, TextAnswer
from preppald.simulator import Scenario
from preppald.simulator.recording import Direction
from preppald.simulator.scenario import Reply
from tests.candidates import Candidate
from tests.overheard import Overheard
from tests.processes.host import PATIENCE_SECONDS, Host, host

SETTINGS = {"PREPPALD_BACKEND": "none", "PREPPALD_RECONNECT_GRACE": "60s"}
SCENARIO = Scenario(reply=(Reply(text="Hello.", seconds=1.0),))
ANSWER = "I was a sailor."


class KilledAt(Overheard):
    """Sets ``asked`` when Gemini gets the answer: by then it has to be on disk."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = trio.Event()

    def note_bytes(self, connection: int, direction: Direction, message: bytes) -> None:
        super().note_bytes(connection, direction, message)
        if ANSWER.encode() in message:
            self.asked.set()


async def candidate(here: Host, nursery: trio.Nursery, since: int = 0) -> Candidate:
    found = Candidate(await here.connect())
    assert await found.open(f"/iv-1?since={since}&turns=1", here.token("iv-1")) == 101
    nursery.start_soon(found.run)
    return found


async def test_it_is_there_once_and_replied_to(tmp_path: Path) -> None:
    """Killed in the moment in which Gemini has the answer; then the page sends it again."""
    overheard = KilledAt()
    message = ClientToServerMessage(text_answer=TextAnswer(text=ANSWER, number=1)).SerializeToString()
    async with host(tmp_path, SETTINGS, SCENARIO, overheard) as here, trio.open_nursery() as nursery:
        await here.start()
        await here.ready()
        first = await candidate(here, nursery)
        await first.greeted()
        await first.send(message)
        with trio.fail_after(PATIENCE_SECONDS):
            await overheard.asked.wait()
        await here.kill()
        await first.vanish()
        assert [it.text for it in here.said()["iv-1"] if it.answer] == [ANSWER]

        setups = len(overheard.setups)
        await here.start()
        await here.ready()
        again = await candidate(here, nursery)
        await again.until("session_started")
        await again.send(message)
        seen = len(again.messages)
        await again.heard_out(seconds=PATIENCE_SECONDS, seen=seen)
        later = [text for connection, text in overheard.prompts if connection > setups]
        assert len(later) == 1
        assert ANSWER in later[0]
        assert [it.text for it in here.said()["iv-1"] if it.answer] == [ANSWER]
        assert again.text("USER") == ANSWER
        await here.kill()
        await again.vanish()
