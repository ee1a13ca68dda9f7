"""Build requests and interpret responses. Both clients share this."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from airflow_provider_predictions import __version__
from airflow_provider_predictions.api.clock import ServiceClock
from airflow_provider_predictions.api.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    MalformedAnswerError,
    NoAnswerError,
    NotFoundError,
    PredictionsError,
    RateLimitedError,
    RedirectError,
    ServerError,
    TokenRefusedError,
    UnusableFileError,
    message_in,
)
from airflow_provider_predictions.api.http.auth import Auth
from airflow_provider_predictions.api.http.body import Body
from airflow_provider_predictions.api.http.rate_limit import RateLimiter, Reservation
from airflow_provider_predictions.api.http.redaction import quotable, without, without_values
from airflow_provider_predictions.api.http.retry import policy, retry_after
from airflow_provider_predictions.api.http.transport import Proxies, unreadable_certificates
from airflow_provider_predictions.api.limits import MAX_RATE_LIMIT_WAIT, MAX_TIMEOUTS
from airflow_provider_predictions.api.models import GetRequest
from airflow_provider_predictions.api.service import BASE_URL, Service

log = logging.getLogger(__name__)

_ERRORS: dict[int, type[PredictionsError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    408: ServerError,
    429: RateLimitedError,
}

rate_limiters: dict[tuple[Auth, int | None], RateLimiter] = {}
"""The limiters of this process. All clients with the same credentials share one."""


@cache
def trusted_certificates() -> ssl.SSLContext:
    """One for the process. Making it takes 50 ms, which would block a triggerer's event loop.

    :raises ConfigurationError: naming the environment variable whose certificates cannot be read.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise unreadable_certificates(error, "SSL_CERT_FILE", "SSL_CERT_DIR") from None


def options(service: Service[Any]) -> dict[str, Any]:
    """The arguments that both clients of httpx get."""
    return {
        # Cookies are dropped. They would pile up until the server refuses them (431).
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=())),
        "timeout": service.timeout,
        "headers": {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": f"airflow-provider-predictions/{__version__}",
        },
    }


@dataclass
class Call:
    """A request on its way.

    :param url: without the query of the request.
    :param trusted: whether the bearer token may go to that URL.
    :param renewed: whether the service has just refused the same request with another token.
    :ivar token: read when the request's turn has come, since another request may renew it meanwhile.
    """

    request: GetRequest
    url: str
    trusted: bool
    renewed: bool
    reservation: Reservation
    token: str = field(default="", repr=False)


class BaseClient:
    """What both clients share: everything except sending and waiting."""

    _http: httpx.Client | httpx.AsyncClient

    def __init__(self, service: Service[Any], attempts: int) -> None:
        self.service = service
        self._attempts = attempts
        self.requests = 0
        """How many requests were sent, retries included."""
        self.service_clock = ServiceClock()
        """The service's time, from the ``Date`` of good responses."""
        self.clock: Callable[[], float] = time.monotonic
        key = (service.auth, service.requests_per_minute)
        self._rate_limiter = rate_limiters.setdefault(
            key, RateLimiter(service.requests_per_minute, window=service.rate_limit_window)
        )

    def policy(self, request: GetRequest) -> dict[str, Any]:
        """The arguments of tenacity that retry a request, from now on."""
        return policy(self._attempts, self.clock, shrinks=request.shrinks)

    def call(self, request: GetRequest, *, renewed: bool) -> Call:
        """Reserve a turn for a request.

        :raises UnusableFileError: if the connection does not allow its URL.
        :raises RateLimitedError: if its turn is more than ``MAX_RATE_LIMIT_WAIT`` away.
        """
        url, trusted = self.service.url(request), self.service.takes_token(request)
        reservation = self._rate_limiter.reserve(
            self.clock(), patient=self._attempts > 1, longest=MAX_RATE_LIMIT_WAIT
        )
        return Call(request, url, trusted, renewed, reservation)

    def build(self, call: Call) -> httpx.Request:
        """Build the request of httpx, and count it."""
        self.requests += 1
        headers = {"Authorization": f"Bearer {call.token}"} if call.trusted else {}
        url = call.url.partition("#")[0]
        if call.request.params:
            # The URL of a file may have a query.
            _, mark, query = url.partition("?")
            url += f"{'&' if query else '' if mark else '?'}{urlencode(call.request.params)}"
        return self._http.build_request("GET", url, headers=headers)

    def body(self, call: Call, response: httpx.Response) -> Body:
        encoding = response.headers.get("Content-Encoding", "")
        title = "The server" if call.request.is_file else self.service.title
        is_page = call.request.path == self.service.list_path
        return Body(title, encoding, self.service.max_response_bytes, is_page=is_page)

    def read(self, call: Call, response: httpx.Response, content: bytes) -> bytes:
        """Return the body of a good response.

        :raises TokenRefusedError: if another token may work.
        :raises PredictionsError: for any other response.
        """
        status, auth = response.status_code, self.service.auth
        if status == 200:
            if call.trusted:
                auth.accept(call.token)
            # A file may come from a cache and be months old.
            if not call.request.is_file:
                self.service_clock.note_date(response.headers.get("Date"))
            return content
        error = self._error(call, response, content)
        if (
            call.trusted
            and isinstance(error, AuthenticationError)
            and auth.reject(call.token, status, renewed=call.renewed, is_file=call.request.is_file)
        ):
            log.warning("%s answered %d; trying another token", self.service.title, status)
            error = TokenRefusedError(str(error), status=status)
        if isinstance(error, RateLimitedError) and self._attempts > 1:
            self._rate_limiter.refused(call.reservation, self.clock(), error.retry_after)
        raise error

    def _error(self, call: Call, response: httpx.Response, content: bytes) -> PredictionsError:
        """Make the error for a response other than 200. Its message says what to do."""
        status, request = response.status_code, call.request
        message = self._quoted(call, message_in(content))
        kind = self._kind(call, status, message)
        who = "The server" if request.is_file else self.service.title
        text = f"{who} answered {status} to GET {urlsplit(call.url).path}"
        if message:
            text += f": {message}"
        is_redirect = 300 <= status < 400
        if request.is_file:
            if is_redirect and "Location" in response.headers:
                return RedirectError(text, location=response.headers["Location"], status=status)
        elif issubclass(kind, AuthenticationError):
            text += f". Check {self.service.credential_fields} of the connection"
        elif kind is NotFoundError or is_redirect or status == 405:
            what = BASE_URL if request.path == self.service.list_path else f"the id, and {BASE_URL}"
            text += f". Check {what} of the connection"
        return kind(text, status=status, retry_after=retry_after(response.headers))

    def _kind(self, call: Call, status: int, message: str) -> type[PredictionsError]:
        found = self.service.refusal(status, message) or _ERRORS.get(
            status, ServerError if status >= 500 else InvalidRequestError
        )
        # A request without credentials cannot be refused because of them.
        return InvalidRequestError if issubclass(found, AuthenticationError) and not call.trusted else found

    def _quoted(self, call: Call, message: str) -> str:
        def redact(text: str) -> str:
            return self.service.auth.redact(without_values(without(text, call.token), *call.request.hidden))

        return quotable(message, redact)

    @contextmanager
    def in_flight(self, call: Call) -> Iterator[None]:
        """Turn httpx's errors into those of this package, and end the turn of the request."""
        seconds = self.service.timeout
        try:
            yield
        except TimeoutError:
            raise NoAnswerError(
                f"{self.service.title}: a response took longer than {seconds * MAX_TIMEOUTS:g} s in all, "
                f"{MAX_TIMEOUTS} times extra timeout of the connection",
                timed_out=True,
            ) from None
        except httpx.InvalidURL:
            if call.request.is_file:
                raise UnusableFileError(f"{self.service.title} names a fileUrl that is not a URL") from None
            raise InvalidRequestError(
                f"prediction_id: {self.service.title} cannot be sent an id that no URL can hold"
            ) from None
        except httpx.HTTPError as error:
            raise self._no_answer(error) from None
        finally:
            call.reservation.end(self.clock())

    def _no_answer(self, error: httpx.HTTPError) -> PredictionsError:
        if isinstance(error, httpx.RemoteProtocolError) and "Content-Length" in str(error):
            text = f"{self.service.title} sent a response whose Content-Length is not a number"
            return MalformedAnswerError(text)
        url, seconds = error.request.url, self.service.timeout
        variable, why = Proxies.of_environment().variable(url), ""
        if isinstance(error, httpx.ProxyError):
            # Its text is the status, and a reason in the proxy's words.
            status = str(error)[:3]
            if status == "407":
                return ConfigurationError(f"{variable}: the proxy refuses its credentials (407)")
            why = f": the proxy answered {status}" if status.isdigit() else ""
        elif isinstance(error, httpx.ConnectError) and str(error):
            why = f": {error}"  # other errors may quote the request
        text = f"{self.service.title} did not answer at {url.netloc.decode()}: {type(error).__name__}{why}"
        if isinstance(error, httpx.TimeoutException):
            text += f" (extra timeout: {seconds:g} s a step, {seconds * MAX_TIMEOUTS:g} s in all)"
        if "CERTIFICATE_VERIFY_FAILED" in why:
            text += ". If you trust its authority, name it in the environment variable SSL_CERT_FILE"
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            is_base = url.host == urlsplit(self.service.base_url).hostname
            check = [f"the environment variable {variable}"] if variable else []
            check += [f"{BASE_URL} of the connection"] if is_base else []
            text += f". Check {', and '.join(check)}" if check else ""
        return NoAnswerError(text, timed_out=isinstance(error, httpx.ReadTimeout))
