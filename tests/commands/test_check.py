"""``preppald check``: faults are what can never work, warnings what an operator should know of."""

from collections.abc import Callable
from datetime import date
import os
from pathlib import Path
import socket

import pytest

from preppald import cli
from preppald.commands import surroundings
from preppald.config.load import load
from preppald.config.warnings import warnings
from preppald.errors import EX_CONFIG
from tests.world import SETTINGS

Check = Callable[..., tuple[int, str]]
NEWEST = {
    "PREPPALD_BACKEND": "protobuf",
    "WORKER_SHARED_SECRET": "another-secret-for-tests-of-32-bytes",
    "NEXT_PUBLIC_API_URL": "https://app.example.com",
}


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Check:
    """Run it with these settings on top of a configuration that is complete; return the status and stderr."""

    def run(**settings: str) -> tuple[int, str]:
        free = {"PREPPALD_LISTEN": "127.0.0.1:0", "PREPPALD_ADMIN_LISTEN": "127.0.0.1:0"}
        with monkeypatch.context() as patch:
            for name, value in {
                **SETTINGS,
                **free,
                "PREPPALD_STATE_DIR": str(tmp_path / "state"),
                **settings,
            }.items():
                patch.setenv(name, value)
            return cli.main(["check", "--quiet"]), capsys.readouterr().err

    return run


def test_a_good_configuration_is_silent_and_leaves_nothing_behind(check: Check, tmp_path: Path) -> None:
    assert check() == (0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"PREPPALD_LISTEN": "0.0.0.0:0"},
            "PREPPALD_ALLOWED_ORIGINS: is not set, and 0.0.0.0:0 is no loopback",
        ),
        ({"PREPPALD_LISTEN": "127.0.0.1:0,[::]:0"}, "and [::]:0 is no loopback"),
        ({"PREPPALD_ADMIN_LISTEN": "0.0.0.0:0"}, "PREPPALD_ADMIN_LISTEN: 0.0.0.0:0 is no loopback"),
        (
            {"PREPPALD_JWT_SECRET_PREVIOUS": SETTINGS["JWT_SECRET"]},
            "PREPPALD_JWT_SECRET_PREVIOUS: (hidden) equals",
        ),
        ({"GEMINI_API_KEY": "k"}, "GEMINI_API_KEY: (hidden) has 1 characters"),
        (
            {**NEWEST, "PREPPALD_FEEDBACK_MODEL": "gemini-9-lite"},
            "pages wait for feedback: each transcript is sent to gemini-9-lite, which costs money",
        ),
    ],
)
def test_a_setting_to_know_of_is_a_warning(check: Check, settings: dict[str, str], words: str) -> None:
    status, said = check(**settings)
    assert said.startswith("warning: ")
    assert words in said
    assert len(said.splitlines()) == 1
    assert status == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"PREPPALD_LISTEN": "0.0.0.0:0", "PREPPALD_ALLOWED_ORIGINS": "https://app.example.com"},
        {"PREPPALD_LISTEN": "localhost:0"},
        {"GEMINI_API_KEY": "k", "PREPPALD_GEMINI_URL": "ws://127.0.0.1:8790"},
        {"PREPPALD_JWT_SECRET_PREVIOUS": "another-secret-of-more-than-32-bytes"},
        {**NEWEST, "PREPPALD_FEEDBACK": "on"},
        {**NEWEST, "PREPPALD_FEEDBACK": "off"},
        {"PREPPALD_FEEDBACK": "on"},
    ],
)
def test_what_is_as_it_should_be_is_not_warned_of(settings: dict[str, str]) -> None:
    assert warnings(load({**SETTINGS, **settings}), date(2026, 11, 29)) == []


def test_a_port_in_use_is_a_warning_that_names_its_holder(check: Check, tmp_path: Path) -> None:
    """A running daemon is the commonest holder."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, said = check(PREPPALD_LISTEN=address)
        assert status == 0
        assert said.startswith(f"warning: PREPPALD_LISTEN: {address} is in use by ")
        assert said.endswith(f", pid {os.getpid()}\n")
    assert check(PREPPALD_LISTEN=address) == (0, "")


def test_a_daemon_of_ours_is_called_so(tmp_path: Path) -> None:
    for words, name in (
        (b"/usr/bin/python3\0-m\0preppald\0serve\0", "preppald"),
        (b"/usr/bin/preppald\0serve\0", "preppald"),
        (b"nginx: master\0", "nginx"),
    ):
        (tmp_path / "cmdline").write_bytes(words)
        (tmp_path / "comm").write_text("nginx\n", "ascii")
        assert surroundings.name_of(tmp_path) == name


def test_an_address_that_is_not_of_this_machine_is_a_warning(check: Check) -> None:
    """It may come with a network that is not up yet."""
    status, said = check(PREPPALD_ADMIN_LISTEN="192.0.2.1:9464")
    assert "192.0.2.1:9464 cannot be listened on now (Cannot assign requested address)" in said
    assert status == 0


@pytest.mark.parametrize("directory", ["/proc/preppald", "/dev/null", "/dev/null/state"])
def test_a_state_directory_that_can_never_be_used_is_a_fault(check: Check, directory: str) -> None:
    status, said = check(PREPPALD_STATE_DIR=directory)
    assert f"PREPPALD_STATE_DIR: the state directory {directory} cannot be used" in said
    assert status == EX_CONFIG


def test_a_state_directory_of_another_user_is_a_warning(
    check: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Who asks need not be the user that runs the daemon."""

    def forbidden(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", forbidden)
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    status, said = check()
    assert f"PREPPALD_STATE_DIR: this user may not write to {tmp_path}" in said
    assert status == 0


@pytest.mark.parametrize(
    ("name", "meant"),
    [("PREPPALD_SESION_LIMIT", "PREPPALD_SESSION_LIMIT"), ("PREPPALD_ADMIN_LISTN", "PREPPALD_ADMIN_LISTEN")],
)
def test_a_misspelt_name_is_recognised(check: Check, name: str, meant: str) -> None:
    status, said = check(**{name: "1"})
    assert f"{name}: is not a setting; did you mean {meant}? " in said
    assert status == EX_CONFIG


def test_a_name_like_no_other_is_not_guessed_at(check: Check) -> None:
    assert "did you mean" not in check(PREPPALD_JUGGLE="1")[1]


# ------------------------------------------------------------------ under systemd


@pytest.fixture
def hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of credentials that is named and may not be looked into, as systemd 252 has it for some commands."""
    directory = tmp_path / "credentials"
    real = Path.exists

    def exists(self: Path, **options: bool) -> bool:
        if self.parent == directory:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, **options)

    monkeypatch.setattr(Path, "exists", exists)
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != directory)
    return directory


def test_credentials_that_are_not_shown_are_not_judged(check: Check, hidden: Path) -> None:
    """A reload with credentials would fail for ever."""
    status, said = check(JWT_SECRET="", CREDENTIALS_DIRECTORY=str(hidden))
    assert said == f"warning: {hidden}: not shown to this command, and not checked\n"
    assert status == 0


def test_other_faults_beside_them_are(check: Check, hidden: Path) -> None:
    status, said = check(JWT_SECRET="", CREDENTIALS_DIRECTORY=str(hidden), PREPPALD_VAD_END="loud")
    assert "PREPPALD_VAD_END: 'loud' is not one of low, high" in said
    assert status == EX_CONFIG


def test_a_reload_is_not_refused_for_credentials_that_are_not_even_named(check: Check) -> None:
    """As systemd 257 has it. Whatever else is wrong is told, and that alone."""
    status, said = check(JWT_SECRET="", GEMINI_API_KEY="", MAINPID="123")
    assert said == "warning: the daemon's credentials: not shown to this command, and not checked\n"
    assert status == 0
    status, said = check(JWT_SECRET="", MAINPID="123", PREPPALD_VAD_END="loud")
    assert "PREPPALD_VAD_END: 'loud' is not one of low, high" in said
    assert "JWT_SECRET" not in said
    assert status == EX_CONFIG


def test_a_service_that_asks_about_itself_holds_its_ports(check: Check) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert check(PREPPALD_LISTEN=address, MAINPID="123") == (0, "")


def test_a_service_with_credentials_is_begun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hidden: Path
) -> None:
    """Though the directory cannot be looked into."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(hidden))
    assert cli.main(["check", "--begun"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("line", "expected"), [("JWT_SECRET=anything", 0), ("PREPPALD_VOICE=Puck", 1)])
def test_a_service_with_its_settings_in_a_file_is_begun(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, expected: int
) -> None:
    """The file that PREPPALD_ENV_FILE names is the only one that a reload reads again."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "settings.env"
    file.write_text(line, "utf-8")
    file.chmod(0o600)
    monkeypatch.setenv("PREPPALD_ENV_FILE", str(file))
    assert cli.main(["check", "--begun"]) == expected
    file.unlink()
    assert cli.main(["check", "--begun"]) == 0, "somebody has tried: serve says what is wrong"
