"""Send directly or through a proxy, within a time limit for the whole response.

The timeouts of httpx are for single reads, and it does not understand all forms of ``NO_PROXY``. So the
clients use transports of their own.
"""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import httpx
from typing_extensions import override

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.http.proxies import Proxies
from airflow_provider_predictions.api.limits import MAX_IDLE_CONNECTIONS, MAX_TIMEOUTS

if TYPE_CHECKING:
    import httpcore

T = TypeVar("T", httpx.HTTPTransport, httpx.AsyncHTTPTransport)


class _Routes(Generic[T]):
    """A transport for each proxy of the environment, and one without a proxy.

    :param make: httpx's transport class.
    :raises ConfigurationError: naming the variable that does not hold a proxy.
    """

    def __init__(self, make: Callable[..., T], tls: ssl.SSLContext) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=MAX_IDLE_CONNECTIONS)
        self._proxies = Proxies.of_environment()
        self.all: dict[str | None, T] = {None: make(verify=tls, limits=limits)}
        for scheme, proxy in self._proxies.by_scheme.items():
            name = f"{scheme.upper()}_PROXY"
            try:
                self.all[proxy] = make(verify=tls, limits=limits, proxy=proxy)
            except (httpx.InvalidURL, ValueError):
                raise ConfigurationError(
                    f"{name}: the environment variable does not hold the URL of a proxy"
                ) from None
            except ImportError as error:
                raise ConfigurationError(f"{name}: {error}") from None

    def of(self, request: httpx.Request) -> T:
        return self.all[self._proxies.of(request.url)]


class Transport(httpx.BaseTransport):
    """Sends in the calling thread. ``timeout`` is in seconds, for each step."""

    def __init__(self, tls: ssl.SSLContext, timeout: float) -> None:
        self._routes = _Routes(httpx.HTTPTransport, tls)
        for route in self._routes.all.values():
            # Headers could trickle for days. httpx accepts no backend, and httpcore no time limit.
            pool: Any = route._pool
            pool._network_backend = _TimedBackend(pool._network_backend, timeout * MAX_TIMEOUTS)

    @override
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._routes.of(request).handle_request(request)

    @override
    def close(self) -> None:
        for route in self._routes.all.values():
            route.close()


class AsyncTransport(httpx.AsyncBaseTransport):
    """Sends on the event loop. The client's ``asyncio.timeout`` limits a response."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._routes = _Routes(httpx.AsyncHTTPTransport, tls)

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._routes.of(request).handle_async_request(request)

    @override
    async def aclose(self) -> None:
        for route in self._routes.all.values():
            await route.aclose()


class _TimedBackend:
    """Opens connections that limit the time of a whole response."""

    def __init__(self, backend: httpcore.NetworkBackend, seconds: float) -> None:
        self._backend = backend
        self._seconds = seconds

    def connect_tcp(self, *args: Any, **kwargs: Any) -> _TimedStream:
        return _TimedStream(self._backend.connect_tcp(*args, **kwargs), self._seconds)


class _TimedStream:
    """A connection. The time of a response begins when its request is sent."""

    def __init__(self, stream: httpcore.NetworkStream, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds
        self._deadline = math.inf

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        import httpcore

        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the response takes too long")
        return self._stream.read(max_bytes, left if timeout is None else min(timeout, left))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)
        self._deadline = time.monotonic() + self._seconds

    def start_tls(self, *args: Any, **kwargs: Any) -> _TimedStream:
        return _TimedStream(self._stream.start_tls(*args, **kwargs), self._seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
