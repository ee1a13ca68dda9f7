"""Which requests go through a proxy of the environment, in every form in which NO_PROXY is written."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from airflow_provider_predictions.api.errors import ConfigurationError, NoAnswerError
from airflow_provider_predictions.api.http.auth import BearerAuth
from airflow_provider_predictions.api.http.client import AsyncClient, Client
from airflow_provider_predictions.api.http.transport import Proxies
from airflow_provider_predictions.api.models import GetRequest
from airflow_provider_predictions.api.vlmrun import VlmRun
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.conftest import Shell, client_credentials
from tests.given import HOOK, connect

PROXY = "http://proxy.test:3128"
LIST = GetRequest("predictions")
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy but those that a test sets."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_exempt"),
    [
        ("", "https://api.test/v1", False),
        ("*", "https://api.test/v1", True),
        ("api.test", "https://api.test/v1", True),
        ("API.Test", "https://api.test/v1", True),
        ("test", "https://api.test/v1", True),
        (".test", "https://api.test/v1", True),
        ("*.test", "https://api.test/v1", True),
        (".api.test", "https://api.test/v1", True),
        ("api.test.", "https://api.test/v1", True),
        ("api.test", "https://api.test./v1", True),
        ("pi.test", "https://api.test/v1", False),
        ("api.test.org", "https://api.test/v1", False),
        ("a.test, api.test", "https://api.test/v1", True),
        ("a.test api.test", "https://api.test/v1", True),
        (",,api.test,", "https://api.test/v1", True),
        ("api.test:443", "https://api.test/v1", True),
        ("api.test:8443", "https://api.test/v1", False),
        ("api.test:8443", "https://api.test:8443/v1", True),
        ("https://api.test", "https://api.test/v1", True),
        ("127.0.0.1", "http://127.0.0.1:8080/v1", True),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/v1", True),
        ("127.0.0.1:80", "http://127.0.0.1:8080/v1", False),
        ("127.0.0.1,fd00::/8", "http://127.0.0.1:8080/v1", True),
        ("10.0.0.0/8", "https://10.1.2.3/v1", True),
        ("10.0.0.0/8", "https://11.1.2.3/v1", False),
        ("10.0.0.7/8", "https://10.1.2.3/v1", True),
        ("10.*", "https://10.1.2.3/v1", True),
        ("fd00::/8", "https://[fd12::1]/v1", True),
        ("[fd00::]/8", "https://[fd12::1]/v1", True),
        ("fd00::/8", "https://[fe80::1]/v1", False),
        ("::1", "http://[::1]:8080/v1", True),
        ("[::1]", "http://[::1]:8080/v1", True),
        ("[::1]:8080", "http://[::1]:8080/v1", True),
        ("[::1]:80", "http://[::1]:8080/v1", False),
        ("0:0:0:0:0:0:0:1", "http://[::1]:8080/v1", True),
        ("fd00::/999", "https://[fd12::1]/v1", False),
        ("localhost", "http://localhost:8080/v1", True),
        ("localhost", "http://127.0.0.1:8080/v1", False),
        ("bücher.test", "https://bücher.test/v1", True),
        ("BÜCHER.test", "https://bücher.test/v1", True),
        ("bücher.test", "https://xn--bcher-kva.test/v1", True),
        ("xn--bcher-kva.test", "https://bücher.test/v1", True),
        ("bu\u0308cher.test", "https://bücher.test/v1", True),
        ("bücher。test", "https://bücher.test/v1", True),
        (".bücher.test", "https://api.bücher.test/v1", True),
        ("*.bücher.test:443", "https://api.bücher.test/v1", True),
        ("b*cher.test", "https://bücher.test/v1", True),
        ("https://bücher.test", "https://bücher.test/v1", True),
        ("ücher.test", "https://bücher.test/v1", False),
        ("bucher.test", "https://bücher.test/v1", False),
        ("ü..ü,ü*,\u200b", "https://bücher.test/v1", False),
        ("bücher.test", "https://xn--/v1", False),
        ("<local>;x://[::/,%,:,/,[,]", "https://api.test/v1", False),
    ],
)
def test_an_entry_exempts_whom_it_names(
    no_proxy: str, url: str, is_exempt: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)

    assert Proxies.of_environment().of(httpx.URL(url)) == (None if is_exempt else PROXY)


def test_the_variable_of_a_scheme_comes_before_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Proxies.of_environment().of(httpx.URL("https://api.test")) is None
    monkeypatch.setenv("https_proxy", "proxy.test:3128")
    assert Proxies.of_environment().of(httpx.URL("https://api.test")) == PROXY
    assert Proxies.of_environment().of(httpx.URL("http://api.test")) is None
    monkeypatch.setenv("ALL_PROXY", "http://other.test")
    assert Proxies.of_environment().of(httpx.URL("https://api.test")) == PROXY
    assert Proxies.of_environment().of(httpx.URL("http://api.test")) == "http://other.test"


@pytest.mark.parametrize(
    "no_proxy", ["127.0.0.1,fd00::/8", "fd00::/8 127.0.0.0/8", "*", "[::1],127.0.0.1:1,127.*"]
)
@pytest.mark.parametrize("proxy", [None, "http://127.0.0.1:1"])
def test_a_connection_works_whatever_form_its_exemption_has(
    sandbox: Sandbox, service_name: str, no_proxy: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, sandbox.connection(service_name))
    monkeypatch.setenv("NO_PROXY", no_proxy)
    if proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
    hook = HOOK[service_name]("mine")

    async def pages() -> int:
        return len([page async for page in hook.aiter_pages()])

    assert hook.test_connection()[0]
    assert asyncio.run(pages())


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "gopher://proxy.test",
        "http://proxy.test:port",
        "http://proxy.test:99999",
        "http://a:b@",
    ],
)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_variable_that_holds_no_proxy_is_named(
    kind: type[Client | AsyncClient], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)

    with pytest.raises(ConfigurationError, match=r"^HTTPS_PROXY: "):
        kind(VlmRun("https://api.test/v1", BearerAuth("key")))


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """A server of this machine that answers whatever it is asked for, and the first lines of its requests."""
    lines: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            lines.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

        def do_CONNECT(self) -> None:
            self.send_response(int(self.path.partition(".")[0]), "no entry for a:pass-word")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", lines
        server.shutdown()


@pytest.mark.parametrize(
    ("no_proxy", "is_exempt"),
    [
        ("", False),
        ("other.test", False),
        (".0.0.2", False),
        ("127.0.0.1:1", False),
        ("10.0.0.0/8, fd00::/8", False),
        ("127.0.0.1", True),
        (".0.0.1", True),
        ("{server}", True),
        ("127.0.0.0/8", True),
        ("127.0.0.0/8:{port}", True),
        ("*", True),
        (" other.test ,  127.0.0.1 ", True),
        ("other.test 127.0.0.1", True),
        ("fd00::/8,a:b:c,127.0.0.1", True),
    ],
)
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_a_request_goes_through_the_proxy_or_straight_to_the_server(
    shell: Shell,
    asked: tuple[str, list[str]],
    variable: str,
    no_proxy: str,
    is_exempt: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy is asked for whole URLs, and a server for paths; one server is both."""
    server, lines = asked
    monkeypatch.setenv(variable, f"http://{server}")
    monkeypatch.setenv("NO_PROXY", no_proxy.format(server=server, port=server.rpartition(":")[2]))

    assert shell.once(VlmRun(f"http://{server}/v1", BearerAuth("key")), LIST) == b"[]"
    assert lines == ["/v1/predictions" if is_exempt else f"http://{server}/v1/predictions"]


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_that_refuses_its_credentials_is_named(
    shell: Shell, asked: tuple[str, list[str]], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, f"http://a:pass-word@{asked[0]}")

    with pytest.raises(ConfigurationError) as caught:
        shell.once(VlmRun("https://407.test/v1", BearerAuth("key")), LIST)

    assert str(caught.value) == f"{variable}: the proxy refuses its credentials (407)"


@pytest.mark.parametrize(
    ("status", "why"), [(403, ": the proxy answered 403"), (502, ": the proxy answered 502")]
)
def test_a_proxy_that_does_not_connect_is_named(
    shell: Shell, asked: tuple[str, list[str]], status: int, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://a:pass-word@{asked[0]}")

    with pytest.raises(NoAnswerError) as caught:
        shell.once(VlmRun(f"https://{status}.test/v1", BearerAuth("key")), LIST)

    assert str(caught.value) == (
        f"VLM Run did not answer at {status}.test: ProxyError{why}. "
        "Check the environment variable HTTPS_PROXY, and Base URL (host) of the connection"
    )


def test_a_proxy_that_is_not_there_is_named(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://a:pass-word@127.0.0.1:1")

    with pytest.raises(
        NoAnswerError, match=r"ConnectError.*Check the environment variable HTTPS_PROXY, and Base"
    ) as caught:
        shell.once(VlmRun("https://api.test/v1", BearerAuth("key")), LIST)

    assert "pass-word" not in str(caught.value)


def test_a_proxy_that_the_token_endpoint_needs_is_named(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://a:pass-word@127.0.0.1:1")

    with pytest.raises(NoAnswerError) as caught:
        client_credentials(sandbox).token()

    told = "did not answer: ProxyError. Check the environment variable ALL_PROXY"
    assert str(caught.value) == f"The token endpoint (extra auth_url) {told}"
