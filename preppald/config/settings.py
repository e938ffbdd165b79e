"""Every setting: its name in the environment, its default, its meaning, and its field in the frozen Config."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from preppald.config import addresses, values as parse
from preppald.config.addresses import Address, Endpoint, Network
from preppald.config.database_url import database_url
from preppald.config.otel import Otel
from preppald.config.setting import Setting, setting
from preppald.core import models, prices
from preppald.core.brief import DEFAULT_PERSONA, Brief
from preppald.core.prices import Prices
from preppald.core.tokens import TokenRules
from preppald.net.proxy import Proxy, bypassed

MINUTE = 60.0
HOUR = 3600.0
YEAR = 365 * 24 * HOUR
# Google's own. A simulator or a proxy may take any key.
GEMINI_HOST = "generativelanguage.googleapis.com"
# HS256 is as strong as its key: RFC 7518 §3.2 asks for at least the hash's 256 bits.
MIN_SECRET_BYTES = 32
# Typed by people, and five wrong ones a minute are all that an address may try.
MIN_ADMIN_SECRET_BYTES = 16
# Names the file that is read before the environment: a setting like others, and yet read first.
ENV_FILE = "PREPPALD_ENV_FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Otel):
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
    gemini_key: str = setting("GEMINI_API_KEY", parse.api_key, "the key for Gemini", secret=True, needed=True)
    api_url: str = setting(
        "NEXT_PUBLIC_API_URL",
        parse.optional(addresses.http_url),
        "the application's origin; needed unless PREPPALD_BACKEND=none",
        restart=True,
    )
    listen: tuple[Address, ...] = setting(
        "PREPPALD_LISTEN",
        addresses.address_list,
        "where browsers connect: host:port, or several separated by commas; [::]:8787 is every address, IPv4 and IPv6",
        default="127.0.0.1:8787",
        restart=True,
    )
    tls_cert: Path | None = setting(
        "PREPPALD_TLS_CERT",
        parse.optional_path,
        "the certificate and its chain (PEM), to speak TLS at PREPPALD_LISTEN; empty where a proxy does",
        credential=True,
    )
    tls_key: Path | None = setting(
        "PREPPALD_TLS_KEY",
        parse.optional_path,
        "the certificate's key (PEM, no passphrase), not readable by others",
        credential=True,
    )
    admin_listen: Address = setting(
        "PREPPALD_ADMIN_LISTEN",
        addresses.address,
        "the operator's port: metrics and the live page; keep it on loopback",
        default="127.0.0.1:9464",
        restart=True,
    )
    admin_secret: str = setting(
        "PREPPALD_ADMIN_SECRET",
        parse.optional(parse.secret(MIN_ADMIN_SECRET_BYTES)),
        "turns the operator's page on, and is typed into it; scripts send it as a Bearer; empty: there is no page",
        secret=True,
    )
    admin_text: Literal["on", "off"] = setting(
        "PREPPALD_ADMIN_TEXT",
        parse.one_of("on", "off"),
        "whether that page shows what is said",
        default="off",
    )
    admin_hosts: tuple[str, ...] = setting(
        "PREPPALD_ADMIN_HOSTS",
        addresses.hosts,
        "names by which the operator's port is reached, separated by commas, beside localhost and its own address",
    )
    allowed_origins: tuple[str, ...] = setting(
        "PREPPALD_ALLOWED_ORIGINS",
        addresses.origins,
        "the pages that may connect, as exact origins separated by commas; empty allows any",
    )
    jwt_audience: str = setting(
        "PREPPALD_JWT_AUDIENCE", parse.text, "the aud that a token must carry; empty asks for none"
    )
    jwt_issuer: str = setting(
        "PREPPALD_JWT_ISSUER", parse.text, "the iss that a token must carry; empty asks for none"
    )
    jwt_leeway: float = setting(
        "PREPPALD_JWT_LEEWAY",
        parse.duration(least=0, most=10 * MINUTE),
        "how far the clock that signs tokens may be ahead of this machine's (iat, nbf)",
        default="60s",
    )
    gemini_url: Endpoint = setting(
        "PREPPALD_GEMINI_URL",
        addresses.websocket_endpoint,
        "another Gemini: the simulator, a proxy (ws:// or wss://, path optional)",
        default=f"wss://{GEMINI_HOST}",
        restart=True,
    )
    proxy: Proxy | None = setting(
        "HTTPS_PROXY",
        addresses.proxy,
        "the proxy for https:// and wss://, like http://user:password@proxy.example.com:3128",
        restart=True,
        conventional=True,
    )
    no_proxy: tuple[str, ...] = setting(
        "NO_PROXY",
        addresses.hosts,
        "hosts, domains, addresses or networks that are reached without it, separated by commas",
        restart=True,
        conventional=True,
    )
    gemini_model: str = setting(
        "PREPPALD_GEMINI_MODEL",
        parse.text,
        "the Live model, where there is one: a list of one",
        default=models.DEFAULT,
    )
    gemini_models: tuple[str, ...] = setting(
        "PREPPALD_GEMINI_MODELS",
        parse.model_names,
        "the Live models, the preferred one first, separated by commas: interviews go on with the next while one is "
        "sick; empty for PREPPALD_GEMINI_MODEL",
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
        "a template of the interviewer's brief, in place of the built-in one",
    )
    persona: str = setting(
        "PREPPALD_PERSONA",
        parse.text,
        "the interviewer's persona, where the application gives none",
        default=DEFAULT_PERSONA,
    )
    language: str = setting(
        "PREPPALD_LANGUAGE",
        parse.text,
        "the language of the interview, like German or pt-BR; empty: the candidate's",
    )
    vocabulary: tuple[str, ...] = setting(
        "PREPPALD_VOCABULARY",
        parse.terms,
        "names and terms for Gemini to hear rightly, separated by commas; those of job description and resume are added",
    )
    prices: Prices = setting(
        "PREPPALD_PRICES",
        parse.price_table,
        "the prices of tokens: the day they were looked up, and US dollars a million of each kind; for estimates",
        default=prices.DEFAULT,
    )
    max_tokens: int = setting(
        "PREPPALD_MAX_TOKENS",
        parse.whole_number(least=0, most=1_000_000_000),
        "tokens that one interview may use, about; at nine tenths the interviewer is asked to close; 0: no ceiling",
        default="0",
    )
    feedback: Literal["on", "off"] = setting(
        "PREPPALD_FEEDBACK",
        parse.fitting("on", "off"),
        "a text model writes feedback after the transcript is delivered: it is sent to that model, and costs money; "
        "empty: on with PREPPALD_BACKEND=protobuf, whose pages wait for it, otherwise off",
    )
    feedback_model: str = setting(
        "PREPPALD_FEEDBACK_MODEL",
        parse.model_name,
        "the text model that writes it",
        default="gemini-3.5-flash-lite",
    )
    verify: Literal["off", "doubtful", "all"] = setting(
        "PREPPALD_VERIFY",
        parse.one_of("off", "doubtful", "all"),
        "a second ear checks the transcript after it is delivered, turns in doubt or all of the candidate's: their sound is "
        "sent to that model, and costs money; obtaining the candidate's consent is your responsibility",
        default="off",
    )
    verify_model: str = setting(
        "PREPPALD_VERIFY_MODEL",
        parse.model_name,
        "the transcription model that is the second ear",
        default="gemini-3.5-transcribe",
    )
    opus: Literal["on", "off"] = setting(
        "PREPPALD_OPUS", parse.one_of("on", "off"), "whether pages may use Opus", default="on", restart=True
    )
    record: Literal["on", "off"] = setting(
        "PREPPALD_RECORD",
        parse.one_of("on", "off"),
        "whether interviews are recorded, in the state directory; obtaining the candidate's consent is your responsibility",
        default="off",
    )
    record_retention: float = setting(
        "PREPPALD_RECORD_RETENTION",
        parse.duration(least=0, most=10 * YEAR),
        "how long a recording is kept, like 30d; 0: until it is deleted",
        default="30d",
    )
    transcript_retention: float | Literal["delivered"] = setting(
        "PREPPALD_TRANSCRIPT_RETENTION",
        parse.retention(most=10 * YEAR),
        "how long the words of an interview are kept after the backend has them, like 30d; delivered: no longer than that; 0: until they are deleted",
        default="7d",
        restart=True,
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
        "how long before the end the candidate is warned, separated by commas; none: not at all",
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
        parse.fitting("plain", "distinct"),
        "plain closes with 1000; distinct with 4001-4004, which the newest web client reads as the reason; "
        "empty: distinct with PREPPALD_BACKEND=protobuf, otherwise plain",
    )
    partial: Literal["completed", "error"] = setting(
        "PREPPALD_PARTIAL",
        parse.one_of("completed", "error"),
        "the posts of an interview that failed with a transcript: completed, the transcript alone; error, then ERROR, too",
        default="completed",
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
    shared_journal: str = setting(
        "PREPPALD_SHARED_JOURNAL",
        parse.optional(database_url),
        "a PostgreSQL URL; all that is recorded goes there, too, and hosts that share it take over each "
        "other's interviews; empty: this host alone",
        secret=True,
        restart=True,
    )
    peer_listen: Address | None = setting(
        "PREPPALD_PEER_LISTEN",
        addresses.optional_address,
        "where other hosts ask for interviews that are live here, and hand their candidates' connections "
        "over; an address on a private network, like 10.0.0.5:8788; needed with PREPPALD_SHARED_JOURNAL",
        restart=True,
    )
    peer_address: Address | None = setting(
        "PREPPALD_PEER_ADDRESS",
        addresses.far_address,
        "that address as other hosts reach it, where it differs (containers, 0.0.0.0); a name will do",
        restart=True,
    )
    without_shared: Literal["refuse", "begin"] = setting(
        "PREPPALD_WITHOUT_SHARED",
        parse.one_of("refuse", "begin"),
        "new interviews while the shared journal does not answer: refuse, with 503; begin, here: of two hosts that begin "
        "the same one then, the one that is registered first has it",
        default="refuse",
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
        addresses.networks,
        "the proxies whose X-Forwarded-For counts, as addresses or networks separated by commas; none: no proxy's",
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
        ENV_FILE,
        parse.optional_path,
        "a file of NAME=value lines, not readable by others, read at the start and at each SIGHUP; "
        "its lines go before the environment's",
        restart=True,
    )

    # No setting: nobody set PREPPALD_FEEDBACK, and the backend's wire turned it on.
    feedback_by_default: bool = False

    @property
    def token_rules(self) -> TokenRules:
        secrets = [secret for secret in (self.jwt_secret, self.jwt_secret_previous) if secret]
        audience, issuer = self.jwt_audience or None, self.jwt_issuer or None
        return TokenRules(tuple(secrets), audience, issuer, self.jwt_leeway)

    def proxy_for(self, url: str) -> Proxy | None:
        """Return the proxy through which this URL is reached; None: it is reached without one."""
        parts = urlsplit(url)
        if parts.scheme not in {"https", "wss"} or self.proxy is None:
            return None
        without = bypassed(self.no_proxy, parts.hostname or "", parts.port or 443)
        return None if without else self.proxy

    @property
    def drain_seconds(self) -> float:
        """``PREPPALD_DRAIN``, or the session limit: by then every interview has ended by itself."""
        return self.session_limit if self.drain < 0 else self.drain


def settings() -> dict[str, Setting]:
    """Return every setting by the name of its field, in the order of docs/configuration.md's table."""
    own = [item for item in fields(Config) if "setting" in item.metadata]
    inherited = {item.name for item in fields(Otel)}
    return {item.name: item.metadata["setting"] for item in sorted(own, key=lambda it: it.name in inherited)}
