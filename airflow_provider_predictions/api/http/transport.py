"""Send directly or through a proxy, within a time limit for the whole response.

The timeouts of httpx are for single reads. It rejects some forms of ``NO_PROXY`` (``fd00::/8``) and ignores
others (``10.0.0.0/8``, ``host:8080``). So the clients use transports of their own.
"""

from __future__ import annotations

import math
import os
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.request import getproxies

import httpx
import idna
from typing_extensions import override

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.limits import MAX_IDLE_CONNECTIONS, MAX_READ_BYTES, MAX_TIMEOUTS
from airflow_provider_predictions.api.urls import split_url

if TYPE_CHECKING:
    import httpcore

PORTS = {"http": 80, "https": 443}
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
                if not split_url(proxy).hostname:
                    raise ValueError("has no host")
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
            # Headers could trickle for days. httpx accepts no backend, and httpcore no limits.
            pool: Any = route._pool
            pool._network_backend = _LimitedBackend(pool._network_backend, timeout * MAX_TIMEOUTS)

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


def unreadable_certificates(error: OSError, *variables: str) -> ConfigurationError:
    """The error for certificates that cannot be read, by the environment variable that names them."""
    name = next((name for name in variables if os.environ.get(name)), variables[0])
    return ConfigurationError(
        f"{name}: the environment variable names no certificates that can be read ({type(error).__name__})"
    )


class _LimitedBackend:
    """Opens connections that limit the time of a whole response, and what is read at once."""

    def __init__(self, backend: httpcore.NetworkBackend, seconds: float) -> None:
        self._backend = backend
        self._seconds = seconds

    def connect_tcp(self, *args: Any, **kwargs: Any) -> _LimitedStream:
        return _LimitedStream(self._backend.connect_tcp(*args, **kwargs), self._seconds)


class _LimitedStream:
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
        # With 64 kB, which httpcore asks for, 3,000 pages left 20 MB of free heap; with this, 6 MB.
        size = min(max_bytes, MAX_READ_BYTES)
        return self._stream.read(size, left if timeout is None else min(timeout, left))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)
        self._deadline = time.monotonic() + self._seconds

    def start_tls(self, *args: Any, **kwargs: Any) -> _LimitedStream:
        return _LimitedStream(self._stream.start_tls(*args, **kwargs), self._seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@dataclass(frozen=True)
class Proxies:
    """``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``.

    :param by_scheme: scheme of a request, or ``all`` -> URL of its proxy.
    :param exempt: entries of ``NO_PROXY``, in lower case.
    """

    by_scheme: dict[str, str]
    exempt: tuple[str, ...]

    @classmethod
    def of_environment(cls) -> Proxies:
        given = getproxies()
        found = {scheme: given[scheme] for scheme in ("http", "https", "all") if given.get(scheme)}
        with_scheme = {name: url if "://" in url else f"http://{url}" for name, url in found.items()}
        return cls(with_scheme, tuple(given.get("no", "").lower().replace(",", " ").split()))

    def of(self, url: httpx.URL) -> str | None:
        """The proxy for a URL; None to connect directly."""
        return self.by_scheme.get(self._scheme(url))

    def variable(self, url: httpx.URL) -> str:
        """The environment variable that names the proxy for a URL; empty without a proxy."""
        scheme = self._scheme(url)
        return f"{scheme.upper()}_PROXY" if scheme else ""

    def _scheme(self, url: httpx.URL) -> str:
        """The key in ``by_scheme`` for a URL; empty to connect directly."""
        found = next((scheme for scheme in (url.scheme, "all") if scheme in self.by_scheme), "")
        return "" if any(_matches(entry, url) for entry in self.exempt) else found


def _matches(entry: str, url: httpx.URL) -> bool:
    """Whether an entry of ``NO_PROXY`` matches the host of a URL.

    An entry is ``*``, a name, an address or a network, each with or without a port (as in curl and Go). A
    name also matches its subdomains. It may be in Unicode or in ASCII. Other entries match nothing.
    """
    entry = entry.rpartition("://")[2]
    name, port = _split(entry)
    if port and port != str(url.port or PORTS.get(url.scheme)):
        return False
    host = url.raw_host.decode().strip("[]").rstrip(".").lower()
    try:
        return ip_address(host) in ip_network(name.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        name = _as_ascii(name.removeprefix("*.").strip("."))
        return any(fnmatchcase(form, name) for form in _forms(host)) or bool(
            name and host.endswith(f".{name}")
        )


def _as_ascii(name: str) -> str:
    """A name as it is looked up (RFC 5891). One with a wildcard, or an invalid one, stays as it is."""
    try:
        return name if name.isascii() else idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        return name


def _forms(host: str) -> Iterator[str]:
    """A name in ASCII and in Unicode, for wildcards."""
    yield host
    with suppress(idna.IDNAError):
        yield idna.decode(host)


def _split(entry: str) -> tuple[str, str]:
    """Name and port. In an IPv6 address, a port follows the bracket."""
    name, _, port = entry.rpartition(":")
    is_port = port.isdigit() and (name.endswith("]") or ":" not in name)
    return (name, port) if is_port else (entry, "")
