"""URLs and hosts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_predictions.api.urls import (
    checked_url,
    is_private_url,
    is_safe_url,
    origin,
    require_host,
)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://api.example.com", True),
        ("http://api.example.com", False),
        ("http://localhost:8080", True),
        ("http://127.1.2.3", True),
        ("http://[::1]:80", True),
        ("http://10.0.0.1", False),
        ("http://localhost.example.com", False),
        ("ftp://localhost", False),
        ("https://", False),
        ("https://[", False),
        ("predictions", False),
    ],
)
def test_credentials_travel_encrypted_or_not_at_all(url: str, safe: bool) -> None:
    assert is_safe_url(url) is safe


def test_an_origin_has_the_port_that_its_scheme_implies() -> None:
    assert origin("https://a.test/x?y") == ("https", "a.test", 443)
    assert origin("http://A.test") == ("http", "a.test", 80)
    assert origin("https://a.test:8443") == ("https", "a.test", 8443)
    assert origin("ftp://a.test") == ("ftp", "a.test", None)


def test_a_host_with_what_no_name_has_is_said() -> None:
    with pytest.raises(ValueError, match=r"^the host holds what no name does$"):
        require_host("https://a!.test")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://a b", "space"),
        ("https://a\n.test", "space"),
        ("https://a.test:port", "not a URL"),
        ("https://[", "not a URL"),
        ("a.test", "no host"),
        ("http://a.test", "must start with https"),
        ("https://a..test", "cannot exist"),
        (f"https://{'a' * 64}.test", "cannot exist"),
        ("https://\u2603.test", "cannot exist"),
        ("https://*.a.test", "cannot exist"),
        ("https://999.1.1.1", "cannot exist"),
        ("https://0177.0.0.1", "cannot exist"),
        ("https://me@a.test", "neither"),
        ("https://:secret@a.test", "neither"),
        ("https://a.test?key=1", "neither"),
        ("https://a.test#top", "neither"),
    ],
)
def test_a_url_that_is_wrong_says_how(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        checked_url(url)


def test_a_url_loses_its_trailing_slash_and_the_space_around_it() -> None:
    assert checked_url(" https://a.test/v1/\n") == "https://a.test/v1"


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("10.1.2.3", True), ("127.0.0.1", True), ("127.1", True), ("2130706433", True), ("0x7f000001", True),
        ("169.254.169.254", True), ("localhost", True), ("LOCALHOST.", True), ("a.localhost", True),
        ("[::1]", True), ("[fd00::1]", True), ("[::ffff:10.0.0.1]", True), ("0.0.0.0", True),
        ("127.0.0.1.", True), ("017700000001", True), ("0x7f.1", True), ("0", True), ("100.64.0.1", True),
        ("192.0.0.192", True), ("224.0.0.1", True), ("[::]", True), ("[::1%25lo]", True),
        ("[fe80::1%25lo]", True), ("[fec0::1]", True), ("[::127.0.0.1]", True), ("[2002:7f00:1::]", True),
        ("[64:ff9b::7f00:1]", True), ("[64:ff9b:1::7f00:1]", True), ("[::ffff:0:127.0.0.1]", True),
        ("[2001:0:4136:e378:8000:63bf:80ff:fffe]", True), ("[ff0e::1]", True), ("[::ffff:8.8.8.8]", False),
        ("127.0.0.1.example.com", False), ("localhost.example.com", False),
        ("8.8.8.8", False), ("[2606:4700::1111]", False), ("bucket.s3.amazonaws.com", False),
        ("10.example.com", False),
    ],
)  # fmt: skip
def test_a_private_address_is_recognised_in_every_form(host: str, private: bool) -> None:
    assert is_private_url(f"https://{host}/a") is private
    assert is_private_url(f"https://{host}:8443/a") is private


ADDRESSES = ("127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "017700000001", "10.1.2.3", "169.254.169.254")
DOTS = ".\u3002\uff0e\uff61"
"""Full stops of IDNA (RFC 3490, section 3.1)."""
HOSTS = st.one_of(
    st.tuples(st.sampled_from(ADDRESSES), st.sampled_from(("", "."))).map("".join),
    st.sampled_from(("localhost", "LocalHost.", "a.localhost")),
)


@given(HOSTS, st.lists(st.sampled_from(DOTS), min_size=4, max_size=4))
def test_the_host_that_is_checked_is_the_one_that_httpx_connects_to(host: str, dots: list[str]) -> None:
    parts = host.split(".")
    spelled = "".join(map("".join, zip(parts, [*dots[: len(parts) - 1], ""], strict=True)))

    assert is_private_url(f"https://{spelled}/a")
    assert is_private_url(f"https://{spelled}:8443/a")
