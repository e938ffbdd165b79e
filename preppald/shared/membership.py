"""An instance among those that share a journal: its incarnation, its tenure, and the log's lines about both."""

from collections.abc import Iterable

import trio

from preppald.journal.spool import Life
from preppald.shared.protocol import LEASE_SECONDS, Known, Presence, Session
from preppald.shared.tenure import Effect, Event, Tenure, step
from preppald.telemetry.interfaces import Log

# While there is no answer the log says so again after this.
AGAIN_SECONDS = 300.0


class Membership:
    """``incarnation``: 0 before there is one. ``whole``: the shared journal has all that is unfinished and not spooled.

    ``sure``: it is known how far the shared journal is; after each silence it is asked again. ``met``: it was ever asked
    by this process. ``kin``: see ``Shipment``. ``offset_ms``: the database's clock less this host's, None before there
    was an answer. ``fenced``: how often this instance was declared lost.
    """

    def __init__(self, presence: Presence, *, log: Log) -> None:
        self.presence = presence
        self._log = log
        self._first = 0
        self._settled = 0
        self.incarnation = 0
        self.kin: tuple[int, ...] = ()
        self.whole = self.sure = self.met = False
        self.tenure = Tenure.CUT_OFF
        self.offset_ms: int | None = None
        self.fenced = 0
        self._granted_at = float("-inf")
        # Since when there is no answer, and when the log said so last; None while there are answers.
        self._away_since: float | None = None
        self._told_at = 0.0
        # Told once each.
        self._elsewhere: set[Session] = set()

    @property
    def up(self) -> bool:
        """Return whether the shared journal answers."""
        return self.sure and self._away_since is None

    @property
    def holds(self) -> bool:
        """Return whether the lease is renewed."""
        return self.tenure is Tenure.HOLDS

    def recall(self, life: Life) -> None:
        """Go on as the file says."""
        self._first, self._settled = life.first, life.settled
        self.incarnation, self.whole, self.kin = life.incarnation, life.whole, life.kin

    def joined(self, incarnation: int) -> None:
        """Begin as another incarnation, of which nothing is there yet."""
        self._log.info("instance.joined", incarnation=incarnation, name=self.presence.name)
        self.incarnation, self._settled = incarnation, 0
        self._happened(Event.JOINED)
        self.sure = self.met = True
        self._answered()

    def resumed(self, known: Known) -> None:
        """Go on from where the database is; or leave this incarnation, where another file goes on as the same."""
        if not self.met and known.highest >= self._first:
            # Only this start of the process gives such numbers, and it has sent nothing yet.
            self._log.warning("instance.copied", incarnation=self.incarnation)
            self.incarnation = 0
            return
        if known.settled < self._settled:
            # A standby was promoted that lacks more than the spool has.
            self._log.error("shared.forgot", settled=self._settled, known=known.settled)
            self._settled, self.whole = known.settled, False
        self._happened(Event.GRANTED)
        self.sure = self.met = True
        self._answered()

    def settled(self, upto: int) -> None:
        """Note up to which number the shared journal has settled."""
        self._settled = max(self._settled, upto)

    def granted(self) -> None:
        """Note that the lease was renewed, or something written."""
        self._happened(Event.GRANTED)
        if self.sure:
            self._answered()

    def refused(self) -> bool:
        """Note that this incarnation is lost; return False: nothing was written."""
        self._happened(Event.REFUSED)
        return False

    def silent(self, why: str, *, at_once: bool = True) -> bool:
        """Note that no answer came; return False. ``at_once``: it must be asked again how far the database is."""
        now = trio.current_time()
        self.sure = self.sure and not at_once
        if self._away_since is None or now >= self._told_at + AGAIN_SECONDS:
            self._away_since = now if self._away_since is None else self._away_since
            self._told_at = now
            self._log.warning("shared.away", cause=why, seconds=round(now - self._away_since))
        if now > self._granted_at + LEASE_SECONDS:
            self._happened(Event.SILENCE)
        return False

    def elsewhere(self, sessions: Iterable[Session]) -> None:
        """Tell of sessions that another instance owns: both run them, and nothing here decides between them yet."""
        for session in sessions:
            if session not in self._elsewhere:
                self._elsewhere.add(session)
                interview_id, block = session
                self._log.error("interview.owned_elsewhere", interview=interview_id, block=block)

    def set_clock(self, clock_ms: int, now_ms: int) -> None:
        """Note how far this host's clock is from the database's."""
        self.offset_ms = clock_ms - now_ms

    def _answered(self) -> None:
        self._granted_at = trio.current_time()
        if self._away_since is not None:
            self._log.warning("shared.back", seconds=round(self._granted_at - self._away_since))
            self._away_since = None

    def _happened(self, event: Event) -> None:
        after = step(self.tenure, event)
        self.tenure = after.state
        for effect in after.effects:
            match effect:
                case Effect.CATCH_UP:
                    self.sure = False
                case Effect.SEND_ALL:
                    self.whole = False
                case Effect.LEAVE:
                    self._log.error("instance.fenced", incarnation=self.incarnation)
                    self.fenced += 1
                    self.incarnation, self.sure = 0, False
