"""The operator's page in numbers: the daemon now, those that ended last, and one interview's timeline.

Words are in a timeline only with PREPPALD_ADMIN_TEXT=on. One state serves all pages that watch.
"""

from collections.abc import Sequence

import msgspec
import trio

from preppald.core.interview import Interview, Phase
from preppald.core.presence import Presence, Stay
from preppald.core.quality import Quality, quality
from preppald.core.timeline import Spoken, spoken
from preppald.core.turns import fold, in_order
from preppald.daemon.acting import Acting
from preppald.daemon.orders import StatusNow
from preppald.errors import JournalError, PreppaldError
from preppald.interview.now import InterviewNow
from preppald.interview.registry import Registry
from preppald.interview.services import Services
from preppald.journal import Which
from preppald.telemetry.metrics import counted

# The state of 500 interviews takes two milliseconds to make, and people do not read faster.
LIVE_SECONDS = 2.0
# Those that ended are asked of the disk.
ENDED_SECONDS = 6.0
ENDED_SHOWN = 20
# Among so many that began last.
ENDED_AMONG = 200


class Unknown(PreppaldError):
    """Raised where the journal has no such interview."""


class GeminiNow(msgspec.Struct, frozen=True, kw_only=True):
    """``accepted_ms``: when Gemini last accepted a session, 0: not since the start. Counts are since the start."""

    accepted_ms: int
    connects: int
    failures: dict[str, int]


class EndedInterview(msgspec.Struct, frozen=True, kw_only=True):
    """An interview that is over. ``cause``: why, for people."""

    interview: str
    user: str
    block: int
    started_ms: int
    ended_ms: int
    ending: str
    cause: str


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """All that the page's first view shows. ``text``: whether a timeline has what was said."""

    now_ms: int
    max_sessions: int
    text: bool
    cost_dollars: float
    gemini: GeminiNow
    ended: list[EndedInterview]
    status: StatusNow


class TurnNow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A turn, in milliseconds since the interview began."""

    speaker: str
    begin_ms: int
    end_ms: int
    cut: bool = False
    text: str | None = None


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """One interview, or one block of it. ``blocks``: all that there are. ``now``: while it is live here.

    ``quality``: the journal's row once it is over. ``connections``: those to Gemini, ``browsers`` the candidate's, the
    latest of them.
    """

    interview: str
    user: str
    block: int
    blocks: list[int]
    model: str
    started_ms: int
    ended_ms: int | None
    ending: str | None
    cause: str | None
    length_ms: int
    turns: list[TurnNow]
    quality: Quality
    tokens: int
    cost_dollars: float
    connections: Sequence[Stay]
    browsers: Sequence[Stay]
    now: InterviewNow | None


class Live:
    """One daemon's."""

    def __init__(self, services: Services, registry: Registry, acting: Acting) -> None:
        self.seconds = LIVE_SECONDS
        self._services = services
        self._registry = registry
        self._acting = acting
        self._ended: list[EndedInterview] = []
        self._ended_due = self._due = float("-inf")
        self._made = b""

    async def snapshot(self) -> bytes:
        """Return the state in JSON, at most LIVE_SECONDS old."""
        now = trio.current_time()
        if now >= self._ended_due:
            self._ended_due = now + ENDED_SECONDS
            await self._look_at_ended()
        # Behind the wait: a page that asks meanwhile makes the state itself.
        if now >= self._due:
            self._due = now + LIVE_SECONDS * 0.9
            self._made = msgspec.json.encode(self._now())
        return self._made

    def _now(self) -> Now:
        services = self._services
        metrics = services.metrics
        return Now(
            now_ms=services.now_ms(),
            max_sessions=services.config.max_sessions,
            text=services.config.admin_text == "on",
            cost_dollars=round(sum(counted(metrics.cost).values()), 2),
            gemini=GeminiNow(
                accepted_ms=round(sum(counted(metrics.upstream_last_connected).values()) * 1000),
                connects=round(sum(counted(metrics.upstream_connects).values())),
                failures={
                    cause: round(times)
                    for cause, times in counted(metrics.upstream_failures).items()
                    if times
                },
            ),
            ended=self._ended,
            status=self._acting.status(),
        )

    async def _look_at_ended(self) -> None:
        try:
            found = await self._services.journal.interviews(Which(phase=Phase.ENDED, limit=ENDED_AMONG))
        except JournalError:
            return  # the state has the journal's fault in words
        found.sort(key=lambda it: it.ended_ms or 0, reverse=True)
        self._ended = [_ended(it) for it in found[:ENDED_SHOWN]]

    async def interview(self, interview_id: str, block: int) -> bytes:
        """Return an interview's timeline in JSON. ``block``: 0 for the last there is.

        Raises:
            Unknown: there is no such interview, or no such block of it.
        """
        try:
            sessions = await self._services.journal.sessions(interview_id)
            chosen = [it for it in sessions if not block or it.block == block]
            if not chosen:
                raise Unknown("There is no such interview")
            it = chosen[-1]
            said = await self._services.journal.history(interview_id, it.epoch)
            kept = await self._services.journal.quality(it)
        except JournalError as error:
            raise Unknown(f"The journal cannot be read: {error}") from error
        session = self._registry.session(interview_id)
        live = session if session is not None and session.interview.epoch == it.epoch else None
        length_ms = max(0, (it.ended_ms or self._services.now_ms()) - it.started_ms)
        timeline = spoken(in_order(fold(said).values()), it.started_ms, it.ended_ms)
        now = live.now() if live else None
        went = kept or quality(timeline, length_ms, live.service() if live else None)
        there = (live.presence() if live else went.presence) or Presence()
        cost = self._services.config.prices.cost(it.usage) if now is None else now.cost_dollars
        return msgspec.json.encode(
            Timeline(
                interview=it.interview_id,
                user=it.user_id,
                block=it.block,
                blocks=[other.block for other in sessions],
                model=it.model,
                started_ms=it.started_ms,
                ended_ms=it.ended_ms,
                ending=it.ending,
                cause=it.cause,
                length_ms=length_ms,
                turns=list(map(self._turn, timeline)),
                quality=went,
                tokens=it.usage.total if now is None else now.tokens,
                cost_dollars=round(cost, 4),
                connections=there.gemini,
                browsers=there.browser,
                now=now,
            )
        )

    def _turn(self, it: Spoken) -> TurnNow:
        shown = self._services.config.admin_text == "on"
        return TurnNow(
            speaker=it.turn.speaker.value,
            begin_ms=it.begin_ms,
            end_ms=it.end_ms,
            cut=it.turn.cut,
            text=it.turn.text if shown else None,
        )


def _ended(it: Interview) -> EndedInterview:
    return EndedInterview(
        interview=it.interview_id,
        user=it.user_id,
        block=it.block,
        started_ms=it.started_ms,
        ended_ms=it.ended_ms or it.started_ms,
        ending=it.ending or "",
        cause=it.cause or "",
    )
