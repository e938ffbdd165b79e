"""The environment becomes a Config, or a list of everything that is wrong with it."""

import argparse
from collections.abc import Mapping
from pathlib import Path
import re

import pytest

from preppald.commands.arguments import whole
from preppald.config.addresses import Address, Endpoint
from preppald.config.load import load, shown, signing_secret
from preppald.config.settings import MIN_SECRET_BYTES, Config, settings
from preppald.errors import EX_CONFIG, ConfigError

JWT = "jwt-CANARY-0123456789-0123456789-0123"
WORKER = "worker-CANARY-0123456789-0123456789"
KEY = "key-CANARY"
MINIMAL = {"JWT_SECRET": JWT, "GEMINI_API_KEY": KEY, "PREPPALD_BACKEND": "none"}
WITH_BACKEND = {
    "JWT_SECRET": JWT,
    "GEMINI_API_KEY": KEY,
    "WORKER_SHARED_SECRET": WORKER,
    "NEXT_PUBLIC_API_URL": "https://app.example.com",
}


def faults(env: Mapping[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as refusal:
        load(env)
    assert refusal.value.exit_status == EX_CONFIG
    assert "CANARY" not in str(refusal.value)
    return list(refusal.value.faults)


# ------------------------------------------------------------------ what is right


def test_a_minimal_environment_is_enough_and_the_rest_has_defaults() -> None:
    found = load(MINIMAL)
    assert found.listen == (Address("127.0.0.1", 8787),)
    assert found.admin_listen == Address("127.0.0.1", 9464)
    assert found.gemini_url.host == "generativelanguage.googleapis.com"
    assert found.gemini_url.secure
    assert (found.gemini_model, found.voice) == ("gemini-3.8-live", "Puck")
    assert found.session_limit == 3600
    assert found.drain_seconds == 3600
    assert found.ending_soon == (300, 60)
    assert found.reconnect_grace == 60
    assert found.close_codes == "plain"
    assert found.state_dir == Path("var")


def test_the_notices_of_the_end_can_be_turned_off() -> None:
    assert load({**MINIMAL, "PREPPALD_ENDING_SOON": "none"}).ending_soon == ()


def test_with_an_application_its_address_and_secret_are_needed() -> None:
    found = load(WITH_BACKEND)
    assert found.backend == "trpc"
    assert found.trpc_transformer == "superjson"
    assert found.api_url == "https://app.example.com"


def test_every_setting_is_read_with_its_unit() -> None:
    found = load(
        {
            **WITH_BACKEND,
            "PREPPALD_LISTEN": "[::1]:0",
            "PREPPALD_GEMINI_URL": "ws://127.0.0.1:9000/x",
            "PREPPALD_SESSION_LIMIT": "30m",
            "PREPPALD_DRAIN": "15s",
            "PREPPALD_ENDING_SOON": "30s, 10m",
            "PREPPALD_VAD_SILENCE": "800ms",
            "PREPPALD_MAX_SESSIONS": "7",
            "PREPPALD_ALLOWED_ORIGINS": "https://a.example,https://b.example",
            "PREPPALD_JWT_SECRET_PREVIOUS": JWT[::-1],
            "PREPPALD_JWT_AUDIENCE": "preppald",
        }
    )
    assert found.listen == (Address("::1", 0),)
    assert found.gemini_url == Endpoint(secure=False, host="127.0.0.1", port=9000, path="/x")
    assert (found.session_limit, found.drain_seconds, found.vad_silence) == (1800, 15, 0.8)
    assert found.ending_soon == (600, 30)
    assert found.max_sessions == 7
    assert found.allowed_origins == ("https://a.example", "https://b.example")
    assert found.token_rules.secrets == (JWT, JWT[::-1])
    assert found.token_rules.audience == "preppald"
    assert found.token_rules.issuer is None


def test_an_empty_setting_is_one_that_is_not_set() -> None:
    """An env file has lines with nothing after the sign."""
    assert load({**MINIMAL, "PREPPALD_SESSION_LIMIT": "", "PREPPALD_VOICE": " "}) == load(MINIMAL)


def test_the_state_directory_may_be_systemds() -> None:
    assert load({**MINIMAL, "STATE_DIRECTORY": "/var/lib/preppald"}).state_dir == Path("/var/lib/preppald")
    both = {**MINIMAL, "STATE_DIRECTORY": "/var/lib/preppald", "PREPPALD_STATE_DIR": "/srv/x"}
    assert load(both).state_dir == Path("/srv/x")


# ------------------------------------------------------------------ what is wrong


@pytest.mark.parametrize(
    "digits", ["0000000000019999999", "0" * 12, "1" * 13, "0" * 11 + "1" + "0" * 5000, "\u0661"]
)
def test_a_number_is_judged_by_all_of_its_digits(digits: str) -> None:
    """Seen before: the first twelve were judged, and the number taken whole, or a traceback at thousands of them."""
    (fault,) = faults({**MINIMAL, "PREPPALD_MAX_SESSIONS": digits})
    assert "is not a whole number from 1 to 100000" in fault
    with pytest.raises(argparse.ArgumentTypeError, match="must be a whole number"):
        whole(at_least=1, at_most=99)("0" * 8 + digits)


def test_all_faults_are_told_at_once() -> None:
    """Each with its name, its value, and what is allowed; one start shows them all."""
    found = faults(
        {
            "JWT_SECRET": "short-CANARY",
            "WORKER_SHARED_SECRET": "CANARY",
            "NEXT_PUBLIC_API_URL": "app.example.com",
            "PREPPALD_LISTEN": "8787",
            "PREPPALD_BACKEND": "rest",
            "PREPPALD_SESSION_LIMIT": "9h",
            "PREPPALD_MAX_SESSIONS": "many",
            "PREPPALD_GEMINI_MODEL": "gemini-2.0-flash-live-001",
            "PREPPALD_SESION_LIMIT": "1h",
        }
    )
    text = "\n".join(found)
    for expected in (
        "JWT_SECRET: (hidden) is shorter than 32 bytes: make one with `openssl rand -hex 32`",
        "GEMINI_API_KEY: is not set",
        "WORKER_SHARED_SECRET: (hidden) is shorter than ",
        "NEXT_PUBLIC_API_URL: 'app.example.com' is not a URL like https://app.example.com",
        "PREPPALD_LISTEN: '8787' is not host:port, like 127.0.0.1:8787",
        "PREPPALD_BACKEND: 'rest' is not one of trpc,",
        "PREPPALD_SESSION_LIMIT: '9h' is not between 10s and 4h",
        "PREPPALD_MAX_SESSIONS: 'many' is not a whole number from 1 to 100000",
        "PREPPALD_GEMINI_MODEL: 'gemini-2.0-flash-live-001' was shut down",
        "PREPPALD_SESION_LIMIT: is not a setting",
    ):
        assert expected in text
    assert len(found) == 10


def test_one_model_is_a_list_of_one() -> None:
    assert load(MINIMAL).gemini_models == ("gemini-3.8-live",)
    one = load({**MINIMAL, "PREPPALD_GEMINI_MODEL": "gemini-of-tomorrow"})
    assert one.gemini_models == ("gemini-of-tomorrow",)
    several = load({**MINIMAL, "PREPPALD_GEMINI_MODELS": "gemini-of-tomorrow, gemini-3.8-live,"})
    assert several.gemini_models == ("gemini-of-tomorrow", "gemini-3.8-live")
    assert several.gemini_model == "gemini-of-tomorrow"
    alike = {"PREPPALD_GEMINI_MODEL": "gemini-3.8-live", "PREPPALD_GEMINI_MODELS": "gemini-3.8-live"}
    assert load({**MINIMAL, **alike}).gemini_models == ("gemini-3.8-live",)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        (
            {"PREPPALD_GEMINI_MODEL": "gemini-3.8-live", "PREPPALD_GEMINI_MODELS": "gemini-3.8-live,b"},
            "PREPPALD_GEMINI_MODELS: 'gemini-3.8-live,b' is not PREPPALD_GEMINI_MODEL, 'gemini-3.8-live': set one of them",
        ),
        (
            {"PREPPALD_GEMINI_MODELS": "gemini-3.8-live,gemini-2.0-flash-exp"},
            "PREPPALD_GEMINI_MODELS: 'gemini-2.0-flash-exp' was shut down; use gemini-3.8-live",
        ),
        (
            {
                "PREPPALD_GEMINI_MODELS": "gemini-3.1-flash-live-preview,gemini-3.8-live",
                "PREPPALD_THINKING": "low",
            },
            "PREPPALD_THINKING: 'low' does not suit gemini-3.8-live, which refuses a thinking level",
        ),
        ({"PREPPALD_GEMINI_MODELS": "a,b,a"}, "PREPPALD_GEMINI_MODELS: 'a,b,a' names a model twice"),
        (
            {"PREPPALD_GEMINI_MODELS": "a,b,c,d,e,f,g,h,i"},
            "PREPPALD_GEMINI_MODELS: 'a,b,c,d,e,f,g,h,i' names 9 models; 8 at most",
        ),
    ],
)
def test_each_model_of_the_list_is_checked(settings: dict[str, str], fault: str) -> None:
    assert faults({**MINIMAL, **settings}) == [fault]


def test_an_application_without_address_or_secret_is_a_fault() -> None:
    """Transcripts would have nowhere to go."""
    found = faults({"JWT_SECRET": JWT, "GEMINI_API_KEY": KEY})
    assert [fault.partition(":")[0] for fault in found] == ["NEXT_PUBLIC_API_URL", "WORKER_SHARED_SECRET"]


def test_two_equal_secrets_are_a_fault() -> None:
    """Who can sign tokens could then post transcripts."""
    (fault,) = faults({**WITH_BACKEND, "WORKER_SHARED_SECRET": JWT})
    assert fault.startswith("WORKER_SHARED_SECRET: (hidden) equals JWT_SECRET")


@pytest.mark.parametrize("name", ["PREPPALD_TYPO", "PREPPALD_LISTEN_FILE", "PREPPALD_VOICES"])
def test_a_misspelt_setting_is_a_fault(name: str) -> None:
    """It would otherwise be ignored in silence; other programs' variables are none of our business."""
    (fault,) = faults({**MINIMAL, name: "x", "PATH": "/bin", "GEMINI_OTHER": "y"})
    assert fault.startswith(f"{name}: is not a setting")


# ------------------------------------------------------------------ secrets


def secret_file(folder: Path, name: str, content: str, mode: int = 0o600) -> Path:
    file = folder / name
    file.write_text(content)
    file.chmod(mode)
    return file


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    file = secret_file(tmp_path, "jwt", JWT + "\n")
    assert load({**MINIMAL, "JWT_SECRET": "", "JWT_SECRET_FILE": str(file)}).jwt_secret == JWT


def test_a_secret_may_come_from_systemds_credentials(tmp_path: Path) -> None:
    """A credential that is not there is like a variable that is not set."""
    secret_file(tmp_path, "JWT_SECRET", JWT)
    secret_file(tmp_path, "GEMINI_API_KEY", KEY)
    env = {"PREPPALD_BACKEND": "none", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    found = load(env)
    assert (found.jwt_secret, found.gemini_key, found.worker_secret) == (JWT, KEY, "")
    (tmp_path / "GEMINI_API_KEY").unlink()
    (fault,) = faults(env)
    assert fault.startswith("GEMINI_API_KEY: is not set")


def test_the_variable_comes_before_the_file_and_the_file_before_the_credentials(tmp_path: Path) -> None:
    """The nearest is the one that somebody changed last."""
    secret_file(tmp_path, "GEMINI_API_KEY", "from-credentials")
    file = secret_file(tmp_path, "file", "from-file")
    env = {**MINIMAL, "GEMINI_API_KEY_FILE": str(file), "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert load(env).gemini_key == KEY
    assert load({**env, "GEMINI_API_KEY": ""}).gemini_key == "from-file"
    assert load({**env, "GEMINI_API_KEY": "", "GEMINI_API_KEY_FILE": ""}).gemini_key == "from-credentials"


def test_a_secret_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    file = secret_file(tmp_path, "jwt", JWT, mode=0o644)
    (fault,) = faults({**MINIMAL, "JWT_SECRET": "", "JWT_SECRET_FILE": str(file)})
    assert fault.startswith("JWT_SECRET: ")
    assert "may be read by everybody" in fault
    assert "chmod o-r" in fault


def test_a_secret_file_that_is_missing_or_empty_is_told_by_its_setting(tmp_path: Path) -> None:
    empty = secret_file(tmp_path, "empty", "\n")
    for named, words in ((tmp_path / "nowhere", "No such file"), (empty, "is not set")):
        (fault,) = faults({**MINIMAL, "JWT_SECRET": "", "JWT_SECRET_FILE": str(named)})
        assert fault.startswith("JWT_SECRET: ")
        assert words in fault


def test_no_secret_is_ever_shown() -> None:
    """Neither by `preppald check` nor in a repr, which ends in tracebacks."""
    found = load({**WITH_BACKEND, "PREPPALD_JWT_SECRET_PREVIOUS": "CANARY-" * 10})
    lines = shown(found)
    assert "CANARY" not in repr(found)
    assert "CANARY" not in str(lines)
    assert lines["JWT_SECRET"] == f"(set, {len(JWT)} bytes)"
    assert shown(load(MINIMAL))["WORKER_SHARED_SECRET"] == "(not set)"
    assert lines["PREPPALD_SESSION_LIMIT"] == "1h"
    assert lines["PREPPALD_DRAIN"] == ""


def test_what_is_shown_can_be_read_again() -> None:
    """An operator may copy it into an env file."""
    found = load(WITH_BACKEND)
    env = {name: value for name, value in shown(found).items() if not value.startswith("(")}
    assert load({**env, **WITH_BACKEND}) == found


# ------------------------------------------------------------------ the settings themselves


@pytest.mark.parametrize(
    ("backend", "codes", "feedback"), [("trpc", "plain", "off"), ("protobuf", "distinct", "on")]
)
def test_defaults_fit_the_wire(backend: str, codes: str, feedback: str) -> None:
    """The newest pages read distinct codes and wait for feedback; what is said outright counts."""
    env = {**WITH_BACKEND, "PREPPALD_BACKEND": backend}
    assert (load(env).close_codes, load(env).feedback) == (codes, feedback)
    # On both: COMPLETED that ERROR follows within a second leads to a page that refuses to show the transcript.
    assert load(env).partial == "completed"
    said = load({**env, "PREPPALD_CLOSE_CODES": "plain", "PREPPALD_FEEDBACK": "off"})
    assert (said.close_codes, said.feedback) == ("plain", "off")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PREPPALD_VOICE", "Pu\udce4ck"),
        ("OTEL_SERVICE_NAME", "\udcff"),
        ("PREPPALD_STATE_DIR", "/tmp/\udcff"),
        ("JWT_SECRET", "\udcff" * 40),
    ],
)
def test_a_value_that_is_no_text_is_a_fault(name: str, value: str) -> None:
    """Bytes that are no UTF-8: they can be written neither to a log nor to Gemini."""
    with pytest.raises(ConfigError) as refused:
        load({**MINIMAL, name: value})
    (fault,) = refused.value.faults
    assert fault.startswith(f"{name}: ")
    assert "holds bytes that are no UTF-8" in fault
    fault.encode()
    with pytest.raises(ConfigError, match="no UTF-8"):
        signing_secret({"JWT_SECRET": "\udcff"})


@pytest.mark.parametrize("name", settings())
def test_every_setting_is_documented_and_its_default_reads(name: str) -> None:
    """Its line in docs/configuration.md and in --list; a default that does not read would be told to somebody who set nothing."""
    item = settings()[name]
    assert len(item.doc) > 10
    assert item.env.startswith("PREPPALD_") or item.env in WITH_BACKEND or item.conventional
    if item.default:
        item.read(item.default)


def test_names_are_unique() -> None:
    names = [item.env for item in settings().values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", name) for name in names)


def test_a_config_is_frozen() -> None:
    found = load(MINIMAL)
    with pytest.raises(AttributeError):
        found.voice = "Kore"  # type: ignore[misc]


def test_only_known_names_are_in_the_readers_list() -> None:
    """What ``load`` takes is what ``settings`` names."""
    assert set(settings()) == set(Config.__dataclass_fields__) - {"feedback_by_default"}
    assert MIN_SECRET_BYTES == 32
