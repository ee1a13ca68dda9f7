"""Move requests and answers.

What to ask, what an answer means and when to ask again is decided once, elsewhere and in ``_Core``; the two
clients at the end of this module only send and wait.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx
import tenacity

from airflow_provider_predictions import __version__
from airflow_provider_predictions.api.auth import Auth
from airflow_provider_predictions.api.errors import (
    AuthenticationError,
    InvalidRequestError,
    NoAnswerError,
    NotFoundError,
    PredictionsError,
    RateLimitedError,
    ServerError,
    TokenRefusedError,
    message_in,
)
from airflow_provider_predictions.api.models import Page, PageRequest, Prediction
from airflow_provider_predictions.api.prefetch import Prefetch
from airflow_provider_predictions.api.retry import ATTEMPTS, Budget, policy, retry_after
from airflow_provider_predictions.api.service import Asking, Service

T = TypeVar("T")

_ERRORS: dict[int, type[PredictionsError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    408: ServerError,
    429: RateLimitedError,
}
LONGEST_MESSAGE = 300
"""Characters of a service's own message that an error quotes."""


class _WithoutQuery(logging.Filter):
    """httpx logs whole URLs; page tokens and signatures of files stand in their queries."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                arg.copy_with(query=None) if isinstance(arg, httpx.URL) else arg for arg in record.args
            )
        return True


logging.getLogger("httpx").addFilter(_WithoutQuery())


budgets: dict[tuple[Auth, int | None], Budget] = {}
"""Of this process: all clients of a credential wait for their turn together."""


@cache
def _tls() -> ssl.SSLContext:
    """One for the process: making one takes 50 ms, which a triggerer's event loop feels."""
    return httpx.create_ssl_context()


def _options(service: Service[Any]) -> dict[str, Any]:
    """How both kinds of httpx client are built."""
    return {
        "verify": _tls(),
        "timeout": service.timeout,
        "headers": {
            "Accept": "application/json",
            "User-Agent": f"airflow-provider-predictions/{__version__}",
        },
    }


class _Core:
    """Everything of a client but sending and waiting."""

    _http: httpx.Client | httpx.AsyncClient

    def __init__(self, service: Service[Any], attempts: int) -> None:
        self.service = service
        self.policy = policy(attempts)
        self._patient = attempts > 1
        self.requests = 0
        """How many requests were sent, repeated ones included."""
        self.clock: Callable[[], float] = time.monotonic
        key = (service.auth, service.requests_per_minute)
        self._budget = budgets.setdefault(
            key, Budget(service.requests_per_minute, window=service.rate_limit_window)
        )

    def turn(self) -> float:
        """Take a turn of the connection's budget; seconds to wait for it."""
        return self._budget.reserve(self.clock(), patient=self._patient)

    def build(self, request: PageRequest, token: str) -> httpx.Request:
        """The request as it goes out; the token goes only to the hosts that it is for."""
        self.requests += 1
        url = self.service.url(request)
        headers = {"Authorization": f"Bearer {token}"} if self.service.trusts(url) else {}
        return self._http.build_request(
            "GET", httpx.URL(url).copy_merge_params(dict(request.params)), headers=headers
        )

    def read(self, request: PageRequest, response: httpx.Response, token: str) -> bytes:
        """The body of a good answer.

        :raises PredictionsError: for any other.
        """
        status, trusted = response.status_code, self.service.trusts(self.service.url(request))
        if trusted and status != 401:
            self.service.auth.accept(token)
        if status == 200:
            return response.content
        error = self._error(request, response, token)
        if trusted and status == 401 and self.service.auth.reject(token):
            error = TokenRefusedError(str(error), status=status)
        if isinstance(error, RateLimitedError) and self._patient:
            self._budget.refused(self.clock(), error.retry_after)
        raise error

    def _error(self, request: PageRequest, response: httpx.Response, token: str) -> PredictionsError:
        status, service = response.status_code, self.service
        message = service.auth.redact(message_in(response.content).replace(token, "***"))[:LONGEST_MESSAGE]
        kind = service.refusal(status, message) or _ERRORS.get(
            status, ServerError if status >= 500 else InvalidRequestError
        )
        text = f"{service.title} answered {status} to GET {urlsplit(service.url(request)).path}"
        if message:
            text += f": {message}"
        if issubclass(kind, AuthenticationError):
            text += f". Check {service.credential_fields} of the connection"
        elif kind is NotFoundError or 300 <= status < 400:
            text += ". Check the id, and the base URL (host) of the connection"
        after = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
        return kind(text, status=status, retry_after=after)

    @contextmanager
    def wire(self) -> Iterator[None]:
        """Turn httpx's errors into ours; used by both shells, since it does nothing but translate."""
        try:
            yield
        except httpx.InvalidURL:
            raise InvalidRequestError(f"{self.service.title} names a fileUrl that is no URL") from None
        except httpx.HTTPError as error:
            # Only of a failed connect is the text known to hold nothing of the request.
            why = f": {error}" if isinstance(error, httpx.ConnectError) else ""
            raise NoAnswerError(
                f"{self.service.title} did not answer at {urlsplit(self.service.base_url).netloc}: "
                f"{type(error).__name__}{why}"
            ) from None


class Client(_Core):
    """Send and wait in the calling thread. A context manager.

    :param service: which API, with which credentials.
    :param attempts: how often one request is sent at most.
    """

    _http: httpx.Client

    def __init__(self, service: Service[Any], *, attempts: int = ATTEMPTS) -> None:
        super().__init__(service, attempts)
        self._http = httpx.Client(**_options(service))
        self._closing = threading.Event()
        self._pools: list[ThreadPoolExecutor] = []
        self._for_values: ThreadPoolExecutor | None = None
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
        retrying = tenacity.Retrying(sleep=self.sleep, **self.policy)
        answer: T = retrying(self._once, request, read, ended or self._closing)
        return answer

    def _once(self, request: PageRequest, read: Callable[[bytes], T], ended: threading.Event) -> T:
        self.sleep(self.turn())
        if ended.is_set() or self._closing.is_set():
            raise InvalidRequestError("The client is closed")
        token = self.service.auth.token()
        with self.wire():
            response = self._http.send(self.build(request, token))
        return read(self.read(request, response, token))

    def pages(self, asking: Asking, *, prefetch: int = 0) -> Iterator[Page]:
        """Ask until there is nothing more to ask.

        :param prefetch: how many pages are in flight while one is used; 0 asks for each when it is wanted.
        """
        ended, pool = threading.Event(), self._threads(prefetch)
        flights = Prefetch(lambda request: self.get(request, asking.read, ended=ended), pool, prefetch)
        try:
            while requests := asking.ahead(max(1, prefetch)):
                try:
                    answer = flights.answer(requests)
                except InvalidRequestError as error:
                    asking.refuse(error)
                    continue
                page = asking.take(answer)
                flights.start(asking.ahead(prefetch))
                yield page
        finally:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def prediction(self, prediction_id: str) -> Prediction:
        """One prediction."""
        return self.get(self.service.one(prediction_id), self.service.read_one)

    def with_values(self, predictions: Iterable[Prediction], *, prefetch: int = 1) -> Iterator[Prediction]:
        """Predictions with the values that their records only point to, in their order.

        :param prefetch: how many are fetched at once.
        """
        if prefetch <= 1:
            return map(self._with_values, predictions)
        self._for_values = self._for_values or self._threads(prefetch)
        return self._for_values.map(self._with_values, predictions)

    def _with_values(self, prediction: Prediction) -> Prediction:
        request = self.service.values_request(prediction)
        if request is None:
            return prediction
        return self.get(request, lambda body: self.service.with_values(prediction, body))


class AsyncClient(_Core):
    """Send and wait on the event loop. An asynchronous context manager.

    :param service: which API, with which credentials.
    :param attempts: how often one request is sent at most.
    """

    _http: httpx.AsyncClient

    def __init__(self, service: Service[Any], *, attempts: int = ATTEMPTS) -> None:
        super().__init__(service, attempts)
        self._http = httpx.AsyncClient(**_options(service))
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, request: PageRequest, read: Callable[[bytes], T]) -> T:
        """Send a request, again where that may help, and read its answer."""
        retrying = tenacity.AsyncRetrying(sleep=self.sleep, **self.policy)
        return await retrying(self._once, request, read)

    async def _once(self, request: PageRequest, read: Callable[[bytes], T]) -> T:
        await self.sleep(self.turn())
        token = await self.service.auth.atoken()
        with self.wire():
            response = await self._http.send(self.build(request, token))
        return read(self.read(request, response, token))

    async def pages(self, asking: Asking) -> AsyncIterator[Page]:
        """Ask until there is nothing more to ask."""
        while requests := asking.ahead(1):
            try:
                answer = await self.get(requests[0], asking.read)
            except InvalidRequestError as error:
                asking.refuse(error)
                continue
            yield asking.take(answer)

    async def prediction(self, prediction_id: str) -> Prediction:
        """One prediction."""
        return await self.get(self.service.one(prediction_id), self.service.read_one)
