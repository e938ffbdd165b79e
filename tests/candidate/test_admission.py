"""Which interview, which token; and URLs."""

from pathlib import Path
import re

import httpx
import jwt
import pytest

from preppald.candidate.admission import Admission, UsageError, admission, checked_url, from_demo
from preppald.core import tokens as auth

SECRET = "0123456789abcdef0123456789abcdef"
NOW = 1_700_000_000
TOKEN = auth.sign(SECRET, user_id="u", interview_id="int-7", now=NOW)


def admit(
    *,
    token: str | None = None,
    token_file: Path | None = None,
    interview_id: str | None = None,
    environ: dict[str, str] | None = None,
) -> Admission:
    return admission(
        token=token,
        token_file=token_file,
        interview_id=interview_id,
        user_id="somebody",
        environ=environ or {},
        now=NOW,
    )


def test_a_given_token_names_its_interview(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    assert admit(token=TOKEN) == Admission("int-7", TOKEN)
    assert admit(token_file=file) == Admission("int-7", TOKEN)
    assert admit(environ={"PREPPALD_TOKEN": TOKEN, "JWT_SECRET": SECRET}) == Admission("int-7", TOKEN)
    assert admit(token=TOKEN, interview_id="other").interview_id == "other"
    assert TOKEN not in repr(admit(token=TOKEN))


def test_with_the_secret_a_token_is_signed_for_a_fresh_interview() -> None:
    admitted = admit(environ={"JWT_SECRET": SECRET})
    assert re.fullmatch(r"call-[0-9a-f]{8}", admitted.interview_id)
    assert admitted.interview_id != admit(environ={"JWT_SECRET": SECRET}).interview_id
    claims = auth.verify(admitted.token, auth.TokenRules([SECRET]), now=NOW)
    assert (claims.user_id, claims.interview_id) == ("somebody", admitted.interview_id)
    assert admit(environ={"JWT_SECRET": SECRET}, interview_id="mine").interview_id == "mine"


def test_without_either_it_says_what_is_needed() -> None:
    with pytest.raises(UsageError, match="a token is needed: --token, --token-file or PREPPALD_TOKEN"):
        admit()


@pytest.mark.parametrize(
    "token",
    ["secret words", "a.b", "a.b.c.d", "a.b.c\r\nX: y"],
)
def test_what_is_no_token_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(UsageError, match="the token is not a JWT") as caught:
        admit(token=token)
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    "token",
    ["a.b.c", jwt.encode({"sub": "x"}, SECRET), "a.W10.c", jwt.encode({"interviewId": 7}, SECRET)],
)
def test_a_token_that_names_no_interview_needs_one_named(token: str) -> None:
    with pytest.raises(UsageError, match="add --interview ID"):
        admit(token=token)
    assert admit(token=token, interview_id="x").interview_id == "x"


def test_an_interview_must_be_fit_for_a_path() -> None:
    with pytest.raises(UsageError, match="must be 1 to 64"):
        admit(token=TOKEN, interview_id="../x")


def test_a_token_file_must_hold_something(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        admit(token_file=tmp_path / "token")
    (tmp_path / "token").write_text("\n")
    with pytest.raises(UsageError, match="is empty"):
        admit(token_file=tmp_path / "token")


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://127.0.0.1", "must look like ws://"),
        ("127.0.0.1:8787", "must look like ws://"),
        ("ws://", "must look like ws://"),
        ("ws://host:eighty", "is not a URL"),
        ("ws://host/?token=x", "must end with its path"),
        ("ws://host/#x", "must end with its path"),
    ],
)
def test_what_is_no_websocket_url_is_refused(url: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(complaint)):
        checked_url(url)


def test_a_websocket_url_passes() -> None:
    for url in ("ws://127.0.0.1:8787", "wss://interviews.example.com/live"):
        assert checked_url(url) == url


def test_a_demo_gives_an_interview_to_whoever_asks() -> None:
    """Without any token the demo is asked, and last of all."""
    offered = Admission("demo-1", "a.b.c")
    given = admission(
        token=None, token_file=None, interview_id=None, user_id="u", environ={}, now=NOW, demo=lambda: offered
    )
    assert given == offered


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, b"Not found"), (200, b"<html>"), (200, b"[]"), (200, b'{"interviewId":"../x","token":"t"}')],
)
def test_what_is_no_demo_gives_nothing(monkeypatch: pytest.MonkeyPatch, status: int, body: bytes) -> None:
    """Another server at the address is not mistaken for a demo."""

    def post(url: str, **_: object) -> httpx.Response:
        return httpx.Response(status, content=body, request=httpx.Request("POST", url))

    monkeypatch.setattr(httpx, "post", post)
    assert from_demo("ws://127.0.0.1:8787") is None


def test_a_demo_is_asked_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's own request, at the daemon's address."""
    asked: list[str] = []

    def post(url: str, **_: object) -> httpx.Response:
        asked.append(url)
        content = {"interviewId": "demo-7", "token": "a.b.c"}
        return httpx.Response(200, json=content, request=httpx.Request("POST", url))

    monkeypatch.setattr(httpx, "post", post)
    assert from_demo("wss://host/base/") == Admission("demo-7", "a.b.c")
    assert asked == ["https://host/base/demo/interview"]
