"""A sync and an async client. They only send and wait; ``base_client`` decides everything else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from functools import partial
from typing import Any, Self, TypeVar

import httpx
import tenacity

from airflow_provider_predictions.api.errors import (
    InvalidRequestError,
    PredictionsError,
    RedirectError,
    TokenRefusedError,
)
from airflow_provider_predictions.api.http.base_client import BaseClient, options, trusted_certificates
from airflow_provider_predictions.api.http.files import MissingFiles, naming_prediction, redirected
from airflow_provider_predictions.api.http.prefetch import Prefetch
from airflow_provider_predictions.api.http.transport import AsyncTransport, Transport
from airflow_provider_predictions.api.limits import MAX_ATTEMPTS, MAX_TIMEOUTS
from airflow_provider_predictions.api.models import GetRequest, Prediction
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.pagination.base import RequestFlow
from airflow_provider_predictions.api.service import Service

T = TypeVar("T")


class Client(BaseClient):
    """A context manager that sends each request in the calling thread, at most ``attempts`` times."""

    _http: httpx.Client

    def __init__(self, service: Service[Any], *, attempts: int = MAX_ATTEMPTS) -> None:
        super().__init__(service, attempts)
        self._http = httpx.Client(
            transport=Transport(trusted_certificates(), service.timeout), **options(service)
        )
        self._closing = threading.Event()
        self._pools: list[ThreadPoolExecutor] = []
        self._for_values: ThreadPoolExecutor | None = None
        self._missing_files = MissingFiles()
        self.sleep: Callable[[float], None] = self._wait

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # This wakes the threads that wait for their turn. A thread with a request in flight would not notice
        # a closed connection and would hang until the timeout. So its connection is closed when it has ended.
        self._closing.set()
        if self._pools:
            threading.Thread(target=self._close_behind, name="predictions-close", daemon=True).start()
        else:
            self._http.close()

    def _close_behind(self) -> None:
        for pool in self._pools:
            pool.shutdown(cancel_futures=True)
        self._http.close()

    def _threads(self, count: int) -> ThreadPoolExecutor:
        pool = ThreadPoolExecutor(max(1, count), thread_name_prefix="predictions-prefetch")
        self._pools.append(pool)
        return pool

    def _wait(self, seconds: float) -> None:
        self._closing.wait(seconds)

    def get(
        self, request: GetRequest, read: Callable[[bytes], T], *, ended: threading.Event | None = None
    ) -> T:
        """Send a request, with retries, and read the response.

        :param ended: set it when the response is not needed any more. Then nothing more is sent.
        """
        retrying = tenacity.Retrying(sleep=self.sleep, **self.policy(request))
        found: T = retrying(self._once, request, read, ended or self._closing)
        return found

    def _once(self, request: GetRequest, read: Callable[[bytes], T], ended: threading.Event) -> T:
        """Send a request, and again at once if another token may work."""
        try:
            return read(self._send(request, ended))
        except TokenRefusedError:
            pass
        return read(self._send(request, ended, renewed=True))

    def _send(self, request: GetRequest, ended: threading.Event, *, renewed: bool = False) -> bytes:
        call = self.call(request, renewed=renewed)
        while (seconds := call.reservation.refresh(self.clock())) and not self._is_over(ended):
            self.sleep(seconds)
        if self._is_over(ended):
            raise InvalidRequestError("The client is closed")
        call.token = self.service.auth.token()
        with self.in_flight(call), closing(self._http.send(self.build(call), stream=True)) as response:
            body = self.body(call, response)
            for chunk in response.iter_raw():
                body.add(chunk)
        return self.read(call, response, body.content())

    def _is_over(self, ended: threading.Event) -> bool:
        return ended.is_set() or self._closing.is_set()

    def pages(self, flow: RequestFlow, *, prefetch: int = 0) -> Iterator[Page]:
        """Send the requests of a flow until it has none.

        :param prefetch: how many pages to request ahead; 0 to request each when it is needed.
        """
        ended, pool = threading.Event(), self._threads(prefetch)
        flights = Prefetch(lambda request: self.get(request, flow.parse, ended=ended), pool, prefetch)
        try:
            while requests := flow.next_requests(max(1, prefetch)):
                try:
                    found = flights.first(requests)
                except PredictionsError as error:
                    flow.on_error(error)
                    continue
                page = flow.advance(found)
                flights.start(flow.next_requests(prefetch))
                yield page
        finally:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def prediction(self, prediction_id: str) -> Prediction:
        """Request one prediction.

        :raises NotFoundError: if the service has none with this id.
        :raises ConfigurationError: if it cannot be an id.
        """
        return self.get(
            self.service.one(prediction_id), lambda body: self.service.read_one(body, prediction_id)
        )

    def with_values(self, predictions: Iterable[Prediction], *, prefetch: int = 1) -> Iterator[Prediction]:
        """Fetch the values of records that name a file of values. The predictions keep their order.

        If values are gone for good, ``lacks_values`` of the prediction says why.

        :param prefetch: how many to fetch at once.
        :raises PredictionsError: for a failure that a retry may avoid.
        """
        if prefetch <= 1:
            return map(self._with_values, predictions)
        self._for_values = self._for_values or self._threads(prefetch)
        return self._for_values.map(self._with_values, predictions)

    def _with_values(self, prediction: Prediction) -> Prediction:
        try:
            request = self.service.values_request(prediction)
            if request is None:
                return prediction
            retrying = tenacity.Retrying(sleep=self.sleep, **self.policy(request))
            return retrying(self._file, prediction, request)
        except PredictionsError as error:
            return self._missing_files.record(prediction, error)

    def _file(self, prediction: Prediction, request: GetRequest) -> Prediction:
        """Request a file once, and once more if it redirects."""
        try:
            with naming_prediction(prediction, request):
                return self._once(request, partial(self.service.with_values, prediction), self._closing)
        except RedirectError as error:
            request = redirected(self.service.title, request, error)
        # Outside the except block, so that no later error shows the location, which may be signed.
        return self._file(prediction, request)


class AsyncClient(BaseClient):
    """An async context manager that sends each request on the event loop, at most ``attempts`` times."""

    _http: httpx.AsyncClient

    def __init__(self, service: Service[Any], *, attempts: int = MAX_ATTEMPTS) -> None:
        super().__init__(service, attempts)
        self._http = httpx.AsyncClient(transport=AsyncTransport(trusted_certificates()), **options(service))
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, request: GetRequest, read: Callable[[bytes], T]) -> T:
        retrying = tenacity.AsyncRetrying(sleep=self.sleep, **self.policy(request))
        return await retrying(self._once, request, read)

    async def _once(self, request: GetRequest, read: Callable[[bytes], T]) -> T:
        try:
            return read(await self._send(request))
        except TokenRefusedError:
            pass
        return read(await self._send(request, renewed=True))

    async def _send(self, request: GetRequest, *, renewed: bool = False) -> bytes:
        call = self.call(request, renewed=renewed)
        while seconds := call.reservation.refresh(self.clock()):
            await self.sleep(seconds)
        call.token = await self.service.auth.atoken()
        with self.in_flight(call):
            async with (
                asyncio.timeout(self.service.timeout * MAX_TIMEOUTS),
                aclosing(await self._http.send(self.build(call), stream=True)) as response,
            ):
                body = self.body(call, response)
                async for chunk in response.aiter_raw():
                    body.add(chunk)
        return self.read(call, response, body.content())

    async def pages(self, flow: RequestFlow) -> AsyncIterator[Page]:
        while requests := flow.next_requests(1):
            try:
                answer = await self.get(requests[0], flow.parse)
            except PredictionsError as error:
                flow.on_error(error)
                continue
            yield flow.advance(answer)

    async def prediction(self, prediction_id: str) -> Prediction:
        """``Client.prediction`` on an event loop."""
        return await self.get(
            self.service.one(prediction_id), lambda body: self.service.read_one(body, prediction_id)
        )
