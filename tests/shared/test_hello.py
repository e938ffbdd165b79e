"""The hello between hosts: both sides are proven, and nothing of it can be used again."""

from dataclasses import dataclass
import hmac
import itertools

import msgspec
import pytest

from preppald.errors import RemoteProtocolError
from preppald.shared import hello
from preppald.shared.hello import (
    KEY_BYTES,
    LENGTH,
    MAC_BYTES,
    MARK,
    MAX_QUESTION_BYTES,
    NONCE_BYTES,
    Answering,
    Asking,
    Question,
    Reply,
    Want,
)

KEY = bytes(range(KEY_BYTES))
OWNER, ASKER = 7, 9
_nonces = itertools.count(1)


def nonce() -> bytes:
    return next(_nonces).to_bytes(NONCE_BYTES, "big")


def question(**changes: object) -> Question:
    fields = {"want": Want.CARRY, "owner": OWNER, "asker": ASKER, "name": "there", "interview": "iv"}
    return msgspec.structs.replace(
        Question(**fields, nonce=nonce(), request=msgspec.Raw(b'{"path":"/ws/iv"}')),  # type: ignore[arg-type]
        **changes,
    )


@dataclass
class Said:
    """A message without its length."""

    body: bytes
    proof: bytes


def parted(message: bytes, most: int = MAX_QUESTION_BYTES) -> Said:
    size = hello.length(message[: LENGTH.size], most)
    body = message[LENGTH.size : LENGTH.size + size]
    proof = message[LENGTH.size + size :]
    assert len(proof) == MAC_BYTES
    return Said(body, proof)


def test_both_sides_are_proven() -> None:
    asked = question()
    asking, answering = Asking(KEY, asked), Answering(KEY, nonce())
    assert len(answering.greeting) == hello.GREETING_BYTES
    message = parted(asking.ask(answering.greeting))
    assert answering.read(message.body, message.proof) == asked
    for reply in Reply:
        answer = parted(answering.reply(reply), hello.MAX_ANSWER_BYTES)
        assert asking.read(answer.body, answer.proof) is reply


def test_the_key_does_not_travel() -> None:
    asking, answering = Asking(KEY, question()), Answering(KEY, nonce())
    message = asking.ask(answering.greeting)
    answering.read(*vars(parted(message)).values())
    said = answering.greeting + message + answering.reply(Reply.YES)
    assert all(KEY[start : start + 8] not in said for start in range(KEY_BYTES - 8))


def test_a_question_is_good_for_one_greeting() -> None:
    """Replayed: whoever recorded it meets another nonce."""
    first, second = Answering(KEY, nonce()), Answering(KEY, nonce())
    message = parted(Asking(KEY, question()).ask(first.greeting))
    first.read(message.body, message.proof)
    with pytest.raises(RemoteProtocolError, match="does not have the key"):
        second.read(message.body, message.proof)


def test_an_answer_is_good_for_one_question() -> None:
    """An impostor of the owner greets with a nonce that it recorded, and says the answer that it recorded."""
    recorded = Answering(KEY, nonce())
    message = parted(Asking(KEY, question()).ask(recorded.greeting))
    recorded.read(message.body, message.proof)
    answer = parted(recorded.reply(Reply.YES))
    asking = Asking(KEY, question())
    asking.ask(recorded.greeting)
    with pytest.raises(RemoteProtocolError, match="does not have the key"):
        asking.read(answer.body, answer.proof)


def test_who_has_another_key_is_refused_on_either_side() -> None:
    asking, answering = Asking(bytes(KEY_BYTES), question()), Answering(KEY, nonce())
    message = parted(asking.ask(answering.greeting))
    with pytest.raises(RemoteProtocolError, match="does not have the key"):
        answering.read(message.body, message.proof)
    impostor = Answering(bytes(KEY_BYTES), nonce())
    asking = Asking(KEY, question())
    asking.ask(impostor.greeting)
    answer = parted(impostor.reply(Reply.YES))
    with pytest.raises(RemoteProtocolError, match="does not have the key"):
        asking.read(answer.body, answer.proof)


def test_no_bit_of_a_question_or_an_answer_can_be_changed() -> None:
    asking, answering = Asking(KEY, question()), Answering(KEY, nonce())
    message = parted(asking.ask(answering.greeting))
    for place in range(len(message.body)):
        with pytest.raises(RemoteProtocolError):
            answering.read(_flipped(message.body, place), message.proof)
    for place in range(MAC_BYTES):
        with pytest.raises(RemoteProtocolError):
            answering.read(message.body, _flipped(message.proof, place))
    answering.read(message.body, message.proof)
    answer = parted(answering.reply(Reply.NO))
    with pytest.raises(RemoteProtocolError, match="does not have the key"):
        asking.read(b"yes", answer.proof)


def test_a_question_and_an_answer_cannot_stand_for_each_other() -> None:
    """The asker's own words come back to it."""
    asking = Asking(KEY, question())
    message = parted(asking.ask(MARK + nonce()))
    with pytest.raises(RemoteProtocolError):
        asking.read(message.body, message.proof)


def test_another_program_is_not_greeted_back() -> None:
    with pytest.raises(RemoteProtocolError, match="does not greet"):
        Asking(KEY, question()).ask(b"HTTP/1.1 400 Bad Request"[: hello.GREETING_BYTES])


@pytest.mark.parametrize("words", [b"", b"null", b"[]", b'{"want":"more"}', b"\xff", b'{"want":"vouch"}'])
def test_a_host_of_another_version_may_ask_what_is_not_known(words: bytes) -> None:
    """It has the key, and yet its words mean nothing here."""
    answering = Answering(KEY, nonce())
    proof = hmac.digest(KEY, b"ask" + answering.greeting[len(MARK) :] + words, "sha256")
    with pytest.raises(RemoteProtocolError, match="none that is known"):
        answering.read(words, proof)


def test_an_answer_that_is_not_known_is_none() -> None:
    asking = Asking(KEY, question())
    asked = parted(asking.ask(MARK + nonce()))
    proof = hmac.digest(KEY, b"take" + asked.proof + b"perhaps", "sha256")
    with pytest.raises(RemoteProtocolError, match="none that is known"):
        asking.read(b"perhaps", proof)


def test_fields_of_a_newer_version_are_passed_over() -> None:
    answering = Answering(KEY, nonce())
    asked = question()
    words = msgspec.json.encode({**msgspec.json.decode(msgspec.json.encode(asked)), "newer": [1]})
    proof = hmac.digest(KEY, b"ask" + answering.greeting[len(MARK) :] + words, "sha256")
    assert answering.read(words, proof).interview == "iv"


def test_a_length_has_a_bound() -> None:
    assert hello.length(LENGTH.pack(MAX_QUESTION_BYTES), MAX_QUESTION_BYTES) == MAX_QUESTION_BYTES
    with pytest.raises(RemoteProtocolError, match="longer than"):
        hello.length(LENGTH.pack(MAX_QUESTION_BYTES + 1), MAX_QUESTION_BYTES)


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
