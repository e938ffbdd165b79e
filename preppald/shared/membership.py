"""An instance among those that share a journal: its incarnation, its tenure, and the log's lines about both."""

from collections.abc import Callable, Sequence

import trio

from preppald.journal.spool import Life
from preppald.shared.protocol import LEASE_SECONDS, Known, Peer, Presence, Pulse
from preppald.shared.tenure import MAY_GO_ON, MAY_POST, Effect, Event, Tenure, step
from preppald.telemetry.interfaces import Log

# While there is no answer the log says so again after this.
AGAIN_SECONDS = 300.0
# Or when there is another cause: the first may be a broken line, the second the reason why no other comes. Of an outage.
MAX_CAUSES = 5


class Membership:
    """``incarnation``: 0 before there is one. ``whole``: the shared journal has all that is unfinished and not spooled.

    ``sure``: it is known how far the shared journal is; after each silence it is asked again. ``met``: it was ever asked
    by this process. ``kin``: see ``Shipment``. ``offset_ms``: the database's clock less this host's, None before there
    was an answer. ``fenced``: how often this instance was declared lost; ``on_fenced`` is called each time. ``silences``:
    how often the answers ceased. ``late`` and ``orphans``: as the last pulse had them; ``on_news`` is called where there
    are any.
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
        self.fenced = self.silences = 0
        self.on_fenced: Callable[[], None] = lambda: None
        self.late: Sequence[Peer] = ()
        self.orphans = False
        self.on_news: Callable[[], None] = lambda: None
        self._granted_at = float("-inf")
        # Since when there is no answer, and when the log said so last; None while there are answers.
        self._away_since: float | None = None
        self._told_at = 0.0
        self._causes: set[str] = set()

    @property
    def up(self) -> bool:
        """Return whether the shared journal answers."""
        return self.sure and self._away_since is None

    def away(self, now: float) -> float:
        """Return for how many seconds there has been no answer; 0 where there are answers."""
        return 0.0 if self._away_since is None else now - self._away_since

    @property
    def holds(self) -> bool:
        """Return whether the lease is renewed."""
        return self.tenure is Tenure.HOLDS

    @property
    def may_go_on(self) -> bool:
        """Return whether what runs here may go on, and what is live here run again: not once it is others'."""
        return MAY_GO_ON[self.tenure]

    def may_post(self, now: float) -> bool:
        """Return whether deliveries may be posted: by the last answer, and by its age."""
        return MAY_POST[self.tenure] and now <= self._granted_at + LEASE_SECONDS

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

    def silent(self, why: str) -> bool:
        """Note that no answer came; return False. A standby may answer next, which lacks the last seconds."""
        now = trio.current_time()
        self.sure = False
        another = why not in self._causes and len(self._causes) < MAX_CAUSES
        self.silences += self._away_since is None
        if self._away_since is None or another or now >= self._told_at + AGAIN_SECONDS:
            self._away_since = now if self._away_since is None else self._away_since
            self._told_at = now
            self._causes.add(why)
            self._log.warning("shared.away", cause=why, seconds=round(now - self._away_since))
        if now > self._granted_at + LEASE_SECONDS:
            self._happened(Event.SILENCE)
        return False

    def felt(self, pulse: Pulse, now_ms: int) -> None:
        """Note a pulse's answer. ``now_ms``: this host's clock."""
        self.granted()
        self.offset_ms = pulse.clock_ms - now_ms
        self.late, self.orphans = pulse.late, pulse.orphans
        if self.late or self.orphans:
            self.on_news()

    def _answered(self) -> None:
        self._granted_at = trio.current_time()
        if self._away_since is not None:
            self._log.warning("shared.back", seconds=round(self._granted_at - self._away_since))
            self._away_since = None
            self._causes.clear()

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
                    self.late, self.orphans = (), False
                    self.on_fenced()
