"""Files that hold the values of records: how to request one, and which failures are final."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
import msgspec

from airflow_provider_predictions.api.errors import (
    AnswerTooLargeError,
    AuthenticationError,
    MalformedAnswerError,
    PredictionsError,
    QuotaExceededError,
    RedirectError,
    RefusedError,
    UnusableFileError,
)
from airflow_provider_predictions.api.limits import (
    MAX_MESSAGE_LENGTH,
    MAX_NAMED_HOSTS,
    MAX_URL_LENGTH,
)
from airflow_provider_predictions.api.models import GetRequest, Prediction
from airflow_provider_predictions.api.urls import require_host, split_url

log = logging.getLogger(__name__)


def file_request(title: str, url: str, *, anonymous: bool = False) -> GetRequest:
    """Make the request for a file. No message quotes its query, which may hold a signature.

    :raises UnusableFileError: if it is not an absolute URL.
    """
    try:
        parts = split_url(url)
        is_whole = bool(parts.scheme and parts.hostname and parts.port != 0)
        require_host(url)
        is_whole = is_whole and not url.startswith(" ")  # which only urlsplit ignores
    except (ValueError, httpx.InvalidURL):
        is_whole = False
    if not is_whole:
        what = "is not a URL" if len(url) <= MAX_URL_LENGTH else f"is longer than {MAX_URL_LENGTH} characters"
        raise UnusableFileError(f"{title} names a fileUrl that {what}; it was not opened")
    hidden = tuple(text for _, text in parse_qsl(parts.query))
    return GetRequest(url, hidden=hidden, anonymous=anonymous)


def redirected(title: str, request: GetRequest, error: RedirectError) -> GetRequest:
    """Make the request for the place that a file has moved to. It goes without the token, to any host.

    :raises RedirectError: if the request was redirected before, or the response names no location.
    :raises UnusableFileError: if the location is not a URL.
    """
    if request.anonymous or not error.location:
        raise error
    try:
        url = urljoin(request.path, error.location[: MAX_URL_LENGTH + 1])
    except ValueError:
        url = ""
    return file_request(title, url, anonymous=True)


@contextmanager
def naming_prediction(prediction: Prediction, request: GetRequest) -> Iterator[None]:
    """Add to errors which prediction's values were requested, and from which host."""
    try:
        yield
    except PredictionsError as error:
        host = urlsplit(request.path).hostname
        text = f"Values of prediction {prediction.id[:MAX_MESSAGE_LENGTH]}, file at {host}: {error}"
        named = copy(error)  # since all callers that wait for a token get the same error
        named.args = (text,)
        if isinstance(named, MalformedAnswerError):
            named.host = host or ""
        raise named from error


def why_missing(error: PredictionsError) -> str | None:
    """Why a file will not come: it is gone, forbidden, or not a file of values.

    None fails the task: the next attempt may work, or the error is not about this file.
    """
    match error:
        case UnusableFileError():
            return "the record names no file that may be opened"
        case AnswerTooLargeError():
            return "the file is larger than max_response_bytes"
        case MalformedAnswerError(is_web_page=True, host=host):
            return f"{host} sent a web page instead of the file"
        case MalformedAnswerError():
            return "the file is not the JSON of values"
        case QuotaExceededError() | AuthenticationError(status=401):
            return None
        case RefusedError(status=int(status)):
            return f"the file was answered with {status}"
    return None


class MissingFiles:
    """Lands records without the values of a missing file. The first record of each reason is logged."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._hosts: set[str] = set()

    def record(self, prediction: Prediction, error: PredictionsError) -> Prediction:
        """Return the record as it lands without its file.

        :raises PredictionsError: the error, if it fails the task.
        """
        if error.of_token:
            raise error
        if isinstance(error, MalformedAnswerError):
            error.host = self._bounded(error.host)
        reason = why_missing(error)
        if reason is None:
            raise error
        if reason not in self._told:
            self._told.add(reason)
            log.warning("%s. It lands without them, as do others with the same reason", error)
        return msgspec.structs.replace(prediction, lacks_values=reason)

    def _bounded(self, host: str) -> str:
        if len(self._hosts) < MAX_NAMED_HOSTS:
            self._hosts.add(host)
        return host if host in self._hosts else "another host"
