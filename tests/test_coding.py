"""One connection's Opus: what leaves is what came, in its order, through every change of mind."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from hypothesis import example, given, settings, strategies as st
import pytest
import structlog
import trio

from preppald.audio.opus import Decoder
from preppald.browser import coding
from preppald.browser.coders import PACE_SECONDS, Coders, found
from preppald.browser.coding import LATE_SECONDS, Coder, Job
from preppald.browser.pacing import LEAD_SECONDS, MOST_SECONDS, Pace
from preppald.net.ticker import SLOWEST_ROUND_SECONDS, Ticker
from preppald.pb.interview_pb2 import ServerToClientMessage
from preppald.telemetry.metrics import Metrics
from tests.coders import VOICES, the_library, voice
from tests.durable import inline

MS = 48  # bytes of PCM at 24 kHz


@dataclass
class Line:
    """A page's end: what was sent to it, as sound. Its rounds are made when the test says so."""

    metrics: Metrics = field(default_factory=Metrics)
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    enlisted: list[Coder] = field(default_factory=list)
    paced: list[Coder] = field(default_factory=list)
    now: float = 100.0

    def __post_init__(self) -> None:
        self.decoder = Decoder(the_library(), 24_000)
        self.coder = Coder(
            the_library(),
            self.metrics,
            self._post,
            self.enlisted.append,
            pace=self.paced.append,
            clock=lambda: self.now,
        )

    def _post(self, message: bytes) -> None:
        response = ServerToClientMessage.FromString(message).audio_response
        if response.packets:
            self.sent.append(("opus", b"".join(map(self.decoder.decode, response.packets))))
        else:
            self.decoder.restart()
            self.sent.append(("pcm", response.audio_content))

    def play(self, pcm: bytes) -> None:
        """As Browser.play does."""
        if not self.coder.play(pcm):
            self.decoder.restart()
            self.sent.append(("pcm", pcm))

    def interrupt(self) -> None:
        self.coder.drop()
        self.decoder.restart()

    def begin(self) -> Callable[[], None]:
        """A thread takes its job; the result brings the packets."""
        self.enlisted.clear()
        job = self.coder.job()
        packets = None if job is None else job.packets()

        def end() -> None:
            if job is not None:
                self.coder.made(job, packets)

        return end

    def work(self) -> None:
        """Make rounds until nothing is to be done, and nothing waits for its time."""
        while self.enlisted or self.paced:
            while self.enlisted:
                self.begin()()
            self.wait(PACE_SECONDS)

    def wait(self, seconds: float) -> None:
        """Let time pass, at whose end packets are looked at."""
        self.now += seconds
        paced, self.paced = self.paced, []
        self.paced += [coder for coder in paced if coder.release()]

    @property
    def ways(self) -> list[str]:
        return [way for at, (way, _) in enumerate(self.sent) if not at or self.sent[at - 1][0] != way]

    @property
    def sound(self) -> bytes:
        return b"".join(pcm for _, pcm in self.sent)


@cache
def marked(number: int, length_ms: int) -> bytes:
    """Sound of one loudness, which tells it from other pieces even after Opus: a buzz at 200 Hz."""
    wave = [(number + 1) * 701 * (1 if at // 60 % 2 else -1) for at in range(length_ms * 24)]
    return array("h", wave).tobytes()


def test_a_page_that_does_not_ask_for_packets_gets_its_pcm_at_once() -> None:
    line = Line()
    line.play(b"ab")
    line.coder.rest()
    line.work()
    assert line.sent == [("pcm", b"ab")]


def test_a_reply_comes_whole() -> None:
    """Also its last few milliseconds, which an encoder holds back."""
    line = Line()
    pcm = voice(VOICES[1], 24_000)
    line.coder.prefer(packets=True)
    for at in range(0, len(pcm), 41 * MS):
        line.play(pcm[at : at + 41 * MS])
        if at % 5 == 0:
            line.work()
    line.coder.rest()
    line.work()
    assert line.ways == ["opus"]
    assert 0 <= len(line.sound) - len(pcm) < 27 * MS
    assert line.metrics.registry.get_sample_value(
        "preppald_opus_audio_seconds_total", {"direction": "out"}
    ) == pytest.approx(len(pcm) / 48_000)


def test_a_change_of_codec_in_mid_sentence_loses_nothing() -> None:
    """Each way, with a job under way, and with two changes before it is done."""
    line = Line()
    line.play(marked(0, 100))
    line.coder.prefer(packets=True)
    line.play(marked(1, 130))
    end = line.begin()
    line.play(marked(2, 50))
    line.coder.prefer(packets=False)
    line.play(marked(3, 90))
    line.coder.prefer(packets=True)
    line.play(marked(4, 75))
    end()
    line.work()
    line.coder.prefer(packets=False)
    line.play(marked(5, 40))
    line.work()
    assert line.ways == ["pcm", "opus", "pcm", "opus", "pcm"]
    whole = b"".join(marked(number, ms) for number, ms in enumerate((100, 130, 50, 90, 75, 40)))
    assert 0 <= len(line.sound) - len(whole) < 2 * 27 * MS
    assert [pcm for way, pcm in line.sent if way == "pcm"] == [marked(0, 100), marked(3, 90), marked(5, 40)]


def test_what_was_spoken_over_is_never_heard() -> None:
    """Neither what waits, nor what a thread has, nor what the encoder holds back of it."""
    line = Line()
    line.coder.prefer(packets=True)
    line.play(marked(20, 130))
    end = line.begin()
    line.play(marked(20, 130))
    line.interrupt()
    end()
    line.work()
    assert line.sent == []
    line.play(marked(0, 60))
    line.coder.rest()
    line.work()
    assert 0 <= len(line.sound) - 60 * MS < 27 * MS
    assert max(array("h", line.sound)) < 4000


def sent_ahead(seconds: float) -> Line:
    """Return a page's line to which so much of the voice came at once, and was encoded."""
    line = Line()
    line.coder.prefer(packets=True)
    line.play(marked(0, round(seconds * 1000)))
    while line.enlisted:
        line.begin()()
    return line


def test_a_page_gets_the_voice_two_seconds_before_it_is_heard() -> None:
    """A packet more, for the last one begins within them."""
    line = sent_ahead(10.0)
    for passed in range(1, 9):
        ahead = len(line.sound) / 48_000 - (line.now - 100.0)
        assert LEAD_SECONDS - 2 * PACE_SECONDS < ahead < LEAD_SECONDS + 0.06
        while line.now < 100.0 + passed:
            line.wait(PACE_SECONDS)
    line.coder.rest()
    line.work()
    assert 0 <= len(line.sound) - 10_000 * MS < 27 * MS


def test_a_reply_without_an_end_does_not_wait_here() -> None:
    pace = Pace()
    pace.put([(b"packet", 0.06)] * 10_000)
    waiting = 10_000 - len(pace.take(0.0))
    assert waiting == pytest.approx(MOST_SECONDS / 0.06, abs=2)
    pace.drop()
    pace.put([(b"packet", 0.06)] * 100)
    assert len(pace.take(0.0)) == pytest.approx(LEAD_SECONDS / 0.06, abs=1)


def test_a_reply_after_a_silence_is_as_far_ahead_as_the_first() -> None:
    line = sent_ahead(1.0)
    line.now += 60
    line.play(marked(1, 10_000))
    while line.enlisted:
        line.begin()()
    assert len(line.sound) / 48_000 == pytest.approx(1.0 + LEAD_SECONDS, abs=0.07)


def test_what_waits_for_its_time_is_never_heard_if_it_is_spoken_over() -> None:
    line = sent_ahead(10.0)
    before = len(line.sound)
    line.interrupt()
    line.work()
    assert len(line.sound) == before
    line.play(marked(1, 10_000))
    while line.enlisted:
        line.begin()()
    assert (len(line.sound) - before) / 48_000 == pytest.approx(LEAD_SECONDS, abs=0.07), (
        "the page has nothing of the old"
    )


def test_a_page_that_wants_pcm_does_not_wait_for_the_packets_before_it() -> None:
    line = sent_ahead(10.0)
    line.coder.prefer(packets=False)
    line.play(marked(1, 100))
    while line.enlisted:
        line.begin()()
    assert line.ways == ["opus", "pcm"]
    assert 0 <= len(line.sound) - 10_100 * MS < 27 * MS


def test_a_page_that_changes_its_mind_without_sound_gets_none() -> None:
    line = Line()
    for wanted in (True, False, True, True, False, False):
        line.coder.prefer(packets=wanted)
        line.coder.rest()
        line.work()
    assert line.sent == []


Deed = tuple[str, int]
DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("play"), st.integers(1, 70)),
        st.tuples(st.sampled_from(["opus", "pcm", "rest", "begin", "end", "work"]), st.just(0)),
    ),
    max_size=40,
)


# The page says once more that it wants PCM, while a thread brings out the end of the packets.
SAID_TWICE = [("opus", 0), ("play", 68), ("work", 0), ("pcm", 0), ("play", 1), ("begin", 0), ("pcm", 0)]


@settings(max_examples=150)
@example(deeds=SAID_TWICE)
@given(deeds=DEEDS)
def test_sound_leaves_once_and_in_order_whatever_happens(deeds: list[Deed]) -> None:
    line = Line()
    end: Callable[[], None] | None = None
    played: list[bytes] = []
    for what, length in deeds:
        if what == "play":
            played.append(marked(len(played), length))
            line.play(played[-1])
        elif what in {"opus", "pcm"}:
            line.coder.prefer(packets=what == "opus")
        elif what == "rest":
            line.coder.rest()
        elif what == "begin" and end is None:
            end = line.begin()
        elif what == "end" and end is not None:
            end()
            end = None
        elif end is None:
            line.work()
    if end is not None:
        end()
    line.coder.prefer(packets=False)
    line.work()
    streams = 1 + sum(1 for what, _ in deeds if what in {"opus", "pcm", "rest"})
    assert 0 <= len(line.sound) - sum(map(len, played)) <= streams * 27 * MS
    as_pcm = b"".join(pcm for way, pcm in line.sent if way == "pcm")
    pieces = [piece for piece in played if piece[:2] in as_pcm]
    assert as_pcm == b"".join(pieces), "each piece is there as a whole, in its turn"


def test_a_thread_that_falls_behind_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that waits comes as PCM, behind what was under way."""
    monkeypatch.setattr(coding, "WAITING_BYTES", 300 * MS)
    line = Line()
    line.coder.prefer(packets=True)
    line.play(marked(0, 60))
    end = line.begin()
    for number in range(1, 5):
        line.play(marked(number, 100))
    end()
    line.work()
    line.play(marked(5, 10))
    assert line.ways == ["opus", "pcm"]
    expected = b"".join(marked(number, 100) for number in range(1, 5)) + marked(5, 10)
    assert b"".join(pcm for way, pcm in line.sent if way == "pcm") == expected
    assert line.metrics.registry.get_sample_value("preppald_opus_given_up_total") == 1


def test_a_thread_that_takes_its_time_is_given_up() -> None:
    """A second is noticed by whoever listens; the jobs of before are done in time."""
    line = Line()
    line.coder.prefer(packets=True)
    for number in range(5):
        line.play(marked(number, 100))
        end = line.begin()
        line.now += LATE_SECONDS - 0.1
        end()
    line.play(marked(5, 100))
    end = line.begin()
    line.play(marked(6, 100))
    line.now += LATE_SECONDS + 0.1
    line.play(marked(7, 100))
    end()
    line.work()
    assert line.ways == ["opus", "pcm"]
    assert line.sent[-1] == ("pcm", marked(6, 100) + marked(7, 100))
    assert line.metrics.registry.get_sample_value("preppald_opus_given_up_total") == 1
    line.play(marked(8, 10))
    assert line.sent[-1] == ("pcm", marked(8, 10))


def test_pcm_that_waits_long_after_packets_is_no_threads_fault() -> None:
    line = Line()
    line.coder.prefer(packets=True)
    line.play(marked(0, 100))
    line.work()
    line.now += 60
    line.play(marked(1, 100))
    line.work()
    line.coder.rest()
    line.work()
    assert line.ways == ["opus"]


def test_a_damaged_packet_is_counted() -> None:
    line = Line()
    assert len(line.coder.hear([b"\xff", b"", bytes(2000)])) == 3 * 640 - 208
    assert line.metrics.registry.get_sample_value("preppald_opus_packets_damaged_total") == 3


# ------------------------------------------------------------------ the process's


class Seconds:
    """A clock that goes only while a thread works; each job takes so long, and one with a bug raises."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, job_seconds: float = 0.0, bug: bytes = b"") -> None:
        self.now = 0.0
        packets = Job.packets

        def slow(job: Job) -> list[bytes]:
            self.now += job_seconds
            if bug and job.pcm.startswith(bug):
                raise RuntimeError("a bug")
            return packets(job)

        monkeypatch.setattr(Job, "packets", slow)

    def __call__(self) -> float:
        return self.now


def coders(clock: Callable[[], float], metrics: Metrics, ticker: Ticker | None = None) -> Coders:
    log = structlog.wrap_logger(structlog.testing.CapturingLogger())
    return Coders(
        the_library(),
        ticker=ticker or Ticker(),
        metrics=metrics,
        log=log,
        in_threads=[inline],
        clock=clock,
    )


async def test_a_bug_in_one_browsers_job_gives_that_one_pcm_and_the_others_their_packets(
    autojump_clock: object, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = coders(Seconds(monkeypatch, bug=marked(7, 1)), Metrics())
    nursery.start_soon(service.run)
    sent: list[list[bytes]] = [[], []]
    good, bad = (service.coder(messages.append) for messages in sent)
    assert good is not None
    assert bad is not None
    for coder, number in ((good, 0), (bad, 7)):
        coder.prefer(packets=True)
        assert coder.play(marked(number, 60))
    await trio.sleep(1)
    assert len(sent[0]) == 1
    assert sent[1] == []
    assert good.play(marked(0, 60))
    assert not bad.play(marked(0, 60)), "PCM from now on"


async def test_a_bug_on_one_browsers_way_is_nobody_elses(
    autojump_clock: object, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its job is made, and where its packets are sent."""
    service = coders(Seconds(monkeypatch), Metrics())
    nursery.start_soon(service.run)
    sent: list[bytes] = []

    def planted(*_: bytes) -> None:
        raise RuntimeError("a bug")

    bad, worse, good = (service.coder(post) for post in (planted, planted, sent.append))
    assert bad is not None
    assert worse is not None
    assert good is not None
    for coder in (bad, worse, good):
        coder.prefer(packets=True)
        assert coder.play(marked(0, 60))
    monkeypatch.setattr(worse, "job", planted)
    await trio.sleep(1)
    assert len(sent) == 1
    assert good.play(marked(0, 60))
    await trio.sleep(1)
    assert len(sent) == 2


async def test_a_busy_loop_has_new_pages_use_pcm(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics, ticker = Metrics(), Ticker()
    service = coders(Seconds(monkeypatch), metrics, ticker)
    assert service.coder(lambda _: None) is not None
    ticker.round_seconds = SLOWEST_ROUND_SECONDS
    assert service.coder(lambda _: None) is None
    asked = metrics.registry.get_sample_value
    assert asked("preppald_opus_asked_total", {"outcome": "granted"}) == 1
    assert asked("preppald_opus_asked_total", {"outcome": "crowded"}) == 1


async def test_busy_threads_have_new_pages_use_pcm(
    autojump_clock: object, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until they have been less busy for a while; those who have Opus keep it."""
    clock = Seconds(monkeypatch, job_seconds=0.1)
    service = coders(clock, Metrics())
    nursery.start_soon(service.run)
    coder = service.coder(lambda _: None)
    assert coder is not None
    coder.prefer(packets=True)
    for _ in range(60):
        coder.play(marked(0, 100))
        await trio.sleep(0.1)
    assert service.crowded
    assert service.coder(lambda _: None) is None
    assert coder.play(marked(0, 100))
    clock.now += 10
    assert not service.crowded


async def test_a_system_without_libopus_grants_nothing() -> None:
    metrics = Metrics()
    log = structlog.wrap_logger(structlog.testing.CapturingLogger())
    service = Coders(None, ticker=Ticker(), metrics=metrics, log=log)
    await service.run()
    assert service.coder(lambda _: None) is None
    assert service.gauges()[0][2] == 0.0
    assert metrics.registry.get_sample_value("preppald_opus_asked_total", {"outcome": "missing"}) == 1


def test_the_setting_turns_it_off() -> None:
    assert found(wanted=False) is None
    assert found(wanted=True) is the_library()
