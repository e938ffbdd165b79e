"""Ten thousand thinking pauses of 10 to 180 s, and stuck models among them: the rules alone, in virtual time.

Whole interviews are drawn from a seed: with and without voice activity events, in quiet and in noise at 20, 10 and 0 dB,
with coughs, with late words, and with an echo of the interviewer in the candidate's microphone. The pauses are those
of ``core.evidence``: before the first word of an answer, after Gemini chose to wait, under hold, and within an answer
where PREPPALD_VAD_SILENCE is long. No prompt and no change of connection may come into one; every stuck model is
met with the remedy that works by 15 s. The test draws a tenth of them; ``python -m tests.test_pauses`` draws all (or as
many as it is told, of a seed: ``--pauses 2000 --seed 7``), prints the confusion table, and fails where the test would.
"""

import argparse
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
import math
import random

import pytest

from preppald.core.conversation import Conversation
from preppald.core.ear import Ear
from preppald.core.effects import Asked, Leave, Prompt, Remark, SessionEffect
from preppald.core.events import (
    AudioSpoken,
    Event,
    ReplyBegan,
    ReplyGenerated,
    SpeechBegan,
    SpeechEnded,
    TextHeard,
    TextSpoken,
    TurnCompleted,
    UpstreamLost,
    UpstreamReady,
    UpstreamResumed,
    WaitingForInput,
)
from preppald.core.evidence import Evidence
from preppald.core.frames import OUTPUT_BYTES_PER_SECOND
from preppald.core.hold import HOLD_SECONDS, Hold
from preppald.core.patience import Patience, answer_seconds
from preppald.core.stage import Stage
from preppald.core.watchdog import Snapshot, Watchdog
from tests.core.test_ear import SAMPLES, louder, mixed, noise, sample

PAUSES = 10_000
PAUSES_IN_THE_TEST = 1_000
PAUSES_AN_INTERVIEW = 20
SHORTEST, LONGEST = 10.0, 180.0
# One in so many answers meets a model that is stuck.
STUCK_ONE_IN = 4
REMEDY_BY_SECONDS = 15.0
BLOCK = 3_200
BLOCK_SECONDS = 0.1
MODEL = "gemini-3.8-live"

MARKS = ("with activity", "without")

Blocks = tuple[bytes, ...]


def blocks(pcm: bytes) -> Blocks:
    return tuple(pcm[at : at + BLOCK] for at in range(0, len(pcm) - BLOCK + 1, BLOCK))


@cache
def room(ratio_db: int | None, *, pink: bool) -> tuple[Blocks, Blocks]:
    """Twenty seconds of a room without speech, and the committed answer in it."""
    speech = sample(SAMPLES[0])
    if ratio_db is None:
        return blocks(bytes(20 * 32_000)), blocks(speech.tobytes())
    rms = math.sqrt(sum(value * value for value in speech) / len(speech))
    sound = louder(noise(20, 100, pink=pink), rms / 10 ** (ratio_db / 20) / 100)
    return blocks(sound.tobytes()), blocks(mixed(speech, sound))


@cache
def cough() -> Blocks:
    return blocks(louder(noise(0.4, 100, pink=True, seed=4), 40).tobytes())


@dataclass
class Interview:
    """One interview's rules, driven second by second. ``table``: what was seen, over all interviews."""

    chance: random.Random
    table: Counter[tuple[str, str]]
    remedies: list[tuple[str, str, float]]
    now: float = 0.0
    wanted: Stage | None = None
    acts: list[tuple[float, SessionEffect]] = field(default_factory=list)

    def __post_init__(self) -> None:
        chance = self.chance
        self.activity = chance.random() < 0.5
        self.silence = chance.choice([1.2, 1.2, 10.0])
        self.ratio = ratio = chance.choice([None, None, 20, 10, 0])
        self.quiet, self.speech = room(ratio, pink=ratio is not None and chance.random() < 0.5)
        ear = Ear()
        self.conversation = Conversation(epoch_ms=0, ear=ear)
        self.hold = Hold(ear)
        self.evidence = Evidence(ear, self.hold, self.conversation, silence=self.silence)
        self.watchdog = Watchdog(60.0, Patience(answer_seconds(MODEL, "", self.silence)))
        self.next_look = 1.0
        self.place = 0
        self.resumed = False
        self.answers = 0
        self.mark = MARKS[0] if self.activity else MARKS[1]

    # ------------------------------------------------------------ time and sound

    def step(self, block: bytes) -> None:
        self.now += BLOCK_SECONDS
        self.evidence.hear(block, self.now)
        if self.hold.on:
            self.hold.hear(block, self.now)
            self.hold.release()
        if self.now >= self.next_look:
            self.next_look += 1.0
            self.look()

    def rest(self, seconds: float) -> None:
        """Nobody speaks."""
        for _ in range(round(seconds / BLOCK_SECONDS)):
            self.place = (self.place + 1) % len(self.quiet)
            self.step(self.quiet[self.place])

    def speak(self, seconds: float) -> None:
        """The candidate speaks, or the interviewer is heard in the candidate's microphone."""
        start = self.chance.randrange(3)
        for number in range(round(seconds / BLOCK_SECONDS)):
            self.step(self.speech[(start + number) % len(self.speech)])

    def cough(self) -> None:
        if self.activity and self.chance.random() < 0.5:
            self.happen(SpeechBegan())
        for block in cough():
            self.step(block)
        if self.activity and self.conversation.candidate_speaking:
            self.rest(0.5)
            self.happen(SpeechEnded())

    def happen(self, *events: Event) -> None:
        for event in events:
            if isinstance(event, UpstreamLost):
                self.evidence.lose(self.now)
            for effect in self.conversation.receive(event, self.now):
                if isinstance(effect, ReplyBegan):
                    self.watchdog.answered()
                    self.evidence.replied()
                    self.resumed = False
            self.evidence.note(event, self.now)

    def look(self) -> None:
        seen = Snapshot(
            connected=True,
            gap=0.0,
            fed_at=self.now,
            left_at=None,
            floor=self.evidence.read(self.now),
            holding=self.hold.on,
            begun=self.conversation.begun,
            resumed=self.resumed,
            leave=None,
            opening="opening",
            nudge="nudge",
            interrupted_at=self.evidence.interrupted_at,
            heard=self.conversation.last_heard,
        )
        for effect in [*self.hold.look(self.now), *self.watchdog.look(self.now, seen)]:
            self.acts.append((self.now, effect))
            if isinstance(effect, Asked):
                self.evidence.asked(self.now)

    # ------------------------------------------------------------ what people do

    def ask(self) -> None:
        """The interviewer asks a question, and is heard out."""
        seconds = self.chance.uniform(1.5, 4.0)
        voice = bytes(round(seconds * 24_000) * 2)
        assert len(voice) / OUTPUT_BYTES_PER_SECOND > 1
        self.happen(AudioSpoken(voice), TextSpoken("And then?"), ReplyGenerated())
        (self.speak if self.chance.random() < 0.2 else self.rest)(seconds + 0.1)
        self.happen(TurnCompleted())
        if self.answers and self.chance.random() < 0.1 and not self.activity:
            self.rest(self.chance.uniform(0.1, 2.0))
            self.happen(TextHeard(" late"))

    def answer(self, seconds: float) -> float:
        """The candidate speaks, and Gemini notices; when the voice ended."""
        self.answers += 1
        if self.activity:
            self.rest(0.1)
            self.happen(SpeechBegan())
        self.speak(seconds)
        ended = self.now
        # At 0 dB a short answer that Gemini did not transcribe either cannot be told from the noise.
        if self.chance.random() < 0.8 or self.ratio == 0:
            self.happen(TextHeard("I did this."))
        if self.activity:
            self.rest(min(self.silence, 1.5))
            self.happen(SpeechEnded())
        return ended

    def pause(self) -> None:
        kinds = ["before", "waits", "hold", *(["inside"] if self.silence >= SHORTEST else [])]
        kind = self.chance.choice(kinds)
        # As many of 10 to 20 s as of 90 to 180.
        seconds = math.exp(self.chance.uniform(math.log(SHORTEST), math.log(LONGEST)))
        if kind == "waits":
            self.answer(self.chance.uniform(1.0, 3.0))
            self.rest(0.5)
            self.happen(TurnCompleted(), WaitingForInput())
        elif kind == "hold":
            self.hold.ask(self.now, on=True)
            seconds = min(seconds, HOLD_SECONDS - 5)
        elif kind == "inside":
            # Shorter than the silence that ends an answer: Gemini says nothing of it.
            seconds = SHORTEST
            if self.activity:
                self.happen(SpeechBegan())
            self.speak(self.chance.uniform(1.5, 5.0))
            if self.chance.random() < 0.5:
                self.happen(TextHeard("I did"))
        self.acts.clear()
        # After three minutes in which neither spoke the candidate is asked for a sign of life.
        silent = self.now - self.evidence.read(self.now).since
        seconds = min(seconds, LONGEST - silent)
        if kind != "inside" and self.chance.random() < 0.2:
            self.rest(seconds / 2)
            self.cough()
            self.rest(seconds / 2 - 1)
        else:
            self.rest(seconds)
        self.table[f"pause, {kind}, {self.mark}", self.verdict()] += 1
        if kind == "inside" and self.activity:
            self.speak(1.0)
            self.happen(SpeechEnded())

    def verdict(self) -> str:
        for _, effect in self.acts:
            if isinstance(effect, Prompt):
                return "prompted"
            if isinstance(effect, Leave):
                return "changed"
        return "left alone"

    # ------------------------------------------------------------ stuck models

    def stuck(self) -> None:
        """A model that says nothing, or stops in the middle; one remedy works, and is waited for."""
        kind = self.chance.choice(["silent", "stalled"])
        ended = self.answer(self.chance.uniform(1.5, 6.0))
        self.acts.clear()
        if kind == "stalled":
            self.rest(1.0)
            self.happen(AudioSpoken(bytes(48_000)), TextSpoken("Well,"))
            ended = self.now + 1.0
        works = self.chance.choice([Stage.NUDGE, Stage.ROTATE])
        while self.now < ended + 40:
            self.rest(1.0)
            done = [at for at, effect in self.acts if effect == Remark(works)]
            if any(isinstance(effect, Leave) for _, effect in self.acts):
                self.change()
            if done:
                self.remedies.append((f"stuck, {kind}, {self.mark}", works, done[0] - ended - self.slack))
                return
        self.remedies.append((f"stuck, {kind}, {self.mark}", works, math.inf))  # noqa: TID251 - never

    @property
    def slack(self) -> float:
        """A longer PREPPALD_VAD_SILENCE gives the model as much more time."""
        return answer_seconds(MODEL, "", self.silence) - answer_seconds(MODEL, "", 1.2)

    def change(self) -> None:
        self.acts[:] = [(at, effect) for at, effect in self.acts if not isinstance(effect, Leave)]
        self.happen(UpstreamLost())
        self.rest(0.5)
        self.happen(UpstreamReady() if self.evidence.prompt_due(self.now) else UpstreamResumed())


def simulate(seed: int, pauses: int) -> tuple[Counter[tuple[str, str]], list[tuple[str, str, float]]]:
    table: Counter[tuple[str, str]] = Counter()
    remedies: list[tuple[str, str, float]] = []
    for number in range(pauses // PAUSES_AN_INTERVIEW):
        interview = Interview(random.Random(seed * 1_000_003 + number), table, remedies)
        interview.happen(UpstreamReady())
        interview.ask()
        # An ear takes ten seconds to know a machine from a voice.
        interview.rest(12)
        for _ in range(PAUSES_AN_INTERVIEW):
            interview.pause()
            if interview.chance.randrange(STUCK_ONE_IN):
                interview.answer(interview.chance.uniform(1.5, 6.0))
                interview.rest(interview.chance.uniform(0.3, 3.0))
            else:
                interview.stuck()
            interview.ask()
    for kind, works, after in remedies:
        table[f"{kind}, {works} works", "by 15 s" if after <= REMEDY_BY_SECONDS else "later"] += 1
    return table, remedies


def shown(table: Counter[tuple[str, str]]) -> str:
    columns = ("left alone", "prompted", "changed", "by 15 s", "later")
    lines = [f"{'':44}" + "".join(f"{column:>12}" for column in columns)]
    lines += [
        f"{row:44}" + "".join(f"{table[row, column] or '':>12}" for column in columns)
        for row in sorted({row for row, _ in table})
    ]
    return "\n".join(lines)


ROWS = {
    *(f"pause, {kind}, {mark}" for kind in ("before", "waits", "hold", "inside") for mark in MARKS),
    *(
        f"stuck, {kind}, {mark}, {works} works"
        for kind in ("silent", "stalled")
        for mark in MARKS
        for works in (Stage.NUDGE, Stage.ROTATE)
    ),
}


def check(table: Counter[tuple[str, str]], remedies: list[tuple[str, str, float]], pauses: int) -> None:
    """Fail where a pause was not left alone, or a stuck model was met too late."""
    seen = Counter[str]()
    for (_, verdict), count in table.items():
        seen[verdict] += count
    assert seen["left alone"] == pauses
    assert seen["prompted"] == seen["changed"] == seen["later"] == 0, shown(table)
    assert len(remedies) > pauses / 10
    # Each kind of pause and of stuck model was drawn, with and without voice activity.
    assert {row for row, _ in table} == ROWS


@pytest.mark.slow
def test_pauses_are_left_alone_and_stuck_models_are_met_in_time() -> None:
    table, remedies = simulate(seed=1, pauses=PAUSES_IN_THE_TEST)
    print(shown(table))  # noqa: T201 - the confusion table
    check(table, remedies, PAUSES_IN_THE_TEST)


def main() -> None:
    """Draw all the pauses of a seed, and print what became of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.test_pauses", description=main.__doc__)
    parser.add_argument("--pauses", type=int, default=PAUSES, help="how many (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    pauses = arguments.pauses // PAUSES_AN_INTERVIEW * PAUSES_AN_INTERVIEW
    table, remedies = simulate(arguments.seed, pauses)
    slowest = max(after for *_, after in remedies)
    print(shown(table))  # noqa: T201
    print(f"{pauses} pauses, {len(remedies)} stuck models, the slowest remedy after {slowest:.1f} s")  # noqa: T201
    check(table, remedies, pauses)


if __name__ == "__main__":
    main()
