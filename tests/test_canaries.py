"""What is secret and what was said leaves by the ways it is meant for, and by no other.

Canaries go through every path, failures included; then everything that was written is searched for them.
"""

from collections.abc import Callable, Sequence
import contextlib
import io
import json
import logging
from typing import NoReturn

import pytest
import trio
from websockets.exceptions import InvalidState

from preppald.core import closes, tokens as auth
from preppald.core.conversation import Conversation
from preppald.core.events import AudioHeard, Event, HandleGiven, Keep, TextHeard, TextSpoken, UpstreamReady
from preppald.core.tokens import TokenRules, verify
from preppald.errors import TokenError
from preppald.gemini.connection import UpstreamError
from preppald.simulator import Scenario
from preppald.simulator.faults import Close, Drop, Send
from preppald.simulator.scenario import Reply
from preppald.telemetry import logs
from tests.candidates import Candidate
from tests.world import World

JWT_SECRET = "canary-jwt-secret-0123456789-0123456789"
WORKER_SECRET = "canary-worker-secret-0123456789-012345"
API_KEY = "canary-api-key-0123456789"
SPOKEN = "canaryspoken"
HEARD = "canaryheard"
SETTINGS = {
    "JWT_SECRET": JWT_SECRET,
    "WORKER_SHARED_SECRET": WORKER_SECRET,
    "GEMINI_API_KEY": API_KEY,
    "PREPPALD_LOG_LEVEL": "debug",
}
REPLY = (Reply(text=f"Tell me {SPOKEN} more.", seconds=0.5),)
SPEECH = (f"I am {HEARD}.",) * 9


class Paper(World):
    """A world whose log is written as it is in a daemon: JSON lines at level debug, tracebacks and all."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(SETTINGS, scenario)
        self.paper = io.StringIO()
        self.tokens: list[str] = []
        self._log, self._close = logs.configure("json", "debug", self.paper)
        for part in (self.services, self.outbox, self.journal):
            name = "log" if part is self.services else "_log"
            object.__setattr__(part, name, self._log)

    def token(self, interview_id: str = "iv-1", user_id: str = "user-1", lifetime: int = 300) -> str:
        now = self.now_ms() // 1000
        token = auth.sign(JWT_SECRET, user_id=user_id, interview_id=interview_id, now=now, lifetime=lifetime)
        self.tokens.append(token)
        return token

    def written(self) -> str:
        """The whole log and all metrics."""
        self._close()
        return self.paper.getvalue() + self.metrics.exposition().decode()


def assert_silent(text: str, tokens: Sequence[str] = ()) -> None:
    """No canary is in it; of a token not even its parts."""
    for canary in (JWT_SECRET, WORKER_SECRET, API_KEY, SPOKEN, HEARD):
        assert canary not in text
    for token in tokens:
        for part in token.split(".")[1:]:
            assert part not in text


async def talk(world: Paper, candidate: Candidate) -> None:
    with trio.move_on_after(15):
        await candidate.heard_out()
        await candidate.speak(2)
        await candidate.heard_out()


async def ends_well(world: Paper, nursery: trio.Nursery) -> None:
    candidate = await world.candidate()
    await talk(world, candidate)
    assert SPOKEN in candidate.text("AI")
    assert HEARD in candidate.text("USER")
    await candidate.end()
    await candidate.closed()


async def is_refused(world: Paper, nursery: trio.Nursery) -> None:
    """Bad tokens by every way in."""
    for token in (world.token()[:-3], world.token("iv-2"), f"{world.token()}.{world.token()}", "a.b.c"):
        for headers in ({}, {"Authorization": f"Bearer {token}"}):
            await Candidate(world.connection()).open(f"/iv-1?token={token}", token, **headers)
    world.wall_offset_ms += 10_000_000


async def sends_garbage(world: Paper, nursery: trio.Nursery) -> None:
    """What was said, in messages that cannot be read."""
    candidate = await world.candidate()
    await talk(world, candidate)
    for _ in range(10):
        await candidate.send_text(f"{HEARD} {SPOKEN}")
    await candidate.closed()


def boom(*_arguments: object, **_named: object) -> NoReturn:
    raise ZeroDivisionError


async def meets_a_bug(world: Paper, nursery: trio.Nursery) -> None:
    """In the very step that has the words in its hands."""
    candidate = await world.candidate()
    await candidate.heard_out()
    world.parts().seat.show = boom  # type: ignore[method-assign]
    with contextlib.suppress(InvalidState, trio.BrokenResourceError):
        await candidate.speak(2, pause=5)
    await candidate.closed()


async def meets_a_bug_at_the_door(world: Paper, nursery: trio.Nursery) -> None:
    world.registry.session_for = boom  # type: ignore[method-assign]
    candidate = Candidate(world.connection())
    with pytest.raises(AssertionError, match="closed before it answered"):
        await candidate.open(f"/iv-1?token={world.token()}", world.token())


async def loses_gemini(world: Paper, nursery: trio.Nursery) -> None:
    candidate = await world.candidate()
    await candidate.heard_out()
    world.dial_failures = [UpstreamError(closes.REFUSED) for _ in range(50)]
    with contextlib.suppress(InvalidState, trio.BrokenResourceError):
        await candidate.speak(2, pause=60)
    await candidate.closed()


async def is_closed_on(world: Paper, nursery: trio.Nursery) -> None:
    """Again and again, with words of Gemini's own."""
    candidate = await world.candidate()
    await trio.sleep(100)
    assert world.dials > 1
    assert not candidate.text("USER")


async def loses_the_backend(world: Paper, nursery: trio.Nursery) -> None:
    world.backend.post = boom  # type: ignore[method-assign]
    await ends_well(world, nursery)


async def vanishes(world: Paper, nursery: trio.Nursery) -> None:
    candidate = await world.candidate()
    await talk(world, candidate)
    await candidate.vanish()
    await trio.sleep(70)


QUIET = Scenario(reply=REPLY, speech=SPEECH)
DROPS = Scenario(reply=REPLY, speech=SPEECH, fault=(Drop(at="generating", turn=2),))
# A close reason is Gemini's to choose; it once quoted what it was sent.
CLOSES = Scenario(
    reply=REPLY,
    speech=SPEECH,
    fault=(Close(code=1007, reason=f"Request contains: key {API_KEY}", at="generating", connection="all"),),
)
ODD = Scenario(
    reply=REPLY,
    speech=SPEECH,
    fault=(
        Send(json=json.dumps({"serverContent": {"outputTranscription": {"text": [SPOKEN]}}}), at="ready"),
        Send(json=json.dumps({"error": {"message": f"{API_KEY} {HEARD}"}}), at="ready"),
    ),
)
PATHS: list[tuple[Scenario, Callable[[Paper, trio.Nursery], object]]] = [
    (QUIET, ends_well),
    (QUIET, is_refused),
    (QUIET, sends_garbage),
    (QUIET, meets_a_bug),
    (QUIET, meets_a_bug_at_the_door),
    (DROPS, loses_gemini),
    (CLOSES, is_closed_on),
    (ODD, ends_well),
    (QUIET, loses_the_backend),
    (QUIET, vanishes),
]


@pytest.mark.parametrize(
    ("scenario", "path"), PATHS, ids=[f"{number} {path.__name__}" for number, (_, path) in enumerate(PATHS)]
)
async def test_nothing_secret_and_nothing_said_is_in_the_log_or_the_metrics(
    nursery: trio.Nursery,
    autojump_clock: object,
    scenario: Scenario,
    path: Callable[[Paper, trio.Nursery], object],
) -> None:
    """On no path through an interview, at level debug."""
    world = Paper(scenario)
    await world.start(nursery)
    await path(world, nursery)  # type: ignore[misc]
    await trio.sleep(12)
    written = world.written()
    assert "preppald_sessions_live" in written
    assert_silent(written, world.tokens)


def test_a_traceback_holds_no_words() -> None:
    """Even with the events of a whole talk in its exception."""
    conversation = Conversation(epoch_ms=0)
    conversation.receive(UpstreamReady(), 0)
    events: list[Event] = [TextSpoken(f"x {SPOKEN}"), TextHeard(f"x {HEARD}")]
    effects = [effect for event in events for effect in conversation.receive(event, 1)]
    assert any(isinstance(effect, Keep) for effect in effects)
    assert_silent(repr(events) + repr(effects) + repr(conversation.turns))
    assert_silent(repr([AudioHeard(HEARD.encode()), HandleGiven(API_KEY)]))


def test_a_token_that_is_refused_is_not_quoted() -> None:
    """By no reason that there is."""
    with pytest.raises(TokenError) as refusal:
        verify(f"{API_KEY}.{HEARD}.{SPOKEN}", TokenRules((JWT_SECRET,)), now=1)
    assert_silent(str(refusal.value))


def test_libraries_that_talk_are_kept_short(capsys: pytest.CaptureFixture[str]) -> None:
    """At debug they print headers, and with them the key: their warnings come through, nothing below."""
    paper = io.StringIO()
    _, close = logs.configure("json", "debug", paper)
    try:
        for name in logs.TALKATIVE_LIBRARIES:
            logging.getLogger(name).debug("header x-goog-api-key: %s", API_KEY)
            logging.getLogger(f"{name}.client").info("GET /?token=%s", API_KEY)
    finally:
        close()
    output = capsys.readouterr()
    assert_silent(paper.getvalue() + output.out + output.err)
