"""The hello between two hosts, as bytes: both prove that they have the shared key, and the asker says what it wants. Pure.

    owner → asker   MARK, nonce
    asker → owner   length, question, HMAC(key, "ask" ‖ nonce ‖ question)
    owner → asker   length, answer, HMAC(key, "take" ‖ HMAC of the question ‖ answer)

HMAC is that of RFC 2104 with SHA-256. The owner is the instance that is asked: by its incarnation, as the asker had it
from the shared journal.

Rule 1: neither side believes a word of the other before its HMAC is right. The key itself never travels.
Rule 2: nothing of it can be said again: the question's HMAC holds the owner's nonce, and the answer's the asker's as well.
Rule 3: a question that is meant for another incarnation is answered so, and by nothing else.
"""

import enum
import hashlib
import hmac
import struct

import msgspec

from preppald.errors import RemoteProtocolError

# The protocol and its version: another one would have another mark.
MARK = b"preppal1"
NONCE_BYTES = 16
GREETING_BYTES = len(MARK) + NONCE_BYTES
MAC_BYTES = hashlib.sha256().digest_size
KEY_BYTES = 32
LENGTH = struct.Struct("!I")
# A question holds a request's head, of 32 KiB at most, and what JSON puts around it; an answer is one word.
MAX_QUESTION_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 64
_ASK, _TAKE = b"ask", b"take"


class Want(enum.StrEnum):
    """The purposes of a hello."""

    VOUCH = "vouch"  # does this incarnation live?
    HOLD = "hold"  # is this interview live there?
    CARRY = "carry"  # take this connection to it


class Reply(enum.StrEnum):
    """The answers to a question."""

    YES = "yes"
    NO = "no"
    ANOTHER = "another"  # the one that answers is another incarnation than the one that was asked


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """``owner``, ``asker``: incarnations. ``name``: the asker's. ``nonce``: the asker's own, random.

    ``interview``: of HOLD and CARRY. ``request``: of CARRY, JSON that only the server's room reads.
    """

    want: Want
    owner: int
    asker: int
    name: str
    nonce: bytes
    interview: str = ""
    request: msgspec.Raw = msgspec.Raw(b"null")


class Asking:
    """The asker's side of one hello."""

    def __init__(self, key: bytes, question: Question) -> None:
        self._key = key
        self._question = msgspec.json.encode(question)
        self._proof = b""

    def ask(self, greeting: bytes) -> bytes:
        """Return the whole message that answers a greeting of GREETING_BYTES.

        Raises:
            RemoteProtocolError: it is none.
        """
        if not greeting.startswith(MARK):
            raise RemoteProtocolError("the peer does not greet as a preppald of this version does")
        self._proof = _mac(self._key, _ASK, greeting[len(MARK) :], self._question)
        return LENGTH.pack(len(self._question)) + self._question + self._proof

    def read(self, answer: bytes, proof: bytes) -> Reply:
        """Return the reply.

        Raises:
            RemoteProtocolError: the peer is not the owner, or it says nothing that is known.
        """
        if not hmac.compare_digest(_mac(self._key, _TAKE, self._proof, answer), proof):
            raise RemoteProtocolError("the peer does not have the key of these hosts")
        try:
            return Reply(answer.decode("ascii", "replace"))
        except ValueError as error:
            raise RemoteProtocolError("the peer's answer is none that is known") from error


class Answering:
    """The owner's side of one hello. ``nonce``: NONCE_BYTES random bytes, never the same twice."""

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self.greeting = MARK + nonce
        self._key = key
        self._nonce = nonce
        self._proof = b""

    def read(self, question: bytes, proof: bytes) -> Question:
        """Return the question.

        Raises:
            RemoteProtocolError: it is not from a host that has the key, or is none that is known.
        """
        expected = _mac(self._key, _ASK, self._nonce, question)
        if not hmac.compare_digest(expected, proof):
            raise RemoteProtocolError("the peer does not have the key of these hosts")
        try:
            found = msgspec.json.decode(question, type=Question)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RemoteProtocolError("the peer's question is none that is known") from error
        self._proof = proof
        return found

    def reply(self, reply: Reply) -> bytes:
        """Return the whole message that answers the question, which was read before."""
        answer = reply.encode()
        return LENGTH.pack(len(answer)) + answer + _mac(self._key, _TAKE, self._proof, answer)


def length(head: bytes, most: int) -> int:
    """Return how many bytes follow a head of LENGTH.size, beside the HMAC.

    Raises:
        RemoteProtocolError: more than ``most``.
    """
    (found,) = LENGTH.unpack(head)
    if found > most:
        raise RemoteProtocolError(f"the peer's message is longer than {most} bytes")
    return int(found)


def _mac(key: bytes, *parts: bytes) -> bytes:
    return hmac.digest(key, b"".join(parts), hashlib.sha256)
