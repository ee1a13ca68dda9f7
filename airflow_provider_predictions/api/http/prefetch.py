"""Send requests before their responses are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from itertools import islice
from typing import Generic, TypeVar

from airflow_provider_predictions.api.models import GetRequest

T = TypeVar("T")


class Prefetch(Generic[T]):
    """Requests in flight, each sent by ``get`` in a thread of the pool.

    :param most: how many at once; 0 to send each in the calling thread when it is needed.
    """

    def __init__(self, get: Callable[[GetRequest], T], pool: Executor, most: int) -> None:
        self._get = get
        self._pool = pool
        self._most = most
        self._flying: list[tuple[GetRequest, Future[T]]] = []

    def start(self, requests: Iterable[GetRequest]) -> None:
        """Send the requests that are not in flight yet. Cancel those in flight that are not listed."""
        wanted = list(islice(requests, self._most))
        for request, flight in self._flying:
            if request not in wanted:
                flight.cancel()
        self._flying = [(request, flight) for request, flight in self._flying if request in wanted]
        sent = [request for request, _ in self._flying]
        self._flying += [(each, self._pool.submit(self._get, each)) for each in wanted if each not in sent]

    def first(self, requests: list[GetRequest]) -> T:
        """Return the response to the first request. The others are sent meanwhile."""
        self.start(requests)
        if not self._flying:
            return self._get(requests[0])
        at = next(at for at, (request, _) in enumerate(self._flying) if request == requests[0])
        return self._flying.pop(at)[1].result()
