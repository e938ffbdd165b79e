"""When the candidate spoke, by the places in the sound that Gemini names, and by our own ear."""

import pytest

from preppald.core.conversation import Conversation
from preppald.core.ear import Ear
from preppald.core.events import (
    AudioSpoken,
    Event,
    InterviewOver,
    SpeechBegan,
    SpeechEnded,
    TextAnswered,
    TextHeard,
    TurnCompleted,
    UpstreamLost,
    UpstreamReady,
    UpstreamResumed,
)
from preppald.core.evidence import Evidence
from preppald.core.hold import Hold
from preppald.core.turns import Speaker
from preppald.gemini.uplink import BYTES_PER_SECOND, Uplink
from tests.core.test_ear import SAMPLES, sample

SILENCE_SECONDS = 0.5
# The places that were recorded on 3.8-live: a voice from 0.06 to 5.25 s, noticed at 0.24 and at 6.04 s.
VOICE, NOTICED = (0.06, 5.25), (0.24, 6.04)
NEAR = 0.05
PIECE_SECONDS = 0.02
PIECE_BYTES = round(PIECE_SECONDS * BYTES_PER_SECOND)


class Talk:
    """A conversation whose clock is the wall clock, and what it has of the candidate's turns, in seconds."""

    def __init__(self, ear: Ear | None = None) -> None:
        self.conversation = Conversation(epoch_ms=0.0, ear=ear, silence=SILENCE_SECONDS)
        self.at(0.0, UpstreamReady())

    def at(self, now: float, *events: Event) -> None:
        for event in events:
            self.conversation.receive(event, now)

    @property
    def answers(self) -> list[tuple[float, float]]:
        return [
            ((turn.begin_ms or 0) / 1000, (turn.end_ms or 0) / 1000)
            for turn in self.conversation.turns
            if turn.speaker is Speaker.USER
        ]


def near(*answers: tuple[float, float]) -> list[object]:
    return [pytest.approx(answer, abs=NEAR) for answer in answers]


def test_a_place_in_the_sound_tells_begin_and_end_of_a_voice_that_only_gemini_heard() -> None:
    """However late its notices come: here four seconds, behind sound that had waited for a connection."""
    talk = Talk()
    talk.at(4.3, SpeechBegan(NOTICED[0], 4.3 - NOTICED[0]))
    talk.at(10.1, TextHeard("I fixed a race."), SpeechEnded(NOTICED[1], 10.1 - NOTICED[1]))
    talk.at(10.6, AudioSpoken(bytes(480)))
    assert talk.answers == near(VOICE)


def test_without_a_place_the_notices_themselves_count() -> None:
    talk = Talk()
    talk.at(0.3, SpeechBegan())
    talk.at(6.1, TextHeard("I fixed a race."), SpeechEnded())
    talk.at(6.6, AudioSpoken(bytes(480)))
    assert talk.answers == near((0.3, 6.1))


def test_words_behind_the_reply_have_the_voices_times() -> None:
    """The text of the whole answer came late; the answer itself did not."""
    talk = Talk()
    talk.at(0.3, SpeechBegan(NOTICED[0], 0.3 - NOTICED[0]))
    talk.at(6.1, SpeechEnded(NOTICED[1], 6.1 - NOTICED[1]))
    talk.at(6.6, AudioSpoken(bytes(480)))
    talk.at(9.0, TurnCompleted(), TextHeard("I fixed a race."))
    assert talk.answers == near(VOICE)


def test_an_interview_that_ends_in_mid_word_ends_the_answer_then() -> None:
    """Not where an earlier voice of that answer ended."""
    talk = Talk()
    talk.at(0.3, SpeechBegan(NOTICED[0], 0.3 - NOTICED[0]))
    talk.at(6.1, TextHeard("I fixed a race."), SpeechEnded(NOTICED[1], 6.1 - NOTICED[1]))
    talk.at(6.3, SpeechBegan(6.2, 0.1))
    talk.at(9.0, InterviewOver())
    assert talk.answers == near((VOICE[0], 9.0))


class Line:
    """The candidate's sound on its way to the ear and to Gemini."""

    def __init__(self) -> None:
        self.uplink = Uplink()
        self.uplink.open(lambda _item: True)
        self.ear = Ear()
        self.talk = Talk(self.ear)
        self.evidence = Evidence(self.ear, Hold(self.ear), self.talk.conversation, silence=SILENCE_SECONDS)

    def hear(self, pcm: bytes, now: float) -> None:
        self.evidence.hear(pcm, now)
        self.uplink.feed(pcm, now)

    def behind(self, at: float) -> float:
        """How much sound has come since what was spoken then."""
        return self.ear.place - at

    @property
    def until(self) -> float:
        """When the last voice ended, as our ear heard it."""
        voice = self.ear.voice_before(self.ear.place)
        assert voice is not None
        return self.ear.spoken_at(voice.until)

    def live(self, pcm: bytes, began: float) -> None:
        for at in range(0, len(pcm), PIECE_BYTES):
            self.hear(pcm[at : at + PIECE_BYTES], began + at / BYTES_PER_SECOND + PIECE_SECONDS)


def pcm(seconds: float) -> bytes:
    """Speech; the sample begins with none."""
    sound = sample(SAMPLES[0]).tobytes()
    first = next(
        at for at in range(0, len(sound), PIECE_BYTES) if max(sound[at + 1 : at + PIECE_BYTES : 2]) > 2
    )
    return sound[first : first + round(seconds * BYTES_PER_SECOND)]


def silence(seconds: float) -> bytes:
    return bytes(round(seconds * BYTES_PER_SECOND))


async def test_a_burst_is_heard_as_it_was_spoken() -> None:
    """Two seconds came at once: the voice began in the middle of them, and our ear says where."""
    line = Line()
    line.live(silence(1.0), 0.0)
    line.hear(silence(1.2), 3.0)
    line.hear(pcm(0.8), 3.0)
    line.live(pcm(3.0)[int(0.8 * BYTES_PER_SECOND) :], 3.0)
    assert line.ear.began_at == pytest.approx(2.2, abs=NEAR)


async def test_the_uplink_knows_how_far_behind_a_place_is(autojump_clock: object) -> None:
    uplink = Uplink()
    assert uplink.behind(0.1) is None, "nothing was sent"
    uplink.feed(silence(1.0), 10.0)  # it waits
    uplink.open(lambda _item: True)
    assert uplink.behind(0.25) == pytest.approx(0.75)
    uplink.feed(silence(2.0)[: BYTES_PER_SECOND // 2], 10.5)
    assert uplink.behind(1.25) == pytest.approx(0.25)
    assert uplink.behind(1.51) is None, "that was not sent yet"
    uplink.put_silence(1.0)
    assert uplink.behind(1.25) == pytest.approx(0.25), "silence of ours is none of the candidate's"
    assert uplink.behind(2.0) == 0
    uplink.feed(silence(1.0), 12.5)
    assert uplink.behind(1.25) == pytest.approx(1.25), "nor where sound came after it"
    assert uplink.behind(3.0) == pytest.approx(0.5)


async def test_offsets_count_from_the_connections_beginning(autojump_clock: object) -> None:
    """A resumed session's sound begins anew; an offset that goes on from the last connection's is not taken."""
    uplink = Uplink()
    uplink.open(lambda _item: True)
    for second in range(20):
        uplink.feed(silence(1.0), second + 1.0)
    assert uplink.behind(2.0) is None, "longer ago than sound is ever behind"
    assert uplink.behind(19.5) == pytest.approx(0.5)
    uplink.shut()
    uplink.feed(silence(1.0), 21.0)
    uplink.open(lambda _item: True)
    assert uplink.behind(0.5) == pytest.approx(0.5)
    assert uplink.behind(20.5) is None


async def test_our_ear_has_the_begin_that_the_place_finds() -> None:
    """Gemini was away for the first four seconds of an answer, and then heard all of them at once."""
    line = Line()
    line.live(silence(1.0), 0.0)
    line.talk.at(1.0, UpstreamLost())
    line.live(pcm(6.0) + silence(0.8), 1.0)
    began = line.ear.began_at
    line.talk.at(5.0, UpstreamResumed())
    line.talk.at(5.1, SpeechBegan(0.24, line.behind(1.24)))
    line.talk.at(7.9, TextHeard("I fixed a race."), SpeechEnded(6.9, line.behind(7.8)))
    line.talk.at(8.4, AudioSpoken(bytes(480)))
    assert line.talk.answers == [pytest.approx((began, line.until), abs=0.002)]
    assert line.talk.answers == near((1.0, 7.0))


async def test_a_voice_that_gemini_alone_heard_to_its_end_ended_there() -> None:
    """It grew too soft for our ear, which has the end of another."""
    line = Line()
    line.live(silence(1.0) + pcm(1.5) + silence(8.0), 0.0)
    line.talk.at(1.3, SpeechBegan(1.2, line.behind(1.2)))
    line.talk.at(9.9, TextHeard("I fixed a race."), SpeechEnded(9.8, line.behind(9.8)))
    line.talk.at(10.4, AudioSpoken(bytes(480)))
    assert line.talk.answers == near((1.0, 9.0))


async def test_a_voice_that_goes_on_over_a_lost_connection_began_when_it_began() -> None:
    """The new connection hears it from its middle on."""
    line = Line()
    line.live(silence(1.0), 0.0)
    line.live(pcm(2.0), 1.0)
    line.talk.at(1.3, SpeechBegan(1.2, line.behind(1.2)))
    line.talk.at(3.0, UpstreamLost(), UpstreamResumed())
    line.live(pcm(4.0)[2 * BYTES_PER_SECOND :] + silence(0.8), 3.0)
    line.talk.at(3.3, SpeechBegan(0.2, line.behind(3.2)))
    line.talk.at(5.9, TextHeard("I fixed a race."), SpeechEnded(2.8, line.behind(5.8)))
    line.talk.at(6.4, AudioSpoken(bytes(480)))
    assert line.talk.answers == [pytest.approx((1.0, line.until), abs=NEAR)]
    assert line.until > 4.5


async def test_an_answer_whose_first_words_a_lost_connection_took_began_with_them() -> None:
    """They are nowhere written down, and were said all the same; it paused before it went on."""
    line = Line()
    line.live(silence(1.0) + pcm(2.0) + silence(1.6), 0.0)
    line.talk.at(1.3, SpeechBegan(1.2, line.behind(1.2)))
    line.talk.at(3.1, UpstreamLost(), UpstreamResumed())
    line.live(pcm(2.0) + silence(0.8), 4.6)
    line.talk.at(5.0, SpeechBegan(1.8, line.behind(4.9)))
    line.talk.at(7.3, TextHeard("I fixed a race."), SpeechEnded(4.2, line.behind(7.3)))
    line.talk.at(7.8, AudioSpoken(bytes(480)))
    assert line.talk.answers == [pytest.approx((1.0, line.until), abs=NEAR)]


def test_a_cough_before_a_lost_connection_begins_nothing() -> None:
    talk = Talk()
    talk.at(1.3, SpeechBegan(1.2, 0.1))
    talk.at(3.0, UpstreamLost(), UpstreamResumed())
    talk.at(9.3, SpeechBegan(0.24, 0.06))
    talk.at(15.1, TextHeard("I fixed a race."), SpeechEnded(6.04, 0.06))
    talk.at(15.6, AudioSpoken(bytes(480)))
    assert talk.answers == near((9.06, 14.25))


@pytest.mark.parametrize("trip_seconds", [0.0, 0.4])
async def test_a_notice_that_was_long_on_its_way_moves_nothing(trip_seconds: float) -> None:
    line = Line()
    line.live(silence(1.0) + pcm(3.0), 0.0)
    line.live(silence(0.8), 4.0)
    line.talk.at(1.2 + trip_seconds, SpeechBegan(1.2, line.behind(1.2)))
    line.talk.at(4.8 + trip_seconds, TextHeard("I fixed a race."), SpeechEnded(4.8, line.behind(4.8)))
    line.talk.at(5.3 + trip_seconds, AudioSpoken(bytes(480)))
    assert line.talk.answers == near((1.0, 4.0))


@pytest.mark.parametrize("notice", ["begin", "end"])
def test_a_place_in_sound_that_is_too_little_to_be_heard_is_told_by_the_place_alone(notice: str) -> None:
    """A page that is muted sent 20 ms, of which our ear can say nothing, and Gemini noticed a voice in it."""
    talk = Talk(ear := Ear())
    ear.hear(silence(PIECE_SECONDS), 1.0)
    talk.at(1.5, SpeechBegan(0.0, 0.02) if notice == "begin" else SpeechEnded(0.0, 0.02))
    talk.at(2.0, TextHeard("Hm."))
    talk.at(3.0, AudioSpoken(bytes(480)))
    ((began, ended),) = talk.answers
    assert 1.0 <= began <= 2.0
    assert began <= ended <= 3.0


def test_a_place_in_sound_that_waits_to_be_judged_is_told_by_our_ear() -> None:
    """A tenth of a second is there, and nobody has asked for it yet."""
    talk = Talk(ear := Ear())
    ear.hear(silence(0.1), 1.0)
    talk.at(5.0, SpeechBegan(0.08, 0.02))
    talk.at(5.5, TextHeard("Hm."))
    ((began, _),) = talk.answers
    assert began == pytest.approx(0.83, abs=NEAR), "by the sound's place, and not by the notice's time"


def test_a_voice_that_ended_before_what_was_typed_does_not_end_that() -> None:
    """Gemini's notice of the end comes behind the typed answer, whose turn began with it."""
    talk = Talk()
    talk.at(1.0, TextAnswered("I fixed a race.", 1))
    talk.at(1.2, SpeechEnded(0.1, 0.5))
    talk.at(2.0, AudioSpoken(bytes(480)))
    ((began, ended),) = talk.answers
    assert (began, ended) == (1.0, 1.0)
