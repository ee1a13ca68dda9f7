"""The bearer token goes to the API, the secret to the token endpoint, and neither to anybody else."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from airflow_provider_predictions.api.errors import ConfigurationError, PredictionsError
from airflow_provider_predictions.api.models import GetRequest
from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.conftest import Shell, make_service
from tests.faults import Fault
from tests.given import HOOK
from tests.wire import Noted, in_front

REDIRECTS = [301, 302, 303, 307, 308]


class Stranger(ThreadingHTTPServer):
    """Notes whatever it gets."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.heard.append((str(self.headers), body.decode()))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET  # noqa: N815  (the name that http.server looks for)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    with Stranger() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def heard_no_secret(stranger: Stranger) -> bool:
    text = str(stranger.heard).lower()
    return not any(word in text for word in ("authorization", "sandbox-", "secret"))


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("place", ["list", "one"])
def test_no_redirect_of_the_api_is_followed(
    connections: Sandbox, service_name: str, stranger: Stranger, status: int, place: str
) -> None:
    elsewhere = f"http://127.0.0.1:{stranger.server_port}/v1/predictions"
    hook = HOOK[service_name](attempts=1)

    async def in_a_loop() -> None:
        if place == "list":
            await anext(aiter(hook.aiter_pages()))
        else:
            await hook.aget_prediction("some-id")

    for ask in (
        lambda: next(hook.iter_pages()) if place == "list" else hook.get_prediction("some-id"),
        lambda: asyncio.run(in_a_loop()),
    ):
        connections.wire.order(Fault(service_name, status=status, body=b"", headers={"Location": elsewhere}))
        with pytest.raises(PredictionsError, match=f"answered {status} .*Check .*Base URL"):
            ask()

    assert stranger.heard == []


@pytest.mark.parametrize("status", REDIRECTS)
def test_no_redirect_of_a_file_is_followed(
    sandbox: Sandbox, shell: Shell, stranger: Stranger, status: int
) -> None:
    elsewhere = f"http://127.0.0.1:{stranger.server_port}/file"
    sandbox.wire.order(Fault("files", status=status, body=b"", headers={"Location": elsewhere}))

    with pytest.raises(PredictionsError, match=f"answered {status}"):
        shell.get(make_service(sandbox, "cradl"), GetRequest(f"http://localhost:{sandbox.port}/files/x"))

    assert stranger.heard == []


@pytest.mark.parametrize("status", REDIRECTS)
def test_no_redirect_of_the_token_endpoint_is_followed(
    connections: Sandbox, stranger: Stranger, status: int
) -> None:
    elsewhere = f"http://127.0.0.1:{stranger.server_port}/token"
    connections.wire.order(Fault("token", status=status, body=b"", headers={"Location": elsewhere}, times=9))

    with pytest.raises(ConfigurationError, match="extra auth_url: redirects"):
        CradlHook(attempts=1).get_prediction("some-id")

    assert stranger.heard == []
    assert [seen.part for seen in connections.wire.seen] == ["token"]


FILES = [
    "http://127.0.0.1:{port}",
    "http://127.0.0.1:{port}/cradl/v1",
    "http://localhost:{port}",
    "http://user:password@127.0.0.1:{port}",
    "http://127.0.0.1:{own}@127.0.0.1:{port}",
    "http://127.0.0.1:{own}#@127.0.0.1:{port}",
    "http://127.0.0.1:{port}\\@127.0.0.1:{own}/",
    "http://127.0.0.1:{port}#@127.0.0.1:{own}",
    "http://127.0.0.1:{port}?@127.0.0.1:{own}",
    "http://127.0.0.1:{port}\t@127.0.0.1:{own}",
    "HTTP://127.0.0.1:{port}",
    " http://127.0.0.1:{port}",
    "//127.0.0.1:{port}",
    "http:127.0.0.1:{port}",
    "http:///127.0.0.1:{port}",
    "http:\\\\127.0.0.1:{port}",
    "https://127.0.0.1:{own}",
    "ftp://127.0.0.1:{port}",
    "http://127.0.0.1:99999",
    "http://[127.0.0.1]:{port}",
    "http://[oops",
    "../../files/x",
    "/files/x",
    "",
]
"""Of another origin: another port, another scheme, or what only looks like the base URL."""


def test_a_file_url_leads_the_token_to_no_other_origin(
    sandbox: Sandbox, stranger: Stranger, shell: Shell, subtests: pytest.Subtests
) -> None:
    service = make_service(sandbox, "cradl", file_hosts=())
    for file in FILES:
        url = file.format(port=stranger.server_port, own=sandbox.port)
        record = json.dumps({"predictionId": "a", "fileUrl": url}).encode()
        (prediction,) = service.rows(b"[" + record + b"]")
        sandbox.wire.seen.clear()
        with subtests.test(file=file):
            with suppress(PredictionsError):
                if request := service.values_request(prediction):
                    shell.get(service, request)

            assert heard_no_secret(stranger)
            assert not [seen.path for seen in sandbox.wire.seen if seen.authorization]


def test_the_token_goes_to_the_origin_of_the_base_url_and_to_file_hosts(
    sandbox: Sandbox, stranger: Stranger, shell: Shell
) -> None:
    file = GetRequest(f"http://localhost:{stranger.server_port}/file")

    shell.get(make_service(sandbox, "cradl", file_hosts=("localhost",)), file)
    with pytest.raises(PredictionsError, match="not https"):
        shell.get(make_service(sandbox, "cradl", file_hosts=()), file)

    (heard,) = stranger.heard
    assert re.search(r"authorization: bearer \S+\.sandbox-token-", heard[0].lower())


TRUSTED = [
    ("https://api.cradl.ai/v1", "https://api.cradl.ai/x", True),
    ("https://api.cradl.ai/v1", "https://api.cradl.ai:443/x", True),
    ("https://api.cradl.ai/v1", "https://API.cradl.ai/x", True),
    ("https://api.cradl.ai/v1", "https://api.cradl.ai:8443/x", False),
    ("https://api.cradl.ai/v1", "http://api.cradl.ai/x", False),
    ("https://api.cradl.ai/v1", "https://api.cradl.ai./x", False),
    ("https://api.cradl.ai/v1", "https://api.cradl.ai.evil.com/x", False),
    ("https://api.cradl.ai/v1", "https://evil.com/api.cradl.ai", False),
    ("https://api.cradl.ai/v1", "https://evil.com?api.cradl.ai", False),
    ("https://api.cradl.ai/v1", "https://api.cradl.ai@evil.com/", False),
    ("https://api.cradl.ai/v1", "https://api.cradl.ai\\@evil.com/", False),
    ("https://api.cradl.ai/v1", "https://xapi.cradl.ai/", False),
    ("https://api.cradl.ai/v1", "https://files.cradl.ai/x", True),
    ("https://api.cradl.ai/v1", "https://files.cradl.ai:8443/x", True),
    ("https://api.cradl.ai/v1", "http://files.cradl.ai/x", False),
    ("https://api.cradl.ai:8443/v1", "https://api.cradl.ai/x", False),
    ("https://api.cradl.ai:8443/v1", "https://api.cradl.ai:8443/x", True),
    ("http://127.0.0.1:80/v1", "http://127.0.0.1/x", True),
    ("http://127.0.0.1/v1", "https://127.0.0.1/x", False),
    ("http://127.0.0.1/v1", "http://localhost/x", False),
]
"""A base URL, the URL of a file, and whether the token goes there."""


def test_who_is_trusted_is_told_by_scheme_host_and_port(sandbox: Sandbox) -> None:
    found = [
        (base, url, make_service(sandbox, "cradl", base_url=base, file_hosts=("files.cradl.ai",)).trusts(url))
        for base, url, _ in TRUSTED
    ]

    assert found == TRUSTED


def test_the_secret_of_cradl_is_sent_to_its_token_endpoint_only(connections: Sandbox) -> None:
    connections.cradl.fill(30)
    with in_front(connections, Noted) as noted:
        list(CradlHook().iter_pages(page_size=10))

    assert [request.path for request in noted.requests if b"client_secret" in request.body] == [
        b"/oauth2/token"
    ]
    assert not any("secret" in seen.query + seen.path for seen in connections.wire.seen)
