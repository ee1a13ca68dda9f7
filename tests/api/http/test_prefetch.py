"""Pages in flight ahead of the one that is used."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator

import pytest

from airflow_provider_predictions.api.errors import AuthenticationError
from airflow_provider_predictions.api.http.client import Client
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.store import RecordStore
from tests.conftest import make_service
from tests.faults import Fault, rate_limit
from tests.wire import in_front

ROWS_BEHIND = 9
"""Pages of ten rows lie so far apart, since each begins with the last row of the one before."""


class Counter:
    """ASGI middleware that counts the requests in flight, and can hold responses until there are more.

    A response waits until the ``window - 1`` requests behind it have arrived, or all of ``total``.
    """

    def __init__(self, app) -> None:
        self.app, self.flying, self.most = app, 0, 0
        self.come, self.window, self.total = 0, 0, 0
        self._came = asyncio.Condition()

    async def __call__(self, scope, receive, send) -> None:
        async def counted(message) -> None:
            # A client with the whole response may send the next request at once.
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self.flying -= 1
            await send(message)

        self.flying += 1
        self.most = max(self.most, self.flying)
        skip = re.match(rb"skip=(\d+)", scope.get("query_string", b""))
        place = int(skip[1]) // ROWS_BEHIND if skip else self.come
        self.come += 1
        async with asyncio.timeout(30), self._came:
            self._came.notify_all()
            await self._came.wait_for(lambda: self.come >= min(place + self.window, self.total))
        await self.app(scope, receive, counted)


@pytest.fixture
def counter(sandbox: Sandbox) -> Iterator[Counter]:
    with in_front(sandbox, Counter) as counter:
        yield counter


def read(service: Service, prefetch: int, **filters: object) -> list[bytes]:
    """Every record, when all requests have ended: one of this test must not fall into the next."""
    with Client(service) as client:
        client.sleep = lambda _: None
        pages = client.pages(service.paginator(service.filters(**filters)), prefetch=prefetch)
        records = [prediction.raw for page in pages for prediction in page.predictions]
    for thread in threading.enumerate():
        if thread.name.startswith("predictions-"):
            thread.join(timeout=10)
    return records


@pytest.mark.parametrize("prefetch", [0, 1, 2, 8])
def test_records_come_in_their_order(
    service, record_store: RecordStore, counter: Counter, prefetch: int
) -> None:
    record_store.fill(200)

    assert read(service, prefetch, page_size=10) == record_store.texts()
    assert counter.most <= max(1, prefetch)


def test_as_many_pages_are_in_flight_as_are_wanted_all_the_time(sandbox, counter: Counter) -> None:
    sandbox.vlmrun.fill(300)
    counter.window, counter.total = 8, -(-300 // ROWS_BEHIND)

    assert len(read(make_service(sandbox, "vlmrun"), 8, page_size=10)) == 300
    assert counter.most == 8


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"times": 2}, id="502"),
        pytest.param({"how": "reset"}, id="reset"),
        pytest.param({"how": "truncate"}, id="truncate"),
        pytest.param({"status": 200, "body": b"<html>"}, id="HTML"),
    ],
)
def test_a_fault_on_the_way_loses_and_doubles_nothing(
    service, record_store: RecordStore, sandbox, fault
) -> None:
    record_store.fill(100)
    sandbox.wire.order(Fault(service.name, after=3, **fault))

    assert read(service, 4, page_size=10) == record_store.texts()


def test_a_rate_limit_on_the_way_loses_and_doubles_nothing(
    service, record_store: RecordStore, sandbox
) -> None:
    record_store.fill(100)
    sandbox.wire.order(rate_limit(service.name, times=3, retry_after="0"))

    assert read(service, 4, page_size=10) == record_store.texts()


def test_a_server_that_gives_fewer_rows_than_asked_loses_none(sandbox) -> None:
    sandbox.vlmrun.fill(100)
    sandbox.vlmrun.cap = 7

    assert read(make_service(sandbox, "vlmrun"), 4, page_size=50) == sandbox.vlmrun.texts()


def test_no_more_pages_are_requested_than_needed(sandbox) -> None:
    sandbox.vlmrun.fill(100)

    assert len(read(make_service(sandbox, "vlmrun"), 8, page_size=10, max_predictions=20)) == 20
    assert len(sandbox.wire.seen) == 3


def test_no_request_follows_when_the_reader_stops(service, record_store: RecordStore, sandbox) -> None:
    record_store.fill(1000)
    with Client(service) as client:
        next(client.pages(service.paginator(service.filters(page_size=10)), prefetch=4))

    assert_threads_end()
    assert sandbox.wire.requests(service.name) <= 6


def test_a_page_that_fails_for_good_ends_the_requests(service, record_store: RecordStore, sandbox) -> None:
    record_store.fill(1000)
    sandbox.wire.order(Fault(service.name, status=403, body=b"{}", after=2, times=99))

    with pytest.raises(AuthenticationError):
        read(service, 4, page_size=10)

    assert_threads_end()
    assert sandbox.wire.requests(service.name) <= 2 + 5


def assert_threads_end() -> None:
    """Without them, no request follows."""
    for thread in threading.enumerate():
        if thread.name.startswith("predictions-prefetch"):
            thread.join(30)
            assert not thread.is_alive()


def test_values_are_fetched_side_by_side_in_their_order(sandbox, counter: Counter) -> None:
    sandbox.cradl.fill(40)
    service = make_service(sandbox, "cradl")
    with Client(service) as client:
        (page,) = client.pages(service.paginator(service.filters()))
        counter.most, counter.come = 0, 0
        counter.window, counter.total = (
            4,
            len([row for row in page.predictions if service.values_request(row)]),
        )

        filled = list(client.with_values(page.predictions, prefetch=4))

    assert [prediction.id for prediction in filled] == [row.id for row in sandbox.cradl.rows]
    assert all(b'"predictions":[' in p.raw for p in filled if p.status == "succeeded")
    assert counter.most == 4


class Unavailable:
    """ASGI middleware that refuses all but the first page, and asks to come again after two minutes."""

    def __init__(self, app) -> None:
        self.app, self.refused = app, 0
        self._first, self._another = asyncio.Event(), threading.Semaphore(0)

    async def __call__(self, scope, receive, send) -> None:
        query = scope.get("query_string", b"")
        if b"skip=4&" in query:
            # The last row waits until a page behind it is requested.
            async with asyncio.timeout(30):
                await self._first.wait()
        if b"skip=0" in query or b"skip=4&" in query or b"skip" not in query:
            await self.app(scope, receive, send)
            return
        self.refused += 1
        self._first.set()
        self._another.release()
        headers = [(b"retry-after", b"120"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def wait(self, times: int) -> None:
        """Wait until this many more requests were refused."""
        for _ in range(times):
            assert self._another.acquire(timeout=30)


@pytest.fixture
def unavailable(sandbox: Sandbox) -> Iterator[Unavailable]:
    with in_front(sandbox, Unavailable) as unavailable:
        yield unavailable


def test_unneeded_requests_do_not_delay_the_end(sandbox, unavailable: Unavailable) -> None:
    """The list ends on the second page. Later pages are in flight by then."""
    sandbox.vlmrun.fill(5)
    service = make_service(sandbox, "vlmrun")
    began = time.monotonic()

    with Client(service) as client:
        pages = list(client.pages(service.paginator(service.filters(page_size=10)), prefetch=4))
        took = time.monotonic() - began

    assert [p.raw for page in pages for p in page.predictions] == sandbox.vlmrun.texts()
    assert unavailable.refused
    assert took < 60
    assert_threads_end()


def test_no_retry_follows_when_the_reader_stops(sandbox, unavailable: Unavailable) -> None:
    """Though the client stays open, for other requests."""
    sandbox.vlmrun.fill(100)
    service = make_service(sandbox, "vlmrun")
    is_time_to_come_again = threading.Event()
    with Client(service) as client:
        client.sleep = lambda _: is_time_to_come_again.wait(60)
        pages = client.pages(service.paginator(service.filters(page_size=10)), prefetch=4)
        next(pages)
        unavailable.wait(4)
        pages.close()
        is_time_to_come_again.set()

        assert_threads_end()

    assert unavailable.refused == 4


def test_a_client_that_is_closed_ends_the_attempts_at_once(sandbox, unavailable: Unavailable) -> None:
    sandbox.vlmrun.fill(100)
    service = make_service(sandbox, "vlmrun")
    with Client(service) as client:
        pages = client.pages(service.paginator(service.filters(page_size=10)), prefetch=4)
        next(pages)
        unavailable.wait(4)
        began = time.monotonic()

    assert_threads_end()
    assert time.monotonic() - began < 60
    assert unavailable.refused == 4


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_refused_token_begins_the_list_again(sandbox, prefetch: int) -> None:
    sandbox.cradl.fill(100)
    refusal = Fault("cradl", status=400, body=b'{"message": "Invalid nextToken"}', after=3)
    sandbox.wire.order(refusal)

    assert read(make_service(sandbox, "cradl"), prefetch, page_size=10) == sandbox.cradl.texts()


@pytest.mark.parametrize("prefetch", [1, 8])
def test_a_window_is_found_with_requests_in_flight(
    service, record_store: RecordStore, counter: Counter, prefetch
) -> None:
    record_store.fill(500, days=50)
    after, before = record_store.rows[250].created, record_store.rows[200].created

    listed = read(service, prefetch, page_size=10, created_after=after, created_before=before)

    assert listed == [record_store.text(row) for row in record_store.rows[201:251]]
    assert counter.most <= prefetch
