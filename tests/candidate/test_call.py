"""The call against a scripted daemon, on virtual time."""

from array import array
from collections.abc import Callable
import json
from pathlib import Path
import wave

import pytest
import trio
import trio.testing

from preppald.candidate import call as call_module, link as link_module, microphone
from preppald.candidate.call import Call
from preppald.candidate.endings import Ending
from preppald.candidate.playback import RATE_HZ
from preppald.candidate.wav import BadWavError, WavWriter
from preppald.pb import interview_pb2 as pb

from .conftest import Memory
from .daemon import Daemon, Line, interview

MakeCall = Callable[..., Call]
END = pb.SessionEnded


async def goodbye(line: Line) -> None:
    await line.end_request()
    await line.ended(END.USER_INITIATED)
    await line.close(1000, "Interview ended by user")


async def test_a_whole_interview(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall, memory: Memory
) -> None:
    """Greeting, answer, reply, end: heard to the end, in order, and told in full."""
    daemon = Daemon(nursery, [interview])
    report = await make_call(daemon).run()
    assert report.outcome.ending is Ending.USER
    assert report.outcome.close_code == 1000
    assert memory.states == ["connecting", "hearing the greeting", "speaking", "hearing the reply"]
    assert memory.turns == ["AI: Hello, tell me.", "USER: I measured it.", "AI: Thank you."]
    # 2 s of greeting, 2 s of answer, 0.3 s until the daemon is sure, 3 s of reply
    assert report.seconds == pytest.approx(7.3, abs=0.05)
    assert list(report.reply_latencies) == pytest.approx([0.3], abs=0.05)
    assert report.audio_bytes_in == 5 * RATE_HZ * 2
    assert report.audio_bytes_out == len(daemon.lines[0].pcm) == pytest.approx(7.3 * 32_000, rel=0.02)
    assert (report.user_turns, report.ai_turns, report.reconnects) == (1, 2, 0)
    assert memory.closing.startswith("The interview was ended by the candidate. (7.3 s; replies after 0.30 s")


async def test_the_token_travels_as_a_subprotocol_only(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    daemon = Daemon(nursery, [interview])
    await make_call(daemon).run()
    (line,) = daemon.lines
    assert (line.path, line.since) == ("/call-1", None)
    assert line.subprotocols == ["preppal.v1", "token.a.b.c"]


async def test_silence_is_streamed_from_the_start_in_20_ms_messages(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    daemon = Daemon(nursery, [interview])
    began = trio.current_time()
    await make_call(daemon).run()
    (line,) = daemon.lines
    assert len(line.pcm) == line.frames * 640
    assert line.pcm[: 1900 * 32] == bytes(1900 * 32)
    assert line.spoken_at[0] - began == pytest.approx(2, abs=0.05)


async def test_speed_scales_everything(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    """Ten times as fast: the same frames in a tenth of the time."""
    daemon = Daemon(nursery, [interview])
    began = trio.current_time()
    report = await make_call(daemon, speed=10).run()
    assert trio.current_time() - began == pytest.approx(0.73, abs=0.02)
    assert report.seconds == pytest.approx(7.3, abs=0.2)
    assert report.audio_bytes_out == pytest.approx(7.3 * 32_000, rel=0.03)


async def test_a_greeting_without_a_mark_ends_when_nothing_was_heard_for_a_second(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    async def script(line: Line) -> None:
        await line.started()
        await line.speak(2)
        await line.answer()
        await line.ended(END.GEMINI_ENDED)
        await line.close(1000, "AI ended session")

    daemon = Daemon(nursery, [script])
    report = await make_call(daemon).run()
    assert report.outcome.ending is Ending.AI_ENDED
    assert daemon.lines[0].spoken_at[0] == pytest.approx(3, abs=0.05)


async def test_an_interviewer_who_says_nothing_is_waited_for_no_longer_than_wait(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    async def script(line: Line) -> None:
        await line.started()
        await goodbye(line)

    report = await make_call(Daemon(nursery, [script]), wait=5).run()
    assert report.seconds == pytest.approx(5 + 2 + 5, abs=0.1)
    assert report.reply_latencies == (None,)


async def test_a_long_greeting_is_heard_out_though_longer_than_wait(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    async def script(line: Line) -> None:
        await line.started()
        await line.speak(20)
        await goodbye(line)

    daemon = Daemon(nursery, [script])
    await make_call(daemon, wait=5).run()
    assert daemon.lines[0].spoken_at[0] == pytest.approx(21, abs=0.1)


async def test_barge_in_speaks_while_the_greeting_plays_and_the_rest_is_dropped(
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
    make_call: MakeCall,
    memory: Memory,
    tmp_path: Path,
) -> None:
    async def script(line: Line) -> None:
        await line.started()
        await line.transcript("AI", "A long story", complete=False)
        await line.speak(10)
        await line.speaking()
        await line.interrupted()
        await line.transcript("AI", "", complete=True)
        await line.answer()
        await line.speak(1)
        await line.transcript("AI", "Go on.")
        await goodbye(line)

    daemon = Daemon(nursery, [script])
    save = WavWriter(tmp_path / "reply.wav", RATE_HZ)
    call = make_call(daemon, barge_in=True, save=save)
    report = await call.run()
    save.close()
    assert daemon.lines[0].spoken_at[0] == pytest.approx(1, abs=0.05)
    assert report.audio_bytes_unheard == pytest.approx(9 * RATE_HZ * 2, rel=0.01)
    assert [turn.interrupted for turn in call.transcript.turns] == [True, False]
    # heard: 1 s of greeting, silence while the candidate speaks, 1 s of reply
    with wave.open(str(tmp_path / "reply.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        heard = array("h", file.readframes(file.getnframes()))
    assert len(heard) / RATE_HZ == pytest.approx(report.seconds, abs=0.05)
    assert sum(1 for sample in heard if sample) / RATE_HZ == pytest.approx(2, abs=0.05)
    assert not any(heard[int(1.1 * RATE_HZ) : int(3.2 * RATE_HZ)])


async def test_every_repeat_waits_for_its_reply(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    async def script(line: Line) -> None:
        await line.started()
        await line.speak(1)
        await line.transcript("AI", "Hello.")
        for number in (1, 2, 3):
            await line.answer(number)
            await line.speak(1)
            await line.transcript("AI", f"Reply {number}.")
        await goodbye(line)

    daemon = Daemon(nursery, [script])
    report = await make_call(daemon, answers=3).run()
    (line,) = daemon.lines
    assert len(report.reply_latencies) == len(line.spoken_at) == 3
    assert report.seconds == pytest.approx(1 + 3 * 3.3, abs=0.2)


async def test_hold_keeps_the_interview_open_with_silence(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall, memory: Memory
) -> None:
    report = await make_call(Daemon(nursery, [interview]), hold=20).run()
    assert report.seconds == pytest.approx(27.3, abs=0.1)
    assert memory.states[-1] == "staying silent"


async def test_who_wants_to_think_asks_for_it_before_each_answer(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall, memory: Memory
) -> None:
    """Once a pause; silence is streamed meanwhile, and the voice ends it."""

    async def script(line: Line) -> None:
        await line.started()
        await line.speak(2)
        await line.transcript("AI", "Well?")
        await line.until(lambda: bool(line.paused_at))
        await line.send(hold_state=pb.HoldState(on=True, remaining_ms=180_000))
        await line.answer()
        await line.send(hold_state=pb.HoldState(on=False))
        await line.speak(1)
        await line.transcript("AI", "And?")
        await line.answer(2)
        await line.speak(1)
        await line.transcript("AI", "Thanks.")
        await goodbye(line)

    daemon = Daemon(nursery, [script])
    report = await make_call(daemon, think=30, answers=2).run()
    assert report.outcome.ending is Ending.USER
    (line,) = daemon.lines
    assert len(line.paused_at) == 2
    waited = [spoke - asked for asked, spoke in zip(line.paused_at, line.spoken_at, strict=True)]
    assert waited == pytest.approx([30, 30], abs=0.1)
    assert "thinking" in memory.states
    assert memory.remarks == ["the interviewer waits, for 180 s at most", "the pause is over"]


async def test_an_hour_of_holding_ends_with_the_time_limit(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall, memory: Memory
) -> None:
    async def script(line: Line) -> None:
        await line.started(remaining_ms=60_000)
        await trio.sleep(50)
        await line.send(
            notice=pb.Notice(kind=pb.Notice.ENDING_SOON, message="10 s left", remaining_ms=10_000)
        )
        await trio.sleep(10)
        await line.ended(END.TIMEOUT)
        await line.close(1000, "Session timeout (1 hour limit)")

    report = await make_call(Daemon(nursery, [script]), hold=3600).run()
    assert (report.outcome.ending, report.outcome.ending.status) == (Ending.TIME_LIMIT, 0)
    assert memory.remarks == ["10 s left"]
    left = memory.views[-1].time_left
    assert left is not None
    assert 0 <= left < 0.2


# ------------------------------------------------------------ connections lost


async def test_a_lost_connection_is_made_again_with_since_and_nothing_is_counted_twice(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall, memory: Memory
) -> None:
    async def first(line: Line) -> None:
        await line.started()
        await line.transcript("AI", "Hello.", seq=7)
        await line.speak(1)
        await line.speaking()
        await trio.sleep(0.5)
        await line.drop()

    async def second(line: Line) -> None:
        await line.started(resumed=True)
        await line.transcript("AI", "Hello.", seq=7)
        await line.answer()
        await line.transcript("USER", "I did.", seq=8)
        await line.speak(1)
        await line.transcript("AI", "Good.", seq=9)
        await goodbye(line)

    daemon = Daemon(nursery, [first, None, second])
    report = await make_call(daemon).run()
    assert report.outcome.ending is Ending.USER
    assert report.reconnects == 1
    assert [line.since for line in daemon.lines] == [None, 7]
    assert memory.turns == ["AI: Hello.", "USER: I did.", "AI: Good."]
    assert memory.remarks == ["connection lost (1006), reconnecting"]
    assert "reconnecting" in memory.states
    # What was being said waited: both connections together heard all of the two seconds.
    loud = sum(1 for line in daemon.lines for sample in array("h", bytes(line.pcm)) if sample)
    assert loud / 16_000 == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("code", [1001, 1012])
async def test_a_daemon_that_restarts_is_returned_to(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall, code: int
) -> None:
    async def first(line: Line) -> None:
        await line.started()
        await line.close(code, "restarting")

    daemon = Daemon(nursery, [first, (503, "draining"), interview])
    report = await make_call(daemon).run()
    assert (report.outcome.ending, report.reconnects) == (Ending.USER, 1)


async def test_reconnecting_is_given_up_after_a_minute(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    async def first(line: Line) -> None:
        await line.started()
        await line.drop()

    daemon = Daemon(nursery, [first])
    report = await make_call(daemon).run()
    assert (report.outcome.ending, report.outcome.ending.status) == (Ending.LOST, 7)
    assert trio.current_time() == pytest.approx(60, abs=1)
    gaps = [later - earlier for earlier, later in zip(daemon.dialled_at, daemon.dialled_at[1:], strict=False)]
    assert 8 < len(gaps) < 25
    assert max(gaps) <= link_module.LONGEST_DELAY_SECONDS + 0.1


async def test_a_connection_that_keeps_breaking_does_not_last_for_ever(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    async def flapping(line: Line) -> None:
        await line.started()
        await line.drop()

    report = await make_call(Daemon(nursery, [flapping] * 100)).run()
    assert report.outcome.ending is Ending.LOST
    assert trio.current_time() < 62


async def test_a_refusal_when_coming_back_is_final(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    async def first(line: Line) -> None:
        await line.started()
        await line.drop()

    report = await make_call(Daemon(nursery, [first, (401, "Invalid or expired token")])).run()
    assert report.outcome.ending is Ending.REFUSED
    assert report.outcome.reason == "HTTP 401: Invalid or expired token"


async def test_a_connection_lost_after_the_end_request_is_not_a_failure(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    """Nothing is there any more to come back to: the interview is over."""

    async def first(line: Line) -> None:
        await line.started()
        await line.end_request()
        await line.drop()

    report = await make_call(Daemon(nursery, [first, (401, "Invalid or expired token")]), wait=1).run()
    assert report.outcome.ending is Ending.USER


async def test_an_end_request_that_was_lost_is_sent_again(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    async def first(line: Line) -> None:
        await line.started()
        await line.end_request()
        await line.drop()

    async def second(line: Line) -> None:
        await line.started(resumed=True)
        await goodbye(line)

    report = await make_call(Daemon(nursery, [first, second]), wait=1).run()
    assert (report.outcome.ending, report.outcome.close_code) == (Ending.USER, 1000)


# ------------------------------------------------------------ endings


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        ((401, "Missing JWT token"), "HTTP 401: Missing JWT token"),
        ((403, "Forbidden"), "HTTP 403: Forbidden"),
        ((404, ""), "HTTP 404: Not Found"),
        ((503, "at\x1b[2J capacity"), "HTTP 503: at [2J capacity"),
        ((302, "ws://elsewhere"), "HTTP 302: it redirects to ws://elsewhere, which is not followed"),
    ],
)
async def test_a_refused_handshake_says_what_the_daemon_said(
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
    make_call: MakeCall,
    refusal: tuple[int, str],
    reason: str,
) -> None:
    report = await make_call(Daemon(nursery, [refusal])).run()
    assert (report.outcome.ending, report.outcome.ending.status) == (Ending.REFUSED, 3)
    assert report.outcome.reason == reason


async def test_a_daemon_that_is_not_there_is_not_waited_for(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    report = await make_call(Daemon(nursery, [])).run()
    assert (report.outcome.ending, report.outcome.ending.status) == (Ending.UNREACHABLE, 4)
    assert report.outcome.reason == "Connection refused."
    assert trio.current_time() == 0


async def test_a_server_that_never_answers_is_given_up(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    daemon = Daemon(nursery, [])
    kept: list[trio.abc.Stream] = []

    async def dial() -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        ours, theirs = trio.testing.memory_stream_pair()
        kept.append(theirs)
        return ours

    daemon.dial = dial  # type: ignore[method-assign]
    report = await make_call(daemon).run()
    assert report.outcome.ending is Ending.UNREACHABLE
    assert report.outcome.reason == "It did not answer within 10 s."


async def test_a_server_that_hangs_up_during_the_handshake_is_unreachable(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    daemon = Daemon(nursery, [])

    async def dial() -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.aclose()
        return ours

    daemon.dial = dial  # type: ignore[method-assign]
    report = await make_call(daemon).run()
    assert report.outcome.ending is Ending.UNREACHABLE
    assert "closed" in report.outcome.reason


async def test_a_server_that_hangs_up_instead_of_answering_is_unreachable(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    daemon = Daemon(nursery, [])

    async def read_and_hang_up(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.aclose()

    async def dial() -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(read_and_hang_up, theirs)
        return ours

    daemon.dial = dial  # type: ignore[method-assign]
    report = await make_call(daemon).run()
    assert report.outcome.ending is Ending.UNREACHABLE
    assert report.outcome.reason == "It hung up without an answer."


async def test_a_server_that_does_not_know_the_subprotocol_is_no_preppald(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    async def script(line: Line) -> None:
        await line.until(lambda: False)

    script.subprotocol = False  # type: ignore[attr-defined]
    report = await make_call(Daemon(nursery, [script])).run()
    assert (report.outcome.ending, report.outcome.ending.status) == (Ending.PROTOCOL, 8)
    assert "is that a preppald?" in report.outcome.reason


async def test_what_is_no_websocket_handshake_is_a_protocol_error(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    daemon = Daemon(nursery, [])

    async def dial() -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.send_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        return ours

    daemon.dial = dial  # type: ignore[method-assign]
    report = await make_call(daemon).run()
    assert report.outcome.ending is Ending.PROTOCOL
    assert "header" in report.outcome.reason


async def test_a_fault_of_the_caller_is_not_taken_for_one_of_the_connection(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    async def script(line: Line) -> None:
        await line.until(lambda: False)

    address = link_module.Address("ws://daemon", "call-1", "a.b.c", Daemon(nursery, [script]).dial)
    with pytest.raises(OSError, match="of the caller"):
        async with link_module.linked(address):
            raise OSError("of the caller")


async def test_a_failure_of_the_ai_service_is_told(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall, memory: Memory
) -> None:
    async def script(line: Line) -> None:
        await line.send(error=pb.ErrorResponse(code=4002, message="Failed to connect to AI service"))
        await line.close(4002, "Failed to connect to AI service")

    report = await make_call(Daemon(nursery, [script])).run()
    assert (report.outcome.ending, report.outcome.ending.status) == (Ending.AI_FAILED, 5)
    assert report.outcome.close_code == 4002
    assert memory.remarks == ["error 4002: Failed to connect to AI service"]


async def test_a_failure_is_not_made_good_by_the_end_that_follows(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    async def script(line: Line) -> None:
        await line.started()
        await line.send(error=pb.ErrorResponse(code=4002, message="AI service error"))
        await line.ended(END.GEMINI_ENDED)
        await line.close(1000)

    report = await make_call(Daemon(nursery, [script])).run()
    assert report.outcome.ending is Ending.AI_FAILED
    assert report.outcome.reason == "AI service error"


async def test_being_replaced_is_told(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    async def script(line: Line) -> None:
        await line.started()
        await line.close(4409, "Replaced by a newer connection")

    report = await make_call(Daemon(nursery, [script])).run()
    assert (report.outcome.ending, report.outcome.ending.status) == (Ending.REPLACED, 6)


async def test_an_interview_that_does_not_start_is_ended(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    report = await make_call(Daemon(nursery, [goodbye])).run()
    assert report.outcome.ending is Ending.AI_FAILED
    assert report.outcome.reason == "The interview did not start within 30 s."
    assert trio.current_time() == pytest.approx(30, abs=0.1)


async def test_a_daemon_that_does_not_announce_the_start_is_understood(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    """Daemons of the first contract say nothing before they speak, and do not count fragments."""

    async def script(line: Line) -> None:
        await line.transcript("AI", "Hello.")
        await line.speak(1)
        await goodbye(line)

    daemon = Daemon(nursery, [script])
    report = await make_call(daemon, wait=2).run()
    assert report.outcome.ending is Ending.USER
    assert daemon.lines[0].spoken_at[0] == pytest.approx(1, abs=0.05)


async def test_an_end_that_nobody_confirms_is_a_protocol_error(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    async def script(line: Line) -> None:
        await line.started()
        await line.until(lambda: False)

    report = await make_call(Daemon(nursery, [script]), wait=1).run()
    assert report.outcome.ending is Ending.PROTOCOL
    assert "did not confirm the end within 10 s" in report.outcome.reason
    assert trio.current_time() == pytest.approx(1 + 2 + 1 + microphone.END_SECONDS, abs=0.2)


async def test_a_daemon_that_says_ended_and_does_not_close_is_left(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    async def script(line: Line) -> None:
        await line.started()
        await line.ended(END.TIMEOUT)
        await line.until(lambda: False)

    report = await make_call(Daemon(nursery, [script])).run()
    assert (report.outcome.ending, report.outcome.close_code) == (Ending.TIME_LIMIT, 1000)
    assert trio.current_time() == pytest.approx(call_module.CLOSED_SECONDS, abs=0.1)


@pytest.mark.parametrize("fault", ["text", "garbage", "speaker", "rate"])
async def test_what_breaks_the_contract_ends_the_call(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall, fault: str
) -> None:
    async def script(line: Line) -> None:
        match fault:
            case "text":
                await line.send_text("{}")
            case "garbage":
                await line.send_raw(b"\x0a\xff")
            case "speaker":
                await line.transcript("SOMEBODY", "?")
            case _:
                await line.started(rate=48_000)
        await line.until(lambda: False)

    report = await make_call(Daemon(nursery, [script])).run()
    assert (report.outcome.ending, report.outcome.close_code) == (Ending.PROTOCOL, 1002)
    assert report.outcome.reason.startswith("The daemon")


async def test_an_error_that_does_not_end_the_session_is_only_told(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall, memory: Memory
) -> None:
    async def script(line: Line) -> None:
        await line.send(error=pb.ErrorResponse(code=5000, message="Failed to process message"))
        await line.send_raw(b"")  # a payload from the future
        await line.send(audio_response=pb.AudioResponse())
        await line.send(notice=pb.Notice(kind=pb.Notice.RECONNECTED, message="Back."))
        await interview(line)

    report = await make_call(Daemon(nursery, [script])).run()
    assert report.outcome.ending is Ending.USER
    assert memory.remarks == ["error 5000: Failed to process message", "Back."]


async def test_a_daemon_that_takes_nothing_in_loses_the_connection(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    """A send that hangs for ten seconds closes the connection; the next one serves."""

    async def stuck(line: Line) -> None:
        await line.started()
        await trio.sleep(100)

    daemon = Daemon(nursery, [stuck, interview])
    dial = daemon.dial

    async def first_stuck() -> trio.abc.Stream:
        stream = await dial()
        if len(daemon.dialled_at) == 1:
            assert isinstance(stream, trio.StapledStream)
            sender = stream.send_stream
            assert isinstance(sender, trio.testing.MemorySendStream)
            passing_on = sender.send_all_hook
            assert passing_on is not None

            async def hang_after_a_second() -> None:
                await trio.sleep(1000 if trio.current_time() > 1 else 0)
                await passing_on()

            sender.send_all_hook = hang_after_a_second
        return stream

    daemon.dial = first_stuck  # type: ignore[method-assign]
    report = await make_call(daemon).run()
    assert (report.outcome.ending, report.reconnects) == (Ending.USER, 1)


async def test_a_file_that_breaks_off_ends_the_interview_politely(
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
    make_call: MakeCall,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def script(line: Line) -> None:
        await line.started()
        await line.speak(1)
        await goodbye(line)

    call = make_call(Daemon(nursery, [script]))

    def breaks_off(_: object) -> object:
        yield from ()
        raise BadWavError("answer.wav cannot be used: it is truncated")

    monkeypatch.setattr("preppald.candidate.speech.Speech.frames", breaks_off)
    report = await call.run()
    assert (report.outcome.ending, report.outcome.ending.status) == (Ending.BAD_FILE, 65)
    assert report.outcome.sentence == "answer.wav cannot be used: it is truncated"
    assert report.outcome.close_code == 1000


async def test_a_full_disk_ends_the_interview_politely(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    save = WavWriter(Path("/dev/full"), RATE_HZ)
    report = await make_call(Daemon(nursery, [interview]), save=save).run()
    assert (report.outcome.ending, report.outcome.ending.status) == (Ending.NOT_WRITTEN, 74)
    assert report.outcome.reason == "/dev/full cannot be written: No space left on device"
    assert report.outcome.close_code == 1000


async def test_the_report_is_one_line_of_json(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, make_call: MakeCall
) -> None:
    report = await make_call(Daemon(nursery, [interview])).run()
    told = json.loads(report.as_json())
    assert told | {"seconds": 0, "audio_bytes_out": 0, "reply_latencies": []} == {
        "interview": "call-1",
        "ending": "user",
        "status": 0,
        "close_code": 1000,
        "reason": "Interview ended by user",
        "seconds": 0,
        "audio_bytes_in": 240_000,
        "audio_bytes_out": 0,
        "audio_bytes_unheard": 0,
        "turns": {"user": 1, "ai": 2},
        "reply_latencies": [],
        "reconnects": 0,
        "codec": "pcm",
    }
