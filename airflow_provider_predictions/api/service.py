"""What a service declares about its API."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from pydantic import BaseModel

from airflow_provider_predictions.api import json_slices
from airflow_provider_predictions.api.errors import (
    ConfigurationError,
    MalformedAnswerError,
    PredictionsError,
    UnusableFileError,
    text_in,
)
from airflow_provider_predictions.api.filters import Filters, checked_id
from airflow_provider_predictions.api.http.auth import Auth
from airflow_provider_predictions.api.http.redaction import quotable
from airflow_provider_predictions.api.limits import MAX_RESPONSE_BYTES, TIMEOUT_SECONDS
from airflow_provider_predictions.api.models import Column, GetRequest, Prediction, as_time, id_by_content
from airflow_provider_predictions.api.pagination.base import Paginator
from airflow_provider_predictions.api.record_batch import RecordBatch
from airflow_provider_predictions.api.urls import is_private_url, is_safe_url, origin
from airflow_provider_predictions.api.values import Values, leaves

F = TypeVar("F", bound=Filters)
BASE_URL = "Base URL (host)"
"""The connection field to check if the wrong server responds."""


@dataclass(frozen=True)
class Service(ABC, Generic[F]):
    """One API: pure functions that make requests and read records from responses.

    :param base_url: without a trailing slash.
    :param timeout: seconds to connect, to send, and for each read.
    :param requests_per_minute: None for no limit.
    :param max_response_bytes: of one response, unpacked.
    :param file_hosts: hosts that get the bearer token, besides the base URL's.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    credential_fields: ClassVar[str]
    """The connection fields to check if the service rejects the credentials."""
    terminal_statuses: ClassVar[frozenset[str]]
    """Final statuses. Sensors wait in every other status, known or not."""
    failed_statuses: ClassVar[frozenset[str]]
    """Final statuses of predictions that failed."""
    cancelled_statuses: ClassVar[frozenset[str]] = frozenset({"cancelled"})
    """Final statuses of predictions that neither succeeded nor failed."""
    unfinished_statuses: ClassVar[frozenset[str]]
    """Known statuses that are not final."""
    messages: ClassVar[tuple[tuple[str, ...], ...]]
    """Paths of members that say why a prediction failed. The first that is not empty counts."""
    filters: ClassVar[type[Filters]]
    group_filter: ClassVar[str | None] = None
    """The filter by ``Prediction.group``, if the client applies it. ``Observed`` counts what it drops."""
    server_filters: ClassVar[tuple[str, ...]] = ()
    """The filters that the service applies. The client does not see what they drop."""
    record: ClassVar[type[BaseModel]]
    envelope: ClassVar[type[msgspec.Struct]]
    """The fields of a record that the client reads, at least id, status, created_at and group."""
    columns: ClassVar[tuple[Column, ...]]
    extracted: ClassVar[type[msgspec.Struct] | None] = None
    """What a record says about its document: ``values``, which is ``Raw``, and ``document``, text or None."""
    group_name: ClassVar[str] = "group"
    """What ``Prediction.group`` is called as a column of values."""
    list_path: ClassVar[str] = "predictions"
    """The path of the list, relative to the base URL. A prediction is at ``list_path/id``."""
    default_page_size: ClassVar[int]
    rate_limit_window: ClassVar[float]
    """Seconds of the window in which the service counts requests."""

    base_url: str
    auth: Auth = field(repr=False)
    timeout: float = TIMEOUT_SECONDS
    requests_per_minute: int | None = None
    max_response_bytes: int = MAX_RESPONSE_BYTES
    file_hosts: tuple[str, ...] = ()

    @classmethod
    def default_fail_on(cls) -> tuple[str, ...]:
        """The statuses that fail a wait unless it names others."""
        return (*sorted(cls.failed_statuses), *sorted(cls.cancelled_statuses))

    @classmethod
    def word_filters(cls) -> tuple[str, ...]:
        """The filters by words of records, which ``Observed`` counts."""
        return ("statuses", cls.group_filter) if cls.group_filter else ("statuses",)

    @abstractmethod
    def paginator(self, filters: F) -> Paginator:
        """Start a pass over the list."""

    def status(self, envelope: Any) -> str:
        """The status of a decoded envelope; ``pending`` if it has none."""
        return envelope.status or "pending"

    def prediction(self, envelope: Any, raw: bytes) -> Prediction:
        """Make a prediction from a decoded envelope and the record's bytes."""
        id_, created_at = envelope.id or id_by_content(raw), as_time(envelope.created_at)
        return Prediction(id_, self.status(envelope), created_at, envelope.group, raw)

    def row(self, raw: bytes) -> Prediction:
        """Read one row of a list.

        :raises ValueError: if the row is not JSON.
        """
        envelope, line = json_slices.fields(raw, self.envelope), json_slices.one_line(raw)
        return self.prediction(envelope, line) if envelope else _rejected(line)

    def rows(self, page: bytes | msgspec.Raw) -> RecordBatch:
        """Read the rows of any JSON array, one by one.

        :raises ValueError: if the page is not a JSON array.
        """
        return RecordBatch(list(map(self.row, json_slices.elements(page))))

    def read_one(self, body: bytes, prediction_id: str | None = None) -> Prediction:
        """Read the response to ``one``.

        :param prediction_id: the requested id; None accepts any.
        :raises MalformedAnswerError: if the response is not that prediction.
        """
        with reading(self.title, body):
            prediction = self.row(json_slices.whole(body))
            if prediction.fault:
                raise ValueError(prediction.fault)
            if prediction_id not in (None, prediction.id):
                what = "a prediction without an id" if prediction.is_unnamed else "another prediction"
                raise ValueError(f"{what} instead of {prediction_id}")
        return prediction

    def message(self, prediction: Prediction) -> str:
        """Why a prediction failed, in the words of its record; empty if there are none, or unreadable."""
        try:
            for path in self.messages:
                if found := reduce(_member, path, json_slices.value(prediction.raw)):
                    return quotable(text_in(found) or str(found), self.auth.redact)
        except RecursionError:
            pass  # a thread with a shorter stack split it
        return ""

    def one(self, prediction_id: str) -> GetRequest:
        """The request for one prediction. An id may contain colons and slashes.

        :raises ConfigurationError: if it cannot be an id.
        """
        try:
            return GetRequest(f"{self.list_path}/{quote(checked_id(prediction_id), safe='')}")
        except ValueError as error:
            raise ConfigurationError(f"prediction_id: {error}") from None

    def refusal(self, status: int, message: str) -> type[PredictionsError] | None:
        """The error for a response whose status means something special here; None for the usual error."""
        return None

    def values_request(self, prediction: Prediction) -> GetRequest | None:
        """The request for the values of a record; None if the record holds them.

        :raises UnusableFileError: if the record should name a file of values, but does not.
        """
        return None

    def with_values(self, prediction: Prediction, body: bytes) -> Prediction:
        """Put the response to ``values_request`` into its record."""
        return prediction

    def add_values(self, values: Values, extracted: Any) -> None:
        """Add the values of a record one by one; by default, each leaf.

        :param extracted: the decoded ``values`` of ``extracted``.
        """
        leaves(values, extracted)

    def url(self, request: GetRequest) -> str:
        """The full URL of a request.

        :raises UnusableFileError: if the connection does not allow files at this URL.
        """
        if not request.is_file:
            return f"{self.base_url}/{request.path}"
        if self.trusts(request.path):
            return request.path
        # Plain http stays on this machine. A service has no business there unless the connection says so.
        if urlsplit(request.path).scheme != "https":
            raise UnusableFileError(f"{self.title} names a fileUrl that is not https://; it was not opened")
        # A redirect must not lead into this network either.
        if request.anonymous and is_private_url(request.path):
            raise UnusableFileError(
                f"A fileUrl of {self.title} redirects to a private address; it was not opened. "
                "If it may be, name the address in extra file_hosts of the connection"
            )
        return request.path

    def takes_token(self, request: GetRequest) -> bool:
        """Whether to send the bearer token with a request."""
        return not request.anonymous and self.trusts(self.url(request))

    def trusts(self, url: str) -> bool:
        """Whether the bearer token may go to a URL."""
        return is_safe_url(url) and (
            origin(url) == origin(self.base_url) or urlsplit(url).hostname in self.file_hosts
        )


def _member(part: Any, name: str) -> Any:
    return part.get(name) if isinstance(part, dict) else None


def _rejected(raw: bytes) -> Prediction:
    return Prediction.rejected(raw, f"{json_slices.kind(raw)} instead of an object")


@contextmanager
def reading(title: str, body: bytes, *, is_file: bool = False) -> Iterator[None]:
    """Explain why a response is not the specified JSON, without quoting it.

    :param is_file: whether the response is a file of values, not one of the API.
    :raises MalformedAnswerError: for errors in the ``with`` block.
    """
    try:
        yield
    except (ValueError, LookupError, RecursionError) as error:
        who, what = ("The server", "values") if is_file else (title, "the specification")
        text = f"{who} sent {len(body)} bytes that are not the JSON of {what}: {error}"
        is_web_page = body.lstrip(json_slices.AROUND)[:1] == b"<"
        if is_web_page:
            text += ". It looks like a web page"
            text += ", such as that of a login" if is_file else f": check {BASE_URL} of the connection"
        raise MalformedAnswerError(text, is_web_page=is_web_page) from None
