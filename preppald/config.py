"""The environment, read once, into a frozen Config.

Rule 1: nothing else reads the environment.
Rule 2: all faults are told at once, each with the setting's name, its value (never a secret's) and what
        is allowed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from preppald import parse
from preppald.auth import TokenRules
from preppald.core import gemini, models, prices
from preppald.core.brief import DEFAULT_PERSONA, Brief
from preppald.core.prices import Prices
from preppald.errors import ConfigError
from preppald.parse import Address, Endpoint, Invalid, Network

MINUTE = 60.0
HOUR = 3600.0
# HS256 is as strong as its key: RFC 7518 §3.2 asks for at least the hash's 256 bits.
MIN_SECRET_BYTES = 32
# Names the file that is read before the environment; it is a setting like others, and yet read first.
ENV_FILE = "PREPPALD_ENV_FILE"
# StateDirectory= of the units in systemd/.
SERVICE_STATE_DIR = Path("/var/lib/preppald")


@dataclass(frozen=True, slots=True)
class Setting:
    """How one field of Config is read. ``doc`` is its line in the README, the env file and ``--help``.

    ``restart``: it is read at the start only; any other may change at SIGHUP, for the interviews that begin then.
    """

    env: str
    read: Callable[[str], Any]
    doc: str
    default: str = ""
    secret: bool = False
    needed: bool = False
    restart: bool = False


def setting(
    env: str,
    read: Callable[[str], Any],
    doc: str,
    *,
    default: str = "",
    secret: bool = False,
    needed: bool = False,
    restart: bool = False,
) -> Any:  # a dataclass field, whatever the attribute's type says
    found = Setting(env, read, doc, default, secret, needed, restart)
    return field(repr=not secret, metadata={"setting": found})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting, typed, with its unit: durations are seconds, sizes are bytes."""

    jwt_secret: str = setting(
        "JWT_SECRET",
        parse.secret(MIN_SECRET_BYTES),
        "signs the candidates' tokens (HS256); the application's own",
        secret=True,
        needed=True,
    )
    jwt_secret_previous: str = setting(
        "PREPPALD_JWT_SECRET_PREVIOUS",
        parse.optional(parse.secret(MIN_SECRET_BYTES)),
        "a second secret, accepted while JWT_SECRET is being rotated",
        secret=True,
    )
    worker_secret: str = setting(
        "WORKER_SHARED_SECRET",
        parse.optional(parse.secret(MIN_SECRET_BYTES)),
        "the Bearer secret towards the backend; needed unless PREPPALD_BACKEND=none",
        secret=True,
    )
    gemini_key: str = setting(
        "GEMINI_API_KEY",
        parse.secret(1),
        "the key for Gemini",
        secret=True,
        needed=True,
    )
    api_url: str = setting(
        "NEXT_PUBLIC_API_URL",
        parse.optional(parse.http_url),
        "the application's origin; needed unless PREPPALD_BACKEND=none",
        restart=True,
    )
    listen: Address = setting(
        "PREPPALD_LISTEN",
        parse.address,
        "where browsers connect",
        default="127.0.0.1:8787",
        restart=True,
    )
    admin_listen: Address = setting(
        "PREPPALD_ADMIN_LISTEN",
        parse.address,
        "where metrics are read; keep it on loopback",
        default="127.0.0.1:9464",
        restart=True,
    )
    allowed_origins: tuple[str, ...] = setting(
        "PREPPALD_ALLOWED_ORIGINS",
        parse.origins,
        "the pages that may connect, as exact origins separated by commas; empty allows any",
    )
    jwt_audience: str = setting(
        "PREPPALD_JWT_AUDIENCE",
        parse.text,
        "the aud that a token must carry; empty asks for none",
    )
    jwt_issuer: str = setting(
        "PREPPALD_JWT_ISSUER",
        parse.text,
        "the iss that a token must carry; empty asks for none",
    )
    gemini_url: Endpoint = setting(
        "PREPPALD_GEMINI_URL",
        parse.websocket_endpoint,
        "another Gemini: the simulator, a proxy (ws:// or wss://, path optional)",
        default="wss://generativelanguage.googleapis.com",
        restart=True,
    )
    gemini_model: str = setting(
        "PREPPALD_GEMINI_MODEL",
        parse.text,
        "the Live model",
        default="gemini-3.8-live",
    )
    voice: str = setting("PREPPALD_VOICE", parse.text, "one of Gemini's prebuilt voices", default="Puck")
    thinking: Literal["", "minimal", "low", "medium", "high"] = setting(
        "PREPPALD_THINKING",
        parse.optional(parse.one_of(*models.THINKING_LEVELS)),
        "how long the model thinks, for models that have levels; empty for those that have none",
    )
    backend: Literal["trpc", "protobuf", "none"] = setting(
        "PREPPALD_BACKEND",
        parse.one_of("trpc", "protobuf", "none"),
        "the application's wire; protobuf is the newest one's; none keeps interviews in the local journal only",
        default="trpc",
        restart=True,
    )
    trpc_transformer: Literal["superjson", "none"] = setting(
        "PREPPALD_TRPC_TRANSFORMER",
        parse.one_of("superjson", "none"),
        "how the tRPC router reads its input",
        default="superjson",
        restart=True,
    )
    brief: Brief = setting(
        "PREPPALD_PROMPT_FILE",
        parse.brief,
        "a template of what the interviewer is told, in place of the built-in one",
    )
    persona: str = setting(
        "PREPPALD_PERSONA",
        parse.text,
        "who the interviewer is, where the application does not say",
        default=DEFAULT_PERSONA,
    )
    language: str = setting(
        "PREPPALD_LANGUAGE",
        parse.text,
        "the language that the interviewer speaks, like German; empty: the candidate's",
    )
    prices: Prices = setting(
        "PREPPALD_PRICES",
        parse.price_table,
        "what tokens cost: the day it was looked up, and US dollars a million of each kind; for the estimates",
        default=prices.DEFAULT,
    )
    max_tokens: int = setting(
        "PREPPALD_MAX_TOKENS",
        parse.whole_number(least=0, most=1_000_000_000),
        "tokens that one interview may use, about; at nine tenths the interviewer is told to close; 0: no ceiling",
        default="0",
    )
    feedback: Literal["on", "off"] = setting(
        "PREPPALD_FEEDBACK",
        parse.one_of("on", "off"),
        "whether a text model writes feedback after the transcript is delivered; not with PREPPALD_BACKEND=trpc",
        default="off",
    )
    feedback_model: str = setting(
        "PREPPALD_FEEDBACK_MODEL",
        parse.model_name,
        "the text model that writes it",
        default="gemini-3.5-flash-lite",
    )
    vad_start: Literal["low", "high"] = setting(
        "PREPPALD_VAD_START",
        parse.one_of("low", "high"),
        "how readily Gemini takes a sound for speech",
        default="low",
    )
    vad_end: Literal["low", "high"] = setting(
        "PREPPALD_VAD_END",
        parse.one_of("low", "high"),
        "how readily Gemini takes a pause for the end",
        default="low",
    )
    vad_silence: float = setting(
        "PREPPALD_VAD_SILENCE",
        parse.duration(least=0.1, most=10),
        "the pause that ends an answer; candidates think",
        default="1200ms",
    )
    vad_prefix: float = setting(
        "PREPPALD_VAD_PREFIX",
        parse.duration(least=0, most=2),
        "the speech it takes to interrupt the interviewer",
        default="300ms",
    )
    rotate_after: float = setting(
        "PREPPALD_ROTATE_AFTER",
        parse.duration(least=10, most=HOUR),
        "the age at which a Gemini connection is changed at a quiet moment, goAway or not",
        default="50m",
    )
    credit_limit: float = setting(
        "PREPPALD_CREDIT_LIMIT",
        parse.duration(least=0, most=HOUR),
        "how much time lost to Gemini's gaps is given back to the candidate at most; 0: none",
        default="5m",
    )
    session_limit: float = setting(
        "PREPPALD_SESSION_LIMIT",
        parse.duration(least=10, most=4 * HOUR),
        "the longest an interview may last",
        default="1h",
    )
    ending_soon: tuple[float, ...] = setting(
        "PREPPALD_ENDING_SOON",
        parse.durations(least=1, most=HOUR),
        "how long before the end the candidate is told, separated by commas",
        default="5m,1m",
    )
    reconnect_grace: float = setting(
        "PREPPALD_RECONNECT_GRACE",
        parse.duration(least=0, most=15 * MINUTE),
        "how long a candidate who lost the connection may stay away",
        default="60s",
    )
    drain: float = setting(
        "PREPPALD_DRAIN",
        parse.optional_duration(least=0, most=5 * HOUR),
        "how long a stopping daemon lets interviews finish; empty: the session limit",
    )
    close_codes: Literal["plain", "distinct"] = setting(
        "PREPPALD_CLOSE_CODES",
        parse.one_of("plain", "distinct"),
        "plain closes with 1000; distinct with 4001-4004, which the newest web client reads as the reason",
        default="plain",
    )
    state_dir: Path = setting(
        "PREPPALD_STATE_DIR",
        parse.path,
        "where the journal lives; under systemd its StateDirectory, else ./var",
        default="var",
        restart=True,
    )
    instance: str = setting(
        "PREPPALD_INSTANCE",
        parse.name,
        "this daemon's name among those that share the state directory",
        default="preppald",
        restart=True,
    )
    max_sessions: int = setting(
        "PREPPALD_MAX_SESSIONS",
        parse.whole_number(least=1, most=100_000),
        "interviews at a time; more get 503",
        default="500",
    )
    max_sessions_per_user: int = setting(
        "PREPPALD_MAX_SESSIONS_PER_USER",
        parse.whole_number(least=1, most=100_000),
        "interviews at a time of one user; more get 429",
        default="3",
    )
    max_connections: int = setting(
        "PREPPALD_MAX_CONNECTIONS",
        parse.whole_number(least=1, most=1_000_000),
        "connections at a time, with or without an interview; more get 503",
        default="2000",
    )
    max_connections_per_address: int = setting(
        "PREPPALD_MAX_CONNECTIONS_PER_ADDRESS",
        parse.whole_number(least=1, most=1_000_000),
        "connections at a time of one address, which may be a whole school's; more get 429",
        default="64",
    )
    max_bad_tokens: int = setting(
        "PREPPALD_MAX_BAD_TOKENS",
        parse.whole_number(least=1, most=1_000_000),
        "tokens a minute that one address may get wrong; then it gets 429",
        default="30",
    )
    trusted_proxies: tuple[Network, ...] = setting(
        "PREPPALD_TRUSTED_PROXIES",
        parse.networks,
        "whose X-Forwarded-For is believed, as addresses or networks separated by commas; none: nobody's",
        default="127.0.0.0/8,::1",
    )
    memory_limit: int | None = setting(
        "PREPPALD_MEMORY_LIMIT",
        parse.optional_size,
        "the resident size, like 512M or 2G, above which new interviews get 503; "
        "empty: four fifths of what the control group allows",
    )
    log_format: Literal["json", "console"] = setting(
        "PREPPALD_LOG_FORMAT",
        parse.one_of("json", "console"),
        "for machines or for people",
        default="json",
        restart=True,
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "PREPPALD_LOG_LEVEL",
        parse.one_of("debug", "info", "warning", "error"),
        "the least that is logged",
        default="info",
        restart=True,
    )
    env_file: Path | None = setting(
        "PREPPALD_ENV_FILE",
        parse.optional_path,
        "a file of NAME=value lines, not readable by others, read at the start and at each SIGHUP; "
        "its lines go before the environment's",
        restart=True,
    )

    @property
    def token_rules(self) -> TokenRules:
        secrets = [secret for secret in (self.jwt_secret, self.jwt_secret_previous) if secret]
        return TokenRules(tuple(secrets), self.jwt_audience or None, self.jwt_issuer or None)

    def gemini_setup(self, instruction: str) -> gemini.Setup:
        """What a session with Gemini is asked for."""
        return gemini.Setup(
            model=self.gemini_model,
            voice=self.voice,
            instruction=instruction,
            start_sensitivity=self.vad_start,
            end_sensitivity=self.vad_end,
            silence_ms=round(self.vad_silence * 1000),
            prefix_padding_ms=round(self.vad_prefix * 1000),
            thinking=self.thinking,
        )

    @property
    def drain_seconds(self) -> float:
        """``PREPPALD_DRAIN``, or the session limit: by then every interview has ended by itself."""
        return self.session_limit if self.drain < 0 else self.drain


def settings() -> dict[str, Setting]:
    """Every setting by the name of its field, in the order of the README's table."""
    return {item.name: item.metadata["setting"] for item in fields(Config)}


def load(env: Mapping[str, str]) -> Config:
    """The configuration in ``env``, or every fault in it.

    A secret also comes from a file (``JWT_SECRET_FILE=/path``) or from systemd's credential directory.

    Raises:
        ConfigError: all faults at once.
    """
    try:
        env = with_file(env)
    except Invalid as error:
        raise ConfigError([f"{ENV_FILE}: {error}"]) from error
    faults = list(_unknown(env))
    values: dict[str, Any] = {}
    for name, item in settings().items():
        try:
            values[name] = _value(item, env)
        except Invalid as error:
            faults.append(f"{item.env}: {error}")
    faults += _contradictions(values)
    if faults:
        raise ConfigError(faults)
    return Config(**values)


def with_file(env: Mapping[str, str]) -> Mapping[str, str]:
    """The environment with the lines of ``PREPPALD_ENV_FILE`` before it.

    Raises:
        Invalid: the file cannot be used.
    """
    named = env.get(ENV_FILE)
    return {**env, **parse.env_file(Path(named))} if named else env


def changes(old: Config, new: Config) -> tuple[list[str], list[str]]:
    """What a reload changes, by the names of the environment: what takes effect, and what needs a restart."""
    changed = [
        (item.env, item.restart)
        for name, item in settings().items()
        if getattr(old, name) != getattr(new, name)
    ]
    return [env for env, restart in changed if not restart], [env for env, restart in changed if restart]


def reloaded(old: Config, new: Config) -> Config:
    """The new settings, but for those that need a restart."""
    return replace(new, **{name: getattr(old, name) for name, item in settings().items() if item.restart})


def state_dir(env: Mapping[str, str]) -> Path:
    """Where the journal lives, for commands that read it and need no other setting.

    Where nothing says so, and nothing is here, it is where the packaged service keeps it.
    """
    if said := env.get("PREPPALD_STATE_DIR") or env.get("STATE_DIRECTORY"):
        return Path(said)
    here = Path(settings()["state_dir"].default)
    return here if here.exists() or not SERVICE_STATE_DIR.exists() else SERVICE_STATE_DIR


def price_table(env: Mapping[str, str]) -> Prices:
    """The prices, for commands that need no other setting; the built-in ones where they cannot be read."""
    try:
        return parse.price_table(with_file(env).get("PREPPALD_PRICES", "").strip() or prices.DEFAULT)
    except Invalid:
        return parse.price_table(prices.DEFAULT)


def _value(item: Setting, env: Mapping[str, str]) -> Any:
    raw = secret_text(item, env) if item.secret else env.get(item.env, "")
    if item.env == "PREPPALD_STATE_DIR" and not raw:
        raw = env.get("STATE_DIRECTORY", "")  # systemd's StateDirectory=
    raw = raw.strip() or item.default
    if not raw and item.needed:
        raise Invalid(f"is not set; {item.doc}")
    if item.secret and not raw:
        return ""
    try:
        return item.read(raw)
    except Invalid as error:
        shown = "(hidden)" if item.secret else repr(raw)
        raise Invalid(f"{shown} {error}") from error


def secret_text(item: Setting, env: Mapping[str, str]) -> str:
    """The secret from the environment, its file or systemd's credentials; empty where it is in none of them."""
    if env.get(item.env):
        return env[item.env]
    if named := env.get(f"{item.env}_FILE"):
        return parse.secret_file(Path(named))
    if credentials := env.get("CREDENTIALS_DIRECTORY"):
        held = Path(credentials) / item.env
        if held.exists():
            return parse.secret_file(held)
    return ""


def _unknown(env: Mapping[str, str]) -> list[str]:
    """A misspelt setting would otherwise be ignored in silence."""
    known = {item.env for item in settings().values()}
    known |= {f"{item.env}_FILE" for item in settings().values() if item.secret}
    known.add("PREPPALD_TOKEN")  # read by `preppald call`
    return [
        f"{name}: is not a setting; `preppald check --list` names them all"
        for name in sorted(env)
        if name.startswith("PREPPALD_") and name not in known
    ]


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    """What no single value shows."""
    faults = []
    if values.get("backend") in {"trpc", "protobuf"}:
        faults += [
            f"{env}: is not set, but PREPPALD_BACKEND={values['backend']} needs it"
            for name, env in (("api_url", "NEXT_PUBLIC_API_URL"), ("worker_secret", "WORKER_SHARED_SECRET"))
            if values.get(name) == ""
        ]
    if values.get("backend") == "trpc" and values.get("feedback") == "on":
        faults.append(
            "PREPPALD_FEEDBACK: 'on', but PREPPALD_BACKEND=trpc has no procedure for it; use protobuf, or none"
        )
    if {"gemini_model", "voice", "thinking"} <= values.keys():
        faults += models.faults(values["gemini_model"], values["voice"], values["thinking"])
    jwt_secret = values.get("jwt_secret")
    if jwt_secret and jwt_secret == values.get("worker_secret"):
        faults.append("WORKER_SHARED_SECRET: (hidden) equals JWT_SECRET; use two different secrets")
    return faults


def shown(config: Config) -> dict[str, str]:
    """The configuration by the names of the environment, with secrets hidden."""
    return {
        item.env: _hidden(getattr(config, name)) if item.secret else parse.written(getattr(config, name))
        for name, item in settings().items()
    }


def _hidden(value: str) -> str:
    return f"(set, {len(value.encode())} bytes)" if value else "(not set)"
