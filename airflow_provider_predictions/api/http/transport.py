"""How httpx sends: straight or through a proxy of the environment, and within a bound of time."""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import httpx

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.http.proxies import Proxies

if TYPE_CHECKING:
    import httpcore

LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=32)
TIMEOUTS = 5
"""So many times the timeout of a step, an answer may take in all, its headers included."""

T = TypeVar("T", httpx.HTTPTransport, httpx.AsyncHTTPTransport)


class _Routes(Generic[T]):
    """A transport for each proxy of the environment, and one without.

    :param make: makes one, with the arguments of httpx's own.
    :raises ConfigurationError: naming the variable that holds no proxy.
    """

    def __init__(self, make: Callable[..., T], tls: ssl.SSLContext) -> None:
        self._proxies = Proxies.of_environment()
        self.all: dict[str | None, T] = {None: make(verify=tls, limits=LIMITS)}
        for scheme, proxy in self._proxies.by_scheme.items():
            try:
                self.all[proxy] = make(verify=tls, limits=LIMITS, proxy=proxy)
            except (httpx.InvalidURL, ValueError):
                raise ConfigurationError(
                    f"{scheme.upper()}_PROXY: the environment variable holds no URL of a proxy"
                ) from None
            except ImportError as error:
                raise ConfigurationError(f"{scheme.upper()}_PROXY: {error}") from None

    def of(self, request: httpx.Request) -> T:
        return self.all[self._proxies.of(request.url)]


class Transport(httpx.BaseTransport):
    """Sends in the calling thread.

    :param tls: the certificates to trust.
    :param timeout: seconds of a step.
    """

    def __init__(self, tls: ssl.SSLContext, timeout: float) -> None:
        self._routes = _Routes(httpx.HTTPTransport, tls)
        for route in self._routes.all.values():
            # httpx bounds single reads only, so headers could trickle for days; and it takes no backend.
            pool: Any = route._pool
            pool._network_backend = _TimedBackend(pool._network_backend, timeout * TIMEOUTS)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        return self._routes.of(request).handle_request(request)

    def close(self) -> None:
        """Close all connections."""
        for route in self._routes.all.values():
            route.close()


class AsyncTransport(httpx.AsyncBaseTransport):
    """Sends on the event loop, whose ``asyncio.timeout`` bounds an answer.

    :param tls: the certificates to trust.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._routes = _Routes(httpx.AsyncHTTPTransport, tls)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        return await self._routes.of(request).handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        for route in self._routes.all.values():
            await route.aclose()


class _TimedBackend:
    """Opens connections whose answers are bounded in time, however steadily they trickle in."""

    def __init__(self, backend: httpcore.NetworkBackend, seconds: float) -> None:
        self._backend = backend
        self._seconds = seconds

    def connect_tcp(self, *args: Any, **kwargs: Any) -> _TimedStream:
        return _TimedStream(self._backend.connect_tcp(*args, **kwargs), self._seconds)


class _TimedStream:
    """A connection, on which the time of an answer begins when the request was sent."""

    def __init__(self, stream: httpcore.NetworkStream, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds
        self._deadline = math.inf

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        import httpcore

        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the answer takes too long")
        return self._stream.read(max_bytes, left if timeout is None else min(timeout, left))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)
        self._deadline = time.monotonic() + self._seconds

    def start_tls(self, *args: Any, **kwargs: Any) -> _TimedStream:
        return _TimedStream(self._stream.start_tls(*args, **kwargs), self._seconds)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
