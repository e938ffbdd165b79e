"""What an operator installs: units that agree with each other, documents that agree with the code."""

import importlib.util
import json
from pathlib import Path
import re
import subprocess
import tomllib
from types import ModuleType

import pytest

from preppald import __version__, cli
from preppald.config.load import SERVICE_STATE_DIR, load
from preppald.config.settings import settings
from tests.world import SECRET

ROOT = Path(__file__).parents[1]
SYSTEMD = ROOT / "systemd"
# The lines in which an instance differs from the only one.
OF_INSTANCES = re.compile(r"(Sockets|Environment|EnvironmentFile|RuntimeDirectory|ExecPaths)=")


@pytest.fixture(scope="module")
def documents() -> ModuleType:
    spec = importlib.util.spec_from_file_location("documents", SYSTEMD / "documents.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def service_lines(unit: str) -> list[str]:
    section = (SYSTEMD / unit).read_text().partition("[Service]")[2].partition("[Install]")[0]
    return [line for line in section.splitlines() if "=" in line and not line.startswith("#")]


def test_an_instance_may_what_the_only_one_may() -> None:
    """Two files, for systemd has no way to share one; they must not grow apart."""
    one, instances = (
        [line for line in service_lines(unit) if not OF_INSTANCES.match(line)]
        for unit in ("preppald.service", "preppald@.service")
    )
    assert one == instances


def test_the_client_package_is_of_this_version_and_licence() -> None:
    client = ROOT / "preppald/web/client"
    package = json.loads((client / "package.json").read_text())
    assert package["version"] == __version__
    assert "dependencies" not in package
    # npm takes no file from outside the folder, nor a link.
    assert (client / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_alerts_and_dashboard_are_shipped() -> None:
    """In the Debian package as examples, in the wheel as shared data."""
    assert "monitoring" in (SYSTEMD / "debian/examples").read_text().split()
    assert 'cp -R systemd/monitoring "$tree/monitoring"' in (SYSTEMD / "build-deb").read_text()
    shared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    (folder,) = shared["shared-data"]
    assert {file.name for file in (ROOT / folder).iterdir()} == {
        "grafana.json",
        "preppald.rules.yml",
        "prometheus.yml",
    }


def test_the_journal_is_where_the_readers_look() -> None:
    assert f"StateDirectory={SERVICE_STATE_DIR.name}" in service_lines("preppald.service")


def test_the_env_file_names_every_setting_with_its_default(documents: ModuleType) -> None:
    text = documents.env_file()
    for item in settings().values():
        assert re.search(rf"^#?{item.env}={re.escape(item.default)}$", text, re.MULTILINE), item.env


def test_the_env_file_with_its_blanks_filled_in_is_a_configuration(documents: ModuleType) -> None:
    """Also with every default written out."""
    blanks = {
        "JWT_SECRET": SECRET,
        "WORKER_SHARED_SECRET": "b" * 32,
        "GEMINI_API_KEY": "key",
        "NEXT_PUBLIC_API_URL": "https://app.example.com",
    }
    lines = [line.removeprefix("#") for line in documents.env_file().splitlines()]
    written = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))
    assert load(written | blanks) == load(blanks)


def test_the_manual_names_every_command_option_and_setting(documents: ModuleType) -> None:
    page, env_page = documents.manual_page(), documents.env_page()
    for name in cli.COMMANDS:
        assert f".SS preppald {name}\n" in page
    assert "\\fB\\-\\-online\\fR" in page
    for item in settings().values():
        assert f"\\fB{item.env}\\fR=" in env_page


def test_the_manual_names_pages_that_the_package_ships(documents: ModuleType) -> None:
    """build-deb copies docs/*.md; debhelper compresses what is larger than 4 KiB."""
    for page in documents.PAGES.values():
        file = ROOT / "docs" / page.removesuffix(".gz")
        assert file.stat().st_size > 4096, page
        assert f"docs/{page}" in documents.manual_page()


def test_roff_obeys_nothing_that_the_code_says(documents: ModuleType) -> None:
    assert documents.roff(".SH no\n'no\na-b\\c") == "\\&.SH no\n\\&'no\na\\-b\\ec"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["preppald", "de"], ["demo"]),
        (["preppald", "check", "--on"], ["--online"]),
        (["preppald", "outbox", "ret"], ["retry"]),
        (["preppald", "--help", "ser"], ["serve"]),
    ],
)
def test_bash_completes(documents: ModuleType, words: list[str], expected: list[str]) -> None:
    script = documents.completion() + (
        f'COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; _preppald; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == expected


def test_everything_is_written_into_the_folder(
    documents: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.setattr("sys.argv", ["documents.py", str(tmp_path)])
    documents.main()
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "preppald.8",
        "preppald.bash",
        "preppald.env",
        "preppald.env.5",
    ]
    assert "2023-11-14" in (tmp_path / "preppald.8").read_text()
    monkeypatch.setattr("sys.argv", ["documents.py"])
    with pytest.raises(SystemExit):
        documents.main()
