"""What a URL leaves unsaid: encrypted and verified unless every host is this machine, and never a prepared anything."""

import contextlib

from hypothesis import given, strategies as st
from psycopg.conninfo import conninfo_to_dict
import pytest

from preppald.config.database_url import database_url
from preppald.config.values import Invalid
from preppald.errors import ConfigError
from preppald.shared.link import MAX_WORDS, conninfo, sentence

PASSWORD = "canary-password"
# Parts of passwords: each means something in a URL, to somebody.
ODD = (
    "a",
    "%",
    "%4",
    "%40",
    "%00",
    "%0A",
    "%ff",
    "%C3%A4",
    "=",
    "&",
    "+",
    ":",
    "?",
    "/",
    "@",
    "#",
    "ä",
    "[",
    "]",
    ",",
    "'",
    "\\",
)


def said(url: str) -> dict[str, object]:
    return dict(conninfo_to_dict(conninfo(url, "preppald")))


@pytest.mark.parametrize("host", ["db.example.com", "10.0.0.5", "127.0.0.1,db.example.com", "[2001:db8::1]"])
def test_another_host_is_verified(host: str) -> None:
    found = said(f"postgresql://u@{host}/app")
    assert found["sslmode"] == "verify-full"
    assert found["sslrootcert"]


@pytest.mark.parametrize(
    "url", ["postgresql://127.0.0.1/app", "postgresql://localhost", "postgresql:///app?host=/run/pg"]
)
def test_this_machine_is_reached_as_the_server_has_it(url: str) -> None:
    assert "sslmode" not in said(url)


def test_what_is_said_stands() -> None:
    found = said(
        "postgresql://a,b/app?sslmode=verify-ca&sslrootcert=/ca.pem&target_session_attrs=any&connect_timeout=9"
    )
    assert found["sslmode"] == "verify-ca"
    assert found["sslrootcert"] == "/ca.pem"
    assert found["target_session_attrs"] == "any"
    assert found["connect_timeout"] == "9"
    assert "sslrootcert" not in said("postgresql://a/app?sslmode=require")


def test_only_a_primary_is_good_enough_by_itself() -> None:
    assert said("postgresql://a,b/app")["target_session_attrs"] == "read-write"


def test_a_sentence_is_one_line_of_bounded_length() -> None:
    words = sentence(OSError("- host a: no\n\t- host b:\tno\n\n" + "x" * 1000))
    assert words.startswith("host a: no; host b: no; xxx")
    assert len(words) == MAX_WORDS


@pytest.mark.parametrize("around", ["postgresql://u:{}@h/app", "postgresql://h/app?user=u&password={}"])
@given(st.lists(st.sampled_from(ODD), max_size=6).map("".join))
def test_what_the_configuration_takes_the_driver_takes(around: str, password: str) -> None:
    with contextlib.suppress(Invalid):
        conninfo(database_url(around.format(password)), "preppald")


@pytest.mark.parametrize("end", ["%zz", "%", "%00", "%ff"])
def test_a_url_that_the_driver_cannot_read_is_a_fault_of_the_configuration_without_its_password(
    end: str,
) -> None:
    with pytest.raises(ConfigError) as refused:
        conninfo(f"postgresql://u:{PASSWORD}{end}@h/app", "preppald")
    told: BaseException | None = refused.value
    assert "PREPPALD_SHARED_JOURNAL" in str(told)
    while told is not None:
        assert PASSWORD not in f"{told!r}"
        told = told.__cause__ or (None if told.__suppress_context__ else told.__context__)
