"""Fetch bodies with urllib3 under httpx: its own way of reading takes four times the processor's time."""

from __future__ import annotations

import math
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

import httpx

if TYPE_CHECKING:
    import urllib3

MOST_CONNECTIONS = 32
"""Kept open; more are made where more requests are in flight."""
TIMEOUTS = 5
"""So many times the timeout of a step, an answer may take in all, its headers included."""
BLOCK = 1 << 20


def transport(tls: ssl.SSLContext) -> httpx.BaseTransport | None:
    """What a client sends with; None, httpx's own, where the environment names a proxy."""
    return None if getproxies() else Urllib3Transport(tls)


class Urllib3Transport(httpx.BaseTransport):
    """Sends what httpx has built, and hands on what comes.

    :param tls: the certificates to trust.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        import urllib3

        tls.sslsocket_class = _TimedTlsSocket
        self._manager = urllib3.PoolManager(ssl_context=tls, maxsize=MOST_CONNECTIONS, retries=False)
        self._manager.pool_classes_by_scheme = _pools()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One request, one answer; redirects and retries are left to who asks."""
        import urllib3

        seconds = request.extensions.get("timeout", {})
        with _as_httpx(request):
            answer = self._manager.urlopen(
                request.method,
                str(request.url),
                body=request.read() or None,
                headers=request.headers,
                timeout=urllib3.Timeout(connect=seconds.get("connect"), read=seconds.get("read")),
                redirect=False,
                preload_content=False,
            )
        return httpx.Response(answer.status, headers=_headers(answer), stream=_Stream(answer, request))

    def close(self) -> None:
        """Close all connections."""
        self._manager.clear()


class _Stream(httpx.SyncByteStream):
    def __init__(self, answer: urllib3.BaseHTTPResponse, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx(self._request):
            yield from self._answer.stream(BLOCK, decode_content=False)

    def close(self) -> None:
        # Of an answer that was read to its end, the connection is back in the pool already.
        self._answer.close()


class _TimedSocket(socket.socket):
    """Times out when the whole answer takes too long, however steadily it trickles in."""

    deadline = math.inf

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        if time.monotonic() > self.deadline:
            raise TimeoutError("the answer takes too long")
        return super().recv_into(*args, **kwargs)


class _TimedTlsSocket(_TimedSocket, ssl.SSLSocket):
    """The same, encrypted."""


@cache
def _pools() -> dict[str, Any]:
    """Pools of connections over such sockets, by scheme."""
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class Timed(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            plain = super()._new_conn()
            timed = _TimedSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
            timed.settimeout(self.timeout)
            return timed

        def getresponse(self) -> Any:
            timed: Any = self.sock
            timed.deadline = time.monotonic() + TIMEOUTS * (self.timeout or math.inf)
            return super().getresponse()

    class TimedTls(Timed, HTTPSConnection):
        pass

    class Pool(HTTPConnectionPool):
        ConnectionCls = Timed

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = TimedTls

    return {"http": Pool, "https": TlsPool}


def _headers(answer: urllib3.BaseHTTPResponse) -> list[tuple[str, str]]:
    return list(answer.headers.iteritems())


@contextmanager
def _as_httpx(request: httpx.Request) -> Iterator[None]:
    from urllib3 import exceptions

    try:
        yield
    except (exceptions.NewConnectionError, exceptions.SSLError) as error:
        raise httpx.ConnectError(str(error), request=request) from error
    except exceptions.ConnectTimeoutError as error:
        raise httpx.ConnectTimeout(str(error), request=request) from error
    except exceptions.TimeoutError as error:
        raise httpx.ReadTimeout(str(error), request=request) from error
    except exceptions.HTTPError as error:
        raise httpx.RemoteProtocolError(str(error), request=request) from error
