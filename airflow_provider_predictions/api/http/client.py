"""Move requests and answers.

What to ask, what an answer means and when to ask again is decided once, elsewhere; the two clients only send
and wait.
"""

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
from airflow_provider_predictions.api.http.files import MissingFiles, naming, redirected
from airflow_provider_predictions.api.http.prefetch import Prefetch
from airflow_provider_predictions.api.http.retry import ATTEMPTS
from airflow_provider_predictions.api.http.transport import TIMEOUTS, AsyncTransport, Transport
from airflow_provider_predictions.api.models import Page, PageRequest, Prediction
from airflow_provider_predictions.api.pagination.base import RequestFlow
from airflow_provider_predictions.api.service import Service

T = TypeVar("T")


class Client(BaseClient):
    """Send and wait in the calling thread. A context manager.

    :param service: which API, with which credentials.
    :param attempts: how often one request is sent at most.
    """

    _http: httpx.Client

    def __init__(self, service: Service[Any], *, attempts: int = ATTEMPTS) -> None:
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
        # Wakes the threads that wait for their turn. One whose request is in flight would not notice that its
        # connection is closed, and hang on it until the timeout; so that is done behind it.
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
        self, request: PageRequest, read: Callable[[bytes], T], *, ended: threading.Event | None = None
    ) -> T:
        """Send a request, again where that may help, and read its answer.

        :param ended: set when nobody waits for the answer any more; then nothing more is sent.
        """
        retrying = tenacity.Retrying(sleep=self.sleep, **self.policy(request))
        answer: T = retrying(self._once, request, read, ended or self._closing)
        return answer

    def _once(self, request: PageRequest, read: Callable[[bytes], T], ended: threading.Event) -> T:
        """Send a request; at once again with another token, where the first one was refused."""
        try:
            return read(self._send(request, ended))
        except TokenRefusedError:
            pass
        return read(self._send(request, ended, renewed=True))

    def _send(self, request: PageRequest, ended: threading.Event, *, renewed: bool = False) -> bytes:
        reservation = self.reservation()
        while (seconds := reservation.wait(self.clock())) and not self._is_over(ended):
            self.sleep(seconds)
        if self._is_over(ended):
            raise InvalidRequestError("The client is closed")
        token = self.service.auth.token()
        with (
            self.wire(request, reservation),
            closing(self._http.send(self.build(request, token), stream=True)) as response,
        ):
            body = self.body(request, response)
            for chunk in response.iter_raw():
                body.add(chunk)
        return self.read(request, response, body.content(), token, reservation, renewed=renewed)

    def _is_over(self, ended: threading.Event) -> bool:
        return ended.is_set() or self._closing.is_set()

    def pages(self, flow: RequestFlow, *, prefetch: int = 0) -> Iterator[Page]:
        """Ask until there is nothing more to ask.

        :param prefetch: how many pages are in flight while one is used; 0 asks for each when it is wanted.
        """
        ended, pool = threading.Event(), self._threads(prefetch)
        flights = Prefetch(lambda request: self.get(request, flow.parse, ended=ended), pool, prefetch)
        try:
            while requests := flow.next_requests(max(1, prefetch)):
                try:
                    answer = flights.answer(requests)
                except PredictionsError as error:
                    flow.on_error(error)
                    continue
                page = flow.advance(answer)
                flights.start(flow.next_requests(prefetch))
                yield page
        finally:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def prediction(self, prediction_id: str) -> Prediction:
        """One prediction."""
        return self.get(
            self.service.one(prediction_id), lambda body: self.service.read_one(body, prediction_id)
        )

    def with_values(self, predictions: Iterable[Prediction], *, prefetch: int = 1) -> Iterator[Prediction]:
        """Predictions with the values that their records only point to, in their order.

        Where these are gone for good, ``lacks_values`` of the prediction says why.

        :param prefetch: how many are fetched at once.
        :raises PredictionsError: for a failure that the next attempt may not meet.
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

    def _file(self, prediction: Prediction, request: PageRequest) -> Prediction:
        """Ask for a file once, and where a redirect leads, once more."""
        try:
            with naming(prediction, request):
                return self._once(request, partial(self.service.with_values, prediction), self._closing)
        except RedirectError as error:
            request = redirected(self.service.title, request, error)
        # Out here, the chain of a later error does not hold the location, which may be signed.
        return self._file(prediction, request)


class AsyncClient(BaseClient):
    """Send and wait on the event loop. An asynchronous context manager.

    :param service: which API, with which credentials.
    :param attempts: how often one request is sent at most.
    """

    _http: httpx.AsyncClient

    def __init__(self, service: Service[Any], *, attempts: int = ATTEMPTS) -> None:
        super().__init__(service, attempts)
        self._http = httpx.AsyncClient(transport=AsyncTransport(trusted_certificates()), **options(service))
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, request: PageRequest, read: Callable[[bytes], T]) -> T:
        """Send a request, again where that may help, and read its answer."""
        retrying = tenacity.AsyncRetrying(sleep=self.sleep, **self.policy(request))
        return await retrying(self._once, request, read)

    async def _once(self, request: PageRequest, read: Callable[[bytes], T]) -> T:
        """Send a request; at once again with another token, where the first one was refused."""
        try:
            return read(await self._send(request))
        except TokenRefusedError:
            pass
        return read(await self._send(request, renewed=True))

    async def _send(self, request: PageRequest, *, renewed: bool = False) -> bytes:
        reservation = self.reservation()
        while seconds := reservation.wait(self.clock()):
            await self.sleep(seconds)
        token = await self.service.auth.atoken()
        with self.wire(request, reservation):
            async with (
                asyncio.timeout(self.service.timeout * TIMEOUTS),
                aclosing(await self._http.send(self.build(request, token), stream=True)) as response,
            ):
                body = self.body(request, response)
                async for chunk in response.aiter_raw():
                    body.add(chunk)
        return self.read(request, response, body.content(), token, reservation, renewed=renewed)

    async def pages(self, flow: RequestFlow) -> AsyncIterator[Page]:
        """Ask until there is nothing more to ask."""
        while requests := flow.next_requests(1):
            try:
                answer = await self.get(requests[0], flow.parse)
            except PredictionsError as error:
                flow.on_error(error)
                continue
            yield flow.advance(answer)

    async def prediction(self, prediction_id: str) -> Prediction:
        """One prediction."""
        return await self.get(
            self.service.one(prediction_id), lambda body: self.service.read_one(body, prediction_id)
        )
