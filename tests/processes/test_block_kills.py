"""An interview in two blocks on real processes: daemons are killed between the blocks and within the second one."""

from pathlib import Path

import pytest
import trio

from preppald.core.turns import fold, in_order
from preppald.simulator import Scenario
from preppald.simulator.backend_scenario import BackendBlock, BackendScenario
from preppald.simulator.scenario import Reply, Timing
from preppald.simulator.store import Interview
from tests.candidates import Candidate
from tests.overheard import Overheard
from tests.processes.host import PATIENCE_SECONDS, Host, host

MANDARIN = BackendBlock(system_prompt="用普通话问一个关于火车的问题。", language="zh", duration_ms=25_000)
ENGLISH = BackendBlock(
    system_prompt="Ask one question about trams, in English.", language="en", duration_ms=120_000
)
SCENARIO = Scenario(
    speech=("我开火车。", "I drive trams."),
    reply=(Reply(text="你好。请介绍一下自己。", seconds=0.5), Reply(text="Thank you, go on.", seconds=0.5)),
    timing=Timing(setup_delay=0.1, reply_delay=0.1),
)
SETTINGS = {"PREPPALD_BACKEND": "protobuf", "PREPPALD_VAD_SILENCE": "100ms"}
LOOK_SECONDS = 0.05


async def _opened(machine: Host, nursery: trio.Nursery, block: int) -> Candidate:
    candidate = Candidate(await machine.connect())
    await candidate.open(f"/iv-1?block={block}", machine.token("iv-1"))
    assert candidate.status == 101
    nursery.start_soon(candidate.run)
    started = (await candidate.until("session_started")).session_started
    assert started.block_number == block
    return candidate


async def _left(candidate: Candidate) -> None:
    """Closes as the page does that goes on to the next block."""
    candidate.protocol.send_close(4005, "Block transition")
    await candidate.flush()
    await _gone(candidate)


async def _gone(candidate: Candidate) -> tuple[int, str]:
    close = await candidate.closed()
    await candidate.stream.aclose()
    return close


async def _delivered(machine: Host) -> Interview:
    """The application's record, once it has both blocks and nothing more is owed."""
    with trio.fail_after(PATIENCE_SECONDS):
        while True:
            interview = machine.backend.interviews["iv-1"]
            complete = {it.status for it in interview.blocks.values()} == {"COMPLETED"}
            if complete and not machine.ask("SELECT 1 FROM outbox WHERE state <> 'done'"):
                return interview
            await trio.sleep(LOOK_SECONDS)


def _kept(machine: Host) -> list[str]:
    """What the newest block said, as it is on disk."""
    return [it.spoken.strip() for it in in_order(fold(machine.said()["iv-1"]).values())]


@pytest.mark.parametrize("refused", [1, 2])
async def test_two_blocks_survive_kills_and_a_refused_context(tmp_path: Path, refused: int) -> None:
    """Mandarin, then English. ``refused``: the block whose first getContext the application refuses."""
    application = BackendScenario(block=(MANDARIN, ENGLISH))
    heard = Overheard()
    async with (
        host(tmp_path, SETTINGS, SCENARIO, heard, application) as machine,
        trio.open_nursery() as nursery,
    ):
        if refused == 1:
            machine.backend.refuse("interview.getContext", status=400)
        await machine.start()
        await machine.ready()
        # On without having been set: the log says so, and that it costs money.
        warned = [str(line["why"]) for line in machine.lines("config.doubtful")]
        assert any(it.startswith("PREPPALD_FEEDBACK: is not set, so it is on") for it in warned)
        first = await _opened(machine, nursery, 1)
        await first.greeted()
        await first.speak(1.0, 0.5)
        await first.heard_out()
        await _left(first)
        await machine.logged("session.ended")
        await machine.kill()

        if refused == 2:
            machine.backend.refuse("interview.getContext", status=400)
        await machine.start()
        await machine.ready()
        first_said = _kept(machine)
        second = await _opened(machine, nursery, 2)
        await second.greeted()
        await trio.sleep(0.5)  # the promise is that a word is on disk a tenth of a second later
        greeter = max(heard.setups)
        await machine.kill()
        await _gone(second)

        await machine.start()
        await machine.ready()
        second = await _opened(machine, nursery, 2)
        await second.speak(1.0, 0.5)
        await second.heard_out()
        await second.end()
        await _gone(second)
        interview = await _delivered(machine)
        second_said = _kept(machine)
        nursery.cancel_scope.cancel()
    assert first_said == [it.content for it in interview.blocks[1].transcript]
    assert second_said == [it.content for it in interview.blocks[2].transcript]
    assert len(first_said) >= 3
    assert len(second_said) >= 3
    _assert_posted_once(machine, interview)
    _assert_asked_once(machine, refused)
    for connection, block in ((1, MANDARIN), (greeter, ENGLISH)):
        assert heard.instruction(connection) == block.system_prompt
        assert heard.setups[connection]["inputAudioTranscription"]["languageCodes"] == [block.language]


def _assert_posted_once(machine: Host, interview: Interview) -> None:
    # A kill in the middle of a post has it made again, under the same key; stored it is once.
    posts = [it for it in machine.backend.calls if it.procedure == "interview.submitTranscript"]
    keys = {(it.body["block_number"], it.idempotency_key) for it in posts}
    assert keys == {(1, "iv-1.1:1:transcript"), (2, "iv-1.2:2:transcript")}
    assert interview.blocks[2].submissions == 1
    assert (interview.status, interview.transcript) == ("COMPLETED", [])
    # The application itself writes the feedback on blocks.
    assert "interview.submitFeedback" not in {it.procedure for it in machine.backend.calls}


def _assert_asked_once(machine: Host, refused: int) -> None:
    """Asking marks a block as begun: each was answered once, whatever was killed."""
    asked = [it for it in machine.backend.calls if it.procedure == "interview.getContext"]
    numbers = [(it.body["block_number"], it.stored) for it in asked]
    assert numbers == [*[(1, False)] * (refused == 1), (1, True), *[(2, False)] * (refused == 2), (2, True)]
