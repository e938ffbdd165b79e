"""What a URL leaves unsaid: encrypted and verified unless every host is this machine, and never a prepared anything."""

from psycopg.conninfo import conninfo_to_dict
import pytest

from preppald.shared.link import MAX_WORDS, conninfo, sentence


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
