"""What two deferred waits hold in memory in a list of large records, in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.given import bare

RECORD = 300_000
ROWS = 1000
MOST = 60 << 20
"""Bytes above what the process holds at rest."""

WAITER = """
import resource
from tests.triggers.waits import together, trigger

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

def wait(*ids):
    found = together(*[trigger("vlmrun", prediction_ids=[id_]) for id_ in ids])
    assert [each["state"] for each in found] == ["done"] * len(ids), found

wait("small")
at_rest = peak()
wait("id-1", "id-900")
print(peak() - at_rest)
"""


@pytest.fixture
def large() -> Iterator[str]:
    """VLM Run with a list of large records that are finished."""

    def record(id_: str) -> dict[str, str]:
        text = "x" * (RECORD if id_ != "small" else 1)
        return {"id": id_, "status": "completed", "response": text}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            name, query = unquote(parts.path.rpartition("/")[2]), parse_qs(parts.query)
            if name == "predictions":
                count = int(query["limit"][0])
                body = json.dumps([record(f"id-{n}") for n in range(min(count, ROWS))]).encode()
            else:
                body = json.dumps(record(name)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


@pytest.mark.slow
def test_two_waits_in_a_list_of_large_records_hold_little(
    large: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_VLMRUN_DEFAULT", json.dumps(bare("vlmrun", host=large)))

    done = subprocess.run(
        [sys.executable, "-c", WAITER], check=True, capture_output=True, text=True, timeout=120
    )

    assert int(done.stdout.split()[-1]) < MOST
