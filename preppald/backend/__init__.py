"""The application's backend: ``post`` a delivery, learn its ``Outcome``.

outcomes.py  the Protocol, the closed set of outcomes, and the backend that is none
wire.py      the parts that the wires share
trpc.py      a delivery as a tRPC request, an answer as an outcome
protobuf.py  the same in protobuf, and an interview's context
client.py    HTTP: a class a wire
choice.py    the wire that the configuration asks for
"""

from preppald.backend.choice import backend_for
from preppald.backend.client import HttpBackend, ProtobufBackend, TrpcBackend
from preppald.backend.outcomes import (
    Absent,
    Backend,
    Delivered,
    NoBackend,
    Outcome,
    Probe,
    Refused,
    Retry,
    Unauthorized,
)
from preppald.backend.trpc import Transformer

__all__ = [
    "Absent",
    "Backend",
    "Delivered",
    "HttpBackend",
    "NoBackend",
    "Outcome",
    "Probe",
    "ProtobufBackend",
    "Refused",
    "Retry",
    "Transformer",
    "TrpcBackend",
    "Unauthorized",
    "backend_for",
]
