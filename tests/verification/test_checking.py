"""From a delivered transcript to a checked one: cut, heard a second time, judged, delivered, paid for, and tidied up."""

from collections.abc import Sequence
import os
from pathlib import Path
import stat

import pytest
import trio

from preppald.core import feedback
from preppald.core.checks import Checked, Job
from preppald.core.context import Context
from preppald.core.deliveries import DeliveryKind, TranscriptLine, Work
from preppald.core.turns import Speaker
from preppald.core.verification import Flag
from preppald.interview import checking, verification
from preppald.interview.verification import in_a_process
from preppald.journal import OnDisk
from preppald.journal.place import Place
from preppald.recording import cutting, files, kept
from preppald.recording.finish import finish
from preppald.recording.recorder import Uncounted
from preppald.recording.shelf import Recording, Shelf, is_running
from preppald.simulator.scenario import Generate
from preppald.telemetry.memory import Memory
from tests.durable import Notes
from tests.verification.rig import WORDS, noted, rigged, turn

FIRST_AT, SECOND_AT = 5.0, 25.0
# What the live transcription made of it: all, without its beginning, and none.
HALF = WORDS.split(". ", 1)[1]
TALK = [
    turn(1, "What did you do?", 1.0, 3.0, Speaker.AI),
    turn(2, WORDS, FIRST_AT),
    turn(3, "And then?", 15.0, 2.0, Speaker.AI),
    turn(4, HALF, SECOND_AT),
]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "WAITS", (0.01, 0.01))
    monkeypatch.setattr(checking, "WAITS", (0.01, 0.01))


async def test_a_transcript_is_checked_turn_by_turn(tmp_path: Path) -> None:
    """Both texts of each of the candidate's turns, the flag, the one to trust; paid for in the interview's row."""
    noted(tmp_path, (FIRST_AT, SECOND_AT))
    async with rigged(tmp_path) as rig:
        rig.end(TALK)
        found = await rig.checked()
        assert [(it.turn, it.flag, it.second_is_better) for it in found.turns] == [
            (1, Flag.OK, False),
            (3, Flag.START_MISSING, True),
        ]
        assert [(it.live, it.second) for it in found.turns] == [(WORDS, WORDS), (HALF, WORDS)]
        assert found.model == "gemini-3.5-transcribe"
        await rig.counted("checked")
        (line,) = rig.events("verification.done")
        assert (line["calls"], line["flagged"], line["failed"]) == (2, 1, 0)
        # Of each turn's 7.1 s with a second around it.
        assert line["seconds"] == pytest.approx(2 * 8.13, abs=0.1)
        await rig.journal.flush()
        row = await rig.journal.interview("iv")
        assert row is not None
        assert row.usage.verification_prompt == pytest.approx(2 * 8.13 * 32, abs=10)
        assert row.usage.verification_response > 0
        assert line["cost_dollars"] > 0
        assert rig.events("verification.failed") == []
        assert not await rig.journal.is_due(Work.VERIFICATION, "iv:1:transcript")
    # A recording stays; what was found out about it does not.
    assert Shelf(tmp_path).of("iv")
    assert list((tmp_path / kept.CHECKING).glob("*.jsonl")) == []


async def test_a_finished_recording_is_as_good_as_its_notes(tmp_path: Path) -> None:
    noted(tmp_path, (FIRST_AT, SECOND_AT))
    (recording,) = Shelf(tmp_path).of("iv")
    finish(Shelf(tmp_path), recording)
    async with rigged(tmp_path) as rig:
        rig.end(TALK)
        assert [it.second for it in (await rig.checked()).turns] == [WORDS, WORDS]
    assert files.kept_format() in {"flac", "wav"}


async def test_a_recording_that_is_finished_while_it_is_checked_is_checked_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both begin when the interview is over: the notes go before the turns are cut out of them."""
    noted(tmp_path, (FIRST_AT, SECOND_AT))
    listen = cutting.listen

    def listened(channel: cutting.Channel) -> cutting.Voice:
        voice = listen(channel)
        (recording,) = Shelf(tmp_path).of("iv")
        assert finish(Shelf(tmp_path), recording).exists()
        assert not recording.notes[0].exists()
        return voice

    monkeypatch.setattr(cutting, "listen", listened)
    async with rigged(tmp_path) as rig:
        rig.end(TALK)
        assert [it.second for it in (await rig.checked()).turns] == [WORDS, WORDS]
        assert rig.events("verification.failed") == []


async def test_a_recording_that_is_finished_before_its_check_looks_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was notes when it was found, and is a file when it is asked whether somebody writes to them."""
    noted(tmp_path, (FIRST_AT, SECOND_AT))
    asked: list[bool] = []

    def running(recording: Recording) -> bool:
        if not asked:
            finish(Shelf(tmp_path), recording)
        asked.append(True)
        return is_running(recording)

    monkeypatch.setattr(verification, "is_running", running)
    async with rigged(tmp_path) as rig:
        rig.end(TALK)
        assert [it.second for it in (await rig.checked()).turns] == [WORDS, WORDS]
        assert rig.events("verification.failed") == []
    assert asked


async def test_only_turns_in_doubt(tmp_path: Path) -> None:
    """The complete turn has a usual pace; the one of four words in seven seconds has not."""
    noted(tmp_path, (FIRST_AT, SECOND_AT))
    async with rigged(tmp_path, PREPPALD_VERIFY="doubtful") as rig:
        rig.end([*TALK[:3], turn(4, "went to zero then", SECOND_AT)])
        assert [it.turn for it in (await rig.checked()).turns] == [3]
        await rig.counted("checked")
        assert rig.events("verification.done")[0]["passed_over"] == 1


async def test_voice_without_a_word_is_unheard(tmp_path: Path) -> None:
    """The live transcription has nothing at all of the second answer; it is found by our own ear."""
    noted(tmp_path, (FIRST_AT, SECOND_AT))
    async with rigged(tmp_path) as rig:
        rig.end(TALK[:3])
        found = await rig.checked()
        assert [(it.turn, it.flag, it.live, it.second) for it in found.turns] == [
            (1, Flag.OK, WORDS, WORDS),
            (2 + 1, Flag.UNHEARD, "", WORDS),
        ]
        assert found.turns[1].begin_ms == pytest.approx(SECOND_AT * 1000, abs=100)
        assert found.turns[1].end_ms == pytest.approx(SECOND_AT * 1000 + 7_130, abs=200)


@pytest.mark.parametrize(
    ("mishear", "flag"),
    [
        ("start", Flag.INVENTED),
        ("invent", Flag.END_MISSING),
        ("language", Flag.OTHER_LANGUAGE),
        ("cut", Flag.INVENTED),
    ],
)
async def test_a_second_ear_that_mishears_is_seen_as_a_difference(
    mishear: str, flag: Flag, tmp_path: Path
) -> None:
    """Nobody can tell which of two texts is true: what the second lacks looks invented."""
    noted(tmp_path, (FIRST_AT,))
    async with rigged(tmp_path, Generate(mishear=mishear)) as rig:  # type: ignore[arg-type]
        rig.end(TALK[:2])
        assert [it.flag for it in (await rig.checked()).turns] == [flag]


async def test_a_quota_is_waited_for(tmp_path: Path) -> None:
    noted(tmp_path, (FIRST_AT, SECOND_AT))
    async with rigged(tmp_path, Generate(statuses=(429, 503, 429))) as rig:
        rig.end(TALK)
        assert len((await rig.checked()).turns) == 2


async def test_a_model_that_refuses_costs_one_check_and_no_delivery(tmp_path: Path) -> None:
    """The log says what to look at; nothing is due any more, and nothing was posted but the transcript."""
    noted(tmp_path, (FIRST_AT, SECOND_AT))
    async with rigged(tmp_path, Generate(statuses=(403,) * 20)) as rig:
        rig.end(TALK)
        await rig.counted("failed")
        (line,) = rig.events("verification.failed")
        assert "PREPPALD_VERIFY_MODEL" in line["cause"]
        await trio.sleep(0.2)
        await rig.journal.flush()
        assert not await rig.journal.is_due(Work.VERIFICATION, "iv:1:transcript")
        assert [post.kind for post in rig.backend.posts] == [DeliveryKind.TRANSCRIPT]


async def test_without_sound_nothing_is_checked(tmp_path: Path) -> None:
    async with rigged(tmp_path) as rig:
        rig.end(TALK)
        await rig.counted("failed")
        assert rig.events("verification.failed")[0]["cause"] == "there is no sound of it"
        assert "gemini.generated" not in rig.asked


async def test_off_means_off(tmp_path: Path) -> None:
    noted(tmp_path, (FIRST_AT,))
    async with rigged(tmp_path, PREPPALD_VERIFY="off") as rig:
        rig.end(TALK[:2])
        await rig.delivered(DeliveryKind.TRANSCRIPT)
        await trio.sleep(0.3)
        await rig.journal.flush()
        assert not await rig.journal.is_due(Work.VERIFICATION, "iv:1:transcript")
    assert "gemini.generated" not in rig.asked


async def test_feedback_is_written_from_the_checked_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the check, and reads what the live transcription lacked."""
    noted(tmp_path, (FIRST_AT, SECOND_AT))
    asked: list[str] = []
    request = feedback.request

    def listen(lines: Sequence[TranscriptLine], context: Context) -> bytes:
        asked.extend(line.content for line in lines)
        return request(lines, context)

    monkeypatch.setattr(feedback, "request", listen)
    async with rigged(tmp_path, PREPPALD_FEEDBACK="on") as rig:
        rig.end(TALK)
        await rig.delivered(DeliveryKind.FEEDBACK)
        assert asked.count(WORDS) == 2
        kinds = [post.kind for post in rig.backend.posts]
        assert kinds == [DeliveryKind.TRANSCRIPT, DeliveryKind.VERIFICATION, DeliveryKind.FEEDBACK]


async def test_what_was_paid_for_is_not_paid_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was killed after the first of two turns left its finding, and half a line of the second."""
    noted(tmp_path, (FIRST_AT, SECOND_AT))
    lines = []
    monkeypatch.setattr(kept, "remove", lambda *_: None)  # to look at the file
    async with rigged(tmp_path) as rig:
        rig.end(TALK)
        before = await rig.checked()
        file = kept.progress(tmp_path, "iv", 1, 0)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        lines = file.read_bytes().splitlines(keepends=True)
        assert len(lines) == 2
    file.write_bytes(lines[0] + lines[1][:40])
    async with rigged(tmp_path) as rig:
        rig.end(TALK)
        assert (await rig.checked()).turns == before.turns
        assert rig.asked.count("gemini.generated") == 1


async def test_a_check_that_a_kill_cut_short_is_gone_on_with(tmp_path: Path) -> None:
    """The first process is cancelled while the model is asked; the next one checks, and delivers once."""
    noted(tmp_path, (FIRST_AT, SECOND_AT))
    place: Place = OnDisk(tmp_path, "preppald", reserve_bytes=0)
    async with rigged(tmp_path, Generate(hang=True), place) as rig:
        rig.end(TALK)
        await rig.delivered(DeliveryKind.TRANSCRIPT)
        await trio.sleep(0.5)
    async with rigged(tmp_path, place=OnDisk(tmp_path, "preppald", reserve_bytes=0)) as rig:
        assert [it.flag for it in (await rig.checked()).turns] == [Flag.OK, Flag.START_MISSING]
        await trio.sleep(0.2)
        assert [post.kind for post in rig.backend.posts] == [DeliveryKind.VERIFICATION]


async def test_the_work_is_a_process_of_its_own(tmp_path: Path) -> None:
    """As the daemon does it: `preppald recording --check`, with the job on its standard input."""
    noted(tmp_path, (FIRST_AT, SECOND_AT))
    async with rigged(tmp_path, check=in_a_process) as rig:
        rig.end(TALK)
        assert [it.flag for it in (await rig.checked()).turns] == [Flag.OK, Flag.START_MISSING]
    noted(tmp_path, (FIRST_AT, SECOND_AT), "iv-2")
    async with rigged(tmp_path, Generate(statuses=(403,) * 20), check=in_a_process) as rig:
        rig.end(TALK, "iv-2")
        await rig.counted("failed")
        assert "PREPPALD_VERIFY_MODEL" in rig.events("verification.failed")[0]["cause"]
        assert len(rig.asked) <= 2


async def test_two_processes_do_not_check_one_transcript(tmp_path: Path) -> None:
    """The second one leaves it to the first."""
    noted(tmp_path, (FIRST_AT,))
    jobs: list[Job] = []

    async def check(job: Job) -> Checked:
        jobs.append(job)
        return await checking.check(job)

    async with rigged(tmp_path, Generate(hang=True), check=check) as rig:
        rig.end(TALK[:2])
        with trio.fail_after(20):
            while not list((tmp_path / kept.CHECKING).glob("*.jsonl")):  # noqa: ASYNC110 - a file rings no bell
                await trio.sleep(0.01)
        with pytest.raises(checking.CheckedElsewhere):
            await checking.check(jobs[0])


def test_forgetting_takes_the_sound_and_the_findings(tmp_path: Path) -> None:
    """Of this interview, whichever process keeps them, and of no other."""
    for process, name in (("17", "iv"), ("18", "iv"), ("18", "iv-2")):
        noted(tmp_path, (FIRST_AT,), name, f"{kept.CHECKING}/{process}")
        kept.progress(tmp_path, name, 1, 0).write_bytes(b"{}\n")
    assert kept.forget(tmp_path, "iv") == 3
    left = [it for it in (tmp_path / kept.CHECKING).rglob("*") if it.is_file()]
    assert sorted(it.name for it in left) == ["0001.notes", "iv-2.1.jsonl"]


def test_sound_of_an_hour_ago_goes(tmp_path: Path) -> None:
    """Also where nobody checked it; and what a dead process left, at the next start."""
    noted(tmp_path, (FIRST_AT,), directory=f"{kept.CHECKING}/1.dead")
    own = kept.Kept(tmp_path, log=Notes(), dropped=Uncounted())
    own.open()
    assert [it.name for it in kept.processes(tmp_path)] == [own.directory.rpartition("/")[2]]
    noted(tmp_path, (FIRST_AT,), directory=own.directory)
    noted(tmp_path, (FIRST_AT,), "iv-2", directory=own.directory)
    (recording,) = own.shelf.of("iv")
    now = (recording.notes[0].parent / "0001.notes").stat().st_mtime
    os.utime(recording.notes[0], (now - kept.KEPT_SECONDS - 1,) * 2)
    assert own.remove_older(now) == 1
    findings = kept.progress(tmp_path, "iv", 1, 0)
    findings.write_bytes(b"{}")
    kept.remove_findings(tmp_path, findings.stat().st_mtime + kept.KEPT_SECONDS - 1)
    assert findings.exists()
    kept.remove_findings(tmp_path, findings.stat().st_mtime + kept.KEPT_SECONDS + 1)
    assert not findings.exists()
    assert [it.interview_id for it in own.shelf.unfinished()] == ["iv-2"]
    assert not own.full
    own.close()
    assert list(kept.processes(tmp_path)) == []


async def test_a_check_waits_for_memory_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interviews go first; the next transcript is checked all the same."""
    monkeypatch.setattr(verification, "ROOM_SECONDS", 0.2)
    monkeypatch.setattr(verification, "FAULT_SECONDS", 0.05)
    noted(tmp_path, [10.0])
    async with rigged(tmp_path) as rig:
        with monkeypatch.context() as full:
            full.setattr(Memory, "room", lambda _memory, _size: False)
            rig.end([turn(1, WORDS, 10.0)])
            await rig.counted("failed")
        (line,) = rig.events("verification.failed")
        assert line["cause"] == "there was no memory for it within the hour"
        assert [post.kind for post in rig.backend.posts] == [DeliveryKind.TRANSCRIPT]
        noted(tmp_path, [10.0], "other")
        rig.end([turn(1, WORDS, 10.0)], "other")
        await rig.counted("checked")
