"""What deferred waits cost their process in a list of large records: its memory, and its event loop's time.

Both are measured in a process of their own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.given import DONE, bare

RECORD = 300_000
ROWS = 1000
MOST = 60 << 20
"""Bytes above what the process holds at rest."""
RATIO = 20
"""So many times what a page of ``MAX_PAGE_BYTES`` takes to be split, one turn of the event loop may take."""

MEMORY = """
import resource, sys
from tests.triggers.waits import run_all, trigger

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

def wait(*ids):
    found = run_all(*[trigger(sys.argv[1], prediction_ids=[id_]) for id_ in ids])
    assert [each["state"] for each in found] == ["done"] * len(ids), found

wait("small")
at_rest = peak()
wait("id-1", "id-900")
print(peak() - at_rest)
"""
# Processor time of the loop's thread, since other processes may stop it at any moment.
LOOP = """
import asyncio, gc, sys, time
from airflow_provider_predictions.api.limits import MAX_PAGE_BYTES
from tests.api.services import CRADL, VLMRUN
from tests.triggers.test_poll_load import RECORD, listed
from tests.triggers.waits import fire, trigger

service = {"vlmrun": VLMRUN, "cradl": CRADL}[sys.argv[1]]

def seconds(page):
    began = time.thread_time()
    service.paginator(service.filters()).parse(page)
    return time.thread_time() - began

async def turns():
    longest, before = 0.0, time.thread_time()
    while True:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            return longest
        now = time.thread_time()
        longest, before = max(longest, now - before), now

async def run():
    watched = asyncio.create_task(turns())
    waits = []
    for n in range(1000):
        # Neither all at once, nor within one turn of the loop.
        waits.append(asyncio.create_task(fire(trigger(sys.argv[1], 5, prediction_ids=[f"id-{n}"]))))
        await asyncio.sleep(0)
    found = await asyncio.wait_for(asyncio.gather(*waits), 500)
    watched.cancel()
    assert {each["state"] for each in found} == {"done"}, found[0]
    return await watched

gc.collect()
gc.freeze()
page = listed(sys.argv[1], range(MAX_PAGE_BYTES // RECORD), None)
longest = asyncio.run(run())
print(longest, min(seconds(page) for _ in range(5)))
"""


def record(service_name: str, name: str) -> bytes:
    """A record that is finished."""
    text = "x" * (RECORD if name != "small" else 1)
    id_ = {"vlmrun": "id", "cradl": "predictionId"}[service_name]
    return b'{"%s":"%s","status":"%s","response":"%s"}' % tuple(
        each.encode() for each in (id_, name, DONE[service_name], text)
    )


def listed(service_name: str, rows: range, token: str | None) -> bytes:
    """A page."""
    page = b"[%s]" % b",".join(record(service_name, f"id-{n}") for n in rows)
    if service_name == "vlmrun":
        return page
    return b'{"predictions":%s,"nextToken":%s}' % (page, json.dumps(token).encode())


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch, service_name: str) -> Iterator[None]:
    """A service with a list of large records."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            name = unquote(parts.path.rpartition("/")[2])
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            if name != "predictions":
                return self.say(record(service_name, name))
            start = int(query.get("skip") or query.get("nextToken", 0))
            end = min(ROWS, start + int(query.get("limit") or query["maxResults"]))
            return self.say(listed(service_name, range(start, end), str(end) if end < ROWS else None))

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.say(b'{"access_token": "token", "token_type": "Bearer", "expires_in": 86400}')

        def say(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        extra = {"auth_url": f"{url}/token"} if service_name == "cradl" else {}
        connection = bare(service_name, host=f"{url}/v1", extra=extra)
        monkeypatch.setenv(f"AIRFLOW_CONN_{service_name.upper()}_DEFAULT", json.dumps(connection))
        yield
        server.shutdown()


def printed(code: str, service_name: str) -> list[str]:
    """The last line that a process prints, in words."""
    done = subprocess.run(
        [sys.executable, "-c", code, service_name], check=True, capture_output=True, text=True, timeout=300
    )
    return done.stdout.splitlines()[-1].split()


@pytest.mark.slow
@pytest.mark.usefixtures("large")
def test_two_waits_in_a_list_of_large_records_hold_little(service_name: str) -> None:
    (held,) = map(int, printed(MEMORY, service_name))

    assert held < MOST


@pytest.mark.slow
@pytest.mark.usefixtures("large")
def test_a_thousand_waits_in_a_list_of_large_records_let_the_event_loop_turn(service_name: str) -> None:
    longest, of_a_page = map(float, printed(LOOP, service_name))

    assert longest < RATIO * of_a_page
