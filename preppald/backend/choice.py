"""Chooses the wire by the configuration."""

from contextlib import AbstractAsyncContextManager, nullcontext

from preppald.backend.client import ProtobufBackend, TrpcBackend
from preppald.backend.outcomes import Backend, NoBackend
from preppald.backend.trpc import Transformer
from preppald.config.settings import Config


def backend_for(config: Config) -> AbstractAsyncContextManager[Backend]:
    """Return the application's backend, ready inside the ``async with``."""
    match config.backend:
        case "trpc":
            return TrpcBackend(config.api_url, config.worker_secret, Transformer(config.trpc_transformer))
        case "protobuf":
            return ProtobufBackend(config.api_url, config.worker_secret)
        case "none":
            return nullcontext(NoBackend())
