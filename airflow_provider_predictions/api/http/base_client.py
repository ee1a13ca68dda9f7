"""What goes out to a service, and what its answer means; used alike by both clients."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import httpx
import tenacity

from airflow_provider_predictions import __version__
from airflow_provider_predictions.api.clock import ServiceClock
from airflow_provider_predictions.api.errors import (
    MAX_MESSAGE_LENGTH,
    MAX_SERVICE_TEXT,
    AuthenticationError,
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
from airflow_provider_predictions.api.http.redaction import without, without_values
from airflow_provider_predictions.api.http.retry import (
    RATE_LIMIT_PATIENCE,
    RateLimiter,
    Reservation,
    is_retryable,
    policy,
    retry_after,
)
from airflow_provider_predictions.api.http.transport import TIMEOUTS
from airflow_provider_predictions.api.models import PageRequest
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
"""Of this process: all clients of a credential wait for their turn together."""


@cache
def trusted_certificates() -> ssl.SSLContext:
    """One for the process: making one takes 50 ms, which a triggerer's event loop feels."""
    return httpx.create_ssl_context()


def options(service: Service[Any]) -> dict[str, Any]:
    """How both kinds of httpx client are built."""
    return {
        # None is kept: they would pile up until the server refuses them (431).
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=())),
        "timeout": service.timeout,
        "headers": {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": f"airflow-provider-predictions/{__version__}",
        },
    }


def _is_retryable_unchanged(error: BaseException) -> bool:
    """Whether the next attempt may work without a smaller page."""
    too_much = isinstance(error, PredictionsError) and error.asks_for_less and error.retry_after is None
    return is_retryable(error) and not too_much


class BaseClient:
    """Everything of a client but sending and waiting."""

    _http: httpx.Client | httpx.AsyncClient

    def __init__(self, service: Service[Any], attempts: int) -> None:
        self.service = service
        self._attempts = attempts
        self._patient = attempts > 1
        self.requests = 0
        """How many requests were sent, repeated ones included."""
        self.service_clock = ServiceClock()
        """What time it was for the service, by its good answers."""
        self.clock: Callable[[], float] = time.monotonic
        key = (service.auth, service.requests_per_minute)
        self._rate_limiter = rate_limiters.setdefault(
            key, RateLimiter(service.requests_per_minute, window=service.rate_limit_window)
        )

    def policy(self, request: PageRequest) -> dict[str, Any]:
        """When a request that begins now is sent again."""
        found = policy(self._attempts, self.clock)
        if request.shrinks:
            found["retry"] = tenacity.retry_if_exception(_is_retryable_unchanged)
        return found

    def reservation(self) -> Reservation:
        """Take a turn of the connection's budget."""
        return self._rate_limiter.reserve(self.clock(), patient=self._patient, longest=RATE_LIMIT_PATIENCE)

    def build(self, request: PageRequest, token: str) -> httpx.Request:
        """The request as it goes out; the token goes only to the hosts that it is for."""
        url = self.service.url(request)
        self.requests += 1
        headers = {"Authorization": f"Bearer {token}"} if self.service.takes_token(request) else {}
        return self._http.build_request(
            "GET", httpx.URL(url).copy_merge_params(dict(request.params)), headers=headers
        )

    def body(self, request: PageRequest, response: httpx.Response) -> Body:
        """What the body of an answer is collected in."""
        encoding = response.headers.get("Content-Encoding", "")
        title = "The server" if request.is_file else self.service.title
        is_page = request.path == self.service.list_path
        return Body(title, encoding, self.service.max_response_bytes, is_page=is_page)

    def read(
        self,
        request: PageRequest,
        response: httpx.Response,
        content: bytes,
        token: str,
        reservation: Reservation,
        *,
        renewed: bool,
    ) -> bytes:
        """The body of a good answer.

        :param renewed: whether the same request was refused with another token a moment ago.
        :raises TokenRefusedError: where another token may be accepted.
        :raises PredictionsError: for any other answer.
        """
        status, trusted = response.status_code, self.service.takes_token(request)
        if status == 200:
            if trusted:
                self.service.auth.accept(token)
            # Not of files, which a cache may have had for months.
            if not urlsplit(request.path).scheme:
                self.service_clock.hear(response.headers.get("Date"))
            return content
        error = self._error(request, response, content, token)
        if (
            trusted
            and isinstance(error, AuthenticationError)
            and self.service.auth.reject(token, status, renewed=renewed, is_file=request.is_file)
        ):
            log.warning("%s answered %d; trying another token", self.service.title, status)
            error = TokenRefusedError(str(error), status=status)
        if isinstance(error, RateLimitedError) and self._patient:
            self._rate_limiter.refused(reservation, self.clock(), error.retry_after)
        raise error

    def _words(self, request: PageRequest, said: str, token: str) -> str:
        """The service's own words, as a message quotes them: cut, and without secrets."""
        words = without_values(without(said[:MAX_SERVICE_TEXT], token), *request.hidden)
        words = self.service.auth.redact(words)
        if len(said) > MAX_SERVICE_TEXT:
            # The cut may have halved a secret, whose first half would be shown where others shrank to ***.
            words = words[: max(0, len(words) - MAX_SERVICE_TEXT // 2)]
        return words[:MAX_MESSAGE_LENGTH]

    def _error(
        self, request: PageRequest, response: httpx.Response, content: bytes, token: str
    ) -> PredictionsError:
        status, service = response.status_code, self.service
        message = self._words(request, message_in(content), token)
        kind = service.refusal(status, message) or _ERRORS.get(
            status, ServerError if status >= 500 else InvalidRequestError
        )
        if issubclass(kind, AuthenticationError) and not service.takes_token(request):
            kind = InvalidRequestError  # it is not about credentials that it did not get
        who = "The server" if request.is_file else service.title
        text = f"{who} answered {status} to GET {urlsplit(service.url(request)).path}"
        if message:
            text += f": {message}"
        if "Location" in response.headers and 300 <= status < 400 and request.is_file:
            location = response.headers["Location"]
            return RedirectError(text, location=location, status=status)
        if request.is_file:
            pass
        elif issubclass(kind, AuthenticationError):
            text += f". Check {service.credential_fields} of the connection"
        elif kind is NotFoundError or 300 <= status < 400 or status == 405:
            what = BASE_URL if request.path == service.list_path else f"the id, and {BASE_URL}"
            text += f". Check {what} of the connection"
        after = retry_after(response.headers.get("Retry-After"), response.headers.get("Date"))
        return kind(text, status=status, retry_after=after)

    @contextmanager
    def wire(self, request: PageRequest, reservation: Reservation) -> Iterator[None]:
        """Turn httpx's errors into ours, and end the turn of the request."""
        seconds = self.service.timeout
        try:
            yield
        except TimeoutError:
            raise NoAnswerError(
                f"{self.service.title}: an answer took longer than {seconds * TIMEOUTS:g} s in all, "
                f"{TIMEOUTS} times extra timeout of the connection",
                timed_out=True,
            ) from None
        except httpx.InvalidURL:
            if request.is_file:
                raise UnusableFileError(f"{self.service.title} names a fileUrl that is no URL") from None
            raise InvalidRequestError(
                f"prediction_id: {self.service.title} cannot be asked for an id that no URL can hold"
            ) from None
        except httpx.HTTPError as error:
            if isinstance(error, httpx.RemoteProtocolError) and "Content-Length" in str(error):
                raise MalformedAnswerError(
                    f"{self.service.title} sent an answer whose Content-Length is no number"
                ) from None
            # Only of a failed connect is the text known to hold nothing of the request.
            why = f": {error}" if isinstance(error, httpx.ConnectError) else ""
            url = error.request.url
            text = f"{self.service.title} did not answer at {url.netloc.decode()}"
            text += f": {type(error).__name__}{why}"
            if isinstance(error, httpx.TimeoutException):
                text += f" (extra timeout: {seconds:g} s a step, {seconds * TIMEOUTS:g} s in all)"
            if "CERTIFICATE_VERIFY_FAILED" in why:
                text += ". If you trust its authority, name it in the environment variable SSL_CERT_FILE"
            is_base = url.host == urlsplit(self.service.base_url).hostname
            if is_base and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                text += f". Check {BASE_URL} of the connection"
            raise NoAnswerError(text, timed_out=isinstance(error, httpx.ReadTimeout)) from None
        finally:
            reservation.end(self.clock())
