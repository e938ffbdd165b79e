"""Warnings: settings that work, and that an operator should know of before somebody else makes use of them."""

from datetime import date
import ipaddress

from preppald.config.addresses import Address
from preppald.config.database_url import unverified
from preppald.config.settings import GEMINI_HOST, Config
from preppald.core import languages, models

# Google's keys have 39 characters today, and need not tomorrow; so short a one is a slip of the hand.
SHORTEST_GEMINI_KEY = 8


def warnings(config: Config, today: date) -> list[str]:
    """Return a sentence for each, by the names of the settings. `check` prints them, `serve` logs them."""
    found = list(models.warnings(config.gemini_model, config.voice, today))
    model = models.model_of(config.gemini_model)
    if config.language and not languages.code(config.language):
        found.append(
            f"PREPPALD_LANGUAGE: {config.language!r} is neither a code like de or pt-BR nor the English name of a "
            "language that is known here: the interviewer speaks it, but Gemini gets no code to hear it with"
        )
    if config.vocabulary and not model.vocabulary:
        found.append(f"PREPPALD_VOCABULARY: {config.gemini_model} takes none: it is not sent")
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
    return found


def _on_loopback(where: Address) -> bool:
    return where.host == "localhost" or ipaddress.ip_address(where.host).is_loopback
