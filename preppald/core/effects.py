"""Effects that the rules ask of the shell, beside the conversation's own in ``events``."""

from preppald.core.endings import Ending
from preppald.core.events import _Happening
from preppald.core.frames import NoticeKind
from preppald.core.stage import Stage


class End(_Happening, frozen=True):
    """End the interview. ``cause``: why, for people."""

    ending: Ending
    cause: str


class Tell(_Happening, frozen=True):
    """Send the candidate's page a Notice."""

    kind: NoticeKind
    words: str


class Prompt(_Happening, frozen=True):
    """Send Gemini text. It answers at once; ``quiet``: it is to know this, and not to answer."""

    text: str
    quiet: bool = False


class Leave(_Happening, frozen=True):
    """Leave this connection to Gemini for the next. ``fresh``: without the handle, which is of no use."""

    why: str
    fresh: bool = False


class PutSilence(_Happening, frozen=True):
    """Send Gemini this many seconds of silence: the candidate's page sends nothing."""

    seconds: float


class Remark(_Happening, frozen=True):
    """Log and count what is done about an interviewer that does not speak."""

    stage: Stage


class Asked(_Happening, frozen=True):
    """Note that the interviewer was asked to speak, and is waited for from now on."""


class ShowHold(_Happening, frozen=True):
    """Tell the page whether the candidate's pause to think lasts, and for how many seconds it will."""

    on: bool
    remaining: float


SessionEffect = Asked | ShowHold | End | Tell | Prompt | Leave | PutSilence | Remark
