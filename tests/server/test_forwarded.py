"""A request that another host forwards, and what is none."""

import msgspec
import pytest

from preppald.core.tokens import Claims
from preppald.server.forwarded import forward, received
from preppald.server.request import Request

CLAIMS = Claims("user-1", "iv-1", "digest")


def test_a_forwarded_request_arrives_as_it_was() -> None:
    request = Request(method="GET", path="/iv-1", query={"since": "7"}, fields=[("upgrade", "websocket")])
    assert received(forward(request, CLAIMS)) == (request, CLAIMS)


@pytest.mark.parametrize("damage", [b"\xff", b"\xed\xa0\x80", b"\x00"])
def test_text_that_is_none_is_no_request(damage: bytes) -> None:
    """Of a Raw nobody has looked at the text: a byte that is no UTF-8 raised another error than the caller expects."""
    good = bytes(forward(Request(method="GET", path="/iv-1"), CLAIMS))
    with pytest.raises(msgspec.DecodeError):
        received(msgspec.Raw(good.replace(b"user-1", b"user-" + damage)))
