"""Which shared journal it is: none without a setting, and a sentence where the driver is missing."""

from datetime import date
import sys

import pytest

from preppald.config.load import load
from preppald.config.warnings import warnings
from preppald.errors import ConfigError, StartError
from preppald.shared import Alone, examined, shared_for
from preppald.shared.postgres import Postgres
from tests.test_config import MINIMAL
from tests.test_database_url import PASSWORD

URL = f"postgresql://u:{PASSWORD}@db.example.com/app"


def test_without_a_setting_a_host_is_alone() -> None:
    assert isinstance(shared_for(load(MINIMAL).shared_journal), Alone)


def test_with_one_it_is_postgresql() -> None:
    assert isinstance(shared_for(URL), Postgres)


async def test_a_driver_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "preppald.shared.postgres", None)
    monkeypatch.setitem(sys.modules, "preppald.shared.examine", None)
    with pytest.raises(StartError, match=r"pip install 'preppald\[postgres\]'"):
        shared_for(URL)
    ((_, good, words),) = await examined(URL, lambda: 0)
    assert not good
    assert "pip install" in words
    assert await examined("", lambda: 0) == []


def test_a_url_that_cannot_be_meant_is_a_fault_without_its_password() -> None:
    with pytest.raises(ConfigError) as refused:
        load({**MINIMAL, "PREPPALD_SHARED_JOURNAL": f"{URL}?schema=public"})
    assert "PREPPALD_SHARED_JOURNAL" in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_a_url_by_which_others_may_listen_is_a_warning() -> None:
    here = {**MINIMAL, "PREPPALD_PEER_LISTEN": "127.0.0.1:8788"}
    plain = load({**here, "PREPPALD_SHARED_JOURNAL": f"{URL}?sslmode=disable"})
    (found,) = [it for it in warnings(plain, date(2026, 11, 29)) if "SHARED" in it]
    assert PASSWORD not in found
    verified = load({**here, "PREPPALD_SHARED_JOURNAL": URL})
    assert not [it for it in warnings(verified, date(2026, 11, 29)) if "SHARED" in it]
    assert PASSWORD not in repr(verified)
