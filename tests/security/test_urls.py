"""Plain http is for this machine, however an address is spelled."""

from __future__ import annotations

import pytest

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.hooks.cradl import CradlHook
from tests.given import bare, connect

LOOPBACK = [
    "http://127.0.0.1",
    "http://127.0.0.1:8080",
    "http://127.255.255.254",
    "HTTP://127.0.0.1",
    "http://localhost",
    "http://LocalHost",
    "http://[::1]",
    "http://[0:0:0:0:0:0:0:1]:80",
]
ELSEWHERE = [
    "http://localhost.",
    "http://localhost.evil.com",
    "http://127.0.0.1.evil.com",
    "http://127.0.0.1.",
    "http://127.1",
    "http://127.0.1",
    "http://2130706433",
    "http://0x7f000001",
    "http://0x7f.0.0.1",
    "http://0177.0.0.1",
    "http://127.0.0.01",
    "http://0.0.0.0",
    "http://[::]",
    "http://[::ffff:10.0.0.1]",
    "http://127。0。0。1",
    "http://\uff11\uff12\uff17.0.0.1",
    "http://ⓛocalhost",
    "http://10.0.0.1",
    "http://api.cradl.ai",
    "http://localhost@evil.com",
    "http://127.0.0.1:80@evil.com",
    "http://evil.com\\@127.0.0.1",
    "http://127.0.0.1\\@evil.com",
    "http://127.0.0.1\\.evil.com",
    "http:\\\\127.0.0.1",
    "http:/127.0.0.1",
    "http:127.0.0.1",
    "http:///127.0.0.1",
    "http://127.0.0.1\t.evil.com",
    "http://127.0.0.1\n.evil.com",
    "http://127.0.0.1\x00.evil.com",
    "ht\ttp://127.0.0.1",
    "http://127.0.0.1#@evil.com",
    "http://evil.com#@127.0.0.1",
    "http://evil.com?@127.0.0.1",
    "//127.0.0.1",
    "ftp://127.0.0.1",
    "file:///etc/passwd",
    "ws://127.0.0.1",
    "javascript:alert(1)",
    "https://me:hush@api.cradl.ai",
    "https://me@api.cradl.ai",
    "https://api.cradl.ai?key=hush",
    "https://api.cradl.ai#hush",
    "https://api.cradl.ai:99999",
    "https://[api.cradl.ai",
    "https://",
]


def settings_of(monkeypatch: pytest.MonkeyPatch, field: str, url: str) -> None:
    fields = {"host": url} if field == "host" else {"extra": {field: url}}
    connect(monkeypatch, bare("cradl", **fields))
    CradlHook("mine").get_conn()


@pytest.mark.parametrize("field", ["host", "auth_url", "dashboard_url"])
def test_plain_http_may_stay_on_this_machine(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    for url in LOOPBACK:
        settings_of(monkeypatch, field, url)


@pytest.mark.parametrize("field", ["host", "auth_url", "dashboard_url"])
def test_whatever_is_not_plainly_this_machine_or_https_is_refused(
    monkeypatch: pytest.MonkeyPatch, field: str, subtests: pytest.Subtests
) -> None:
    start = "Base URL (host): " if field == "host" else f"extra {field}: "
    for url in ELSEWHERE:
        with subtests.test(url=ascii(url)):
            with pytest.raises(ConfigurationError) as caught:
                settings_of(monkeypatch, field, url)

            assert str(caught.value).startswith(start)
            assert "hush" not in str(caught.value)
