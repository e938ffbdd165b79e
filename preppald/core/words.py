"""Where a word goes: to the open turn, to one before it, or to a new one.

Gemini promises no order between text, sound and flags. So a word's turn is decided by what belongs together, and not
by the flag that came last: each word is in one of these situations, and each situation has one place.
"""

from dataclasses import dataclass
import enum

from preppald.core.activity import Activity
from preppald.core.reply import Reply

# The rest of a reply's text came this long after its turnComplete, while nobody had answered.
TAIL_SECONDS = 2.0
# Where an answer is awaited already, its reply could begin with text: so late a tail only.
HURRIED_TAIL_SECONDS = 1.0
# Nobody hears a question out, answers, and is written down in less.
MISSING_SECONDS = 3.0
# Pieces of one transcription follow one another faster than people do.
PIECES_SECONDS = 1.5


class Placement(enum.Enum):
    """Where a word goes."""

    CONTINUES = "at the end of the speaker's open turn"
    LATE = "to the turn that it is the rest of, or before the reply that answered it"
    NEW = "into a turn that it begins"


class Situation(enum.Enum):
    """The situations in which a word comes: of the interviewer's (REPLY) or of the candidate's (ANSWER)."""

    REPLY_UNDER_WAY = "the interviewer's turn is open"
    REPLY_CUT = "the candidate spoke over the reply, and Gemini has not closed it"
    REPLY_JUST_OVER = "a reply was declared over a moment ago"
    REPLY_TO_COME = "no reply that the words could be the rest of: they are ahead of their sound"
    ANSWER_UNDER_WAY = "the candidate's turn is open"
    ANSWER_OVERTAKEN = "a reply began, and the candidate was not heard speaking since"
    ANSWER_MISSING = "a reply just ended that answered words which had not come"
    ANSWER_TO_COME = "nothing that the words could be the rest of"


PLACES = {
    Situation.REPLY_UNDER_WAY: Placement.CONTINUES,
    Situation.REPLY_CUT: Placement.LATE,
    Situation.REPLY_JUST_OVER: Placement.LATE,
    Situation.REPLY_TO_COME: Placement.NEW,
    Situation.ANSWER_UNDER_WAY: Placement.CONTINUES,
    Situation.ANSWER_OVERTAKEN: Placement.LATE,
    Situation.ANSWER_MISSING: Placement.LATE,
    Situation.ANSWER_TO_COME: Placement.NEW,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenWord:
    """The knowledge when a word of the interviewer's comes.

    ``cut``: the last reply was spoken over and is not closed. ``over_for``: seconds since the last reply was over, or
    since the last word that belonged to it; None where there was no reply. ``awaited``: an answer is due.
    """

    open: bool
    cut: bool
    over_for: float | None
    awaited: bool

    @property
    def situation(self) -> Situation:
        """Return the first that fits."""
        if self.open:
            return Situation.REPLY_UNDER_WAY
        if self.cut:
            return Situation.REPLY_CUT
        limit = HURRIED_TAIL_SECONDS if self.awaited else TAIL_SECONDS
        if self.over_for is not None and self.over_for <= limit:
            return Situation.REPLY_JUST_OVER
        return Situation.REPLY_TO_COME


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardWord:
    """The knowledge when a word of the candidate's comes.

    ``replied``: there was a reply. ``replying``: one is being given. ``tells_activity``: this Gemini reports voice
    activity; ``spoke_since``: it did since the reply began. ``answers_unheard``: the last reply answered words that have
    not come; ``over_for``: seconds since it was over. ``late_for``: seconds since the last word that was late.
    """

    open: bool
    replied: bool
    replying: bool
    tells_activity: bool
    spoke_since: bool
    answers_unheard: bool
    over_for: float | None
    late_for: float | None

    @property
    def situation(self) -> Situation:
        """Return the first that fits."""
        if self.open:
            return Situation.ANSWER_UNDER_WAY
        if not self.replied or self.spoke_since:
            return Situation.ANSWER_TO_COME
        if self.replying or self.tells_activity:
            return Situation.ANSWER_OVERTAKEN
        just_over = self.over_for is not None and self.over_for <= MISSING_SECONDS
        going_on = self.late_for is not None and self.late_for <= PIECES_SECONDS
        if going_on or (self.answers_unheard and just_over and self.late_for is None):
            return Situation.ANSWER_MISSING
        return Situation.ANSWER_TO_COME


def spoken_word(reply: Reply | None, now: float, *, cut: bool, awaited: bool) -> SpokenWord:
    """Return what is known of a word of the interviewer's that comes now; ``reply``: the last one."""
    over_at = None if reply is None else reply.over_at
    return SpokenWord(
        open=reply is not None and over_at is None,
        cut=cut,
        over_for=None if over_at is None else now - over_at,
        awaited=awaited,
    )


def heard_word(
    reply: Reply | None, activity: Activity, late_at: float | None, now: float, *, answering: bool
) -> HeardWord:
    """Return what is known of a word of the candidate's that comes now; ``late_at``: when the last late one came."""
    over_at = None if reply is None else reply.over_at
    return HeardWord(
        open=answering,
        replied=reply is not None and reply.sounding,
        replying=reply is not None and reply.sounding and over_at is None,
        tells_activity=activity.told,
        spoke_since=activity.since_reply,
        answers_unheard=reply is not None and reply.answers_unheard,
        over_for=None if over_at is None else now - over_at,
        late_for=None if late_at is None else now - late_at,
    )
