"""What a service module says of its API."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from pydantic import BaseModel

from airflow_provider_predictions.api.errors import (
    ConfigurationError,
    MalformedAnswerError,
    PredictionsError,
    UnusableFileError,
)
from airflow_provider_predictions.api.filters import Filters, checked_id
from airflow_provider_predictions.api.http.auth import Auth
from airflow_provider_predictions.api.json_slices import AROUND, fields, kind, one_line, records, value, whole
from airflow_provider_predictions.api.limits import MAX_MESSAGE_LENGTH, MAX_RESPONSE_BYTES, TIMEOUT_SECONDS
from airflow_provider_predictions.api.models import Column, PageRequest, Prediction
from airflow_provider_predictions.api.urls import is_private_url, is_safe_url, origin

if TYPE_CHECKING:
    from airflow_provider_predictions.api.pagination.base import Paginator

F = TypeVar("F", bound=Filters)
BASE_URL = "Base URL (host)"
"""The connection field to look at when it is not the service that answers."""


@dataclass(frozen=True)
class Service(ABC, Generic[F]):
    """One API, as pure functions from what is wanted to requests, and from answers to records.

    :param base_url: without a trailing slash.
    :param auth: where the bearer token comes from.
    :param timeout: seconds for each of connecting, sending and each read.
    :param requests_per_minute: None for no limit.
    :param max_response_bytes: of one answer, unpacked.
    :param file_hosts: hosts beside the base URL's that get the bearer token.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    credential_fields: ClassVar[str]
    """The connection fields to look at when the service refuses the credentials."""
    terminal_statuses: ClassVar[frozenset[str]]
    """Statuses that a prediction does not leave; every other one, known or not, is waited for."""
    waiting_statuses: ClassVar[frozenset[str]]
    """Statuses that a prediction is known to leave."""
    messages: ClassVar[tuple[tuple[str, ...], ...]]
    """Where a record says why it failed, as paths of members; the first that is not empty counts."""
    filters: ClassVar[type[Filters]]
    group_filter: ClassVar[str | None] = None
    """The filter by ``Prediction.group`` that is applied here, so that what it drops is met."""
    server_filters: ClassVar[tuple[str, ...]] = ()
    """The filters that the service applies: what they drop is never met."""
    record: ClassVar[type[BaseModel]]
    envelope: ClassVar[type[msgspec.Struct]]
    """The fields of a record that are read on the way to storage."""
    columns: ClassVar[tuple[Column, ...]]
    list_path: ClassVar[str] = "predictions"
    """The path of the list, relative to the base URL; a prediction's is its id behind it."""
    default_page_size: ClassVar[int]
    rate_limit_window: ClassVar[float]
    """Seconds over which the service counts requests."""

    base_url: str
    auth: Auth = field(repr=False)
    timeout: float = TIMEOUT_SECONDS
    requests_per_minute: int | None = None
    max_response_bytes: int = MAX_RESPONSE_BYTES
    file_hosts: tuple[str, ...] = ()

    @abstractmethod
    def paginator(self, filters: F) -> Paginator:
        """One pass over the list."""

    @abstractmethod
    def prediction(self, envelope: Any, raw: bytes) -> Prediction:
        """A record whose envelope is decoded."""

    @abstractmethod
    def split(self, body: bytes) -> list[Prediction]:
        """The rows of one answer of the list endpoint.

        :raises MalformedAnswerError: where it is not what the specification says.
        """

    def row(self, raw: bytes) -> Prediction:
        """One row of a list.

        :raises ValueError: where it is no JSON.
        """
        envelope, line = fields(raw, self.envelope), one_line(raw)
        return self.prediction(envelope, line) if envelope else _rejected(line)

    def rows(self, page: bytes) -> list[Prediction]:
        """The rows of an array.

        :raises ValueError: where it is none.
        """
        read = self.prediction
        return [
            read(envelope, raw) if envelope else _rejected(raw)
            for envelope, raw in records(page, self.envelope)
        ]

    def read_one(self, body: bytes, prediction_id: str | None = None) -> Prediction:
        """The record of an answer to ``one``.

        :param prediction_id: which one was asked for; None to take any.
        :raises MalformedAnswerError: where it is not that prediction.
        """
        with reading(self.title, body):
            prediction = self.row(whole(body))
            if prediction.fault:
                raise ValueError(prediction.fault)
            if prediction_id not in (None, prediction.id):
                what = "a prediction without an id" if prediction.is_unnamed else "another prediction"
                raise ValueError(f"{what} instead of {prediction_id}")
        return prediction

    def message(self, prediction: Prediction) -> str:
        """What a record says about its failure; empty where it says nothing, or nothing that can be read."""
        try:
            for path in self.messages:
                if found := reduce(_member, path, value(prediction.raw)):
                    text = "; ".join(map(str, found)) if isinstance(found, list) else str(found)
                    return " ".join(text.split())[:MAX_MESSAGE_LENGTH]
        except RecursionError:
            pass  # it was split by a thread whose stack was shorter
        return ""

    def one(self, prediction_id: str) -> PageRequest:
        """Ask for one prediction; its id may hold colons and slashes.

        :raises ConfigurationError: for what no id can be.
        """
        try:
            return PageRequest(f"{self.list_path}/{quote(checked_id(prediction_id), safe='')}")
        except ValueError as error:
            raise ConfigurationError(f"prediction_id: {error}") from None

    def refusal(self, status: int, message: str) -> type[PredictionsError] | None:
        """An error that only this service's meaning of a status tells; None for the common one."""
        return None

    def values_request(self, prediction: Prediction) -> PageRequest | None:
        """Where the values of a record are, if they are not in it.

        :raises UnusableFileError: where they are to be elsewhere, and the record does not say where.
        """
        return None

    def with_values(self, prediction: Prediction, body: bytes) -> Prediction:
        """The record with the answer to ``values_request`` in its place."""
        return prediction

    def url(self, request: PageRequest) -> str:
        """The whole URL of a request.

        :raises UnusableFileError: where the connection does not let a file be opened there.
        """
        if not request.is_file:
            return f"{self.base_url}/{request.path}"
        if self.trusts(request.path):
            return request.path
        # Plain http stays on this machine, where a service has no business unless the connection says so.
        if urlsplit(request.path).scheme != "https":
            raise UnusableFileError(f"{self.title} names a fileUrl that is not https://; it was not opened")
        # Whoever serves a file has none in this network either.
        if request.anonymous and is_private_url(request.path):
            raise UnusableFileError(
                f"A fileUrl of {self.title} redirects to a private address; it was not opened. "
                "If it may be, name the address in extra file_hosts of the connection"
            )
        return request.path

    def takes_token(self, request: PageRequest) -> bool:
        """Whether a request goes out with the bearer token."""
        return not request.anonymous and self.trusts(self.url(request))

    def trusts(self, url: str) -> bool:
        """Whether the bearer token may go to a URL."""
        return is_safe_url(url) and (
            origin(url) == origin(self.base_url) or urlsplit(url).hostname in self.file_hosts
        )


def _member(part: Any, name: str) -> Any:
    return part.get(name) if isinstance(part, dict) else None


def _rejected(raw: bytes) -> Prediction:
    return Prediction.rejected(raw, f"{kind(raw)} instead of an object")


@contextmanager
def reading(title: str, body: bytes, *, is_file: bool = False) -> Iterator[None]:
    """Say what is wrong with an answer that is not the JSON of the specification, without quoting it.

    :param is_file: whether it is one of values, which is not the service's own answer.
    """
    try:
        yield
    except (ValueError, LookupError, RecursionError) as error:
        who, what = ("The server", "values") if is_file else (title, "the specification")
        text = f"{who} sent {len(body)} bytes that are not the JSON of {what}: {error}"
        is_web_page = body.lstrip(AROUND)[:1] == b"<"
        if is_web_page:
            text += ". It looks like a web page"
            text += ", such as that of a login" if is_file else f": check {BASE_URL} of the connection"
        raise MalformedAnswerError(text, is_web_page=is_web_page) from None
