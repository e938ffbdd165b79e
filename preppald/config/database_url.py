"""Reads the URL of a PostgreSQL database, as PostgreSQL's own programs and Prisma write it.

It holds a password, so a refusal names only the part that is wrong, never the URL.
"""

import re
from urllib.parse import parse_qsl, unquote

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


def database_url(raw: str) -> str:
    """Return a PostgreSQL URL as it stands, with one host or several."""
    scheme = next((it for it in SCHEMES if raw.startswith(it)), None)
    if scheme is None or not raw.isprintable() or " " in raw:
        raise Invalid(f"is not a URL like {EXAMPLE}")
    if "#" in raw:
        raise Invalid("holds a #: in a user or a password write it as %23")
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


def _check_parameters(query: str) -> None:
    try:
        said = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise Invalid("has something after its ? that is not name=value") from None
    for key, _ in said:
        if key == "options":
            raise Invalid("has options=, which poolers refuse: leave it out")
        if key in PRISMAS:
            raise Invalid(f"has {key}=, which is Prisma's and not PostgreSQL's: leave it out")
        if key not in PARAMETERS:
            raise Invalid(f"has {key!r} after its ?, which PostgreSQL does not know")
