"""What becomes of a request at the public port: every decision, without a socket."""

from dataclasses import replace
from http import HTTPStatus

import pytest

from preppald.core.tokens import TokenRules, sign
from preppald.server.admission import Admit, Page, Refuse, Rules, decide, interview_at
from preppald.server.request import Request

SECRET = "a-secret-for-tests-of-32-bytes-or-more"
NOW = 1_800_000_000
TOKEN = sign(SECRET, user_id="user-1", interview_id="iv-1", now=NOW)
RULES = Rules(TokenRules((SECRET,)))


def asked(
    path: str = "/iv-1", *fields: tuple[str, str], method: str = "GET", version: str = "1.1"
) -> Request:
    """A request for a WebSocket; its query is split as ``http`` splits it."""
    path, _, query = path.partition("?")
    pairs = dict(part.partition("=")[::2] for part in query.split("&") if part)
    return Request(
        method=method, path=path, query=pairs, fields=[("upgrade", "websocket"), *fields], version=version
    )


def plain(path: str, method: str = "GET") -> Request:
    return Request(method=method, path=path)


def refused(decision: Page | Refuse | Admit) -> tuple[int, str]:
    assert isinstance(decision, Refuse)
    return int(decision.refusal.status), decision.refusal.why


BEARER = ("authorization", f"Bearer {TOKEN}")


@pytest.mark.parametrize(
    "request_",
    [
        asked(f"/iv-1?token={TOKEN}"),
        asked(f"/ws?token={TOKEN}"),
        asked(f"/ws/iv-1?token={TOKEN}"),
        asked("/ws", BEARER),
        asked("/iv-1", ("sec-websocket-protocol", f"preppal.v1, token.{TOKEN}")),
        asked("/iv-1", ("sec-websocket-protocol", f"token.{TOKEN},preppal.v1")),
        asked(
            "/iv-1", ("sec-websocket-protocol", "preppal.v1"), ("sec-websocket-protocol", f"token.{TOKEN}")
        ),
    ],
    ids=["query", "no id", "ws and id", "bearer", "subprotocol", "the other way round", "two lines"],
)
def test_a_good_token_admits_wherever_it_stands(request_: Request) -> None:
    decision = decide(request_, NOW, RULES)
    assert isinstance(decision, Admit)
    assert (decision.claims.interview_id, decision.claims.user_id) == ("iv-1", "user-1")


@pytest.mark.parametrize(
    ("query", "since"),
    [("", None), ("&since=7", 7), ("&since=x", None), ("&since=-1", None), ("&since=", None)],
)
def test_since_is_a_fragments_number_or_absent(query: str, since: int | None) -> None:
    decision = decide(asked(f"/iv-1?token={TOKEN}{query}"), NOW, RULES)
    assert isinstance(decision, Admit)
    assert decision.since == since


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (asked("/iv-1"), (401, "no token")),
        (asked("/iv-1?token=x"), (401, "bad token")),
        (asked(f"/iv-2?token={TOKEN}"), (403, "another interview")),
        (asked(f"/a/b?token={TOKEN}"), (404, "not found")),
        (asked("/iv-1", BEARER, method="POST"), (405, "method")),
        (asked("/iv-1", BEARER, version="1.0"), (505, "HTTP/1.0")),
        (asked("/iv-1", BEARER, ("content-length", "5")), (400, "a body")),
        (asked("/iv-1", BEARER, ("transfer-encoding", "chunked")), (400, "a body")),
        (asked("/iv-1", ("sec-websocket-protocol", f"token.{TOKEN}")), (400, "subprotocol")),
        (asked(f"/iv-1?token={TOKEN}", ("sec-websocket-protocol", "chat")), (400, "subprotocol")),
        (asked("/" + "a" * 200), (400, "too long")),
        (asked("/iv-1", BEARER, *[("cookie", "a")] * 70), (431, "too long")),
        (plain("/health", "POST"), (405, "method")),
        (plain("/ready", "OPTIONS"), (405, "method")),
    ],
)
def test_everything_else_is_refused_with_its_reason(request_: Request, answer: tuple[int, str]) -> None:
    assert refused(decide(request_, NOW, RULES)) == answer


def test_a_refused_subprotocol_is_named() -> None:
    """A browser that offers only its token would drop the connection, after an interview had begun."""
    decision = decide(asked("/iv-1", ("sec-websocket-protocol", f"token.{TOKEN}")), NOW, RULES)
    assert isinstance(decision, Refuse)
    assert "preppal.v1" in str(decision.refusal)
    assert TOKEN not in str(decision.refusal)


def test_only_a_wrong_token_counts_against_its_address() -> None:
    """A stranger's page, an empty request or another interview's token is no guess."""
    guesses = {
        refused(decision)[1]: decision.guessed
        for request in (asked("/iv-1"), asked("/iv-1?token=x"), asked(f"/iv-2?token={TOKEN}"))
        if isinstance(decision := decide(request, NOW, RULES), Refuse)
    }
    assert guesses == {"no token": False, "bad token": True, "another interview": False}


def test_an_address_that_guessed_too_often_waits_also_with_a_good_token() -> None:
    decision = decide(asked(f"/iv-1?token={TOKEN}"), NOW, Rules(RULES.tokens, token_wait=17.2))
    assert isinstance(decision, Refuse)
    assert (decision.refusal.status, decision.refusal.retry_after) == (HTTPStatus.TOO_MANY_REQUESTS, 18)


@pytest.mark.parametrize(
    ("path", "method", "status", "headers"),
    [
        ("/health", "GET", 404, {}),
        ("/ready", "HEAD", 404, {}),
        ("/index.html", "GET", 404, {}),
        ("/demo/interview", "POST", 404, {}),
        ("/iv-1", "GET", 426, {"Upgrade": "websocket"}),
        ("/ws", "HEAD", 426, {"Upgrade": "websocket"}),
        ("/iv-1", "PUT", 405, {"Allow": "GET"}),
    ],
)
def test_a_plain_request_is_for_a_page_and_has_an_answer_where_there_is_none(
    path: str, method: str, status: int, headers: dict[str, str]
) -> None:
    decision = decide(plain(path, method), NOW, RULES)
    assert isinstance(decision, Page)
    assert (decision.otherwise.status, decision.otherwise.headers) == (status, headers)


def test_the_interview_in_a_path_is_known_before_any_token_is_read() -> None:
    """For the log. Anything that is no interview's id stays out of it."""
    assert [interview_at(path) for path in ("/iv-1", "/ws/iv-1", "/ws", "/a/b", "/%0a")] == [
        "iv-1",
        "iv-1",
        "",
        "",
        "",
    ]


@pytest.mark.parametrize("path", ["/iv-1", "/ws/iv-1", "/ws"])
@pytest.mark.parametrize(("query", "block"), [("", 0), ("&block=1", 1), ("&block=99", 99)])
def test_a_block_is_asked_for_on_every_path(path: str, query: str, block: int) -> None:
    decision = decide(asked(f"{path}?token={TOKEN}{query}"), NOW, RULES)
    assert isinstance(decision, Admit)
    assert decision.block == block


@pytest.mark.parametrize(
    "value", ["", "0", "100", "-1", "+1", "1.0", "01", "one", "\N{ARABIC-INDIC DIGIT ONE}"]
)
def test_a_block_that_is_no_number_from_1_to_99_is_refused(value: str) -> None:
    """Whatever the token: the page has a fault that the candidate cannot mend."""
    assert refused(decide(asked(f"/iv-1?token={TOKEN}&block={value}"), NOW, RULES)) == (400, "block")


def test_a_block_that_stands_twice_is_refused() -> None:
    request = replace(asked(f"/iv-1?token={TOKEN}&block=1"), repeated=frozenset({"block"}))
    assert refused(decide(request, NOW, RULES)) == (400, "block")
