"""Scenario files: what they may say, and how they are told what is wrong."""

from pathlib import Path

import pytest

from preppald.simulator.faults import Close, Http
from preppald.simulator.scenario import Scenario, ScenarioError, load, name_in_key, named, names, parse


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("sped = 1", ["sped is not a key", "Did you mean 'seed'", "timing"]),
        ("zzz = 1", ["zzz is not a key. Allowed:"]),
        ("[timing]\nsetup_delya = 1", ["timing.setup_delya", "'setup_delay'"]),
        ("[timing]\nsetup_delay = -1", ["timing.setup_delay = -1", ">= 0"]),
        ("[frames]\nopcode = 'x'", ["frames.opcode = 'x'", "'binary', 'text'"]),
        ("[[fault]]\nkind = 'zip'", ["fault[0].kind = 'zip'", "'silence'"]),
        ("[[fault]]\nat = 'ready'", ["fault[0]", "kind", "'silence'"]),
        ("[[fault]]\nkind = 'http'\nstatus = 200", ["fault[0].status = 200", "401"]),
        ("[[fault]]\nkind = 'http'\nstats = 401", ["fault[0].stats", "'status'"]),
        ("[[fault]]\nkind = 'hang'\nmodel = 'gemini-3.8-live'", ["fault[0]", "of the upgrade has no model"]),
        ("[[fault]]\nkind = 'close'\nrow = 'x'", ["fault[0]", "row 'x'", "bad-key"]),
        ("[[fault]]\nkind = 'close'\nconnection = 'x'", ["fault[0].connection = 'x'", "'all'"]),
        ("[[fault]]\nkind = 'send'\njson = '['", ["fault[0]", "json is not JSON"]),
        ("[[fault]]\nkind = 'send'\njson = '[]'", ["fault[0]", "must be an object"]),
        ("fault = 7", ["fault = 7", "array"]),
        ("[[reply]]\nrecording = 'x'", ["reply[0]", "'x'", "greeting"]),
        ("[[reply]]\nseconds = 2", ["reply[0]", "text or a recording"]),
        ("[limits]\nconnection_close = 'x'", ["limits", "'x'", "deadline"]),
        ("[audio]\npart_ms = 5000\nparts_per_frame = 16", ["audio", "15000"]),
        ("seed = 'a'", ["seed = 'a'", "int"]),
        ("[[backend.fault]]\nkind = 'x'", ["backend.fault[0].kind = 'x'", "'lost-answer'"]),
        ("seed = ", ["not TOML"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_errors_name_key_value_and_what_is_allowed(toml: str, words: list[str]) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(toml, name="mine.toml")
    assert str(caught.value).startswith("mine.toml: ")
    for word in words:
        assert word in str(caught.value)


def test_an_empty_file_is_the_well_behaved_service() -> None:
    assert parse("") == Scenario()


def test_faults_are_of_their_kinds() -> None:
    scenario = parse("[[fault]]\nkind='http'\nstatus=503\n[[fault]]\nkind='close'\nrow='quota'\nat='setup'")
    assert scenario.fault == (Http(status=503), Close(row="quota", at="setup"))


def test_replies() -> None:
    """A text over a recording, a recording with its own text, and a hummed line of a given length."""
    lines = parse(
        "[[reply]]\ntext='Hi.'\nrecording='part'\n[[reply]]\nrecording='part'\n[[reply]]\ntext='Hm.'\nseconds=2"
    ).lines()
    assert [line.text for line in lines] == ["Hi.", "What exactly was your part in that?", "Hm."]
    assert lines[0].pcm == lines[1].pcm
    assert lines[2].seconds == 2


@pytest.mark.parametrize("name", names())
def test_ready_made_scenarios_say_what_they_are(name: str) -> None:
    assert named(name).description.endswith((".", ")"))


def test_loading(tmp_path: Path) -> None:
    """By name, and from a file by its path."""
    file = tmp_path / "mine.toml"
    file.write_text("seed = 5")
    assert load(file).seed == load(str(file)).seed == 5
    assert load("quota") == named("quota")
    for missing in ("nothing", str(tmp_path / "nothing.toml"), str(tmp_path)):
        with pytest.raises(ScenarioError):
            load(missing)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("AIza", None),
        ("scenario:quota", "quota"),
        ("scenario:quota/alice", "quota"),
        ("scenario:quota#alice", "quota"),
    ],
)
def test_names_in_keys(key: str, name: str | None) -> None:
    assert name_in_key(key) == name
