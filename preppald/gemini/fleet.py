"""Lets the hosts that share a journal tell each other of Gemini: of a quota that is used up, and of models that are sick.

One exchange beside each pulse, and at once where there is news. Without answers each host goes by what it sees itself.

    quota, credit   one host was refused: nobody dials until the signal lapses
    sick:MODEL      the sums of all hosts, or one of them, found it sick; it lapses each minute, and the host that has it
                    hold on lets one new interview try the model; taken back where a candidate was answered there
"""

from collections.abc import Callable

import trio

from preppald.core.closes import CREDIT, QUOTA, Cause
from preppald.core.model_health import PROBE_EVERY_SECONDS, Change
from preppald.gemini.models import Models
from preppald.gemini.quota import QUOTA_PAUSE_SECONDS, Quota
from preppald.net.wakeup import Wakeup
from preppald.shared.protocol import PULSE_SECONDS, Fenced, Unreachable
from preppald.shared.signals import COUNTS_SECONDS, Learnt, Signal, Signals

SICK = "sick:"
HELD_BACK = {it.name: it for it in (QUOTA, CREDIT)}


class Fleet:
    """``me``: this host's incarnation, 0 while it has none. ``run`` is its task."""

    def __init__(self, signals: Signals, me: Callable[[], int], models: Models, quota: Quota) -> None:
        self._signals = signals
        self._me = me
        self._models = models
        self._quota = quota
        self._bell = Wakeup()
        self._refused: set[Cause] = set()
        self._healed: set[str] = set()
        # Models that the signals have called sick, as far as that was taken to heart here.
        self._sick: set[str] = set()
        # Until when each held-back signal was obeyed: what is known of already holds nobody back again.
        self._obeyed: dict[str, int] = {}
        self._learnt_at = float("-inf")

    async def run(self) -> None:
        """Tell and learn, until cancelled."""
        self._quota.on_refused = self._refused_by_quota
        self._models.on_change = self._changed
        while True:
            if not await self.exchange():
                self._go_alone()
            await self._bell.heard(PULSE_SECONDS)

    def _refused_by_quota(self, cause: Cause) -> None:
        self._refused.add(cause)
        self._bell.ring()

    def _changed(self, change: Change) -> None:
        if not change.sick and change.model in self._sick:
            self._healed.add(change.model)
        self._bell.ring()

    async def exchange(self) -> bool:
        """Tell what is new, and learn what others told; return False where there was no answer."""
        me, models = self._me(), self._models
        if not me:
            return False
        for cause in list(self._refused):
            if not _done(await self._signals.signal(me, cause.name, QUOTA_PAUSE_SECONDS, cause.name)):
                return False
            self._refused.discard(cause)
        for model in list(self._healed):
            if not _done(await self._signals.clear(me, SICK + model)):
                return False
            self._healed.discard(model)
            self._sick.discard(model)
        names, now = models.names(), trio.current_time()
        counts = {it: models.rules.counts(it, now) for it in names} if len(names) > 1 else {}
        learnt = await self._signals.learn(me, counts)
        if not isinstance(learnt, Learnt):
            return False
        now = self._learnt_at = trio.current_time()
        signals = {it.name: it for it in learnt.signals}
        self._hold_back(signals, me, now)
        models.rules.heard_of_others(learnt.counts)
        models.rules.probes_are_granted = True
        return await self._agree(signals, me, now)

    def _go_alone(self) -> None:
        """Go by what this host sees itself, once the others' words are old."""
        if trio.current_time() - self._learnt_at > COUNTS_SECONDS:
            self._models.rules.heard_of_others({})
            self._models.rules.probes_are_granted = False

    def _hold_back(self, signals: dict[str, Signal], me: int, now: float) -> None:
        for name, cause in HELD_BACK.items():
            it = signals.get(name)
            if it is None or it.by == me or it.left <= 0 or self._obeyed.get(name) == it.until_ms:
                continue
            self._obeyed[name] = it.until_ms
            self._quota.hold(cause, now + it.left)

    def _take_over(self, signals: dict[str, Signal], now: float) -> None:
        """Take over what others found of models."""
        for model in self._models.names():
            if SICK + model in signals:
                self._sick.add(model)
                self._models.told_sick(model, now)
            elif model in self._sick:
                self._sick.discard(model)
                self._models.told_well(model, now)

    async def _agree(self, signals: dict[str, Signal], me: int, now: float) -> bool:
        """Tell what was found here of models, and ask for leave to try the sick ones."""
        models = self._models
        self._take_over(signals, now)
        models.judge(now)
        for model in models.names():
            if not models.rules.sick(model):
                continue
            name = SICK + model
            if name not in signals:
                if not _done(await self._signals.signal(me, name, PROBE_EVERY_SECONDS, "it keeps failing")):
                    return False
            elif models.rules.wants_probe(model, now):
                won = await self._signals.probe(me, name, PROBE_EVERY_SECONDS)
                if won is True:
                    models.rules.grant_probe(model, trio.current_time())
                elif won is not False:
                    return False
        return True


def _done(answer: object) -> bool:
    return not isinstance(answer, Fenced | Unreachable)
