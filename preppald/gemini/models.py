"""Gemini's models as one process uses them: which are sick, who is told of it, and the model of each interview.

The rules are ``core.model_health``'s. A process on its own counts its own connections; where a journal is shared the
counts of all hosts are added.
"""

from collections.abc import Callable, Iterable, Sequence

from preppald.core.closes import OF_THE_MODEL, SETUP_TIMED_OUT, Cause, Remedy
from preppald.core.model_health import Change, Choice, ModelHealth
from preppald.telemetry.health import Health, Trouble
from preppald.telemetry.logs import Logger
from preppald.telemetry.metrics import Metrics

# The setup of an interview that tries a sick model may take so long: the rest of its start is for a model that is well.
PROBE_SETUP_SECONDS = 3.0
# Fresh connections of one interview with one model that fail in a row; then it tries the next model, whatever others see:
# with few candidates a model is not called sick, and each of them would lose the interview.
FAILURES_IN_A_ROW = 2


class Models:
    """One for the process. ``names``: the configured models, the preferred first; a reload may change them."""

    def __init__(
        self, names: Callable[[], Sequence[str]], *, log: Logger, health: Health, metrics: Metrics
    ) -> None:
        self.names = names
        self.rules = ModelHealth()
        self._log = log
        self._health = health
        self._metrics = metrics
        # Told of each model that fell sick, or is well again.
        self.on_change: Callable[[Change], None] = lambda _change: None
        self.show()

    def choose(self, now: float) -> Choice:
        """Return the model that a new interview begins with. ``now``: Trio's clock, here as below."""
        self.judge(now)
        return self.rules.choose(self.names(), now)

    def best(self) -> str:
        """Return the model that a new interview begins with, unless it is to try a sick one."""
        return self.rules.best(self.names())

    def judge(self, now: float) -> None:
        """Look at the counts, and tell of models that fell sick, or are taken for well."""
        self._tell(self.rules.judge(self.names(), now))

    def failed(self, model: str, interview_id: str, now: float) -> None:
        """Count a failure that may be the model's."""
        self.rules.failed(model, interview_id, now)
        self.judge(now)

    def proved(self, model: str, now: float) -> None:
        """Note that a candidate was answered in an interview that tries a sick model."""
        change = self.rules.proved(model, now)
        if change is not None:
            self._tell([change])

    def told_sick(self, model: str, now: float) -> None:
        """Take a model for sick, for the hosts together found it so; not the last one that is well."""
        names = self.names()
        self.rules.confirm(model, now)
        if not self.rules.sick(model) and any(it != model and not self.rules.sick(it) for it in names):
            self._tell([self.rules.fall_sick(model, self.rules.counts(model, now), now)])

    def told_well(self, model: str, now: float) -> None:
        """Take a model for well, for a candidate was answered there at another host."""
        if self.rules.sick(model):
            self._tell([self.rules.heal(model, now)])

    def show(self) -> None:
        """Set the gauge of each model, and the words for people."""
        names = self.names()
        sick = [name for name in names if self.rules.sick(name)]
        for name in names:
            self._metrics.model_sick.labels(name).set(name in sick)
        if sick:
            words = f"Gemini's {', '.join(sick)} keeps failing: interviews go on with {self.best()}"
            self._health.begin(Trouble.GEMINI_MODEL, words, told=True)
        else:
            self._health.end(Trouble.GEMINI_MODEL, told=True)

    def _tell(self, changes: Iterable[Change]) -> None:
        changed = False
        for it in changes:
            changed = True
            self.on_change(it)
            counts = {
                "failures": it.counts.failures,
                "attempts": it.counts.attempts,
                "interviews": it.counts.interviews,
            }
            if it.sick:
                self._log.error("model.sick", model=it.model, instead=self.best(), **counts)
            else:
                self._log.warning("model.well", model=it.model, **counts)
        if changed:
            self.show()


class Pick:
    """The model of one interview. ``name`` is the present one; ``interview_id``: of the interview.

    ``probing``: it is sick, and this interview finds out whether it still is. A model that fails this interview in a row is
    given up by it, and the next one tried; none twice before a candidate's words were answered.
    """

    def __init__(self, models: Models, interview_id: str, name: str) -> None:
        self.name = name
        self.probing = False
        self._models = models
        self._interview_id = interview_id
        self._in_a_row = 0
        self._given_up: set[str] = set()

    def begin(self, now: float) -> bool:
        """Take the model that a new interview begins with; return whether that is another one."""
        choice = self._models.choose(now)
        self.probing = choice.probe
        before, self.name = self.name, choice.model
        return self.name != before

    def dialled(self, now: float) -> None:
        """Note that a connection is dialled."""
        self._models.rules.attempted(self.name, now)

    def by(self, by: float, now: float) -> float:
        """Return when a setup that may take until ``by`` is given up: half of the time is for the next model, if any."""
        if self.probing:
            return min(by, now + PROBE_SETUP_SECONDS)
        return (now + by) / 2 if self._next() is not None else by

    def failed(self, cause: Cause, now: float, *, resuming: bool) -> None:
        """Note why a connection failed: the model may be the cause, or something on the way to it.

        ``resuming``: or the handle, so that the model may still be of use to this interview.
        """
        if cause not in OF_THE_MODEL:
            return
        before = self._in_a_row
        self.stalled(now)
        if resuming:
            self._in_a_row = before
        elif cause.remedy is Remedy.NONE or cause is SETUP_TIMED_OUT:
            # It would fail again; or has had its half of the time.
            self._in_a_row = FAILURES_IN_A_ROW

    def stalled(self, now: float) -> None:
        """Note that the model failed, or stays silent; where that was to be found out, it is."""
        self.probing = False
        self._in_a_row += 1
        self._models.failed(self.name, self._interview_id, now)

    def answered(self, now: float) -> None:
        """Note that the interviewer answered the candidate."""
        self._in_a_row = 0
        self._given_up.clear()
        if self.probing:
            self.probing = False
            self._models.proved(self.name, now)

    def forsaken(self) -> bool:
        """Return whether the interview is to go on with another model, from the next quiet moment on."""
        return not self.probing and self._better() is not None

    def move(self) -> bool:
        """Take the model that the interview is to go on with; return whether that is another one."""
        if self.probing:
            return False
        better = self._better()
        if better is None and self._in_a_row >= FAILURES_IN_A_ROW:
            better = self._next()
        if better is None:
            return False
        self._given_up.add(self.name)
        self._in_a_row = 0
        self.name = better
        return True

    def _better(self) -> str | None:
        return self._models.rules.better(self.name, self._models.names())

    def _next(self) -> str | None:
        """Return the model that is tried where this one is given up."""
        others = self._models.rules.well(self._models.names(), beside=self.name)
        return next((it for it in others if it not in self._given_up), None)
