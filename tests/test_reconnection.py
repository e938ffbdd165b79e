"""A candidate who loses the connection: how soon it is noticed, who may come back, and what they find."""

import pytest
import trio
import trio.testing

from preppald.browser.seat import ANSWER_SECONDS, PING_SECONDS, SILENT_SECONDS
from preppald.core import closes
from preppald.gemini.connection import UpstreamError
from preppald.simulator.faults import Drop
from preppald.simulator.scenario import Reply, Scenario
from tests.candidates import Candidate
from tests.overheard import Overheard, keep_silent, overhear, speak
from tests.world import World

LINES = (
    Reply(text="Hello.", seconds=1.0),
    Reply(text="a b c d e f g h i j k l m n o p q r s t u v w x y z", seconds=20.0),
)


async def interview(
    nursery: trio.Nursery, scenario: Scenario | None = None, **settings: str
) -> tuple[World, Overheard, Candidate, str]:
    """An interview whose greeting has been heard out, and its token."""
    scenario = scenario or Scenario(reply=LINES)
    world = World(settings, scenario)
    heard = overhear(world, scenario)
    await world.start(nursery)
    token = world.token()
    candidate = await world.candidate(token=token)
    await candidate.heard_out()
    return world, heard, candidate, token


def seqs(candidate: Candidate) -> list[int]:
    updates = [message.transcript_update for message in candidate.messages]
    return [update.seq for update in updates if update.seq]


# ------------------------------------------------------------------ noticing


async def test_pings_go_out_every_fifteen_seconds_also_while_the_candidate_speaks(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A proxy ends connections on which the daemon says nothing for a minute: a long answer is one."""
    _world, _heard, candidate, _token = await interview(nursery)
    await speak(candidate, 60)
    apart = [later - sooner for sooner, later in zip(candidate.pings, candidate.pings[1:], strict=False)]
    assert len(candidate.pings) >= 4
    assert apart == pytest.approx([15.0] * len(apart), abs=1.01)


async def test_a_peer_that_is_silent_for_25_seconds_is_gone(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A laptop that sleeps sends no FIN. Its seat is free then, and the grace begins."""
    world = World({}, Scenario(reply=LINES))
    await world.start(nursery)
    sleeper = Candidate(world.connection())
    await sleeper.open("/iv-1", world.token())
    began = trio.current_time()
    await trio.sleep(24)
    assert world.registry.waiting == 0
    await trio.sleep(2.1)
    assert world.registry.waiting == 1
    assert world.events("browser.left")[0]["code"] == 1006
    await trio.sleep(61)
    assert world.events("session.ended")[0]["ending"] == "candidate_gone"
    assert trio.current_time() - began < 90


async def test_nobody_is_silent_while_the_daemon_is_stopped(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """SIGSTOP for 40 s: what was sent meanwhile is in the socket, and is read before silence is judged."""
    world, _heard, candidate, _token = await interview(nursery)
    await trio.sleep(20)
    nursery.start_soon(candidate.send_audio, bytes(640))
    autojump_clock.jump(40)
    await trio.sleep(10)
    assert candidate.close is None
    assert world.events("browser.left") == []


@pytest.mark.parametrize("seconds", [26.0, 60.0, 600.0])
async def test_who_was_not_asked_is_not_silent(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, seconds: float
) -> None:
    """SIGSTOP while the microphone is muted: a page that says nothing of itself was taken for gone, without a ping."""
    world, _heard, candidate, _token = await interview(nursery)
    await trio.sleep(PING_SECONDS + 5)
    autojump_clock.jump(seconds)
    await trio.sleep(SILENT_SECONDS + 5)
    assert candidate.close is None
    assert world.events("browser.left") == []


async def test_who_was_asked_and_answers_nothing_is_gone_after_a_stop_too(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    world = World({}, Scenario(reply=LINES))
    await world.start(nursery)
    sleeper = Candidate(world.connection())
    await sleeper.open("/iv-1", world.token())
    await trio.sleep(ANSWER_SECONDS)
    autojump_clock.jump(60)
    await trio.sleep(ANSWER_SECONDS + 3)
    assert world.registry.waiting == 1


async def test_a_peer_that_only_answers_pings_stays(nursery: trio.Nursery, autojump_clock: object) -> None:
    """A muted microphone is no lost connection."""
    world, _heard, candidate, _token = await interview(nursery)
    await trio.sleep(120)
    assert candidate.close is None
    assert world.events("browser.left") == []


# ------------------------------------------------------------------ the grace


async def test_gemini_is_held_with_silence_while_nobody_is_there(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Without input Gemini would abort, and its ear would wait for the end of what was being said."""
    _world, heard, candidate, _token = await interview(nursery)
    before = len(heard.all_audio)
    await candidate.vanish()
    await trio.sleep(30)
    streamed = heard.all_audio[before:]
    assert len(streamed) / 32_000 == pytest.approx(30, abs=2)
    assert not any(streamed)


async def test_the_clock_goes_on_while_nobody_is_there(nursery: trio.Nursery, autojump_clock: object) -> None:
    """It is the candidate's line, not Gemini's: no credit."""
    world, _heard, candidate, token = await interview(nursery)
    first = candidate.messages[0].session_started.remaining_ms
    await candidate.vanish()
    await trio.sleep(40)
    again = await world.candidate(token=token)
    started = (await again.until("session_started")).session_started
    assert first - started.remaining_ms >= 40_000
    assert world.events("time.credited") == []


async def test_after_the_grace_the_partial_transcript_is_delivered_and_the_door_is_shut(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A candidate who returns too late is told so, by a code that a page can read; the old token is enough."""
    world, _heard, candidate, token = await interview(nursery, PREPPALD_RECONNECT_GRACE="30s")
    await candidate.vanish()
    await trio.sleep(29)
    assert world.events("session.ended") == []
    await trio.sleep(3)
    assert world.events("session.ended")[0]["ending"] == "candidate_gone"
    await world.outbox.drained(trio.current_time() + 10)
    assert world.backend.received("iv-1") == ["IN_PROGRESS", [("AI", "Hello.")]]
    for wait in (0, 600):  # the token lives five minutes
        await trio.sleep(wait)
        late = await world.candidate(token=token)
        assert await late.closed() == (4410, "Interview already ended")


# ------------------------------------------------------------------ coming back


async def test_the_own_token_reattaches_even_when_it_has_expired(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The application signs for interviews that have not begun: there is no second token."""
    world, _heard, candidate, token = await interview(nursery)
    await keep_silent(candidate, 400)
    await candidate.vanish()
    await trio.sleep(5)
    again = await world.candidate(token=token)
    assert again.status == 101
    started = (await again.until("session_started")).session_started
    assert started.resumed
    assert started.interview_id == "iv-1"


async def test_another_token_that_has_expired_does_not(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Only the token that opened the interview outlives its date."""
    world, _heard, candidate, _token = await interview(nursery)
    other = world.token(lifetime=200)
    await keep_silent(candidate, 300)
    await candidate.vanish()
    await trio.sleep(1)
    stranger = Candidate(world.connection())
    assert await stranger.open("/iv-1", other) == 401


async def test_another_users_token_does_not(nursery: trio.Nursery, autojump_clock: object) -> None:
    world, _heard, candidate, _token = await interview(nursery)
    await candidate.vanish()
    await trio.sleep(1)
    stranger = Candidate(world.connection())
    assert await stranger.open("/iv-1", world.token(user_id="user-2")) == 403


@pytest.mark.parametrize("away", [0.0, 1.0, 8.0])
async def test_what_was_said_meanwhile_is_replayed_once_and_in_order(
    away: float, nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Gone and back in the middle of a reply, whose text goes on arriving during the replay."""
    world, _heard, candidate, token = await interview(nursery)
    await speak(candidate, 2, pause=3)
    await candidate.vanish()
    await trio.sleep(away)
    last = seqs(candidate)[-1]
    again = await world.candidate(token=token, since=last)
    await again.heard_out()
    assert again.kinds()[0] == "session_started"
    assert seqs(again) == list(range(last + 1, last + 1 + len(seqs(again))))
    assert candidate.text("AI") + again.text("AI") == "".join(line.text for line in LINES)


async def test_audio_goes_on_in_both_directions(nursery: trio.Nursery, autojump_clock: object) -> None:
    world, heard, candidate, token = await interview(nursery)
    await candidate.vanish()
    await trio.sleep(10)
    again = await world.candidate(token=token, since=seqs(candidate)[-1])
    await speak(again, 2)
    await again.heard_out()
    assert again.audio
    assert "2.0 s of speech" in again.text("USER")
    assert len(heard.setups) == 1, "Gemini never noticed"


async def test_without_since_nothing_is_replayed(nursery: trio.Nursery, autojump_clock: object) -> None:
    """The existing page does not ask, and would show everything twice."""
    world, _heard, candidate, token = await interview(nursery)
    await candidate.vanish()
    await trio.sleep(2)
    again = await world.candidate(token=token)
    await trio.sleep(2)
    assert again.kinds() == ["session_started"]


async def test_the_newest_connection_takes_over(nursery: trio.Nursery, autojump_clock: object) -> None:
    """The page was reloaded before the old connection was missed."""
    world, heard, candidate, token = await interview(nursery)
    again = await world.candidate(token=token)
    assert await candidate.closed() == (4409, "Replaced by a newer connection")
    await again.until("session_started")
    assert again.close is None
    assert len(heard.setups) == 1


async def test_who_returns_while_gemini_is_away_learns_that_it_is(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Both ends lost at once, as when the host's network goes: the page must not wait for a start that was."""
    scenario = Scenario(reply=LINES, fault=(Drop(at="turn-complete", turn=1, after=2.0),))
    world, _heard, candidate, token = await interview(nursery, scenario)
    world.dial_failures += [UpstreamError(closes.REFUSED) for _ in range(7)]
    await keep_silent(candidate, 5)
    await candidate.vanish()
    await trio.sleep(1)
    again = await world.candidate(token=token, since=seqs(candidate)[-1])
    started = await again.until("session_started", seconds=0.5)
    assert started.session_started.resumed
    notices = [message.notice.kind for message in again.messages if message.HasField("notice")]
    assert notices == [1]
    await again.until(lambda message: message.notice.kind == 2)
    assert again.kinds().count("session_started") == 1
