"""The health of Gemini's models: the one that an interview begins with, and the one that it goes on with.

Connections to Gemini are counted, those of all interviews: each is an attempt, and a failure where it ends by a fault
that may be the model's own (``closes.OF_THE_MODEL``), or where the interviewer stays silent.

Rule 1: a model is sick after 5 failures within 60 s, where those are 30 % of its attempts and of 3 interviews.
Rule 2: the last model is never left: none is taken for sick while no other is well.
Rule 3: half-open: one new interview a minute tries a sick model. It is well once a candidate was answered there.
Rule 4: one that falls sick again within ten minutes has to answer twice as many such candidates, one after the other,
        up to 8: a model that fails every other time does not come and go by the minute.
Rule 5: one that nobody tries, for a better one is well, is taken for well after ten minutes: nobody knows.
Rule 6: for a minute after a model became well only this process's own failures count: others' may be of before.

Hosts that share a journal agree on which models are sick, and one of them at a time has leave to try one
(``probes_are_granted``): for a minute, and again where it was of no use, as no interview began there.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

WINDOW_SECONDS = 60.0
# Fewer are an accident, of one network or one candidate.
LEAST_FAILURES = 5
LEAST_INTERVIEWS = 3
# A service that is well loses a few connections in a hundred.
LEAST_SHARE = 0.3
# One interview in this time pays for the knowledge, and goes on with another model where the sick one fails.
PROBE_EVERY_SECONDS = 60.0
RELAPSE_SECONDS = 600.0
MOST_PROOFS = 8
UNTRIED_SECONDS = 600.0
# Leave is asked for so long after an interview that would have tried a sick model: where none begins any more, as in a drain,
# it is for others. With few interviews over many hosts each is a minute in which the next one is another host's.
WANTED_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Counts:
    """A model's connections of the last minute. ``interviews``: the number of those that a failure hit."""

    attempts: int = 0
    failures: int = 0
    interviews: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.attempts + other.attempts,
            self.failures + other.failures,
            self.interviews + other.interviews,
        )

    @property
    def bad(self) -> bool:
        """Return whether they are a sick model's."""
        return (
            self.failures >= LEAST_FAILURES
            and self.interviews >= LEAST_INTERVIEWS
            # A connection that fails may have begun before this minute: then it is no attempt of it.
            and self.failures >= LEAST_SHARE * self.attempts
        )


NONE = Counts()


@dataclass(frozen=True, slots=True)
class Choice:
    """The model of a new interview. ``probe``: it is sick, and this interview finds out whether it still is."""

    model: str
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A model that is sick from now on, or well again. ``counts``: of the minute that decided."""

    model: str
    sick: bool
    counts: Counts


@dataclass(slots=True)
class _Second:
    at: int
    attempts: int = 0
    failures: int = 0
    interviews: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Record:
    """One model's. ``seconds``: those of the last minute in which something happened, the oldest first."""

    seconds: deque[_Second] = field(default_factory=deque)
    sick_since: float | None = None
    tried_at: float = float("-inf")
    well_since: float = float("-inf")
    proofs: int = 0
    needed: int = 1
    # Where probes are granted: when a new interview would have tried it; and until when one may.
    wanted_at: float = float("-inf")
    granted_until: float = float("-inf")
    # When others last said that it is sick.
    confirmed_at: float = float("-inf")

    def at(self, now: float) -> _Second:
        if not self.seconds or self.seconds[-1].at != int(now):
            self.forget(now)
            self.seconds.append(_Second(int(now)))
        return self.seconds[-1]

    def forget(self, now: float) -> None:
        while self.seconds and self.seconds[0].at <= now - WINDOW_SECONDS:
            self.seconds.popleft()


class ModelHealth:
    """One for the process. All times monotonic, in seconds; ``models``: the configured ones, the preferred first.

    ``probes_are_granted``: a sick model is tried only after ``grant_probe``.
    """

    def __init__(self) -> None:
        self.probes_are_granted = False
        self._records: dict[str, _Record] = {}
        self._elsewhere: Mapping[str, Counts] = {}

    # -------------------------------------------------------------- what happens

    def attempted(self, model: str, now: float) -> None:
        """Count a connection that is dialled."""
        self._record(model).at(now).attempts += 1

    def failed(self, model: str, interview_id: str, now: float) -> None:
        """Count a connection that failed by a fault of the model's, or was left because the interviewer was silent."""
        record = self._record(model)
        second = record.at(now)
        second.failures += 1
        second.interviews.add(interview_id)
        record.proofs = 0

    def proved(self, model: str, now: float) -> Change | None:
        """Note that the interviewer answered a candidate whose interview tries a sick model."""
        record = self._record(model)
        if record.sick_since is None:
            return None
        record.proofs += 1
        return self.heal(model, now) if record.proofs >= record.needed else None

    def heard_of_others(self, counts: Mapping[str, Counts]) -> None:
        """Take the sums of all other hosts, which replace those of before."""
        self._elsewhere = counts

    # -------------------------------------------------------------- what follows

    def counts(self, model: str, now: float) -> Counts:
        """Return this process's own counts."""
        record = self._records.get(model)
        if record is None:
            return NONE
        record.forget(now)
        hit: set[str] = set().union(*(it.interviews for it in record.seconds))
        return Counts(
            sum(it.attempts for it in record.seconds), sum(it.failures for it in record.seconds), len(hit)
        )

    def judge(self, models: Sequence[str], now: float) -> list[Change]:
        """Return the models that fell sick, or are taken for well, with what happened since."""
        changes: list[Change] = []
        for model in models:
            record = self._record(model)
            if record.sick_since is not None:
                if now - max(record.sick_since, record.tried_at, record.confirmed_at) >= UNTRIED_SECONDS:
                    changes.append(self.heal(model, now))
                continue
            counts = self.counts(model, now)
            if now - record.well_since >= WINDOW_SECONDS:
                counts += self._elsewhere.get(model, NONE)
            if counts.bad and self.well(models, beside=model):
                changes.append(self.fall_sick(model, counts, now))
        return changes

    def fall_sick(self, model: str, counts: Counts, now: float) -> Change:
        """Take a model for sick from now on."""
        record = self._record(model)
        again = now - record.well_since < RELAPSE_SECONDS
        record.needed = min(record.needed * 2, MOST_PROOFS) if again else 1
        record.proofs = 0
        # It was tried by everybody until now.
        record.sick_since = record.tried_at = now
        return Change(model, sick=True, counts=counts)

    def heal(self, model: str, now: float) -> Change:
        """Take a model for well from now on; the failures of before count no more."""
        record = self._record(model)
        counts = self.counts(model, now)
        record.sick_since = None
        record.well_since = now
        record.wanted_at = record.granted_until = float("-inf")
        record.seconds.clear()
        return Change(model, sick=False, counts=counts)

    def sick(self, model: str) -> bool:
        """Return whether new interviews begin with another model, if there is one."""
        record = self._records.get(model)
        return record is not None and record.sick_since is not None

    def best(self, models: Sequence[str]) -> str:
        """Return the first model that is well; the first of all where none is, which a reload may bring about."""
        well = self.well(models)
        return well[0] if well else models[0]

    def choose(self, models: Sequence[str], now: float) -> Choice:
        """Return the model that a new interview begins with."""
        best = self.best(models)
        for model in models[: models.index(best)]:
            if self._may_try(self._record(model), now):
                return Choice(model, probe=True)
        return Choice(best)

    def _may_try(self, record: _Record, now: float) -> bool:
        """Return whether a new interview tries this sick model; then no other does for a while."""
        if self.probes_are_granted:
            may = now < record.granted_until
            record.wanted_at = float("-inf") if may else now
        else:
            may = now - record.tried_at >= PROBE_EVERY_SECONDS
        if may:
            record.tried_at, record.granted_until = now, float("-inf")
        return may

    def wants_probe(self, model: str, now: float) -> bool:
        """Return whether new interviews would try this model, had they leave."""
        record = self._record(model)
        return now >= record.granted_until and now - record.wanted_at < WANTED_SECONDS

    def grant_probe(self, model: str, now: float) -> None:
        """Let one new interview of the next minute try a sick model."""
        self._record(model).granted_until = now + PROBE_EVERY_SECONDS

    def confirm(self, model: str, now: float) -> None:
        """Note that others say that a model is sick."""
        self._record(model).confirmed_at = now

    def better(self, model: str, models: Sequence[str]) -> str | None:
        """Return the model that an interview with this one is to go on with, where this one is sick."""
        if not self.sick(model):
            return None
        well = self.well(models, beside=model)
        return well[0] if well else None

    def well(self, models: Sequence[str], beside: str = "") -> list[str]:
        """Return those that are not sick, ``beside`` left out."""
        return [it for it in models if it != beside and not self.sick(it)]

    def _record(self, model: str) -> _Record:
        return self._records.setdefault(model, _Record())
