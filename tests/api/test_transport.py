"""How the synchronous client sends, seen from a server of one's own."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from airflow_provider_predictions.api.auth import BearerAuth
from airflow_provider_predictions.api.client import Client
from airflow_provider_predictions.api.errors import NoAnswerError
from airflow_provider_predictions.api.models import PageRequest
from airflow_provider_predictions.api.vlmrun import VlmRun

NO_PORT = "http://127.0.0.1:1/v1"
"""Nothing listens there."""
LIST = PageRequest("predictions", {"skip": 0, "limit": 10})


@pytest.fixture
def asked() -> list[str]:
    """The first lines of the requests that came, and what they accept."""
    return []


@pytest.fixture
def server(asked: list[str]) -> Iterator[str]:
    """A server that answers every request with a compressed empty list."""

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
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def body(base_url: str) -> bytes:
    with Client(VlmRun(base_url, BearerAuth("key")), attempts=1) as client:
        return client.get(LIST, bytes)


def test_a_compressed_answer_is_unpacked(server: str, asked: list[str]) -> None:
    assert body(f"{server}/v1") == b"[]"
    assert asked == ["GET /v1/predictions?skip=0&limit=10 HTTP/1.1"]


def test_a_proxy_of_the_environment_is_used(
    server: str, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server)
    monkeypatch.delenv("NO_PROXY", raising=False)

    assert body(NO_PORT) == b"[]"
    assert asked == [f"GET {NO_PORT}/predictions?skip=0&limit=10 HTTP/1.1"]


def test_a_port_where_nobody_listens_is_said() -> None:
    with pytest.raises(NoAnswerError, match=r"at 127\.0\.0\.1:1: ConnectError.*refused"):
        body(NO_PORT)
