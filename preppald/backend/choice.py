"""Chooses the wire by the configuration."""

from contextlib import AbstractAsyncContextManager, nullcontext

from preppald.backend.client import ProtobufBackend, TrpcBackend
from preppald.backend.outcomes import Backend, NoBackend
from preppald.backend.trpc import Transformer
from preppald.config.settings import Config


def backend_for(config: Config) -> AbstractAsyncContextManager[Backend]:
    """Return the application's backend, ready inside the ``async with``."""
    proxy = config.proxy_for(config.api_url)
    match config.backend:
        case "trpc":
            transformer = Transformer(config.trpc_transformer)
            return TrpcBackend(config.api_url, config.worker_secret, transformer, proxy=proxy)
        case "protobuf":
            return ProtobufBackend(config.api_url, config.worker_secret, proxy=proxy)
        case "none":
            return nullcontext(NoBackend())
