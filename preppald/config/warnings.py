"""Warnings: settings that work, and that an operator should know of before somebody else makes use of them."""

from contextlib import suppress
from datetime import date
import ipaddress

from preppald.config.addresses import Address, unspecified
from preppald.config.database_url import unverified
from preppald.config.settings import GEMINI_HOST, Config
from preppald.core import languages, models

# Google's keys have 39 characters today, and need not tomorrow; so short a one is a slip of the hand.
SHORTEST_GEMINI_KEY = 8


def warnings(config: Config, today: date) -> list[str]:
    """Return a sentence for each, by the names of the settings. `check` prints them, `serve` logs them."""
    found = list(models.warnings(config.gemini_models, config.voice, today))
    if config.language and not languages.code(config.language):
        found.append(
            f"PREPPALD_LANGUAGE: {config.language!r} is neither a code like de or pt-BR nor the English name of a "
            "language that is known here: the interviewer speaks it, but Gemini gets no code to hear it with"
        )
    deaf = [name for name in config.gemini_models if not models.model_of(name).vocabulary]
    if config.vocabulary and deaf:
        found.append(f"PREPPALD_VOCABULARY: {', '.join(deaf)} takes none: it is not sent")
    public = [str(where) for where in config.listen if not _on_loopback(where)]
    if public and not config.allowed_origins:
        found.append(
            f"PREPPALD_ALLOWED_ORIGINS: is not set, and {', '.join(public)} is no loopback address: "
            "a page of anybody may connect with a token that it got hold of"
        )
    if not _on_loopback(config.admin_listen):
        found.append(
            f"PREPPALD_ADMIN_LISTEN: {config.admin_listen} is no loopback address: "
            "everybody who reaches it reads the metrics"
            + (", and the secret of its page goes there unencrypted" if config.admin_secret else "")
        )
    if config.feedback_by_default:
        found.append(
            "PREPPALD_FEEDBACK: is not set, so it is on with PREPPALD_BACKEND=protobuf, whose pages wait for feedback: "
            f"each transcript is sent to {config.feedback_model}, which costs money; on says that you want this, "
            "off turns it off"
        )
    if config.jwt_secret_previous == config.jwt_secret:
        found.append(
            "PREPPALD_JWT_SECRET_PREVIOUS: (hidden) equals JWT_SECRET: "
            "remove it, or set it to the secret from before the rotation"
        )
    if config.gemini_url.host == GEMINI_HOST and len(config.gemini_key) < SHORTEST_GEMINI_KEY:
        found.append(
            f"GEMINI_API_KEY: (hidden) has {len(config.gemini_key)} characters, fewer than any key of Google's: "
            "is it whole?"
        )
    if config.shared_journal and (mode := unverified(config.shared_journal)):
        found.append(
            f"PREPPALD_SHARED_JOURNAL: (hidden) has sslmode={mode}: whoever is on the way to the database may read "
            "transcripts and its password; leave sslmode out, and the server's certificate is verified"
        )
    if config.shared_journal and config.tls_cert is None and (where := _exposed(config)):
        found.append(
            f"PREPPALD_PEER_LISTEN: {where} is neither a loopback nor a private address, and without PREPPALD_TLS_CERT "
            "candidates' connections come there unencrypted from other hosts: set a certificate, or another address"
        )
    return found


def _exposed(config: Config) -> Address | None:
    """Return the address of the peer port where the whole internet may be on the way to it."""
    for where in (config.peer_listen, config.peer_address):
        if where is not None and not unspecified(where):
            with suppress(ValueError):  # a name: nobody knows yet where that leads
                return where if ipaddress.ip_address(where.host).is_global else None
    return None


def _on_loopback(where: Address) -> bool:
    return where.host == "localhost" or ipaddress.ip_address(where.host).is_loopback
