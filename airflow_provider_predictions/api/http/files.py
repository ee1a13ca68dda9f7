"""Files that hold the values of records: where they are asked for, and which failures are final."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import inet_aton
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
    MAX_HOST_LENGTH,
    MAX_MESSAGE_LENGTH,
    MAX_NAMED_HOSTS,
    MAX_URL_LENGTH,
)
from airflow_provider_predictions.api.models import PageRequest, Prediction
from airflow_provider_predictions.api.urls import split_url

log = logging.getLogger(__name__)

_NAME = re.compile(r"[a-z0-9_.-]+")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def file_request(title: str, url: str, *, anonymous: bool = False) -> PageRequest:
    """Ask for a file; no message quotes its query, since whoever has that may read the file.

    :param title: of the service that names it.
    :raises UnusableFileError: where it is no whole URL.
    """
    try:
        parts = split_url(url)
        is_whole = bool(parts.scheme and parts.hostname and parts.port != 0)
        _require_host(httpx.URL(url))
        is_whole = is_whole and not url.startswith(" ")  # over which only urlsplit passes
    except (ValueError, httpx.InvalidURL):
        is_whole = False
    if not is_whole:
        what = "is no URL" if len(url) <= MAX_URL_LENGTH else f"is longer than {MAX_URL_LENGTH} characters"
        raise UnusableFileError(f"{title} names a fileUrl that {what}; it was not opened")
    hidden = tuple(text for _, text in parse_qsl(parts.query))
    return PageRequest(url, hidden=hidden, anonymous=anonymous)


def _require_host(url: httpx.URL) -> None:
    """Refuse a host that no name server knows, which a socket would only when it is opened.

    :raises ValueError: for a label that is empty, too long, or no international one, for a name that is too
        long, and for one that ends in a number and is no address (URL Standard, section 3.5).
    """
    _ = url.host  # decodes it
    host = url.raw_host.decode()
    host.encode("idna")
    name = host.removesuffix(".").lower()
    if len(name) > MAX_HOST_LENGTH:
        raise ValueError("the host is too long")
    if ":" in name:
        return
    if not _NAME.fullmatch(name):
        raise ValueError("the host holds what no name does")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        with suppress(OSError):
            inet_aton(name)
            return
        raise ValueError("the host is no address")


def redirected(title: str, request: PageRequest, error: RedirectError) -> PageRequest:
    """Ask where a file is said to lie; without the token, since that is not for whoever is named there.

    :raises RedirectError: where the request is a redirected one already, or the answer names no place.
    :raises UnusableFileError: where it names what is no URL.
    """
    if request.anonymous or not error.location:
        raise error
    try:
        url = urljoin(request.path, error.location[: MAX_URL_LENGTH + 1])
    except ValueError:
        url = ""
    return file_request(title, url, anonymous=True)


@contextmanager
def naming(prediction: Prediction, request: PageRequest) -> Iterator[None]:
    """Let errors say whose values were asked for, and of which host."""
    try:
        yield
    except PredictionsError as error:
        host = urlsplit(request.path).hostname
        text = f"Values of prediction {prediction.id[:MAX_MESSAGE_LENGTH]}, file at {host}: {error}"
        named = type(error)(text)  # another one, since all who wait for a token are raised the same
        vars(named).update(vars(error))
        if isinstance(named, MalformedAnswerError):
            named.host = host or ""
        raise named from error


def why_missing(error: PredictionsError) -> str | None:
    """Why a file is not worth waiting for: it is gone, forbidden, or no file of values.

    None where the next attempt may work, or where it is not about this file: those fail the task.
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
    """Records whose files do not come; of each reason, the log has the first, since all would flood it."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._hosts: set[str] = set()

    def record(self, prediction: Prediction, error: PredictionsError) -> Prediction:
        """The record as it lands where its file does not come.

        :raises PredictionsError: the error, where the task is to fail.
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
            log.warning("%s. It lands without them, and so do others for the same reason", error)
        return msgspec.structs.replace(prediction, lacks_values=reason)

    def _bounded(self, host: str) -> str:
        if len(self._hosts) < MAX_NAMED_HOSTS:
            self._hosts.add(host)
        return host if host in self._hosts else "another host"
