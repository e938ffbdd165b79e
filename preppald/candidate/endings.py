"""The endings of a call, and the exit status of each.

A daemon's close codes come in two sets (``PREPPALD_CLOSE_CODES``): ``plain``, where 4002 is a failure of the
AI service, and ``distinct``, where 4002 is the time limit and 4004 the failure. The daemon's last message before the
close (SessionEnded, ErrorResponse) tells them apart; without such a message, the close reason's text does.
"""

from dataclasses import dataclass
import enum

from preppald.errors import EX_DATAERR, EX_IOERR


class Ending(enum.Enum):
    """The name in the JSON report, the exit status, and a sentence for people."""

    USER = ("user", 0, "The interview was ended by the candidate.")
    TIME_LIMIT = ("time-limit", 0, "The interview reached its time limit.")
    AI_ENDED = ("ai-ended", 0, "The interview was ended by the interviewer.")
    USAGE = ("usage", 2, "The call was not made.")
    REFUSED = ("refused", 3, "The daemon refused the connection.")
    UNREACHABLE = ("unreachable", 4, "The daemon could not be reached.")
    AI_FAILED = ("ai-failed", 5, "The AI service failed.")
    REPLACED = ("replaced", 6, "A newer connection took the interview over.")
    LOST = ("lost", 7, "The connection was lost.")
    PROTOCOL = ("protocol", 8, "The daemon and the candidate did not understand each other.")
    STOPPED = ("stopped", 9, "The daemon was stopped.")
    OPERATOR = ("operator", 10, "The interview was ended by the operator.")
    BAD_FILE = ("bad-file", EX_DATAERR, "The file cannot be used.")
    NOT_WRITTEN = ("not-written", EX_IOERR, "A file could not be written.")
    INTERRUPTED = ("interrupted", 130, "The call was interrupted.")

    def __init__(self, label: str, status: int, sentence: str) -> None:
        self.label = label
        self.status = status
        self.sentence = sentence


# Where the reason names the file or the option, and says all.
_TOLD_BY_REASON = frozenset({Ending.USAGE, Ending.BAD_FILE, Ending.NOT_WRITTEN})


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one call. ``close_code`` and ``reason`` are the WebSocket's; ``reason`` may also say more."""

    ending: Ending
    close_code: int | None = None
    reason: str = ""

    @property
    def sentence(self) -> str:
        if self.ending in _TOLD_BY_REASON and self.reason:
            return self.reason
        # A close reason such as "Interview ended by user" adds nothing where all went well.
        more = self.reason if self.ending.status else ""
        return f"{self.ending.sentence} {more}".strip()


class Said(enum.Enum):
    """The daemon's message about the end, before it closed the connection."""

    NOTHING = enum.auto()
    ENDED_BY_USER = enum.auto()
    ENDED_BY_AI = enum.auto()
    ENDED_BY_TIME = enum.auto()
    ENDED = enum.auto()  # SessionEnded with a reason that this client does not know
    AI_FAILED = enum.auto()  # ErrorResponse 4002
    FAILED = enum.auto()  # another ErrorResponse


# ErrorResponse's code for a failure of the AI service, in both sets of close codes.
AI_FAILURE = 4002
# Close codes whose cause may pass: the connection is made again if the session was not ended.
# 1001 going away, 1005 no code, 1006 no close frame, 1012 restart, 1013 try again later, 1014 bad gateway.
PASSING_CODES = frozenset({1001, 1005, 1006, 1012, 1013, 1014})

OPERATOR_CODE = 4006
OPERATOR_WORDS = "ended by operator"

_ENDINGS_SAID = {
    Said.ENDED_BY_USER: Ending.USER,
    Said.ENDED_BY_AI: Ending.AI_ENDED,
    Said.ENDED_BY_TIME: Ending.TIME_LIMIT,
    Said.ENDED: Ending.STOPPED,
    Said.AI_FAILED: Ending.AI_FAILED,
}
_ENDINGS_BY_CODE = {
    4001: Ending.USER,
    4003: Ending.AI_ENDED,
    4004: Ending.AI_FAILED,
    OPERATOR_CODE: Ending.OPERATOR,
    4409: Ending.REPLACED,
    # Refused within the WebSocket, as proxies do that cannot refuse the handshake.
    4401: Ending.REFUSED,
    4403: Ending.REFUSED,
}
# A word of the close reason, where the code alone says too little.
_ENDINGS_BY_REASON = {
    "timeout": Ending.TIME_LIMIT,
    "time limit": Ending.TIME_LIMIT,
    "ended by user": Ending.USER,
    "ai ended": Ending.AI_ENDED,
    OPERATOR_WORDS: Ending.OPERATOR,
}


def ending_of(said: Said, close_code: int, reason: str) -> Ending | None:
    """Return the ending that a closed connection means; None if the connection should be made again."""
    if close_code in PASSING_CODES and said in {Said.NOTHING, Said.FAILED}:
        return None
    if said is Said.ENDED and (close_code == OPERATOR_CODE or OPERATOR_WORDS in reason.lower()):
        return Ending.OPERATOR  # SessionEnded has no reason for it
    if said in _ENDINGS_SAID:
        return _ENDINGS_SAID[said]
    if said is Said.FAILED and close_code in {1011, 4004}:
        return Ending.PROTOCOL
    if close_code in _ENDINGS_BY_CODE:
        return _ENDINGS_BY_CODE[close_code]
    if close_code in {1000, AI_FAILURE}:
        for words, ending in _ENDINGS_BY_REASON.items():
            if words in reason.lower():
                return ending
    return Ending.AI_FAILED if close_code == AI_FAILURE else Ending.PROTOCOL
