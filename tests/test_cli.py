"""The command line as a whole: quick where it must be, and one command at a time."""

from pathlib import Path
import subprocess
import sys

import pytest

from preppald import __version__, cli
from preppald.commands import check
from preppald.config import load as config
from preppald.config.settings import settings
from preppald.errors import EX_CONFIG, EX_IOERR
from tests.world import SETTINGS


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_command_says_the_same_about_itself_as_the_list(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list is written by hand, so that no command has to be imported for it."""
    cli.parser(None).print_help()
    listed = capsys.readouterr().out
    cli.parser(name).print_help()
    assert capsys.readouterr().out == listed


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_version_and_help_import_nothing_heavy(argument: str) -> None:
    code = (
        "import sys\nfrom preppald import cli\n"
        f"try: cli.main(['{argument}'])\nexcept SystemExit: pass\n"
        "print(sorted({'trio', 'httpx', 'google.protobuf', 'websockets'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.endswith("[]\n")
    assert ("preppald " + __version__ in ran.stdout) == (argument == "--version")


@pytest.mark.parametrize("argv", [["--help"], [], ["juggle"]])
def test_what_cannot_be_run_is_told_by_argparse(argv: list[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(argv)


def test_the_words_come_from_the_process_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["preppald", "--version"])
    with pytest.raises(SystemExit):
        cli.main()


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("JWT_SECRET", "GEMINI_API_KEY", "WORKER_SHARED_SECRET"):
        monkeypatch.delenv(name, raising=False)
    # The default ports may be another daemon's on this machine, of which `check` would warn.
    ports = {"PREPPALD_LISTEN": "127.0.0.1:0", "PREPPALD_ADMIN_LISTEN": "127.0.0.1:0"}
    for name, value in (SETTINGS | ports).items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_check_prints_what_would_run_and_nothing_when_asked_to_be_quiet(
    configured: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check"]) == 0
    assert "The configuration is complete." in capsys.readouterr().out
    assert cli.main(["check", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_wrong_configuration_is_told_whole(
    configured: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configured.setenv("PREPPALD_THINKING", "hard")
    configured.setenv("PREPPALD_PORT", "80")
    assert cli.main(["check", "--quiet"]) == EX_CONFIG
    told = capsys.readouterr().err
    assert "PREPPALD_THINKING" in told
    assert "PREPPALD_PORT" in told


def test_a_service_is_begun_when_a_secret_is_there_or_was_tried(
    configured: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """systemd skips what is not; a secret that cannot be read is a fault to be told, not a service to be skipped."""
    assert cli.main(["check", "--begun"]) == 0
    configured.delenv("JWT_SECRET")
    configured.delenv("GEMINI_API_KEY")
    assert cli.main(["check", "--begun"]) == 1
    assert "not configured yet" in capsys.readouterr().err
    configured.setenv("JWT_SECRET_FILE", str(tmp_path / "missing"))
    assert cli.main(["check", "--begun"]) == 0


@pytest.mark.parametrize(
    "words",
    [
        "forget --user \udcff\udcfe",
        "interviews --user \udcff",
        "transcript \udcff",
        "report \udcff --html iv.html",
        "recording \udcff",
        "outbox show \udcff",
        "outbox drop \udcff",
        "end iv-1 --reason \udcff",
        "token --interview iv-1 --user \udcff",
    ],
)
def test_an_argument_that_is_no_text_is_told(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that are no UTF-8, which Python keeps as half characters that can be written nowhere."""
    with pytest.raises(SystemExit) as left:
        cli.main(words.split())
    assert left.value.code == 2
    assert "holds bytes that are no UTF-8" in capsys.readouterr().err


def test_a_failure_for_people_is_a_sentence(
    configured: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    configured.setenv("PREPPALD_STATE_DIR", str(tmp_path / "nowhere"))
    assert cli.main(["interviews"]) == EX_IOERR
    assert capsys.readouterr().err.startswith("preppald: there is no state directory")


def test_a_shell_without_a_configuration_is_told_where_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Of the package's service, for whom it is the commonest way to ask."""
    file = tmp_path / "preppald.env"
    monkeypatch.setattr(check, "SERVICE_ENV_FILE", file)
    for item in settings().values():
        monkeypatch.delenv(item.env, raising=False)
    assert cli.main(["check"]) == EX_CONFIG
    assert "PREPPALD_ENV_FILE" not in capsys.readouterr().err
    file.touch()
    assert cli.main(["check"]) == EX_CONFIG
    assert f"PREPPALD_ENV_FILE={file} preppald check" in capsys.readouterr().err
    monkeypatch.setenv("PREPPALD_VOICE", "Puck")
    assert cli.main(["check"]) == EX_CONFIG
    assert "PREPPALD_ENV_FILE" not in capsys.readouterr().err


def test_readers_find_the_journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    service = tmp_path / "service"
    monkeypatch.setattr(config, "SERVICE_STATE_DIR", service)
    assert config.state_dir({}) == Path("var")
    service.mkdir()
    assert config.state_dir({}) == service
    (tmp_path / "var").mkdir()
    assert config.state_dir({}) == service, "a folder of that name is in every root directory"
    (tmp_path / "var" / "preppald.db").touch()
    assert config.state_dir({}) == Path("var")
    assert config.state_dir({"STATE_DIRECTORY": "/s"}) == Path("/s")
    assert config.state_dir({"STATE_DIRECTORY": "/s", "PREPPALD_STATE_DIR": "/p"}) == Path("/p")
