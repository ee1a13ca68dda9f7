"""What polls for ids read, from a server that counts requests and bytes, in simulated time."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from airflow_provider_predictions.api.limits import MAX_FIRST_PAGE_ROWS, MAX_PAGE_BYTES
from tests.clock import SimulatedTime
from tests.given import DONE, WAIT, bare, connect
from tests.sensors.waiting import make
from tests.triggers.waits import INTERVAL, run_all, trigger

pytestmark = pytest.mark.usefixtures("counted", "simulated_time")

RECORD = 20_000
States = Callable[..., list[str]]


class Counted:
    """A service with a list of large records, each of which is finished.

    :ivar finish_at: the number of the request with which all that is not is finished.
    :ivar refuse: the status of a page of so many rows; 200 for a good answer.
    :ivar shown: which part of the list a page is taken from.
    :ivar take_time: called with how many rows a request asks for; 0 is a single one.
    """

    def __init__(self, service_name: str, records: int = 1000) -> None:
        self.service_name = service_name
        self.status = dict.fromkeys([f"id-{n}" for n in range(records)], DONE[service_name])
        self.refuse: Callable[[int], int] = lambda rows: 200
        self.take_time: Callable[[int], None] = lambda rows: None
        self.shown = [*self.status]
        self.requests: list[str] = []
        self.rows: list[int] = []
        self.bytes = self.largest = 0
        self.most = 10_000
        self.finish_at = 0
        self.size = RECORD

    def record(self, id_: str) -> dict[str, str]:
        name = {"vlmrun": "id", "cradl": "predictionId"}[self.service_name]
        return {name: id_, "status": self.status[id_], "response": "x" * self.size}

    def answer(self, url: str) -> tuple[int, bytes]:
        path, query = urlsplit(url).path.rpartition("/")[2], parse_qs(urlsplit(url).query)
        self.requests.append(path)
        if len(self.requests) == self.finish_at:
            self.status = dict.fromkeys(self.status, DONE[self.service_name])
        if len(self.requests) % (self.most + 1) == 0:
            return 429, b'{"detail": "Too many requests"}'
        if path != "predictions":
            self.take_time(0)
            known = unquote(path) in self.status
            return (200, json.dumps(self.record(unquote(path))).encode()) if known else (404, b"{}")
        return self.page({name: values[0] for name, values in query.items()})

    def page(self, query: dict[str, str]) -> tuple[int, bytes]:
        is_offset = self.service_name == "vlmrun"
        start = int(query["skip"] if is_offset else query.get("nextToken", 0))
        limit = int(query["limit" if is_offset else "maxResults"])
        self.rows.append(limit)
        self.take_time(limit)
        if (status := self.refuse(limit)) != 200:
            return status, b"{}"
        rows = [self.record(id_) for id_ in self.shown[start : start + limit]]
        token = str(start + limit) if start + limit < len(self.shown) else None
        return 200, json.dumps(rows if is_offset else {"predictions": rows, "nextToken": token}).encode()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, service_name: str) -> Iterator[Counted]:
    counted = Counted(service_name)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = counted.answer(self.path)
            counted.bytes += len(body)
            counted.largest = max(counted.largest, len(body))
            self.say(status, body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.say(200, b'{"access_token": "token", "token_type": "Bearer", "expires_in": 86400}')

        def say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    extra = {"max_response_bytes": 10 * 1000 * 1000}
    extra |= {"auth_url": f"{url}/token"} if service_name == "cradl" else {}
    connect(monkeypatch, bare(service_name, host=f"{url}/v1", extra=extra), f"{service_name}_default")
    yield counted
    server.shutdown()
    server.server_close()


@pytest.fixture
def states(counted: Counted) -> Callable[..., list[str]]:
    """How deferred waits for ids end, beside each other."""

    def run(*ids: list[str], **arguments: object) -> list[str]:
        waits = [trigger(counted.service_name, prediction_ids=i, **arguments) for i in ids]
        return [found["state"] for found in run_all(*waits)]

    return run


def test_a_poll_for_two_reads_no_more_bytes_than_asking_for_each(counted: Counted, states: States) -> None:
    assert states(["id-1"], ["id-900"]) == ["done"] * 2
    assert counted.bytes < 2.1 * RECORD
    assert counted.rows == []


def test_a_poke_for_two_reads_no_more_bytes_than_asking_for_each(counted: Counted) -> None:
    assert make(WAIT[counted.service_name], prediction_ids=["id-1", "id-900"]).execute({})["count"] == 2
    assert counted.bytes < 2.1 * RECORD


def test_a_thousand_waits_cost_the_requests_of_few(counted: Counted, states: States) -> None:
    counted.size = 1000
    assert states(*[[f"id-{n}"] for n in range(1000)]) == ["done"] * 1000
    assert len(counted.requests) <= 25
    assert counted.bytes <= 1.2 * 1000 * 1100


@pytest.mark.parametrize("status", [403, 404, 413, 422, 500, 504])
def test_a_page_that_is_refused_ends_no_wait(counted: Counted, states: States, status: int) -> None:
    counted.refuse = lambda rows: status
    assert states(*[[f"id-{n}"] for n in range(20)]) == ["done"] * 20


def test_a_smaller_page_is_asked_for_where_a_large_one_is_refused(counted: Counted, states: States) -> None:
    counted.refuse = lambda rows: 200 if rows <= 30 else 413
    assert states(*[[f"id-{n}"] for n in range(100)]) == ["done"] * 100
    assert counted.rows[:3] == [MAX_FIRST_PAGE_ROWS, 100 - MAX_FIRST_PAGE_ROWS + 1, MAX_FIRST_PAGE_ROWS]
    assert len(counted.requests) < 30


def test_a_page_beyond_the_bound_of_an_answer_ends_no_wait(counted: Counted, states: States) -> None:
    counted.size = 300_000
    assert states(*[[f"id-{n}"] for n in range(60)]) == ["done"] * 60


def test_no_page_is_large_also_while_the_size_of_a_record_is_not_known(
    counted: Counted, states: States
) -> None:
    counted.size = 300_000
    assert states(*[[f"id-{n}"] for n in range(60)]) == ["done"] * 60
    assert counted.largest < 1.01 * MAX_PAGE_BYTES


def test_the_smallest_page_size_of_a_connection_is_obeyed(counted: Counted) -> None:
    sizes = [40, 7, None]
    ids = [[f"id-{n}" for n in range(k, 90, 3)] for k in range(3)]
    waits = [
        trigger(counted.service_name, prediction_ids=i, filters={"page_size": size} if size else {})
        for i, size in zip(ids, sizes, strict=True)
    ]
    assert [found["state"] for found in run_all(*waits)] == ["done"] * 3
    assert counted.rows
    assert max(counted.rows) <= 7


def test_finished_ids_that_no_page_shows_are_asked_for_at_the_pace_of_the_rate_limit(
    counted: Counted, states: States
) -> None:
    counted.shown, counted.most = [], 9
    assert states(*[[f"id-{n}"] for n in range(985, 1000)]) == ["done"] * 15
    assert (
        make(WAIT[counted.service_name], prediction_ids=[f"id-{n}" for n in range(15)]).execute({})["count"]
        == 15
    )


def test_a_rate_limit_is_no_failure_of_a_wait(counted: Counted, states: States) -> None:
    counted.shown, counted.most = [], 3
    assert states([f"id-{n}" for n in range(40)], max_failures=2) == ["done"]


def test_a_wait_ends_when_its_ids_are_known_while_others_wait_for_the_rate_limit(
    counted: Counted, states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, counted.shown = f"AIRFLOW_CONN_{counted.service_name.upper()}_DEFAULT", []
    connection = json.loads(os.environ[name])
    connection["extra"]["requests_per_minute"] = 10
    monkeypatch.setenv(name, json.dumps(connection))

    # Eleven polls of ten requests, and the first one reads the list.
    found = states(*[[f"id-{n}"] for n in range(100)], deadline=time.time() + 5.5 * 60)

    assert 40 <= found.count("done") <= 60


def test_ids_that_do_not_exist_hide_no_others(counted: Counted, states: States) -> None:
    found = states(["id-1"], ["nobody"], ["id-2", "id-3"], missing_timeout=100)
    assert found == ["done", "failed", "done"]


@pytest.mark.parametrize("status", [413, 504])
def test_a_wait_by_filters_goes_on_with_smaller_pages(counted: Counted, status: int) -> None:
    counted.size = 10
    counted.refuse = lambda rows: 200 if rows <= 100 else status
    (found,) = run_all(trigger(counted.service_name, filters={"statuses": [DONE[counted.service_name]]}))
    assert (found["state"], found["statuses"]) == ("done", {DONE[counted.service_name]: 1000})


def test_a_list_that_is_slow_beside_single_requests_is_left_alone(
    counted: Counted, states: States, simulated_time: SimulatedTime
) -> None:
    counted.size = 10
    counted.take_time = lambda rows: simulated_time.skip(40 if rows else 0.1)
    ids = [f"id-{n}" for n in range(20)]
    counted.status |= dict.fromkeys(ids, "pending")
    counted.finish_at = 75

    assert states(*[[id_] for id_ in ids]) == ["done"] * 20

    assert len(counted.rows) == 1


def test_a_list_is_read_again_some_polls_after_it_was_slow(
    counted: Counted, states: States, simulated_time: SimulatedTime
) -> None:
    counted.size = 10
    counted.take_time = lambda rows: simulated_time.skip(40 if rows and len(counted.rows) == 1 else 0.1)
    ids = [f"id-{n}" for n in range(20)]
    counted.status |= dict.fromkeys(ids, "pending")
    counted.finish_at = 220

    assert states(*[[id_] for id_ in ids]) == ["done"] * 20

    assert len(counted.rows) > 5
    assert len(counted.requests) < 230


@pytest.mark.parametrize("status", [200, 504])
def test_a_slow_page_is_better_than_single_requests_that_take_longer(
    counted: Counted, states: States, simulated_time: SimulatedTime, status: int
) -> None:
    counted.size = 10
    counted.take_time = lambda rows: simulated_time.skip(20 if rows else 2)
    counted.refuse = lambda rows: 200 if rows <= 100 else status
    assert states(*[[f"id-{n}"] for n in range(1000)]) == ["done"] * 1000
    # In the end, fewer ids are left than a page has rows. A page would cost more bytes than these lookups.
    pages, left = len(counted.rows), len(counted.requests) - len(counted.rows)
    assert pages <= 20
    assert left <= min(60, counted.rows[-1])


def test_a_page_that_times_out_is_asked_for_once_a_poll_where_single_requests_are_fast(
    counted: Counted, states: States, simulated_time: SimulatedTime
) -> None:
    counted.take_time = lambda rows: simulated_time.skip(600 if rows else 0.1)
    counted.refuse = lambda rows: 504
    assert states(*[[f"id-{n}"] for n in range(100)]) == ["done"] * 100
    assert counted.rows == [MAX_FIRST_PAGE_ROWS]


def test_a_slow_list_is_read_where_single_requests_meet_the_rate_limit(
    counted: Counted, states: States, simulated_time: SimulatedTime
) -> None:
    counted.size, counted.most = 10, 9
    counted.take_time = lambda rows: simulated_time.skip(40 if rows else 0.1)
    ids = [f"id-{n}" for n in range(90)]
    counted.status |= dict.fromkeys(ids, "pending")
    counted.finish_at = 40

    assert states(*[[id_] for id_ in ids]) == ["done"] * 90
    assert len(counted.rows) > 2
    assert len(counted.requests) < 100


def test_a_wait_by_filters_adds_its_own_pages_to_those_of_a_thousand_waits_for_ids(counted: Counted) -> None:
    counted.size = 1000
    ids = [trigger(counted.service_name, prediction_ids=[f"id-{n}"]) for n in range(1000)]
    found = run_all(*ids, trigger(counted.service_name, filters={"statuses": ["new"]}))
    assert {payload["state"] for payload in found} == {"done"}
    assert len(counted.requests) <= 35


def test_a_wait_by_filters_that_meets_the_rate_limit_holds_up_no_wait_for_ids(counted: Counted) -> None:
    counted.most = 20
    end = time.time() + 20 * INTERVAL
    endless = trigger(counted.service_name, filters={"page_size": 10}, deadline=end)
    far = [trigger(counted.service_name, prediction_ids=[f"id-{n}"], deadline=end) for n in (900, 901)]
    assert [payload["state"] for payload in run_all(endless, *far)] == ["timeout", "done", "done"]


@pytest.mark.parametrize("number", [1, 2])
def test_a_page_that_fails_once_is_requested_again_before_the_ids(counted: Counted, number: int) -> None:
    counted.size = 1000
    states = iter([200] * (number - 1) + [503])
    counted.refuse = lambda rows: next(states, 200)

    found = run_all(*[trigger(counted.service_name, prediction_ids=[f"id-{n}"]) for n in range(1000)])

    assert {payload["state"] for payload in found} == {"done"}
    assert len(counted.requests) <= 35


@pytest.mark.parametrize("number", [1, 2])
def test_a_page_that_fails_once_for_a_wait_by_filters_is_requested_again_for_the_ids(
    counted: Counted, number: int
) -> None:
    counted.size = 1000
    states = iter([200] * (number - 1) + [503])
    counted.refuse = lambda rows: next(states, 200)
    ids = [trigger(counted.service_name, prediction_ids=[f"id-{n}"]) for n in range(1000)]

    found = run_all(*ids, trigger(counted.service_name, filters={"statuses": ["new"]}))

    assert {payload["state"] for payload in found} == {"done"}
    assert len(counted.requests) <= 70


def test_a_list_that_fails_again_is_left_alone_for_the_rest_of_a_poll(counted: Counted) -> None:
    counted.size, counted.refuse = 1000, lambda rows: 503

    found = run_all(*[trigger(counted.service_name, prediction_ids=[f"id-{n}"]) for n in range(50)])

    assert {payload["state"] for payload in found} == {"done"}
    assert len(counted.rows) == 2
