"""How the clients send, seen from a server of the test's own."""

from __future__ import annotations

import gzip
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from airflow_provider_predictions.api.errors import AnswerTooLargeError, MalformedAnswerError, NoAnswerError
from airflow_provider_predictions.api.http.auth import BearerAuth, ClientCredentialsAuth
from airflow_provider_predictions.api.http.client import Client
from airflow_provider_predictions.api.http.token_endpoint import fetch
from airflow_provider_predictions.api.http.transport import Transport
from airflow_provider_predictions.api.limits import MAX_ATTEMPTS, MAX_READ_BYTES, MAX_TOKEN_RESPONSE_BYTES
from airflow_provider_predictions.api.models import GetRequest
from airflow_provider_predictions.api.vlmrun import VlmRun
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.conftest import Shell, make_service
from tests.faults import App, Fault, Message, Receive, Send
from tests.wire import in_front

TIMEOUT = 0.2
"""Seconds."""
NO_PORT = "http://127.0.0.1:1/v1"
"""Nothing listens there."""
LIST = GetRequest("predictions", {"skip": 0, "limit": 10})


@pytest.fixture
def asked() -> list[str]:
    """The first lines of the requests that came, and what they accept."""
    return []


@pytest.fixture
def server(asked: list[str]) -> Iterator[str]:
    """A server that sends a compressed empty list for every request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.requestline)
            body = gzip.compress(b"[]")
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def body(base_url: str) -> bytes:
    with Client(VlmRun(base_url, BearerAuth("key")), attempts=1) as client:
        return client.get(LIST, bytes)


def test_a_compressed_response_is_unpacked(server: str, asked: list[str]) -> None:
    assert body(f"{server}/v1") == b"[]"
    assert asked == ["GET /v1/predictions?skip=0&limit=10 HTTP/1.1"]


def test_a_proxy_of_the_environment_is_used(
    server: str, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server)
    monkeypatch.delenv("NO_PROXY", raising=False)

    assert body(NO_PORT) == b"[]"
    assert asked == [f"GET {NO_PORT}/predictions?skip=0&limit=10 HTTP/1.1"]


def test_a_port_without_a_server_is_named() -> None:
    with pytest.raises(NoAnswerError, match=r"at 127\.0\.0\.1:1: ConnectError.*refused"):
        body(NO_PORT)


class Trickle(socketserver.BaseRequestHandler):
    """Sends an endless response, counts its bytes, and notes when the client is gone."""

    sent = 0
    left = threading.Event()

    def handle(self) -> None:
        self.request.recv(1 << 16)
        self.request.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        with suppress(OSError):
            for _ in range(200):
                self.request.sendall(b" " * (1 << 20))
                Trickle.sent += 1 << 20
        Trickle.left.set()


@pytest.fixture
def endless() -> Iterator[str]:
    """A server of endless responses."""
    Trickle.sent = 0
    Trickle.left.clear()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Trickle) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_an_endless_response_is_read_only_up_to_its_bound(endless: str) -> None:
    service = VlmRun(f"{endless}/v1", BearerAuth("key"), max_response_bytes=1000)

    with Client(service, attempts=1) as client, pytest.raises(AnswerTooLargeError):
        client.get(LIST, bytes)

    assert Trickle.left.wait(5)
    assert Trickle.sent < 50 << 20


def test_a_response_is_read_in_small_pieces(endless: str) -> None:
    transport = Transport(ssl.create_default_context(), TIMEOUT)
    with httpx.Client(transport=transport) as client, client.stream("GET", endless) as response:
        pieces = [len(piece) for piece, _ in zip(response.iter_raw(), range(100), strict=False)]

    assert 1 <= max(pieces) <= MAX_READ_BYTES


def test_an_endless_token_is_read_only_up_to_its_bound(endless: str) -> None:
    credentials = ClientCredentialsAuth(
        f"{endless}/token", client_id="me", client_secret="hush", audience="api"
    )

    with pytest.raises(MalformedAnswerError, match=f"more than {MAX_TOKEN_RESPONSE_BYTES} bytes"):
        fetch(credentials)

    assert Trickle.left.wait(5)
    assert Trickle.sent < 50 << 20


@pytest.mark.parametrize("accepts", [True, False])
def test_a_server_that_does_not_answer_is_a_timeout(accepts: bool) -> None:
    """It accepts no connection, or sends nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=16 if accepts else 0) as server, ExitStack() as stack:
        for _ in range(0 if accepts else 8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        service = VlmRun(f"http://127.0.0.1:{server.getsockname()[1]}/v1", BearerAuth("key"), timeout=TIMEOUT)
        began = time.monotonic()
        with (
            Client(service, attempts=1) as client,
            pytest.raises(NoAnswerError, match=r"\(extra timeout: 0\.2 s a step, 1 s in all\)"),
        ):
            client.get(LIST, bytes)

    assert time.monotonic() - began < 20 * TIMEOUT


def test_a_connection_that_ends_without_a_response_names_what_went_wrong() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        with pytest.raises(NoAnswerError, match=r": (RemoteProtocol|Read)Error$"):
            body(f"http://127.0.0.1:{server.getsockname()[1]}/v1")


def test_a_length_that_is_no_number_is_named(service, sandbox: Sandbox, shell: Shell) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"
    sandbox.wire.order(Fault(service.name, how="play", script=(answer,), times=MAX_ATTEMPTS))

    with pytest.raises(
        MalformedAnswerError, match=rf"^{service.title} sent .* Content-Length is not a number"
    ):
        shell.all(service)


DRIPS_TIMEOUT = 0.05
"""Seconds of a step, many of which pass."""
DRIPS = {
    "its headers": (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "its body": (b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n", b" "),
}
ENVIRONMENTS = {
    "no proxy": {},
    "NO_PROXY": {"NO_PROXY": "other.test"},
    "a network": {"NO_PROXY": "127.0.0.1,fd00::/8"},
    "an exempt server": {"HTTP_PROXY": NO_PORT, "NO_PROXY": "127.0.0.0/8"},
    "a proxy": {"ALL_PROXY": "http://{server}", "NO_PROXY": "other.test,[::1]"},
}


class Dripping(socketserver.BaseRequestHandler):
    """Sends the start of a response, and then a bit of it ten times a timeout, until the client is gone."""

    start, drip = b"", b""

    def handle(self) -> None:
        self.request.recv(1 << 16)
        self.request.sendall(self.start)
        with suppress(OSError):
            for _ in range(2000):
                self.request.sendall(self.drip)
                over.wait(DRIPS_TIMEOUT / 10)


over = threading.Event()
"""Never set: a wait on it is a sleep of the server's."""


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("drip", DRIPS)
def test_a_response_that_trickles_is_a_timeout_in_any_environment(
    shell: Shell, drip: str, environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Dripping.start, Dripping.drip = DRIPS[drip]
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dripping) as server:
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        address = f"127.0.0.1:{server.server_address[1]}"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        for name, value in ENVIRONMENTS[environment].items():
            monkeypatch.setenv(name, value.format(server=address))
        service = VlmRun(f"http://{address}/v1", BearerAuth("key"), timeout=DRIPS_TIMEOUT)
        began = time.monotonic()

        with pytest.raises(NoAnswerError, match=r"0\.25 s in all") as caught:
            shell.once(service, LIST)

        assert caught.value.timed_out
        assert time.monotonic() - began < 100 * DRIPS_TIMEOUT
        server.shutdown()


@pytest.mark.parametrize("environment", ["NO_PROXY", "a proxy"])
def test_the_bound_of_bytes_holds_in_any_environment(
    shell: Shell, endless: str, environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    for name, value in ENVIRONMENTS[environment].items():
        monkeypatch.setenv(name, value.format(server=endless.removeprefix("http://")))
    service = VlmRun(f"{endless}/v1", BearerAuth("key"), max_response_bytes=1000)

    with pytest.raises(AnswerTooLargeError):
        shell.once(service, LIST)

    assert Trickle.left.wait(5)
    assert Trickle.sent < 50 << 20


def test_cookies_do_not_pile_up(shell: Shell, sandbox: Sandbox) -> None:
    """A load balancer may set another one with each response, and refuse them all in the end."""
    sandbox.vlmrun.fill(20)

    with in_front(sandbox, Cookies) as cookies:
        listed = shell.all(make_service(sandbox, "vlmrun"), page_size=5)

    assert len(listed) == 20
    assert set(cookies.sent) == {b""}


class Cookies:
    """ASGI middleware that sets a new cookie with each response, and notes those of each request."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.sent: list[bytes] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        self.sent.append(dict(scope["headers"]).get(b"cookie", b""))

        async def set_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"set-cookie", b"c%d=1; Path=/" % len(self.sent)))
            await send(message)

        await self.app(scope, receive, set_cookie)
