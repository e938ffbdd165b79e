"""One call: a candidate's side of one interview, from the first connection to the last goodbye.

One nursery, four tasks: ``listener`` makes the connection, hears the daemon out and connects again after a loss;
``speaker`` sends a frame every 20 ms over the listener's present connection; ``display`` shows it all; ``signals``
heeds Ctrl-C. The listener decides on the call's ending, and ends the nursery.

Speech waits while there is no connection; everything else (playback, patience) goes on.
"""

import contextlib
from dataclasses import dataclass, replace
import random
import signal

import trio
from websockets.exceptions import ConnectionClosed
from websockets.trio.client import ClientConnection

from preppald.audio.opus import Library
from preppald.candidate.clock import Clock
from preppald.candidate.codec import Codec
from preppald.candidate.display import Display, View
from preppald.candidate.endings import Ending, Outcome, ending_of
from preppald.candidate.hearing import Hearing
from preppald.candidate.link import Address, Backoff, LinkError, linked, one_line
from preppald.candidate.microphone import END_SECONDS, Microphone
from preppald.candidate.playback import Playback
from preppald.candidate.report import Report
from preppald.candidate.speech import Speech
from preppald.candidate.transcript import Transcript
from preppald.candidate.turntaking import CallStage, Manners, TurnTaking
from preppald.candidate.wav import CannotWriteError, WavWriter
from preppald.core.turns import Speaker
from preppald.errors import RemoteProtocolError
from preppald.net.stops import Stops, received

# These are bounds on machines and networks: real seconds, whatever the speed.
# The daemon dials Gemini for at most 10 s and waits for its setup for another 10.
START_SECONDS = 30.0
# After SessionEnded the close frame follows at once.
CLOSED_SECONDS = 5.0
# Ten redraws a second look alive.
REDRAW_SECONDS = 0.1

# Silence after which a reply counts as finished though nothing marked its end, in the candidate's seconds. Audio
# comes faster than it plays, so nothing left to play for a second means that nothing is to come.
SETTLE_SECONDS = 1.0
# …but no less than this in real seconds: at high speeds a busy machine makes such pauses too.
SHORTEST_SETTLE_SECONDS = 0.25

PROTOCOL_ERROR = 1002


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """The options of a call. ``wait``, ``hold`` and ``think``: the candidate's seconds, of which ``speed`` make a real one."""

    speed: float = 1.0
    wait: float = 15.0
    hold: float = 0.0
    think: float = 0.0
    answers: int = 1
    barge_in: bool = False

    @property
    def manners(self) -> Manners:
        return Manners(
            start=START_SECONDS * self.speed,
            patience=self.wait,
            settle=max(SETTLE_SECONDS, SHORTEST_SETTLE_SECONDS * self.speed),
            hold=self.hold,
            think=self.think,
            answers=self.answers,
            barge_in=self.barge_in,
        )


class Recording:
    """A ``--save`` file for playback to write into; the first failure ends the call and the recording."""

    def __init__(self, writer: WavWriter, call: "Call") -> None:
        self._writer: WavWriter | None = writer
        self._call = call

    def write(self, pcm: bytes) -> None:
        if self._writer is None:
            return
        try:
            self._writer.write(pcm)
        except CannotWriteError as error:
            with contextlib.suppress(CannotWriteError):
                self._writer.close()
            self._writer = None
            self._call.fail(Ending.NOT_WRITTEN, str(error))


class Call:
    """One call. To be made and run within Trio, once."""

    def __init__(
        self,
        address: Address,
        speech: Speech,
        behaviour: Behaviour,
        display: Display,
        *,
        save: WavWriter | None = None,
        randomness: random.Random | None = None,
        library: Library | None = None,
    ) -> None:
        """Prepare the call. ``library``: to ask for Opus and speak it with; None for PCM."""
        self._address = address
        self._speech = speech
        self._display = display
        self._backoff = Backoff(randomness or random.Random())  # noqa: S311 - jitter, not a secret
        self._clock = Clock(behaviour.speed)
        now = self._clock.now()
        self._playback = Playback(started=now, sink=None if save is None else Recording(save, self))
        self.transcript = Transcript()
        self._turn_taking = TurnTaking(behaviour.manners, now=now)
        self._codec = Codec(library)
        self._hearing = Hearing(self._playback, self.transcript, self._turn_taking, display, self._codec)

        self._microphone = Microphone(
            speech,
            self._clock,
            self._playback,
            self._turn_taking,
            self._hearing,
            codec=self._codec,
            fail=self.fail,
        )
        self._linked = False
        self._links = 0
        self._interrupted = False
        # An ending of our own, which prevails over the daemon's answer to our leaving.
        self._own_ending: Outcome | None = None
        self._outcome = Outcome(Ending.INTERRUPTED)

    async def run(self) -> Report:
        """Hold the whole call. Ctrl-C and SIGTERM end the interview politely; a second signal ends it at once."""
        links, links_for_speaker = trio.open_memory_channel[ClientConnection](0)
        async with trio.open_nursery() as tasks:
            scope = tasks.cancel_scope
            tasks.start_soon(self._heed_signals, scope, name="signals")
            tasks.start_soon(self._show, name="display")
            tasks.start_soon(self._microphone.run, links_for_speaker, name="speaker")
            tasks.start_soon(self._listen, links, scope, name="listener")
        self._playback.advance(self._clock.now())
        report = self._report(self._own_ending or self._outcome)
        self._display.finish(self.transcript.unfinished(), report.sentence)
        return report

    def fail(self, ending: Ending, reason: str) -> None:
        """Leave because something of our own is broken, and report that afterwards."""
        self._own_ending = self._own_ending or Outcome(ending, reason=reason)
        self._turn_taking.leave(self._clock.now())

    # ------------------------------------------------------------ listener

    async def _listen(self, links: trio.MemorySendChannel[ClientConnection], scope: trio.CancelScope) -> None:
        with links:
            self._outcome = await self._hear_out(links)
        scope.cancel()

    async def _hear_out(self, links: trio.MemorySendChannel[ClientConnection]) -> Outcome:
        """Connect, listen, and connect again until there is an outcome."""
        while True:
            began = trio.current_time()
            try:
                self._codec.connected()
                since, opus = self.transcript.last_seq, self._codec.library is not None
                async with linked(self._address, since=since, opus=opus) as link:
                    self._links += 1
                    self._linked = True
                    began = trio.current_time()
                    await links.send(link)
                    outcome = await self._hear(link)
                if outcome is not None:
                    return outcome
                self._backoff.lose(trio.current_time(), lasted=trio.current_time() - began)
            except LinkError as error:
                outcome = self._outcome_of(error)
                if not self._links or not error.passing:
                    return outcome
            finally:
                self._linked = False
            delay = self._backoff.delay(trio.current_time())
            if delay is None:
                return Outcome(Ending.LOST, reason="It could not be made again within a minute.")
            await trio.sleep(delay)

    async def _hear(self, link: ClientConnection) -> Outcome | None:
        """Hear one connection out; return None if it was lost and should be made again."""
        with trio.CancelScope() as patience:
            try:
                while True:
                    self._hearing.receive(await link.recv(), self._clock.now())
                    if self._hearing.ended:
                        patience.deadline = min(patience.deadline, trio.current_time() + CLOSED_SECONDS)
            except ConnectionClosed:
                pass
            except RemoteProtocolError as error:
                await link.aclose(PROTOCOL_ERROR)
                return Outcome(Ending.PROTOCOL, PROTOCOL_ERROR, str(error))
        code, reason = link.close_code or 1000, one_line(link.close_reason or "")
        ending = ending_of(self._hearing.said, code, reason)
        if self._microphone.unconfirmed and not self._hearing.ended:
            return Outcome(Ending.PROTOCOL, code, f"It did not confirm the end within {END_SECONDS:.0f} s.")
        if ending is None:
            self._display.remark(f"connection lost ({code}{' ' if reason else ''}{reason}), reconnecting")
            return None
        if ending is Ending.USER and not self._turn_taking.started:
            return Outcome(
                Ending.AI_FAILED, code, f"The interview did not start within {START_SECONDS:.0f} s."
            )
        return Outcome(ending, code, reason or self._hearing.error)

    def _outcome_of(self, error: LinkError) -> Outcome:
        if self._links and self._turn_taking.stage is CallStage.LEAVING:
            # Our EndRequest was the last message; there is nothing to come back to.
            return Outcome(Ending.USER, reason="The connection was lost before the daemon confirmed it.")
        return Outcome(error.ending, reason=str(error))

    # ------------------------------------------------------------ display, signals

    async def _show(self) -> None:
        while True:
            self._display.draw(self._view())
            await trio.sleep(REDRAW_SECONDS)

    def _view(self) -> View:
        state = self._turn_taking.stage.value
        if not self._linked:
            state = "reconnecting" if self._links else "connecting"
        ends_at = self._hearing.ends_at
        return View(
            state=state,
            position=self._speech.position,
            length=self._speech.seconds,
            level=self._microphone.level,
            time_left=None if ends_at is None else ends_at - self._clock.now(),
        )

    async def _heed_signals(self, scope: trio.CancelScope) -> None:
        stops = Stops()
        with received(stops, signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                if not stops.signalled(trio.current_time()):
                    continue
                self._own_ending = Outcome(Ending.INTERRUPTED)
                if self._interrupted or not self._linked:
                    scope.cancel()
                    return
                self._interrupted = True
                self._display.remark("ending the interview; once more to leave at once")
                self._turn_taking.leave(self._clock.now())

    def _report(self, outcome: Outcome) -> Report:
        if outcome.close_code is None:
            outcome = replace(outcome, close_code=self._outcome.close_code)
        speakers = [turn.speaker for turn in self.transcript.turns]
        return Report(
            outcome=outcome,
            interview_id=self._address.interview_id,
            seconds=self._clock.now(),
            audio_bytes_in=self._playback.received_bytes,
            audio_bytes_out=self._microphone.sent_bytes,
            audio_bytes_unheard=self._playback.dropped_bytes,
            user_turns=speakers.count(Speaker.USER),
            ai_turns=speakers.count(Speaker.AI),
            reply_latencies=tuple(self._turn_taking.latencies),
            reconnects=max(0, self._links - 1),
            codec=self._codec.name,
        )
