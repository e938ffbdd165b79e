"""What no event would ever say: once a second each interview is looked at.

Silence where the candidate sends none, a browser that is gone, an answer that does not come, a connection that
grows old, a gap that can be heard.
"""

import trio

from preppald.config.settings import Config
from preppald.core import interviewer
from preppald.core.endings import AI_FAILED, AI_UNREACHABLE, CANDIDATE_GONE
from preppald.core.floor import State
from preppald.core.patience import Stage
from preppald.interview.dialogue import Dialogue
from preppald.interview.services import Services
from preppald.telemetry.logs import Logger

# Fine enough for every limit that is kept here, and a fiftieth of a tick's cost.
STEP_SECONDS = 1.0


async def watch(services: Services, config: Config, dialogue: Dialogue, log: Logger) -> None:
    """The session's watchdog task."""
    grace = config.reconnect_grace
    while True:
        await trio.sleep(STEP_SECONDS)
        now = trio.current_time()
        # While Gemini is away nobody hears it, and it would take the place of what was said.
        if dialogue.link.connected and now - dialogue.uplink.fed_at >= STEP_SECONDS:
            dialogue.uplink.put_silence(STEP_SECONDS)
        if dialogue.seat.browser is None and now - dialogue.seat.left_at >= grace:
            dialogue.end(CANDIDATE_GONE, "the candidate did not come back")
        stage = _stage(dialogue, now)
        if stage is not None:
            services.metrics.interventions.labels(stage.value).inc()
            log.warning("interviewer.silent", stage=stage.value)
            _intervene(dialogue, stage)
        await dialogue.writer.drop_if_stalled(now)
        await dialogue.seat.mind(now)
        dialogue.each_second(now)


def _stage(dialogue: Dialogue, now: float) -> Stage | None:
    """Rotates where it is time; else what to do about an answer that does not come."""
    conversation = dialogue.conversation
    if why := dialogue.link.time_to_leave(now):
        dialogue.link.leave(why)
        return None
    if conversation.state not in {State.AWAITED, State.THINKING}:
        return None
    return dialogue.patience.look(
        now,
        awaited_since=conversation.since,
        greeting=not conversation.begun,
        resumed=dialogue.link.resumed,
        thinking=conversation.state is State.THINKING,
    )


def _intervene(dialogue: Dialogue, stage: Stage) -> None:
    match stage:
        case Stage.GREET_AGAIN:
            dialogue.uplink.prompt(interviewer.GREETING)
        case Stage.NUDGE:
            dialogue.uplink.prompt(interviewer.NUDGE)
        case Stage.ROTATE:
            dialogue.link.leave("unanswered")
        case Stage.FRESH:
            dialogue.link.leave("unanswered", fresh=True)
        case Stage.GIVE_UP:
            ending = AI_FAILED if dialogue.conversation.begun else AI_UNREACHABLE
            dialogue.end(ending, "the interviewer does not answer")
