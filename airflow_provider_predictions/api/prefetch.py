"""Keep requests in flight ahead of the one whose answer is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Generic, TypeVar

from airflow_provider_predictions.api.models import PageRequest

S = TypeVar("S")
T = TypeVar("T")


@contextmanager
def _threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="predictions-prefetch")
    try:
        yield pool
    finally:
        # What has not begun never will; what is in flight ends by itself, and nobody waits for it.
        pool.shutdown(wait=False, cancel_futures=True)


class Prefetch(Generic[T]):
    """Requests in flight, at most ``workers``; with none, each is sent when its answer is asked for.

    :param get: sends a request and reads its answer.
    """

    def __init__(self, get: Callable[[PageRequest], T], workers: int) -> None:
        self._get = get
        self._workers = workers
        self._threads = _threads(workers)
        self._flying: list[tuple[PageRequest, Future[T]]] = []

    def __enter__(self) -> Prefetch[T]:
        self._pool = self._threads.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.__exit__(None, None, None)

    def start(self, requests: Iterable[PageRequest]) -> None:
        """Send those that are not in flight yet, and forget what is in flight for nobody."""
        wanted = list(islice(requests, self._workers))
        kept = [(request, flight) for request, flight in self._flying if request in wanted]
        for request, flight in self._flying:
            if request not in wanted:
                flight.cancel()
        sent = [request for request, _ in kept]
        new = [(request, self._pool.submit(self._get, request)) for request in wanted if request not in sent]
        self._flying = kept + new

    def answer(self, requests: list[PageRequest]) -> T:
        """The answer to the first request; the others are on their way."""
        self.start(requests)
        first = requests[0]
        flight = next((flight for request, flight in self._flying if request == first), None)
        if flight is None:
            return self._get(first)
        self._flying = [(request, other) for request, other in self._flying if other is not flight]
        return flight.result()


def each(do: Callable[[S], T], items: Iterable[S], workers: int) -> Iterator[T]:
    """What ``do`` makes of each item, in their order, with so many at work at once."""
    if workers <= 1:
        yield from map(do, items)
        return
    with _threads(workers) as pool:
        yield from pool.map(do, items)
