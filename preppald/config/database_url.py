"""Reads the URL of a PostgreSQL database, as PostgreSQL's own programs and Prisma write it.

It holds a password, so a refusal names only the part that is wrong, never the URL.
"""

import re
from urllib.parse import parse_qsl, unquote, unquote_to_bytes

from preppald.config.values import Invalid

SCHEMES = ("postgresql://", "postgres://")
EXAMPLE = "postgresql://preppald:PASSWORD@db.example.com/app"
# Parameters of libpq that make sense here. Not options: poolers refuse it.
PARAMETERS = {
    "host", "hostaddr", "port", "dbname", "user", "password", "passfile", "connect_timeout", "application_name",
    "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslnegotiation", "ssl_min_protocol_version",
    "channel_binding", "require_auth", "target_session_attrs", "load_balance_hosts", "gssencmode", "krbsrvname",
    "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
}  # fmt: skip
# Prisma puts its own settings into the same place.
PRISMAS = {
    "schema", "connection_limit", "pool_timeout", "pgbouncer", "socket_timeout", "statement_cache_size", "sslaccept",
    "sslidentity", "sslpassword", "single_use_connections",
}  # fmt: skip
# Hosts that need no encryption: a socket's directory and the loopback.
LOCAL = re.compile(r"|/.*|localhost|127\.[0-9.]+|::1")
VERIFIED = "verify-full"
_HOST = re.compile(r"\[[^\]]*\]|[^:]*")
# The driver quotes what follows such a %, which may be half of a password.
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def database_url(raw: str) -> str:
    """Return a PostgreSQL URL as it stands, with one host or several."""
    scheme = next((it for it in SCHEMES if raw.startswith(it)), None)
    if scheme is None or not raw.isprintable() or " " in raw:
        raise Invalid(f"is not a URL like {EXAMPLE}")
    if "#" in raw:
        raise Invalid("holds a #: in a user or a password write it as %23")
    _check_encoding(raw)
    rest, _, query = raw.removeprefix(scheme).partition("?")
    authority, _, name = rest.partition("/")
    if "@" in name or authority.count("@") > 1:
        raise Invalid("has an @ or a / in its user or password: write them as %40 and %2F")
    for part in _hosts(authority):
        if not re.fullmatch(r"(?:\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::[0-9]{1,5})?", part):
            raise Invalid(
                "has a host that is none, or a character in its password that must be written as %xx"
            )
    _check_parameters(query)
    return raw


def unverified(url: str) -> str:
    """Return a URL's sslmode where that lets somebody on the way read or answer; empty where it does not."""
    scheme = next(it for it in SCHEMES if url.startswith(it))
    rest, _, query = url.removeprefix(scheme).partition("?")
    said = dict(parse_qsl(query))
    hosts = [unquote(_HOST.match(it)[0]).strip("[]") for it in _hosts(rest.partition("/")[0])]  # type: ignore[index]
    hosts += said.get("host", "").split(",")
    mode = said.get("sslmode", VERIFIED)
    return "" if mode == VERIFIED or all(LOCAL.fullmatch(it) for it in hosts) else mode


def _hosts(authority: str) -> list[str]:
    return authority.rpartition("@")[2].split(",")


def _check_encoding(raw: str) -> None:
    """Refuse what the driver could not decode. It would say so only when it connects, and quote it."""
    if _BARE_PERCENT.search(raw):
        raise Invalid("holds a % that begins no %xx: in a user or a password write it as %25")
    decoded = unquote_to_bytes(raw)
    if b"\0" in decoded:
        raise Invalid("holds %00, which PostgreSQL takes nowhere")
    try:
        decoded.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid("holds a %xx that is no UTF-8: write each byte of a character's UTF-8 as %xx") from None


def _check_parameters(query: str) -> None:
    try:
        said = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise Invalid("has something after its ? that is not name=value") from None
    # The next = is one too many to the driver.
    if any(part.count("=") > 1 for part in query.split("&")):
        raise Invalid("has a value with a = in it after its ?: write it as %3D")
    for key, _ in said:
        if key == "options":
            raise Invalid("has options=, which poolers refuse: leave it out")
        if key in PRISMAS:
            raise Invalid(f"has {key}=, which is Prisma's and not PostgreSQL's: leave it out")
        if key not in PARAMETERS:
            raise Invalid(f"has {key!r} after its ?, which PostgreSQL does not know")
