"""From one connection to the next, unnoticed: when, in which order, and what must not change."""

import pytest
import trio

from preppald.core import interviewer
from preppald.core.lifespan import MARGIN_SECONDS
from preppald.simulator.faults import Send, Silence
from preppald.simulator.scenario import GoAway, Limits, Manners, Reply, Scenario
from tests.candidates import Candidate, silence, tone
from tests.overheard import Overheard, keep_silent, overhear, speak, stream
from tests.world import World

# A minute's connections, with ten seconds' notice: a rotation is due from the fiftieth second on.
MINUTE = Limits(connection=60)
NOTICE = GoAway(before=10)


async def talk(
    scenario: Scenario, nursery: trio.Nursery, **settings: str
) -> tuple[World, Overheard, Candidate]:
    """An interview whose greeting has been heard out."""
    world = World(settings, scenario)
    heard = overhear(world, scenario)
    await world.start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    return world, heard, candidate


def marked(seconds: float) -> bytes:
    """Silence in which every sample is different from its neighbours, so that a lost or doubled one shows."""
    pcm = bytearray(silence(seconds))
    for at in range(0, len(pcm), 2):
        pcm[at] = at // 2 % 120
    return bytes(pcm)


async def test_a_rotation_loses_no_byte_of_the_candidates_audio(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """What Gemini got over both connections is what the candidate sent, byte for byte."""
    scenario = Scenario(limits=MINUTE, go_away=NOTICE)
    world, heard, candidate = await talk(scenario, nursery)
    before = heard.all_audio
    sent = await stream(candidate, marked(70))
    await trio.sleep(1)
    assert len(heard.setups) == 2
    assert all(heard.audio[number] for number in (1, 2))
    assert heard.all_audio.removeprefix(before)[: len(sent)] == sent
    assert "audio_dropped" not in str(world.events("audio"))
    assert world.metrics.registry.get_sample_value("preppald_audio_dropped_seconds_total") == 0


async def test_the_old_connection_is_closed_before_the_next_is_dialled(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Gemini refuses to resume a session whose old socket is open: this simulator does, too."""
    scenario = Scenario(limits=MINUTE, go_away=NOTICE, manners=Manners(resume_while_open="reject"))
    world, heard, candidate = await talk(scenario, nursery)
    await keep_silent(candidate, 200)
    assert len(heard.setups) >= 4
    assert world.events("upstream.failed") == []
    assert all(handle is not None for number, handle in heard.handles.items() if number > 1)


async def test_the_interviewer_greets_once(nursery: trio.Nursery, autojump_clock: object) -> None:
    """A candidate twenty minutes in was greeted again: seen with others, and never here."""
    scenario = Scenario(limits=MINUTE, go_away=NOTICE)
    _world, heard, candidate = await talk(scenario, nursery)
    for _ in range(6):
        await speak(candidate, 3)
        await candidate.heard_out()
        await keep_silent(candidate, 20)
    assert len(heard.setups) >= 3
    assert heard.prompts == [(1, interviewer.GREETING)]


async def test_the_candidate_is_told_nothing(nursery: trio.Nursery, autojump_clock: object) -> None:
    """No notice, no second start, no time given back: a rotation is not audible."""
    scenario = Scenario(limits=MINUTE, go_away=NOTICE)
    world, _heard, candidate = await talk(scenario, nursery)
    await keep_silent(candidate, 130)
    assert candidate.kinds().count("session_started") == 1
    assert "notice" not in candidate.kinds()
    assert world.events("time.credited") == []
    gaps = [line["gap_seconds"] for line in world.events("upstream.ready")[1:]]
    assert len(gaps) == 2
    assert all(isinstance(gap, float) and gap < 0.3 for gap in gaps)


async def test_it_waits_until_the_candidate_has_spoken_and_was_answered(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """An answer that is broken off is lost to the resumed session: it knows only what the handle knows."""
    scenario = Scenario(limits=MINUTE, go_away=GoAway(before=40))
    world, heard, candidate = await talk(scenario, nursery)
    await keep_silent(candidate, 13)
    await speak(candidate, 12)
    assert len(heard.setups) == 1, "the goAway came while the candidate spoke"
    await candidate.heard_out()
    await keep_silent(candidate, 4)
    assert len(heard.setups) == 2
    assert world.events("upstream.left")[0]["why"] == "quiet"
    assert candidate.text("USER").count("seconds of") + candidate.text("USER").count(" s of speech") == 1


async def test_speech_that_gemini_has_not_noticed_yet_is_no_quiet_moment(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Its word for the start of speech comes late, or never: our own ear counts."""
    scenario = Scenario(limits=MINUTE, go_away=GoAway(before=40))
    _world, heard, candidate = await talk(scenario, nursery, PREPPALD_VAD_PREFIX="2s")
    await keep_silent(candidate, 12)
    with trio.move_on_after(14):
        while True:  # words with pauses between them, too broken for two seconds of speech
            await stream(candidate, tone(0.4) + silence(0.4))
    assert len(heard.setups) == 1
    await keep_silent(candidate, 3)
    assert len(heard.setups) == 2


async def test_at_the_last_moment_it_is_changed_all_the_same(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A candidate who talks through the notice is cut by us, with time to spare, and not by Gemini."""
    scenario = Scenario(limits=MINUTE, go_away=NOTICE)
    world, heard, candidate = await talk(scenario, nursery)
    await keep_silent(candidate, 30)
    await speak(candidate, 30)
    assert len(heard.setups) == 2
    assert world.events("upstream.left")[0]["why"] == "overdue"
    assert world.events("upstream.failed") == []
    left_at = heard.set_up_at[2] - heard.set_up_at[1]
    assert 60 - MARGIN_SECONDS <= left_at <= 60 - MARGIN_SECONDS + 1.5


@pytest.mark.parametrize(
    "go_away",
    [
        GoAway(before=10, time_left="absent"),
        GoAway(before=10, time_left="fractional"),
        GoAway(before=10, times=2),
        GoAway(before=10, time_left="absent", times=2),
    ],
    ids=["without a time", "with a fraction", "twice", "twice without a time"],
)
async def test_every_way_to_say_go_away_is_understood(
    go_away: GoAway, nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Each leads to one rotation, and none to a close by Gemini."""
    scenario = Scenario(limits=MINUTE, go_away=go_away)
    world, heard, candidate = await talk(scenario, nursery)
    await keep_silent(candidate, 70)
    assert len(heard.setups) == 2
    assert world.events("upstream.failed") == []


async def test_a_go_away_a_second_after_connecting_starts_no_merry_go_round(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """With five minutes left on every connection there is time for the greeting, and for all but the last minute."""
    early = Send(connection="all", at="ready", after=1.0, json='{"goAway": {"timeLeft": "300s"}}')
    _world, heard, candidate = await talk(Scenario(fault=(early,)), nursery)
    await keep_silent(candidate, 230)
    assert len(heard.setups) == 1
    await keep_silent(candidate, 30)
    assert len(heard.setups) == 2


async def test_silence_after_a_go_away_is_survived_by_our_own_clock(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Gemini was seen to say nothing more after it: no event would ever start the rotation."""
    silent = Silence(at="go-away", after=0.5)
    scenario = Scenario(limits=MINUTE, go_away=NOTICE, fault=(silent,))
    world, heard, candidate = await talk(scenario, nursery)
    await keep_silent(candidate, 30)
    await speak(candidate, 35)
    assert len(heard.setups) == 2
    assert world.events("upstream.failed") == []
    await candidate.heard_out()


async def test_without_any_notice_a_connection_is_changed_when_it_is_old(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """PREPPALD_ROTATE_AFTER: some live 58 minutes and end without a word."""
    scenario = Scenario(limits=Limits(connection=7200), go_away=GoAway(times=0))
    _world, heard, candidate = await talk(scenario, nursery, PREPPALD_ROTATE_AFTER="5m")
    await keep_silent(candidate, 280)
    assert len(heard.setups) == 1
    await keep_silent(candidate, 30)
    assert len(heard.setups) == 2
    assert heard.handles[2] is not None


async def test_an_old_connection_without_a_handle_is_kept(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A fresh session would know less: while nothing forces us out we stay."""
    scenario = Scenario(limits=Limits(connection=7200), go_away=GoAway(times=0), reply=(Reply(text="Hi."),))
    world, heard, candidate = await talk(scenario, nursery, PREPPALD_ROTATE_AFTER="30s")
    world.parts().client._handle = None
    await keep_silent(candidate, 60)
    assert len(heard.setups) == 1


async def test_nothing_that_an_old_connection_still_says_is_heard(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Cut in the middle of a reply, the old connection has seconds of voice on its way."""
    scenario = Scenario(
        limits=MINUTE,
        go_away=GoAway(before=6),  # with the margin: the last moment is a second later
        reply=(Reply(text="Hello.", seconds=1.0), Reply(text="A long story.", seconds=90.0)),
        speech=("Yes.",),
    )
    world, heard, candidate = await talk(scenario, nursery)
    await keep_silent(candidate, 40)
    await speak(candidate, 2, pause=1)
    with trio.fail_after(60):
        while len(heard.setups) < 2:
            await keep_silent(candidate, 0.1)
    at_change = len(candidate.audio)
    await keep_silent(candidate, 0.4)
    assert len(candidate.audio) == at_change
    go_on = interviewer.go_on("Yes.", "A long story.")
    assert heard.prompts[1:] == [(2, go_on)], "the interviewer was broken off, and is asked on"
    assert world.events("upstream.failed") == []


async def test_the_setup_is_the_same_and_only_the_handle_is_new(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Merged configurations are refused: what is resumed is asked for in the same words."""
    _world, heard, candidate = await talk(Scenario(limits=MINUTE, go_away=NOTICE), nursery)
    await keep_silent(candidate, 60)
    # The brief may tell how many minutes are left.
    own = {"sessionResumption": None, "systemInstruction": None}
    first, second = ({**heard.setups[number], **own} for number in (1, 2))
    assert first == second
    assert heard.handles[1] is None
    assert heard.handles[2]
    assert "contextWindowCompression" in first
