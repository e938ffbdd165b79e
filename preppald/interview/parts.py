"""The parts of one interview, put together once: the session runs them, the dialogue moves them."""

from collections.abc import Sequence
from dataclasses import dataclass

import trio

from preppald.browser.seat import Seat
from preppald.config.settings import Config
from preppald.core.conversation import Conversation
from preppald.core.ear import Ear
from preppald.core.evidence import Evidence
from preppald.core.fair_clock import FairClock
from preppald.core.hold import Hold
from preppald.core.instructions import Instructions
from preppald.core.interview import Interview
from preppald.core.patience import Patience, answer_seconds
from preppald.core.text_answers import TextAnswers
from preppald.core.traces import Names
from preppald.core.turns import Turn
from preppald.core.watchdog import Watchdog
from preppald.gemini.client import Client
from preppald.gemini.models import Pick
from preppald.gemini.uplink import Uplink, UplinkWriter
from preppald.interview.course import Course
from preppald.interview.outcome import Outcome
from preppald.interview.record import Record
from preppald.interview.services import Services
from preppald.interview.stats import Stats
from preppald.recording import NO_TAPE, Recorder, Tape
from preppald.telemetry.logs import Logger


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """``epoch_ms``: the interview's own wall clock at Trio's time 0, in milliseconds.

    A wall clock that was set back, or is set while the interview runs, moves neither the order of turns nor the end.
    """

    epoch_ms: float
    outcome: Outcome
    conversation: Conversation
    ear: Ear
    evidence: Evidence
    hold: Hold
    answers: TextAnswers
    watchdog: Watchdog
    clock: FairClock
    instructions: Instructions
    uplink: Uplink
    writer: UplinkWriter
    client: Client
    tape: Tape
    seat: Seat
    record: Record
    course: Course | None
    stats: Stats


def parts_of(
    services: Services,
    config: Config,
    interview: Interview,
    log: Logger,
    *,
    turns: Sequence[Turn],
    last_seq: int,
) -> Parts:
    """Return the parts of an interview; ``turns`` and ``last_seq`` are what the journal holds of it."""
    now = trio.current_time()
    latest_ms = max([services.now_ms(), interview.started_ms, *(turn.started_ms for turn in turns)])
    epoch_ms = latest_ms - now * 1000
    ear = Ear((interview.started_ms - epoch_ms) / 1000)
    conversation = Conversation(
        epoch_ms=epoch_ms, ear=ear, silence=config.vad_silence, turns=turns, last_seq=last_seq
    )
    hold = Hold(ear)
    evidence = Evidence(ear, hold, conversation, silence=config.vad_silence)
    # After a restart it goes on with its own model, as long as that is configured.
    known = interview.model in config.gemini_models
    pick = Pick(
        services.gemini.models, interview.interview_id, interview.model if known else config.gemini_model
    )
    patience = Patience(answer_seconds_of(config, pick.name))
    clock = FairClock(
        ends_at=(interview.deadline_ms - epoch_ms) / 1000,
        credit_limit=config.credit_limit,
        credited=interview.credited_ms / 1000,
        notices=config.ending_soon,
    )
    clock.begin(now)
    planned_ms = interview.deadline_ms - interview.started_ms - interview.credited_ms
    instructions = Instructions(
        config.brief, persona=config.persona, language=config.language, limit_seconds=planned_ms / 1000
    )
    course = (
        None
        if config.traces_url is None
        else Course(services.journal, interview, Names(config.trace_names), epoch_ms)
    )
    uplink = Uplink()
    writer = UplinkWriter(uplink)
    client = Client(
        services.gemini,
        config,
        pick=pick,
        conversation=conversation,
        evidence=evidence,
        instructions=instructions,
        clock=clock,
        uplink=uplink,
        writer=writer,
        log=log,
        handle=interview.handle,
        course=course,
    )
    recorder = _recorder(services, config)
    tape = NO_TAPE if recorder is None else recorder.tape(interview, epoch_ms)
    return Parts(
        epoch_ms=epoch_ms,
        outcome=Outcome(),
        conversation=conversation,
        ear=ear,
        evidence=evidence,
        hold=hold,
        answers=TextAnswers(number for turn in turns for number in turn.answers),
        watchdog=Watchdog(config.reconnect_grace, patience),
        clock=clock,
        instructions=instructions,
        uplink=uplink,
        writer=writer,
        client=client,
        tape=tape,
        seat=Seat(tape, interview.started_ms),
        record=Record(services.journal, services.ticker, config, interview, log),
        course=course,
        stats=Stats(services.metrics, uplink, client, interview.usage, config.prices),
    )


def answer_seconds_of(config: Config, model: str) -> float:
    """Return how long this model may take to answer, by the interview's settings."""
    return answer_seconds(model, config.thinking, config.vad_silence)


def _recorder(services: Services, config: Config) -> Recorder | None:
    """Return the recorder of an interview; for one that is not recorded, the one that keeps its sound for a check."""
    if config.record == "on":
        return services.recorder
    kept = services.kept
    return None if config.verify == "off" or kept is None or kept.full else kept.recorder
