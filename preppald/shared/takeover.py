"""A survivor's decision about another instance that does not renew its lease: one table, total over every case.

Rule 1: nobody is declared lost who answers, by whichever way: it is only cut off from the database.
Rule 2: nothing is claimed of an instance before its last words are settled.
Rule 3: an instance that does not hold its own lease judges nobody.
"""

from collections.abc import Mapping
import enum

from preppald.shared.protocol import Peer
from preppald.shared.tenure import Tenure


class Seen(enum.Enum):
    """The states of another instance, as the last pulse had them."""

    LATE = "it has not renewed for three pulses: its lease ends soon, or has ended"
    LOST = "it was declared lost, by whomever, and is not settled"


class Word(enum.Enum):
    """Its own word, asked for at its address."""

    UNASKED = "it was not asked yet"
    ALIVE = "it answers: it is cut off from the database, and goes on with its interviews"
    SILENT = "it does not answer, or has no address"


class Deed(enum.Enum):
    """The survivor's next deed."""

    LEAVE = "nothing"
    ASK = "ask it at its address whether it lives"
    DECLARE = "declare it lost, which the database grants once its lease has ended"
    SETTLE = "settle its last words: from then on its interviews may be claimed"


_HOLDS, _LATE, _LOST = Tenure.HOLDS, Seen.LATE, Seen.LOST

TABLE: Mapping[tuple[Tenure, Seen, Word], Deed] = {
    (_HOLDS, _LATE, Word.UNASKED): Deed.ASK,
    (_HOLDS, _LATE, Word.ALIVE): Deed.LEAVE,
    (_HOLDS, _LATE, Word.SILENT): Deed.DECLARE,
    # Its word comes too late: it is fenced, and will learn it.
    (_HOLDS, _LOST, Word.UNASKED): Deed.SETTLE,
    (_HOLDS, _LOST, Word.ALIVE): Deed.SETTLE,
    (_HOLDS, _LOST, Word.SILENT): Deed.SETTLE,
    **{
        (tenure, seen, word): Deed.LEAVE
        for tenure in Tenure
        if tenure is not _HOLDS
        for seen in Seen
        for word in Word
    },
}


def decided(tenure: Tenure, peer: Peer, word: Word) -> Deed:
    """Return the next deed about an instance that a pulse named."""
    return TABLE[tenure, _LOST if peer.lost else _LATE, word]
