"""The release's bill of materials: all that is locked, nothing else, and the same each time."""

import json
from pathlib import Path
import re
import subprocess
import sys

ROOT = Path(__file__).parent.parent


def written() -> str:
    found = subprocess.run(
        [sys.executable, ROOT / ".ci" / "sbom"], capture_output=True, text=True, check=True, env={}
    )
    return found.stdout


def test_every_locked_package_is_in_it_with_the_hashes_of_its_files() -> None:
    """A release carries what is locked."""
    document = json.loads(written())
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    pinned = set(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", lock, re.MULTILINE))
    components = document["components"]
    assert {(component["name"], component["version"]) for component in components} == pinned
    hashes = [
        known["content"]
        for component in components
        for reference in component["externalReferences"]
        for known in reference["hashes"]
    ]
    assert sorted(hashes) == sorted(re.findall(r"sha256:([0-9a-f]{64})", lock))


def test_everything_in_it_is_wanted_by_something_in_it() -> None:
    """The graph begins at preppald and reaches each package."""
    document = json.loads(written())
    needs = {each["ref"]: each["dependsOn"] for each in document["dependencies"]}
    own = document["metadata"]["component"]["bom-ref"]
    reached, waiting = set(), [own]
    while waiting:
        reached.add(here := waiting.pop())
        waiting += [ref for ref in needs[here] if ref not in reached]
    assert reached == {own, *(component["bom-ref"] for component in document["components"])}


def test_licences_that_ask_for_more_than_a_notice_are_named() -> None:
    components = {it["name"]: it for it in json.loads(written())["components"]}
    for name in ("psycopg", "psycopg-binary"):
        assert components[name]["licenses"] == [{"license": {"id": "LGPL-3.0-only"}}]
    assert "LGPL 3" in (ROOT / "systemd" / "debian" / "copyright").read_text("utf-8")


def test_the_same_lock_gives_the_same_bytes() -> None:
    """Else nobody could compare two releases."""
    assert written() == written()
