"""Tokens: the whole table of what must be refused, though a JWT library would take some of it."""

import base64
from collections.abc import Callable
import hashlib
import hmac
import json
from typing import Any

from hypothesis import given, strategies as st
import jwt
import pytest

from preppald.core import tokens as auth
from preppald.core.tokens import TokenRules, sign, verify
from preppald.errors import TokenError

SECRET = "a-secret-for-tests-of-32-bytes-or-more"
OTHER = "another-secret-of-32-bytes-or-even-more"
NOW = 1_800_000_000
RULES = TokenRules((SECRET,))
GOOD: dict[str, Any] = {"userId": "user-1", "interviewId": "iv-1", "iat": NOW, "exp": NOW + 300}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(payload: str, header: str = '{"alg":"HS256","typ":"JWT"}', secret: str = SECRET) -> str:
    """A token with exactly these texts, rightly signed with HMAC-SHA256 whatever the header says."""
    signed = f"{b64(header.encode())}.{b64(payload.encode())}"
    signature = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{b64(signature)}"


def token(**changes: object) -> str:
    claims = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return jwt.encode(claims, SECRET, algorithm="HS256")


# ------------------------------------------------------------------ good ones


def test_a_good_token_says_who_may_open_what() -> None:
    """As the backend signs it; its digest stands for it wherever it must be known again."""
    signed = sign(SECRET, user_id="user-1", interview_id="iv-1", now=NOW)
    claims = verify(signed, RULES, now=NOW)
    assert (claims.user_id, claims.interview_id) == ("user-1", "iv-1")
    assert claims.digest == hashlib.sha256(signed.encode()).hexdigest()
    assert not claims.untimely


def test_a_second_secret_is_accepted_while_the_first_is_rotated() -> None:
    rules = TokenRules((OTHER, SECRET))
    assert verify(token(), rules, now=NOW).user_id == "user-1"
    with pytest.raises(TokenError, match="signature is wrong"):
        verify(token(), TokenRules((OTHER,)), now=NOW)


@pytest.mark.parametrize(
    ("seconds", "expired"), [(0, False), (300, False), (305, False), (306, True), (10**9, True)]
)
def test_expiry_is_told_and_left_to_the_caller(seconds: int, *, expired: bool) -> None:
    """The first token must open its own live session again, however old; five seconds for two clocks."""
    assert bool(verify(token(), RULES, now=NOW + seconds).untimely) is expired


@pytest.mark.parametrize(
    ("ahead", "early"), [(0, False), (30, False), (60, False), (60.5, True), (61, True), (3600, True)]
)
@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_that_is_not_valid_yet_is_told_with_a_leeway(
    claim: str, ahead: float, *, early: bool
) -> None:
    """RFC 7519 §4.1.5. A minute by default for a clock that is ahead of ours."""
    untimely = verify(token(**{claim: NOW + ahead}, exp=NOW + 5000), RULES, now=NOW).untimely
    assert bool(untimely) is early
    assert not early or "compare the clocks" in untimely


def test_the_leeway_can_be_set() -> None:
    """For ``iat`` and ``nbf``; expiry keeps its own."""
    strict, lax = TokenRules((SECRET,), leeway=0), TokenRules((SECRET,), leeway=600)
    assert verify(token(iat=NOW + 1), strict, now=NOW).untimely
    assert not verify(token(iat=NOW + 599, exp=NOW + 900), lax, now=NOW).untimely
    assert verify(token(), lax, now=NOW + 306).untimely


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW + 300.5},
        {"iat": NOW - 0.25},
        {"nbf": NOW - 0.5},
        {"sub": 7},
        {"jti": 4711},
        {"jti": ["a"]},
        {"iss": "anybody"},
    ],
    ids=str,
)
def test_times_with_fractions_and_claims_that_are_not_ours_are_taken(changes: dict[str, object]) -> None:
    """NumericDate may have them (RFC 7519 §2); `jsonwebtoken` and others write a numeric subject."""
    assert verify(token(**changes), RULES, now=NOW).untimely == ""


def test_a_later_duplicate_of_a_claim_wins() -> None:
    """It is signed: whoever wrote it twice meant something by it."""
    payload = f'{{"userId":"a","userId":"b","interviewId":"iv","iat":{NOW},"exp":{NOW + 9}}}'
    assert verify(raw(payload), RULES, now=NOW).user_id == "b"


def test_audience_and_issuer_are_checked_when_they_are_configured() -> None:
    rules = TokenRules((SECRET,), audience="preppald", issuer="the-app")
    assert verify(token(aud="preppald", iss="the-app"), rules, now=NOW).user_id == "user-1"
    assert verify(token(aud=["x", "preppald"], iss="the-app"), rules, now=NOW).user_id == "user-1"
    for wrong in (
        {},
        {"aud": "preppald"},
        {"iss": "the-app"},
        {"aud": "x", "iss": "the-app"},
        {"aud": "preppald", "iss": "x"},
    ):
        with pytest.raises(TokenError):
            verify(token(**wrong), rules, now=NOW)


def test_an_audience_nobody_asked_for_is_no_fault() -> None:
    """The backend may name one before the daemon is told to look."""
    assert verify(token(aud="other", iss="other"), RULES, now=NOW).user_id == "user-1"


# ------------------------------------------------------------------ bad ones

SIGNED_ELSEWHERE: dict[str, Callable[[], str]] = {
    "alg none": lambda: jwt.encode(GOOD, "", algorithm="none"),
    "alg nOnE": lambda: raw(json.dumps(GOOD), '{"alg":"nOnE","typ":"JWT"}'),
    "HS512": lambda: jwt.encode(GOOD, SECRET * 2, algorithm="HS512"),
    "another secret": lambda: jwt.encode(GOOD, OTHER, algorithm="HS256"),
    "its own key": lambda: raw(
        json.dumps(GOOD), json.dumps({"alg": "HS256", "jwk": {"kty": "oct", "k": b64(OTHER.encode())}}), OTHER
    ),
    "an unknown critical header": lambda: raw(json.dumps(GOOD), '{"alg":"HS256","crit":["x"],"x":1}'),
    "b64 false": lambda: raw(json.dumps(GOOD), '{"alg":"HS256","b64":false,"crit":["b64"]}'),
    "no signature": lambda: token().rpartition(".")[0] + ".",
    "a byte changed": lambda: token()[:-3] + "AAA",
}


@pytest.mark.parametrize("forged", SIGNED_ELSEWHERE.values(), ids=SIGNED_ELSEWHERE.keys())
def test_only_hs256_with_our_secret_is_a_signature(forged: Callable[[], str]) -> None:
    """Whatever the token's header proposes."""
    with pytest.raises(TokenError):
        verify(forged(), RULES, now=NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": ...},
        {"iat": ...},
        {"userId": ...},
        {"interviewId": ...},
        {"exp": 99_999_999_999},
        {"exp": NOW + 7201},
        {"exp": 1e308},
        {"exp": float(NOW + 7201)},
        {"exp": 10**400},
        {"nbf": "tomorrow"},
        {"nbf": None},
        {"nbf": True},
        {"nbf": 1e15},
        {"exp": str(NOW + 300)},
        {"exp": True},
        {"exp": None},
        {"exp": [NOW + 300]},
        {"iat": str(NOW)},
        {"iat": False},
        {"userId": ""},
        {"userId": 7},
        {"userId": None},
        {"userId": ["user-1"]},
        {"userId": "u" * 257},
        {"userId": "half a pair: \ud800"},
        {"userId": "two\nlines"},
        {"userId": "a null\x00"},
        {"interviewId": ""},
        {"interviewId": 7},
        {"interviewId": "a" * 65},
        {"interviewId": "../../etc/passwd"},
        {"interviewId": "iv 1"},
        {"interviewId": "iv\n1"},
        {"interviewId": "iv-1\n"},
        {"interviewId": "ünïcode"},
        {"interviewId": "iv%2f1"},
    ],
    ids=lambda changes: ", ".join(f"{name} {str(value)[:20]!r}" for name, value in changes.items()),
)
def test_claims_that_are_missing_or_odd_are_refused(changes: dict[str, object]) -> None:
    """No expiry, one in the year 5138, one as a text: a JWT library takes them all."""
    with pytest.raises(TokenError):
        verify(token(**changes), RULES, now=NOW)


@pytest.mark.parametrize(
    "payload",
    [
        "[]",
        "7",
        "null",
        '"text"',
        "",
        "{",
        '{"userId":"u","interviewId":"iv","iat":NaN,"exp":1}',
        '{"userId":"u","interviewId":"iv","iat":1,"exp":Infinity}',
        '{"userId":"u","interviewId":"iv","iat":1,"exp":-Infinity}',
        '{"userId":"u","interviewId":"iv","iat":1,"exp":' + "9" * 2000 + "}",
        '{"userId":"u","interviewId":"iv","iat":1,"exp":1' + "0" * 2500 + "}",
        '{"x":' + "[" * 1200 + "]" * 1200 + "}",
        '{"userId":"\\ud800","interviewId":"iv","iat":1,"exp":"1"}',
    ],
    ids=lambda payload: payload[:60],
)
def test_payloads_that_are_none_are_refused(payload: str) -> None:
    """Rightly signed, and still nothing that anybody should have to read."""
    with pytest.raises(TokenError):
        verify(raw(payload), RULES, now=NOW)


def test_a_token_of_a_megabyte_is_refused_before_the_work() -> None:
    with pytest.raises(TokenError, match="longer than 4096 bytes"):
        verify(token(padding="x" * 1_000_000), RULES, now=NOW)
    assert verify(token(padding="x" * 1500), RULES, now=NOW).user_id == "user-1"


@given(st.text(max_size=200))
def test_any_text_is_claims_or_refused(text: str) -> None:
    """Also with surrogates and null bytes, which come out of a URL."""
    with pytest.raises(TokenError):
        verify(text, RULES, now=NOW)


@given(st.text(alphabet="eyJh.\ud800\x00=_-é", max_size=60))
def test_any_text_that_looks_like_a_token_is_refused(text: str) -> None:
    with pytest.raises(TokenError):
        verify(text, RULES, now=NOW)


def test_a_refusal_never_holds_the_token_or_its_claims() -> None:
    """It is written to the log."""
    for bad in (token(userId="CANARY", exp=...), token(interviewId="CANARY/"), token(userId="CANARY")[:-2]):
        with pytest.raises(TokenError) as refusal:
            verify(bad, RULES, now=NOW)
        assert "CANARY" not in str(refusal.value)
        assert bad not in str(refusal.value)


def test_the_interview_ids_alphabet_is_safe_everywhere() -> None:
    """Paths, file names, log lines: nothing in it needs a thought."""
    assert auth.INTERVIEW_ID.fullmatch("Az09_-")
    for bad in ("", ".", "a/b", "a b", "a\n", "é", "a" * 65):
        assert not auth.INTERVIEW_ID.fullmatch(bad)
