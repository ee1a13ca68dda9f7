"""Fetch bodies with urllib3 under httpx: its own way of reading takes four times the processor's time."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.request import getproxies

import httpx

if TYPE_CHECKING:
    import urllib3

MOST_CONNECTIONS = 32
"""Kept open; more are made where more requests are in flight."""


def transport(tls: ssl.SSLContext) -> httpx.BaseTransport | None:
    """What a client sends with; None, httpx's own, where the environment names a proxy."""
    return None if getproxies() else Urllib3Transport(tls)


class Urllib3Transport(httpx.BaseTransport):
    """Sends what httpx has built, and reads the whole answer.

    :param tls: the certificates to trust.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        import urllib3

        self._pool = urllib3.PoolManager(ssl_context=tls, maxsize=MOST_CONNECTIONS, retries=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One request, one answer; redirects and retries are left to who asks."""
        import urllib3

        seconds = request.extensions.get("timeout", {})
        with _as_httpx(request):
            answer = self._pool.urlopen(
                request.method,
                str(request.url),
                body=request.read() or None,
                headers=request.headers,
                timeout=urllib3.Timeout(connect=seconds.get("connect"), read=seconds.get("read")),
                redirect=False,
                preload_content=False,
            )
            try:
                body = answer.read(decode_content=False)
            finally:
                answer.release_conn()
        # httpx decodes it, as it says.
        return httpx.Response(answer.status, headers=_headers(answer), stream=httpx.ByteStream(body))

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()


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
