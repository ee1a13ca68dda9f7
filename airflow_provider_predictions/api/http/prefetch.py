"""Keep requests in flight ahead of the one whose answer is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from itertools import islice
from typing import Generic, TypeVar

from airflow_provider_predictions.api.models import PageRequest

T = TypeVar("T")


class Prefetch(Generic[T]):
    """Requests in flight, at most ``most``; with none, each is sent when its answer is asked for.

    :param get: sends a request and reads its answer.
    :param pool: of as many threads.
    """

    def __init__(self, get: Callable[[PageRequest], T], pool: Executor, most: int) -> None:
        self._get = get
        self._pool = pool
        self._most = most
        self._flying: list[tuple[PageRequest, Future[T]]] = []

    def start(self, requests: Iterable[PageRequest]) -> None:
        """Send those that are not in flight yet, and forget what is in flight for nobody."""
        wanted = list(islice(requests, self._most))
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
