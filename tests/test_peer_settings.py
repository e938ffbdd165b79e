"""The settings by which other hosts reach this one: what is missing is told before the start."""

from datetime import date
from pathlib import Path

import pytest

from preppald.config.addresses import Address, far_address
from preppald.config.load import load
from preppald.config.values import Invalid
from preppald.config.warnings import warnings
from preppald.errors import ConfigError
from tests.certificates import Certificates

SHARED = {
    "JWT_SECRET": "a-secret-for-tests-of-32-bytes-or-more",
    "GEMINI_API_KEY": "key-for-tests",
    "PREPPALD_BACKEND": "none",
    "PREPPALD_SHARED_JOURNAL": "postgresql://u:canary-password@localhost/app",
}


def faults(**settings: str) -> str:
    with pytest.raises(ConfigError) as refusal:
        load({**SHARED, **settings})
    assert "canary" not in str(refusal.value)
    return str(refusal.value)


def doubts(**settings: str) -> str:
    return "\n".join(
        words
        for words in warnings(load({**SHARED, **settings}), date(2026, 1, 1))
        if words.startswith("PREPPALD_PEER")
    )


def test_a_host_alone_has_no_peer_port() -> None:
    found = load({name: value for name, value in SHARED.items() if name != "PREPPALD_SHARED_JOURNAL"})
    assert found.peer_listen is found.peer_address is None


def test_with_a_shared_journal_the_others_must_be_able_to_reach_it() -> None:
    assert faults().startswith(
        "PREPPALD_PEER_LISTEN: is not set, but PREPPALD_SHARED_JOURNAL needs it: an address"
    )
    assert load({**SHARED, "PREPPALD_PEER_LISTEN": "10.0.0.5:8788"}).peer_listen == Address("10.0.0.5", 8788)


@pytest.mark.parametrize("everywhere", ["0.0.0.0:8788", "[::]:8788"])
def test_every_address_is_none_that_others_could_be_told(everywhere: str) -> None:
    words = faults(PREPPALD_PEER_LISTEN=everywhere)
    assert words.startswith(
        f"PREPPALD_PEER_ADDRESS: is not set, but {everywhere} in PREPPALD_PEER_LISTEN is every"
    )
    told = load(
        {**SHARED, "PREPPALD_PEER_LISTEN": everywhere, "PREPPALD_PEER_ADDRESS": "host-a.internal:8788"}
    )
    assert told.peer_address == Address("host-a.internal", 8788)


@pytest.mark.parametrize(
    "raw", ["10.0.0.5", "10.0.0.5:0", "10.0.0.5:70000", ":8788", "a b:1", "0.0.0.0:1", "[::]:1"]
)
def test_an_address_for_others_leads_somewhere(raw: str) -> None:
    with pytest.raises(Invalid):
        far_address(raw)


@pytest.mark.parametrize(
    ("settings", "exposed"),
    [
        ({"PREPPALD_PEER_LISTEN": "127.0.0.1:8788"}, ""),
        ({"PREPPALD_PEER_LISTEN": "10.0.0.5:8788"}, ""),
        ({"PREPPALD_PEER_LISTEN": "[fd00::5]:8788"}, ""),
        ({"PREPPALD_PEER_LISTEN": "100.64.0.5:8788"}, ""),
        ({"PREPPALD_PEER_LISTEN": "8.8.8.8:8788"}, "8.8.8.8:8788"),
        ({"PREPPALD_PEER_LISTEN": "0.0.0.0:8788", "PREPPALD_PEER_ADDRESS": "8.8.8.8:1"}, "8.8.8.8:1"),
        ({"PREPPALD_PEER_LISTEN": "0.0.0.0:8788", "PREPPALD_PEER_ADDRESS": "10.0.0.5:1"}, ""),
        ({"PREPPALD_PEER_LISTEN": "0.0.0.0:8788", "PREPPALD_PEER_ADDRESS": "a.example.com:1"}, ""),
    ],
)
def test_an_open_way_across_the_internet_is_warned_of(settings: dict[str, str], exposed: str) -> None:
    found = doubts(**settings)
    assert bool(found) == bool(exposed)
    assert exposed in found


def test_a_certificate_closes_it(tmp_path: Path) -> None:
    assert doubts(PREPPALD_PEER_LISTEN="8.8.8.8:8788", **Certificates(tmp_path).env) == ""
