"""When requests may start."""

from __future__ import annotations

import gc
import heapq
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_predictions.api.errors import RateLimitedError
from airflow_provider_predictions.api.http.client import Client
from airflow_provider_predictions.api.http.rate_limit import RateLimiter, Reservation
from airflow_provider_predictions.api.http.retry import seconds_to_wait
from airflow_provider_predictions.api.limits import (
    MAX_DOUBLINGS,
    MAX_RATE_LIMIT_WAIT,
    MAX_RETRY_AFTER,
    MAX_RETRY_WAIT,
)
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.store import RecordStore
from tests.conftest import Shell
from tests.faults import rate_limit
from tests.wire import in_front

EXAMPLES = settings(deadline=None, derandomize=True)


class Account:
    """A service that allows ``limit`` requests in any 60 seconds, and its client, in virtual time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.now = 0.0
        self.taken: list[float] = []
        self.refused = 0
        self.rate_limiter = RateLimiter(window=60)

    def request(self) -> bool:
        """Wait for a turn and use it; whether it was taken."""
        reservation = self.rate_limiter.reserve(self.now)
        self.now += reservation.refresh(self.now)
        if sum(start > self.now - 60 for start in self.taken) < self.limit:
            self.taken.append(self.now)
            return True
        self.refused += 1
        self.now += self.rate_limiter.refused(reservation, self.now, None)
        return False


def reserve(rate_limiter: RateLimiter, now: float, **arguments: Any) -> float:
    """Seconds until the next free turn, which is taken."""
    return rate_limiter.reserve(now, **arguments).refresh(now)


def refused(rate_limiter: RateLimiter, now: float, seconds: float | None) -> float:
    """A request is one too many, for which a turn was taken at this moment."""
    reservation = next(
        reservation for reservation in reversed(rate_limiter._reservations) if reservation.time <= now
    )
    return rate_limiter.refused(reservation, now, seconds)


@given(st.integers(1, 5), st.lists(st.floats(0, 30), max_size=40))
@EXAMPLES
def test_no_more_than_the_limit_start_in_any_minute(limit: int, gaps: list[float]) -> None:
    rate_limiter = RateLimiter(limit)
    now, starts = 0.0, []
    for gap in gaps:
        now += gap
        starts.append(now + reserve(rate_limiter, now))

    starts.sort()
    assert all(later - earlier >= 59.999 for earlier, later in zip(starts, starts[limit:], strict=False))


def test_an_account_of_ten_requests_a_minute_is_read_to_the_end_with_few_refusals() -> None:
    account = Account(limit=10)

    taken = sum(account.request() for _ in range(250))

    assert taken + account.refused == 250
    assert account.refused <= account.now / 60 + 1
    assert taken >= 0.7 * 10 * account.now / 60


def test_after_a_refusal_no_more_start_in_a_window_than_were_taken() -> None:
    rate_limiter = RateLimiter(window=60)
    for _ in range(6):
        reserve(rate_limiter, 0)

    assert refused(rate_limiter, 0, None) == 60
    assert [reserve(rate_limiter, 60) for _ in range(10)] == [0] * 10
    assert reserve(rate_limiter, 60) == 60


def test_a_learned_limit_is_forgotten() -> None:
    rate_limiter = RateLimiter(window=60)
    reserve(rate_limiter, 0)
    refused(rate_limiter, 0, None)

    assert {reserve(rate_limiter, 60.0 * MAX_DOUBLINGS) for _ in range(1000)} == {0}


def test_a_retry_after_pauses_all_requests() -> None:
    rate_limiter = RateLimiter()
    reserve(rate_limiter, 0)

    assert refused(rate_limiter, 0, 17) == 17
    assert reserve(rate_limiter, 1) == 16


@pytest.mark.parametrize("asked", [MAX_RETRY_WAIT + 60, 3600, 10**9])
def test_a_long_retry_after_pauses_other_requests_of_the_credentials_for_as_long_as_its_own_task(
    shell: Shell, service, record_store: RecordStore, sandbox: Sandbox, asked: float
) -> None:
    record_store.fill(1)
    request = service.paginator(service.filters()).next_requests(1)[0]
    sandbox.wire.order(rate_limit(service.name, retry_after=str(asked)))
    with pytest.raises(RateLimitedError) as caught:
        shell.get(service, request)
    assert not shell.slept

    assert record_store.texts()[0] in shell.get(service, request)

    assert sum(shell.slept) == pytest.approx(caught.value.retry_after, abs=1)
    assert caught.value.retry_after == min(asked, MAX_RETRY_AFTER) <= MAX_RATE_LIMIT_WAIT


def test_those_behind_a_long_pause_that_would_wait_for_longer_than_the_bound_give_up() -> None:
    rate_limiter = RateLimiter(1)
    rate_limiter.refused(rate_limiter.reserve(0), 0, MAX_RETRY_AFTER)

    assert rate_limiter.reserve(1, longest=MAX_RATE_LIMIT_WAIT).refresh(1) == MAX_RETRY_AFTER - 1
    with pytest.raises(RateLimitedError):
        rate_limiter.reserve(1, longest=MAX_RATE_LIMIT_WAIT)


def test_a_single_attempt_keeps_only_the_given_limit() -> None:
    rate_limiter = RateLimiter(2)
    reserve(rate_limiter, 0)
    refused(rate_limiter, 0, 100)

    assert [reserve(rate_limiter, 0, patient=False) for _ in range(3)] == [0, 0, 60]


def test_a_single_attempt_ignores_an_earlier_refusal(
    service, record_store: RecordStore, sandbox: Sandbox
) -> None:
    record_store.fill(1)
    request = service.paginator(service.filters()).next_requests(1)[0]
    with Client(service, attempts=1) as client:
        client.sleep = lambda seconds: pytest.fail(f"it waits for {seconds} s")
        client.get(request, bytes)
        sandbox.wire.order(rate_limit(service.name))
        with pytest.raises(RateLimitedError):
            client.get(request, bytes)

        assert record_store.texts()[0] in client.get(request, bytes)


def test_a_single_attempt_does_not_wait_for_the_pause_of_others(
    service, record_store: RecordStore, sandbox: Sandbox
) -> None:
    record_store.fill(1)
    request = service.paginator(service.filters()).next_requests(1)[0]
    sandbox.wire.order(rate_limit(service.name, retry_after="60"))
    with Client(service) as client:
        client.sleep = stop
        with pytest.raises(InterruptedError):
            client.get(request, bytes)

    with Client(service, attempts=1) as client:
        client.sleep = stop
        assert record_store.texts()[0] in client.get(request, bytes)


def stop(seconds: float) -> None:
    raise InterruptedError(seconds)


CALLS = st.lists(st.tuples(st.floats(0, 30), st.booleans(), st.booleans()), max_size=40)


@given(st.integers(1, 5), CALLS)
@EXAMPLES
def test_the_impatient_keep_the_given_limit_too(limit: int, calls: list[tuple[float, bool, bool]]) -> None:
    """Though turns are not taken in the order of time, where the service has asked the others to pause."""
    rate_limiter = RateLimiter(limit)
    now, starts = 0.0, []
    for gap, patient, is_refused in calls:
        now += gap
        wait = reserve(rate_limiter, now, patient=patient)
        if is_refused and wait == 0:
            refused(rate_limiter, now, 40)
        else:
            starts.append(now + wait)

    starts.sort()
    assert all(later - earlier >= 59.999 for earlier, later in zip(starts, starts[limit:], strict=False))


DELAYS = st.tuples(st.floats(0, 20), st.floats(0, 20))


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 7), DELAYS), max_size=60))
@EXAMPLES
def test_no_more_than_the_limit_arrive_in_any_minute_however_late_they_are(limit: int, calls) -> None:
    """Threads that are delayed before they send, and then wait for the response."""
    rate_limiter = RateLimiter(limit)
    arrived = []

    def thread(delays: list[tuple[float, float]]) -> Iterator[float]:
        nonlocal now
        for on_the_way, until_answered in delays:
            reservation = rate_limiter.reserve(now)
            while wait := reservation.refresh(now):
                yield wait
            yield on_the_way
            arrived.append(now)
            yield until_answered
            reservation.end(now)

    of_threads: dict[int, list[tuple[float, float]]] = {}
    for number, delays in calls:
        of_threads.setdefault(number, []).append(delays)
    waiting = [(0.0, number, thread(delays)) for number, delays in of_threads.items()]
    heapq.heapify(waiting)
    while waiting:
        now, number, of_number = heapq.heappop(waiting)
        wait = next(of_number, None)
        if wait is not None:
            heapq.heappush(waiting, (now + wait, number, of_number))

    assert len(arrived) == len(calls)
    assert all(later - earlier >= 59.999 for earlier, later in zip(arrived, arrived[limit:], strict=False))


def test_reservations_that_are_over_are_forgotten() -> None:
    def turns() -> int:
        return sum(type(thing) is Reservation for thing in gc.get_objects())

    rate_limiter, now, before = RateLimiter(3), 0.0, turns()
    for _ in range(5000):
        reservation = rate_limiter.reserve(now)
        now += reservation.refresh(now) + 0.1
        reservation.end(now)

    assert turns() < before + 10


def test_threads_share_the_limit() -> None:
    rate_limiter, turns = RateLimiter(10), []

    def advance() -> None:
        turns.extend(reserve(rate_limiter, 0) for _ in range(50))

    threads = [threading.Thread(target=advance) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(turns) == [60 * (n // 10) for n in range(400)]


def test_a_learned_limit_doubles_with_each_window() -> None:
    rate_limiter = RateLimiter(window=60)
    for _ in range(4):
        reserve(rate_limiter, 0)
    refused(rate_limiter, 0, None)

    def taken(window: int) -> int:
        """How many start at once at the beginning of a window."""
        started = 0
        while reserve(rate_limiter, 60.0 * window) == 0:
            started += 1
        return started

    assert [taken(window) for window in (1, 3)] == [6, 24]


class Limiter:
    """ASGI middleware that allows ``limit`` requests for a list in any minute, by the clock of the client."""

    def __init__(self, app, limit: int, clock: Callable[[], float]) -> None:
        self.app, self.limit, self.clock = app, limit, clock
        self.taken: list[float] = []
        self.refused = 0

    async def __call__(self, scope, receive, send) -> None:
        now = self.clock()
        if "predictions" not in scope["path"]:
            await self.app(scope, receive, send)
        elif sum(start > now - 60 for start in self.taken) < self.limit:
            self.taken.append(now)
            await self.app(scope, receive, send)
        else:
            self.refused += 1
            headers = [(b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 429, "headers": headers})
            await send({"type": "http.response.body", "body": b""})


def test_a_client_reads_an_account_of_ten_requests_a_minute_to_the_end(
    shell: Shell, service, record_store: RecordStore, sandbox: Sandbox
) -> None:
    record_store.fill(600)
    with in_front(sandbox, lambda app: Limiter(app, 10, shell.clock)) as limiter:
        listed = shell.all(service, page_size=10)

    assert [prediction.raw for prediction in listed] == record_store.texts()
    assert limiter.refused
    assert sum(shell.slept) < 30 * 60


class Crowd:
    """Workers that share an account and wait in virtual time."""

    def __init__(self, limit: int, window: float) -> None:
        self.account, self.now, self.refused = limit, 0.0, 0
        self.window, self.taken = window, deque[float]()
        self.rate_limiter = RateLimiter(window=window)

    def worker(self, requests: int) -> Iterator[float]:
        """Yield the seconds to wait, as the client does between and before its attempts."""
        for _ in range(requests):
            waited, attempt = 0.0, 0
            while True:
                reservation = self.rate_limiter.reserve(self.now)
                while wait := reservation.refresh(self.now):
                    yield wait
                while self.taken and self.taken[0] <= self.now - self.window:
                    self.taken.popleft()
                if len(self.taken) < self.account:
                    self.taken.append(self.now)
                    break
                self.refused, attempt = self.refused + 1, attempt + 1
                self.rate_limiter.refused(reservation, self.now, None)
                wait = seconds_to_wait(RateLimitedError("", status=429), attempt)
                waited += wait
                assert waited < MAX_RATE_LIMIT_WAIT, "the client would give up"
                yield wait

    def run(self, workers: int, requests: int) -> float:
        """Seconds until all have done theirs."""
        waiting = [(0.0, n, self.worker(requests)) for n in range(workers)]
        while waiting:
            self.now, n, worker = heapq.heappop(waiting)
            wait = next(worker, None)
            if wait is not None:
                heapq.heappush(waiting, (self.now + wait, n, worker))
        return self.now


@pytest.mark.parametrize("window", [60, 1])
@pytest.mark.parametrize("workers", [1, 8, 32])
def test_many_workers_that_share_an_account_read_it_to_the_end(window: float, workers: int) -> None:
    random.seed(workers)
    crowd = Crowd(10, window)

    took = crowd.run(workers, 320 // workers)

    assert took < 2 * 32 * window + 200


def test_a_turn_beyond_the_longest_wait_is_not_taken() -> None:
    rate_limiter = RateLimiter(1)
    assert rate_limiter.reserve(0).refresh(0) == 0
    assert rate_limiter.reserve(0, longest=60).refresh(0) == 60
    with pytest.raises(RateLimitedError, match=r"more than 119 s away\..*requests_per_minute"):
        rate_limiter.reserve(0, longest=119)

    assert rate_limiter.reserve(0, longest=120).refresh(0) == 120


def test_a_limit_is_learned_from_what_was_taken_in_the_window_before_the_refusal_only() -> None:
    rate_limiter = RateLimiter(window=60)
    for second in (0, 1, 2, 3):
        reservation = rate_limiter.reserve(second)
    for second in (61, 62):
        reservation = rate_limiter.reserve(second)

    # Those of the seconds 3 and 61 count: the others are over, and the one that is refused is no more.
    assert rate_limiter.refused(reservation, 61.5, None) == 1.5
    assert [rate_limiter.reserve(100).refresh(100) for _ in range(3)] == [0, 21, 60]


def test_a_limit_of_one_is_learned_if_nothing_was_taken() -> None:
    rate_limiter = RateLimiter(window=10)
    assert rate_limiter.refused(rate_limiter.reserve(0), 0, None) == 0

    assert [rate_limiter.reserve(5).refresh(5) for _ in range(3)] == [0, 10, 20]


def test_a_later_pause_does_not_shorten_an_earlier_one() -> None:
    rate_limiter = RateLimiter()
    rate_limiter.refused(rate_limiter.reserve(0), 0, 50)

    assert rate_limiter.refused(rate_limiter.reserve(0), 1, 10) == 49
