"""What a backend, and whatever stands before it, may answer to a post: bytes on the wire, read by the real decoders."""

from dataclasses import dataclass
import enum
import random
from typing import ClassVar, Protocol

import msgspec

from preppald.backend import Outcome, Transformer, protobuf, trpc
from preppald.core.deliveries import Delivery, DeliveryKind
from preppald.pb.interview_pb2 import WorkerApiResponse

PAGE = b"<!doctype html><title>Hello</title><p>This is a proxy, and not the application.</p>"
BOM = b"\xef\xbb\xbf"
GATEWAYS = (502, 504)


class Manner(enum.Enum):
    """A way of answering that is not the usual one."""

    PAGE = "a page of a proxy, with any status"
    REDIRECT = "another address"
    BUSY = "429 or 503, with Retry-After"
    GATEWAY = "a page of a gateway, behind which it was stored or not"
    EMPTY = "a good status and nothing else, stored or not"
    FAILURE = "the application's own 500"
    HIDDEN = "the application's failure under a good status"
    ODD = "stored, and said so in an odd form"
    CUT = "stored, and the answer is cut off"
    LACKING = "the application has no such procedure"
    FORBIDDEN = "401 or 403 in the application's language"
    REFUSED = "400 in the application's language"
    DELETED = "500 for an interview that it does not know any more"


# The application's own judgement of a delivery: a dead letter may follow.
JUDGED = frozenset({Manner.REFUSED, Manner.DELETED})


@dataclass(frozen=True, slots=True)
class Answer:
    """``stored``: whether the application has it."""

    status: int
    body: bytes
    retry_after: str | None = None
    stored: bool = False


class Wire(Protocol):
    """The application's language: encodes requests, decodes answers, and says what it has to say in it."""

    def encode(self, delivery: Delivery) -> object: ...

    def decode(self, answer: Answer) -> Outcome: ...

    def accepted(self, kind: DeliveryKind, chance: random.Random) -> bytes:
        """Return a good answer; in an odd form as ``chance`` has it."""

    def error(self, status: int) -> bytes: ...

    def lacking(self) -> bytes: ...


class Trpc:
    """Answers as @trpc/server 11 with superjson gives them."""

    CODES: ClassVar = {400: "BAD_REQUEST", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND"}

    def encode(self, delivery: Delivery) -> object:
        return trpc.encode(delivery, Transformer.SUPERJSON)

    def decode(self, answer: Answer) -> Outcome:
        return trpc.decode(answer.status, answer.body, answer.retry_after, Transformer.SUPERJSON)

    def accepted(self, kind: DeliveryKind, chance: random.Random) -> bytes:  # noqa: ARG002 - a mutation is like another
        body = msgspec.json.encode({"result": {"data": {"json": {"success": True}}}})
        return chance.choice((body, BOM + body, b"[" + body + b"]"))

    def error(self, status: int) -> bytes:
        code = self.CODES.get(status, "INTERNAL_SERVER_ERROR")
        return self._error(status, code, "It is as it is.")

    def lacking(self) -> bytes:
        return self._error(404, "NOT_FOUND", 'No procedure found on path "interview.updateStatus"')

    def _error(self, status: int, code: str, message: str) -> bytes:
        data = {"code": code, "httpStatus": status, "path": "interview.updateStatus"}
        return msgspec.json.encode({"error": {"json": {"message": message, "code": -32603, "data": data}}})


class Protobuf:
    """Answers as the newest application gives them."""

    def encode(self, delivery: Delivery) -> object:
        return protobuf.encode(delivery)

    def decode(self, answer: Answer) -> Outcome:
        return protobuf.decode(answer.status, answer.body, answer.retry_after)

    def accepted(self, kind: DeliveryKind, chance: random.Random) -> bytes:
        answer = WorkerApiResponse()
        match kind:
            case DeliveryKind.STATUS:
                answer.update_status.success = True
            case DeliveryKind.TRANSCRIPT:
                answer.submit_transcript.success = True
            case DeliveryKind.FEEDBACK:
                answer.submit_feedback.success = True
            case DeliveryKind.VERIFICATION:
                answer.submit_verification.success = True
        # A field that a newer application adds.
        return answer.SerializeToString() + chance.choice((b"", b"\xfa\x3f\x02ok"))

    def error(self, status: int) -> bytes:
        answer = WorkerApiResponse()
        answer.error.code = status
        answer.error.message = "It is as it is."
        return answer.SerializeToString()

    def lacking(self) -> bytes:
        return self.error(501)


WIRES: dict[str, Wire] = {"trpc": Trpc(), "protobuf": Protobuf()}


def answer(manner: Manner, wire: Wire, delivery: Delivery, chance: random.Random) -> Answer:
    """Return such an answer to the delivery."""
    if manner in _OF_THE_APPLICATION:
        return _own(manner, wire, chance)
    good = wire.accepted(delivery.kind, chance)
    match manner:
        case Manner.PAGE:
            return Answer(chance.choice((200, 400, 401, 403, 404, 413, 418, 500)), PAGE)
        case Manner.REDIRECT:
            return Answer(chance.choice((301, 302, 307, 308)), b"")
        case Manner.BUSY:
            wait = chance.choice((str(chance.randint(0, 60)), "86400", "soon"))
            return Answer(chance.choice((429, 503)), chance.choice((PAGE, b"")), wait)
        case Manner.GATEWAY:
            return Answer(chance.choice(GATEWAYS), PAGE, stored=chance.random() < 0.5)
        case Manner.EMPTY:
            return Answer(chance.choice((200, 202, 204)), b"", stored=chance.random() < 0.5)
        case Manner.ODD:
            return Answer(chance.choice((200, 201, 207)), good, stored=True)
        case _:
            return Answer(200, good[: chance.randrange(len(good))], stored=True)


_OF_THE_APPLICATION = frozenset(
    {Manner.FAILURE, Manner.DELETED, Manner.HIDDEN, Manner.LACKING, Manner.FORBIDDEN, Manner.REFUSED}
)


def _own(manner: Manner, wire: Wire, chance: random.Random) -> Answer:
    """Return an error in the application's language."""
    match manner:
        case Manner.HIDDEN:
            return Answer(200, wire.error(500))
        case Manner.LACKING:
            return Answer(404 if wire is WIRES["trpc"] else 501, wire.lacking())
        case Manner.FORBIDDEN:
            status = chance.choice((401, 403))
        case Manner.REFUSED:
            status = 400
        case _:
            status = 500
    return Answer(status, wire.error(status))
