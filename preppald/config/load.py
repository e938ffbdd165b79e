"""The environment, read once, into a frozen Config.

Rule 1: nothing else reads the environment.
Rule 2: all faults are reported at once, each with the setting's name, its value (never a secret's) and the allowed
        values.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
import difflib
from pathlib import Path
from typing import Any

from preppald.config import secret_files as private_files, values as parse
from preppald.config.addresses import Address, unspecified
from preppald.config.env_file import EnvFileError
from preppald.config.setting import Setting
from preppald.config.settings import ENV_FILE, Config, settings
from preppald.config.values import Invalid
from preppald.core import models, prices
from preppald.core.prices import Prices
from preppald.errors import CertificateError, ConfigError
from preppald.net import tls

# Below it, names of settings that differ would be taken for each other: they all begin with PREPPALD_.
ALIKE = 0.8
# A caller on the machine itself, of a daemon that listens at all addresses.
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}  # noqa: S104 - compared, not listened at
# StateDirectory= of the units in systemd/.
SERVICE_STATE_DIR = Path("/var/lib/preppald")


def load(env: Mapping[str, str]) -> Config:
    """Return the configuration in ``env``, or raise every fault in it.

    A secret also comes from a file (``JWT_SECRET_FILE=/path``) or from systemd's credential directory.

    Raises:
        CertificateError: only the certificate, or its key, cannot be used.
        ConfigError: all faults at once.
    """
    env = _with_file_or_fault(env)
    faults = list(_unknown(env))
    values: dict[str, Any] = {}
    for name, item in settings().items():
        try:
            values[name] = _value(item, env)
        except Invalid as error:
            faults.append(f"{item.env}: {error}")
    faults += _contradictions(values, env)
    if {"tls_cert", "tls_key"} <= values.keys():
        try:
            tls.identity(values["tls_cert"], values["tls_key"])
        except CertificateError as error:
            if not faults:
                raise
            faults += error.faults
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    return Config(**_fitted(values))


def _fitted(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with the defaults that depend on other settings: on the backend's wire, whose pages expect them."""
    newest = values["backend"] == "protobuf"
    values["gemini_models"] = values["gemini_models"] or (values["gemini_model"],)
    values["gemini_model"] = values["gemini_models"][0]
    values["close_codes"] = values["close_codes"] or ("distinct" if newest else "plain")
    values["feedback_by_default"] = newest and not values["feedback"]
    values["feedback"] = values["feedback"] or ("on" if newest else "off")
    return values


def with_file(env: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment with the lines of ``PREPPALD_ENV_FILE`` before it.

    Raises:
        Invalid: the file cannot be used.
    """
    named = env.get(ENV_FILE)
    return {**env, **private_files.env_file(Path(named))} if named else env


def _with_file_or_fault(env: Mapping[str, str]) -> Mapping[str, str]:
    try:
        return with_file(env)
    except EnvFileError as error:
        raise ConfigError([f"{ENV_FILE}: {fault}" for fault in error.faults]) from error
    except Invalid as error:
        raise ConfigError([f"{ENV_FILE}: {error}"]) from error


def changes(old: Config, new: Config) -> tuple[list[str], list[str]]:
    """Return the names of settings that a reload changes: those that take effect, and those that need a restart."""
    changed = [
        (item.env, item.restart)
        for name, item in settings().items()
        if getattr(old, name) != getattr(new, name)
    ]
    return [env for env, restart in changed if not restart], [env for env, restart in changed if restart]


def reloaded(old: Config, new: Config) -> Config:
    """Return the new settings, with the old ones where a restart is needed."""
    return replace(new, **{name: getattr(old, name) for name, item in settings().items() if item.restart})


def state_dir(env: Mapping[str, str]) -> Path:
    """Return the directory of the journal, for commands that read it and need no other setting.

    Without a setting, and without a database here, that is the packaged service's. A folder named var is not enough:
    every machine has one in its root directory.

    Raises:
        ConfigError: the file that PREPPALD_ENV_FILE names cannot be used.
    """
    env = _with_file_or_fault(env)
    if said := env.get("PREPPALD_STATE_DIR") or env.get("STATE_DIRECTORY"):
        return Path(said)
    here = Path(settings()["state_dir"].default)
    return here if any(here.glob("*.db")) or not SERVICE_STATE_DIR.exists() else SERVICE_STATE_DIR


def price_table(env: Mapping[str, str]) -> Prices:
    """Return the prices, for commands that need no other setting; the built-in ones where they cannot be read."""
    try:
        return parse.price_table(with_file(env).get("PREPPALD_PRICES", "").strip() or prices.DEFAULT)
    except Invalid:
        return parse.price_table(prices.DEFAULT)


def signing_secret(env: Mapping[str, str]) -> str:
    """Return JWT_SECRET from the daemon's own sources, for commands that sign a token; empty where none has it.

    Raises:
        ConfigError: the file that is named for it cannot be used.
    """
    item = settings()["jwt_secret"]
    try:
        return secret_text(item, _with_file_or_fault(env)).strip()
    except Invalid as error:
        raise ConfigError([f"{item.env}: {error}"]) from error


def shared_journal(env: Mapping[str, str]) -> str:
    """Return PREPPALD_SHARED_JOURNAL from the daemon's own sources, for commands that read it; empty where none has it.

    Raises:
        ConfigError: it is no URL of PostgreSQL, or the file that is named for it cannot be used.
    """
    item = settings()["shared_journal"]
    try:
        url: str = _value(item, _with_file_or_fault(env))
    except Invalid as error:
        raise ConfigError([f"{item.env}: {error}"]) from error
    return url


def daemon_url(env: Mapping[str, str]) -> str:
    """Return the WebSocket URL of the daemon that has this configuration, as its own machine reaches it.

    Empty where PREPPALD_LISTEN is not set.

    Raises:
        ConfigError: the setting, or the file that PREPPALD_ENV_FILE names, cannot be used.
    """
    env = _with_file_or_fault(env)
    item = settings()["listen"]
    said = env.get(item.env, "").strip()
    if not said:
        return ""
    try:
        where: Address = item.read(said)[0]
    except Invalid as error:
        raise ConfigError([f"{item.env}: {said!r} {error}"]) from error
    scheme = "wss" if env.get("PREPPALD_TLS_CERT") else "ws"
    return f"{scheme}://{LOOPBACK.get(where.host, where.host)}:{where.port}"


def _value(item: Setting, env: Mapping[str, str]) -> Any:
    raw = secret_text(item, env) if item.secret else env.get(item.env, "")
    if item.conventional and not raw:
        raw = env.get(item.env.lower(), "")
    if item.env == "PREPPALD_STATE_DIR" and not raw:
        raw = env.get("STATE_DIRECTORY", "")  # systemd's StateDirectory=
    if item.credential and not raw:
        raw = _credential(item, env)
    raw = raw.strip() or item.default
    if not raw and item.needed:
        raise Invalid(f"is not set; {item.doc}")
    if item.secret and not raw:
        return ""
    try:
        return item.read(_text(raw))
    except Invalid as error:
        # A URL may hold a password before its @.
        shown = "(hidden)" if item.secret or "@" in raw else repr(raw)
        raise Invalid(f"{shown} {error}") from error


def secret_text(item: Setting, env: Mapping[str, str]) -> str:
    """Return the secret from the environment, its file or systemd's credentials; empty where none has it."""
    if env.get(item.env):
        return _text(env[item.env])
    if named := env.get(f"{item.env}_FILE"):
        return private_files.secret_file(Path(named))
    held = _credential(item, env)
    return private_files.secret_file(Path(held)) if held else ""


def _text(raw: str) -> str:
    """Return a value as it stands, unless it is no text: a path is written into lines of JSON, too.

    Raises:
        Invalid: it holds bytes that are no UTF-8, which Python keeps as half characters.
    """
    try:
        raw.encode()
    except UnicodeEncodeError:
        raise Invalid("holds bytes that are no UTF-8") from None  # the error itself holds the value
    return raw


def _credential(item: Setting, env: Mapping[str, str]) -> str:
    """Return the file of systemd's LoadCredential= with the setting's name; empty where there is none.

    Raises:
        Invalid: there is a directory of credentials that this user may not look into.
    """
    if credentials := env.get("CREDENTIALS_DIRECTORY"):
        held = Path(credentials) / item.env
        try:
            if held.exists():
                return str(held)
        except OSError as error:
            raise Invalid(f"{held} cannot be read: {error.strerror}") from error
    return ""


def _unknown(env: Mapping[str, str]) -> list[str]:
    """Yield the misspelt settings, which would otherwise be ignored in silence."""
    known = {item.env for item in settings().values()}
    known |= {f"{item.env}_FILE" for item in settings().values() if item.secret}
    known.add("PREPPALD_TOKEN")  # read by `preppald call`
    return [
        f"{name}: is not a setting; {_meant(name, known)}`preppald check --list` names them all"
        for name in sorted(env)
        if name.startswith("PREPPALD_") and name not in known
    ]


def _meant(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=ALIKE)
    return f"did you mean {close[0]}? " if close else ""


def _contradictions(values: Mapping[str, Any], env: Mapping[str, str]) -> list[str]:
    """Yield the faults that no single value shows."""
    faults = []
    if values.get("backend") in {"trpc", "protobuf"}:
        faults += [
            f"{env}: is not set, but PREPPALD_BACKEND={values['backend']} needs it"
            for name, env in (("api_url", "NEXT_PUBLIC_API_URL"), ("worker_secret", "WORKER_SHARED_SECRET"))
            if values.get(name) == ""
        ]
    faults += _models_faults(values, alone=bool(env.get("PREPPALD_GEMINI_MODEL", "").strip()))
    if fault := _unreachable(values):
        faults.append(fault)
    jwt_secret = values.get("jwt_secret")
    if jwt_secret and jwt_secret == values.get("worker_secret"):
        faults.append("WORKER_SHARED_SECRET: (hidden) equals JWT_SECRET; use two different secrets")
    return faults


def _models_faults(values: Mapping[str, Any], *, alone: bool) -> Iterator[str]:
    """Yield the faults of the models. ``alone``: PREPPALD_GEMINI_MODEL is set."""
    if not {"gemini_model", "gemini_models", "thinking"} <= values.keys():
        return
    name, names = values["gemini_model"], values["gemini_models"]
    if alone and names and names != (name,):
        yield (
            f"PREPPALD_GEMINI_MODELS: {parse.written(names)!r} is not PREPPALD_GEMINI_MODEL, {name!r}: "
            "set one of them"
        )
    today = datetime.now(UTC).date()
    for it in names or (name,):
        yield from models.faults(
            it,
            values["thinking"],
            today,
            setting="PREPPALD_GEMINI_MODELS" if names else "PREPPALD_GEMINI_MODEL",
        )


def _unreachable(values: Mapping[str, Any]) -> str:
    """Return why other hosts could not reach this one; empty where they can, or where there are none."""
    if not values.get("shared_journal") or not {"peer_listen", "peer_address"} <= values.keys():
        return ""
    listen = values["peer_listen"]
    if listen is None:
        return (
            "PREPPALD_PEER_LISTEN: is not set, but PREPPALD_SHARED_JOURNAL needs it: an address of this machine on a "
            "private network, like 10.0.0.5:8788, at which the other hosts reach it"
        )
    if unspecified(listen) and values["peer_address"] is None:
        return (
            f"PREPPALD_PEER_ADDRESS: is not set, but {listen} in PREPPALD_PEER_LISTEN is every address of this machine: "
            "say the one at which the other hosts reach it, like 10.0.0.5:8788"
        )
    return ""


def shown(config: Config) -> dict[str, str]:
    """Return the configuration by the names of the environment, with secrets hidden."""
    return {
        item.env: _hidden(getattr(config, name)) if item.secret else parse.written(getattr(config, name))
        for name, item in settings().items()
    }


def _hidden(value: str) -> str:
    return f"(set, {len(value.encode())} bytes)" if value else "(not set)"
