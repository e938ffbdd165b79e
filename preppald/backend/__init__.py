"""The application's backend: ``post`` a delivery, learn its ``Outcome``.

outcomes.py  the Protocol, the closed set of outcomes, and the backend that is none
trpc.py      a delivery as a tRPC request, an answer as an outcome: the seam for other wires
client.py    HTTP
"""

from preppald.backend.client import TrpcBackend
from preppald.backend.outcomes import (
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
    "Backend",
    "Delivered",
    "NoBackend",
    "Outcome",
    "Probe",
    "Refused",
    "Retry",
    "Transformer",
    "TrpcBackend",
    "Unauthorized",
]
