"""Playback, transcript, turn taking, endings: plain functions of what happened and when."""

from array import array
import json
import random

from hypothesis import given, strategies as st
import pytest

from preppald.candidate import playback as playback_module
from preppald.candidate.endings import Ending, Outcome, Said, ending_of
from preppald.candidate.link import LASTING_SECONDS, RECONNECT_SECONDS, Address, Backoff, one_line
from preppald.candidate.playback import RATE_HZ, Playback
from preppald.candidate.transcript import Transcript
from preppald.candidate.turntaking import MAX_HEARING_SECONDS, CallStage, Manners, TurnTaking
from preppald.core.turns import Speaker


class Tape:
    def __init__(self) -> None:
        self.pcm = b""

    def write(self, pcm: bytes) -> None:
        self.pcm += pcm


# ------------------------------------------------------------ playback


def test_audio_is_played_as_time_passes_and_silence_between() -> None:
    tape = Tape()
    playback = Playback(started=10, sink=tape)
    playback.receive(b"\x01\x00" * RATE_HZ, now=11)
    assert playback.playing
    assert playback.waiting_seconds == 1
    playback.advance(11.25)
    assert playback.waiting_seconds == 0.75
    playback.advance(13)
    assert not playback.playing
    samples = array("h", tape.pcm)
    assert [sum(samples[s * RATE_HZ : (s + 1) * RATE_HZ]) for s in range(3)] == [0, RATE_HZ, 0]


def test_an_interruption_drops_what_was_not_played() -> None:
    playback = Playback(started=0)
    playback.receive(bytes(2 * RATE_HZ + 1), now=0)
    playback.interrupt(now=0.5)
    assert not playback.playing
    assert playback.dropped_bytes == RATE_HZ
    playback.receive(b"\x01\x02", now=0.5)  # the odd byte from before is gone, too
    assert playback.waiting_seconds == 1 / RATE_HZ


def test_half_a_sample_waits_for_its_other_half() -> None:
    tape = Tape()
    playback = Playback(started=0, sink=tape)
    for byte in (b"\x01", b"\x02\x03", b"\x04"):
        playback.receive(byte, now=0)
    playback.advance(2.1 / RATE_HZ)
    assert tape.pcm == b"\x01\x02\x03\x04"


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playback_module, "MAX_WAITING_BYTES", 1_000)
    playback = Playback(started=0)
    for _ in range(3):
        playback.receive(bytes(400), now=0)
    assert (playback.received_bytes, playback.dropped_bytes) == (1_200, 400)


@given(
    st.lists(
        st.tuples(st.floats(0, 0.3, allow_subnormal=False), st.binary(max_size=9_000), st.booleans()),
        max_size=12,
    )
)
def test_a_recording_is_as_long_as_the_call_and_nothing_is_lost(
    events: list[tuple[float, bytes, bool]],
) -> None:
    """Whatever comes when: played + dropped + waiting = received, and the tape's length is the time's."""
    tape = Tape()
    playback = Playback(started=0, sink=tape)
    now = 0.0
    for pause, pcm, interrupt in events:
        now += pause
        playback.receive(pcm, now)
        if interrupt:
            playback.interrupt(now)
    now += 12 * 9_000 / (2 * RATE_HZ)  # as long as everything could take to play
    playback.advance(now)
    assert len(tape.pcm) == 2 * int(now * RATE_HZ)
    assert not playback.playing
    heard = len(tape.pcm) // 2 - array("h", tape.pcm).count(0)
    assert 2 * heard <= playback.received_bytes - playback.dropped_bytes


# ------------------------------------------------------------ transcript


def test_fragments_of_both_speakers_may_alternate() -> None:
    transcript = Transcript()
    transcript.add(Speaker.USER, "I ", seq=1, turn_complete=False, now=1)
    transcript.add(Speaker.AI, "Good", seq=2, turn_complete=False, now=2)
    transcript.add(Speaker.USER, "did.", seq=3, turn_complete=True, now=3)
    assert [turn.text for turn in transcript.unfinished()] == ["Good"]
    transcript.interrupt()
    transcript.add(Speaker.AI, "", seq=4, turn_complete=True, now=4)
    assert json.loads(transcript.as_json()) == [
        {"turn": 1, "speaker": "USER", "text": "I did.", "began": 1, "complete": True, "interrupted": False},
        {"turn": 2, "speaker": "AI", "text": "Good", "began": 2, "complete": True, "interrupted": True},
    ]


def test_a_fragment_counts_once() -> None:
    transcript = Transcript()
    assert transcript.add(Speaker.AI, "a", seq=5, turn_complete=False, now=0) is not None
    assert transcript.add(Speaker.AI, "a", seq=5, turn_complete=False, now=0) is None
    assert transcript.add(Speaker.AI, "b", seq=4, turn_complete=False, now=0) is None
    assert transcript.add(Speaker.AI, "b", seq=0, turn_complete=True, now=0) is not None
    assert (transcript.turns[0].text, transcript.last_seq) == ("ab", 5)


def test_an_end_without_a_turn_says_nothing() -> None:
    transcript = Transcript()
    transcript.interrupt()
    assert transcript.add(Speaker.AI, "", seq=1, turn_complete=True, now=0) is None
    assert transcript.turns == []


# ------------------------------------------------------------ turn taking


def candidate(**manners: float) -> TurnTaking:
    usual = {"start": 30, "patience": 15, "settle": 1}
    return TurnTaking(Manners(**usual | manners), now=0)  # type: ignore[arg-type]


def test_the_late_end_of_an_interrupted_turn_is_not_the_end_of_the_reply() -> None:
    turns = candidate()
    turns.start(0)
    turns.hear(0)
    assert turns.tick(2, playing=False) is CallStage.ANSWERING
    turns.voice(3)
    turns.hear(3.1)  # the rest of the greeting, on its way
    turns.finish_answer(3.2)
    turns.interrupt(3.3)
    turns.read_end_of_turn()
    assert turns.tick(6, playing=False) is CallStage.LISTENING
    turns.hear(7)
    turns.read_end_of_turn()
    assert turns.tick(7.1, playing=False) is CallStage.LEAVING
    assert turns.latencies == [4.0]


def test_a_reply_to_a_pause_within_the_answer_is_no_reply_to_the_answer() -> None:
    turns = candidate()
    turns.start(0)
    turns.hear(0)
    turns.tick(2, playing=False)
    turns.voice(3)
    turns.hear(4)
    turns.read_end_of_turn()
    turns.voice(4.5)
    turns.finish_answer(5)
    assert turns.tick(8, playing=False) is CallStage.LISTENING
    assert turns.tick(20, playing=False) is CallStage.LEAVING
    assert turns.latencies == [None]


def test_a_reply_that_begins_in_the_silence_at_the_end_of_the_file_counts() -> None:
    turns = candidate()
    turns.start(0)
    turns.read(0)
    turns.tick(2, playing=False)
    turns.voice(3)
    turns.hear(3.5)
    turns.read_end_of_turn()
    turns.finish_answer(4)
    assert turns.tick(4.1, playing=True) is CallStage.LISTENING
    assert turns.tick(5, playing=False) is CallStage.LEAVING
    assert turns.latencies == [0.5]


def test_an_interviewer_who_never_stops_is_not_heard_for_ever() -> None:
    turns = candidate()
    turns.start(0)
    now = 0.0
    while turns.stage is CallStage.GREETING:
        now += 1
        turns.hear(now)
        turns.tick(now, playing=True)
    assert now == MAX_HEARING_SECONDS


def test_who_leaves_while_listening_still_reports_the_latency() -> None:
    turns = candidate()
    turns.start(0)
    turns.tick(15, playing=False)
    turns.finish_answer(16)
    turns.leave(17)
    turns.leave(18)
    turns.finish_answer(19)
    assert (turns.stage, turns.latencies) == (CallStage.LEAVING, [None])


# ------------------------------------------------------------ endings


@pytest.mark.parametrize(
    ("said", "code", "reason", "ending"),
    [
        # The table of endings, plain codes.
        (Said.ENDED_BY_USER, 1000, "Interview ended by user", Ending.USER),
        (Said.ENDED_BY_TIME, 1000, "Session timeout (1 hour limit)", Ending.TIME_LIMIT),
        (Said.ENDED_BY_AI, 1000, "AI ended session", Ending.AI_ENDED),
        (Said.AI_FAILED, 4002, "Failed to connect to AI service", Ending.AI_FAILED),
        (Said.AI_FAILED, 4002, "AI service error", Ending.AI_FAILED),
        (Said.NOTHING, 4409, "Replaced by a newer connection", Ending.REPLACED),
        (Said.ENDED, 1012, "", Ending.STOPPED),
        (Said.ENDED, 1000, "Interview ended by operator", Ending.OPERATOR),
        (Said.FAILED, 1011, "", Ending.PROTOCOL),
        # The same, distinct codes.
        (Said.ENDED_BY_USER, 4001, "", Ending.USER),
        (Said.ENDED_BY_TIME, 4002, "", Ending.TIME_LIMIT),
        (Said.ENDED_BY_AI, 4003, "", Ending.AI_ENDED),
        (Said.ENDED, 4006, "", Ending.OPERATOR),
        (Said.AI_FAILED, 4004, "", Ending.AI_FAILED),
        (Said.FAILED, 4004, "", Ending.PROTOCOL),
        # Nothing said before the close: the code, then the reason's words.
        (Said.NOTHING, 4001, "", Ending.USER),
        (Said.NOTHING, 4002, "Session timeout (1 hour limit)", Ending.TIME_LIMIT),
        (Said.NOTHING, 4002, "AI service error", Ending.AI_FAILED),
        (Said.NOTHING, 4003, "", Ending.AI_ENDED),
        (Said.NOTHING, 4004, "", Ending.AI_FAILED),
        (Said.NOTHING, 1000, "Interview ended by user", Ending.USER),
        (Said.NOTHING, 1000, "AI ended session", Ending.AI_ENDED),
        (Said.NOTHING, 1000, "Interview ended by operator", Ending.OPERATOR),
        (Said.NOTHING, 1000, "", Ending.PROTOCOL),
        (Said.NOTHING, 4401, "", Ending.REFUSED),
        (Said.NOTHING, 1008, "", Ending.PROTOCOL),
        (Said.NOTHING, 1009, "", Ending.PROTOCOL),
        (Said.FAILED, 1008, "", Ending.PROTOCOL),
        # Said, and lost before the close frame.
        (Said.ENDED_BY_USER, 1006, "", Ending.USER),
        (Said.AI_FAILED, 1006, "", Ending.AI_FAILED),
        # To be made again.
        (Said.NOTHING, 1001, "", None),
        (Said.NOTHING, 1005, "", None),
        (Said.NOTHING, 1006, "", None),
        (Said.NOTHING, 1012, "", None),
        (Said.FAILED, 1006, "", None),
    ],
)
def test_the_ending_of_a_closed_connection(said: Said, code: int, reason: str, ending: Ending | None) -> None:
    assert ending_of(said, code, reason) is ending


def test_exit_statuses_are_distinct_but_for_the_good_ones() -> None:
    bad = [ending.status for ending in Ending if ending.status]
    assert len(bad) == len(set(bad)) == len(Ending) - 3


def test_sentences() -> None:
    assert Outcome(Ending.REFUSED, reason="HTTP 403: no").sentence == (
        "The daemon refused the connection. HTTP 403: no"
    )
    assert Outcome(Ending.USER, 1000, "Interview ended by user").sentence == (
        "The interview was ended by the candidate."
    )
    assert Outcome(Ending.BAD_FILE, reason="x is empty.").sentence == "x is empty."


# ------------------------------------------------------------ link


def test_tries_come_quickly_first_and_stop_after_a_minute() -> None:
    backoff = Backoff(random.Random(2))
    assert backoff.delay(0) is None
    backoff.lose(0, lasted=100)
    now, delays = 0.0, []
    while (delay := backoff.delay(now)) is not None:
        delays.append(delay)
        now += delay
    assert now == RECONNECT_SECONDS
    assert delays[0] < 0.25
    assert all(4 <= delay <= 8 for delay in delays[6:-1])
    backoff.lose(now, lasted=LASTING_SECONDS - 1)
    assert backoff.delay(now) is None
    backoff.lose(now, lasted=LASTING_SECONDS)
    assert backoff.delay(now) is not None


def test_an_address_keeps_its_token_to_itself() -> None:
    address = Address("wss://host/prefix/", "call-1", "secret-token")
    assert "secret" not in repr(address)
    assert address.with_since(0) == "wss://host/prefix/call-1?turns=1"
    assert address.with_since(7) == "wss://host/prefix/call-1?turns=1&since=7"


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("ws://127.0.0.1:8787", True),
        ("ws://[::1]:8787", True),
        ("ws://localhost", True),
        ("wss://interviews.example.com", False),
        ("ws://10.0.0.1", False),
    ],
)
def test_a_proxy_is_never_asked_for_this_machine(url: str, loopback: bool) -> None:  # noqa: FBT001
    assert Address(url, "call-1", "t").is_loopback is loopback


def test_foreign_text_cannot_steer_a_terminal() -> None:
    assert one_line("a\x1b[31m\r\nb\u202e\tc") == "a [31m b c"
