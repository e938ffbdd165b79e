"""Addresses, URLs and origins as settings have them, and what is said of one that is none."""

import pytest

from preppald.config import addresses
from preppald.config.addresses import Address, Endpoint
from preppald.config.values import Invalid


@pytest.mark.parametrize(
    ("raw", "address", "written"),
    [
        ("127.0.0.1:8787", Address("127.0.0.1", 8787), "127.0.0.1:8787"),
        ("0.0.0.0:0", Address("0.0.0.0", 0), "0.0.0.0:0"),
        ("[::1]:80", Address("::1", 80), "[::1]:80"),
        ("::1:80", Address("::1", 80), "[::1]:80"),
        ("localhost:65535", Address("localhost", 65535), "localhost:65535"),
    ],
)
def test_an_address_is_host_and_port(raw: str, address: Address, written: str) -> None:
    assert addresses.address(raw) == address
    assert str(address) == written


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "8787",
        ":8787",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:²",
        "127.0.0.1:" + "9" * 5000,
        "example.com:80",
        "999.0.0.1:80",
        "[]:80",
    ],
)
def test_what_is_no_address_is_refused(raw: str) -> None:
    """Names of other machines too: one can only listen on an address of one's own."""
    with pytest.raises(Invalid, match=r"host:port|address of this machine"):
        addresses.address(raw)


@pytest.mark.parametrize(
    ("raw", "endpoint", "authority"),
    [
        ("wss://example.com", Endpoint(secure=True, host="example.com", port=443, path=""), "example.com"),
        (
            "wss://example.com:443/",
            Endpoint(secure=True, host="example.com", port=443, path=""),
            "example.com",
        ),
        (
            "ws://127.0.0.1:9000/gemini/",
            Endpoint(secure=False, host="127.0.0.1", port=9000, path="/gemini"),
            "127.0.0.1:9000",
        ),
        ("ws://[::1]", Endpoint(secure=False, host="::1", port=80, path=""), "[::1]"),
        (
            "wss://example.com:80/x",
            Endpoint(secure=True, host="example.com", port=80, path="/x"),
            "example.com:80",
        ),
    ],
)
def test_an_endpoint_knows_its_host_header(raw: str, endpoint: Endpoint, authority: str) -> None:
    assert addresses.websocket_endpoint(raw) == endpoint
    assert endpoint.authority == authority
    assert addresses.websocket_endpoint(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    "raw",
    [
        "example.com",
        "https://example.com",
        "wss://",
        "wss://u:p@example.com",
        "wss://example.com?key=1",
        "wss://example.com#x",
        "wss://example.com:99999",
        "wss://[::1",
        "",
    ],
)
def test_what_is_no_endpoint_is_refused(raw: str) -> None:
    """With a key in it, it would end in a log."""
    with pytest.raises(Invalid):
        addresses.websocket_endpoint(raw)


def test_an_application_has_an_origin_and_perhaps_a_path() -> None:
    assert addresses.http_url("https://app.example.com/") == "https://app.example.com"
    assert addresses.http_url("http://127.0.0.1:3000/base/") == "http://127.0.0.1:3000/base"
    with pytest.raises(Invalid):
        addresses.http_url("ftp://app.example.com")


def test_origins_are_scheme_host_and_port_only() -> None:
    """They are compared letter by letter with what a browser sends."""
    assert addresses.origins("") == ()
    assert addresses.origins("https://a.example, http://localhost:3000,") == (
        "https://a.example",
        "http://localhost:3000",
    )
    # As a browser would write what an operator wrote.
    assert addresses.origins(
        "HTTPS://App.Example:443,http://a.example:80,https://a.example:8443,http://[::1]:80"
    ) == (
        "https://app.example",
        "http://a.example",
        "https://a.example:8443",
        "http://[::1]",
    )
    for bad in (
        "https://a.example/",
        "https://a.example/x",
        "a.example",
        "*",
        "null",
        "https://bücher.example",
    ):
        with pytest.raises(Invalid):
            addresses.origins(bad)


@pytest.mark.parametrize(
    "host",
    [
        "a..b",
        "a" * 64,
        ".example.com",
        "a b",
        "a.example,b.example",
        "1.2.3.4.5",
        "256.0.0.1",
        "a" * 60 + ".b" * 120,
    ],
)
@pytest.mark.parametrize("kind", ["https", "wss"])
def test_a_host_that_no_resolver_would_take_is_a_fault(kind: str, host: str) -> None:
    """Such a URL was complete for `check`, and then each interview failed."""
    read = addresses.http_url if kind == "https" else addresses.websocket_endpoint
    with pytest.raises(Invalid, match="host"):
        read(f"{kind}://{host}")


@pytest.mark.parametrize(
    "raw",
    ["https://a.example,https://b.example", "https://a.example/x,https://b.example", "https://a.example/a b"],
)
def test_two_urls_are_not_one(raw: str) -> None:
    with pytest.raises(Invalid):
        addresses.http_url(raw)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "app_1",
        "xn--mller-kva.example",
        "müller.example",
        "a.b.c.",
        "[::1]:80",
        "10.0.0.1",
        "a" * 63,
    ],
)
def test_a_host_that_may_exist_is_no_fault(host: str) -> None:
    assert addresses.http_url(f"https://{host}/api/v1") == f"https://{host}/api/v1"


def test_several_addresses_are_separated_by_commas() -> None:
    assert addresses.address_list("127.0.0.1:80, [::]:8787") == (
        Address("127.0.0.1", 80),
        Address("::", 8787),
    )
    assert addresses.address_list("127.0.0.1:0,127.0.0.1:0") == (Address("127.0.0.1", 0),) * 2
    for bad in ("127.0.0.1:80,", "127.0.0.1:80,x", "127.0.0.1:80,127.0.0.1:80"):
        with pytest.raises(Invalid):
            addresses.address_list(bad)
