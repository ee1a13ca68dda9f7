"""What polls for ids read, from a server that counts requests and bytes, in simulated time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.given import WAIT, bare, connect
from tests.sensors.waiting import make
from tests.triggers.waits import together, trigger

pytestmark = pytest.mark.usefixtures("counted", "simulated_time")

RECORD = 20_000


class Counted:
    """VLM Run with a list of large records.

    :ivar refuse: the status of a page of so many rows; 200 for a good answer.
    :ivar shown: which part of the list a page is taken from.
    """

    def __init__(self, records: int = 1000) -> None:
        self.status = dict.fromkeys([f"id-{n}" for n in range(records)], "completed")
        self.refuse: Callable[[int], int] = lambda rows: 200
        self.shown = [*self.status]
        self.requests: list[str] = []
        self.rows: list[int] = []
        self.bytes = 0
        self.most = 10_000
        self.size = RECORD

    def record(self, id_: str) -> dict[str, str]:
        return {"id": id_, "status": self.status[id_], "response": "x" * self.size}

    def answer(self, url: str) -> tuple[int, bytes]:
        path, query = urlsplit(url).path.rpartition("/")[2], parse_qs(urlsplit(url).query)
        self.requests.append(path)
        if len(self.requests) % (self.most + 1) == 0:
            return 429, b'{"detail": "Too many requests"}'
        if path != "predictions":
            known = unquote(path) in self.status
            return (200, json.dumps(self.record(unquote(path))).encode()) if known else (404, b"{}")
        skip, limit = int(query["skip"][0]), int(query["limit"][0])
        self.rows.append(limit)
        if (status := self.refuse(limit)) != 200:
            return status, b"{}"
        return 200, json.dumps([self.record(id_) for id_ in self.shown[skip : skip + limit]]).encode()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    counted = Counted()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = counted.answer(self.path)
            counted.bytes += len(body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    extra = {"max_response_bytes": 10 * 1000 * 1000}
    host = f"http://127.0.0.1:{server.server_port}/v1"
    connect(monkeypatch, bare("vlmrun", host=host, extra=extra), "vlmrun_default")
    yield counted
    server.shutdown()
    server.server_close()


def states(*ids: list[str], **arguments: object) -> list[str]:
    return [
        found["state"] for found in together(*[trigger("vlmrun", prediction_ids=i, **arguments) for i in ids])
    ]


def test_a_poll_for_two_reads_no_more_bytes_than_asking_for_each(counted: Counted) -> None:
    assert states(["id-1"], ["id-900"]) == ["done"] * 2
    assert counted.bytes < 2.1 * RECORD
    assert counted.rows == []


def test_a_poke_for_two_reads_no_more_bytes_than_asking_for_each(counted: Counted) -> None:
    assert make(WAIT["vlmrun"], prediction_ids=["id-1", "id-900"]).execute({})["count"] == 2
    assert counted.bytes < 2.1 * RECORD


def test_a_thousand_waits_cost_the_requests_of_few(counted: Counted) -> None:
    counted.size = 1000
    assert states(*[[f"id-{n}"] for n in range(1000)]) == ["done"] * 1000
    assert len(counted.requests) <= 25
    assert counted.bytes <= 1.2 * 1000 * 1100


@pytest.mark.parametrize("status", [403, 404, 413, 422, 500, 504])
def test_a_page_that_is_refused_ends_no_wait(counted: Counted, status: int) -> None:
    counted.refuse = lambda rows: status
    assert states(*[[f"id-{n}"] for n in range(20)]) == ["done"] * 20


def test_a_smaller_page_is_asked_for_where_a_large_one_is_refused(counted: Counted) -> None:
    counted.refuse = lambda rows: 200 if rows <= 30 else 413
    assert states(*[[f"id-{n}"] for n in range(100)]) == ["done"] * 100
    assert counted.rows[:2] == [100, 25]
    assert len(counted.requests) < 30


def test_a_page_beyond_the_bound_of_an_answer_ends_no_wait(counted: Counted) -> None:
    counted.size = 300_000
    assert states(*[[f"id-{n}"] for n in range(60)]) == ["done"] * 60


def test_the_smallest_page_size_of_a_connection_is_obeyed(counted: Counted) -> None:
    sizes = [40, 7, None]
    ids = [[f"id-{n}" for n in range(k, 90, 3)] for k in range(3)]
    waits = [
        trigger("vlmrun", prediction_ids=i, filters={"page_size": size} if size else {})
        for i, size in zip(ids, sizes, strict=True)
    ]
    assert [found["state"] for found in together(*waits)] == ["done"] * 3
    assert counted.rows
    assert max(counted.rows) <= 7


def test_finished_ids_that_no_page_shows_are_asked_for_at_the_pace_of_the_rate_limit(
    counted: Counted,
) -> None:
    counted.shown, counted.most = [], 9
    assert states(*[[f"id-{n}"] for n in range(985, 1000)]) == ["done"] * 15
    assert make(WAIT["vlmrun"], prediction_ids=[f"id-{n}" for n in range(15)]).execute({})["count"] == 15


def test_a_rate_limit_is_no_failure_of_a_wait(counted: Counted) -> None:
    counted.shown, counted.most = [], 3
    assert states([f"id-{n}" for n in range(40)], max_failures=2) == ["done"]


def test_ids_that_do_not_exist_hide_no_others(counted: Counted) -> None:
    found = states(["id-1"], ["nobody"], ["id-2", "id-3"], missing_timeout=100)
    assert found == ["done", "failed", "done"]


@pytest.mark.parametrize("status", [413, 504])
def test_a_wait_by_filters_goes_on_with_smaller_pages(counted: Counted, status: int) -> None:
    counted.size = 10
    counted.refuse = lambda rows: 200 if rows <= 100 else status
    (found,) = together(trigger("vlmrun", filters={"statuses": ["completed"]}))
    assert (found["state"], found["statuses"]) == ("done", {"completed": 1000})
