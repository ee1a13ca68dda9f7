"""What a service module says of its API, and what every list has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, Protocol, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from pydantic import BaseModel

from airflow_provider_predictions.api.arguments import Filters, is_safe_url
from airflow_provider_predictions.api.auth import Auth
from airflow_provider_predictions.api.errors import (
    InvalidRequestError,
    MalformedAnswerError,
    PredictionsError,
)
from airflow_provider_predictions.api.models import Page, PageRequest, Prediction

_Shape = TypeVar("_Shape")
F = TypeVar("F", bound=Filters)


@dataclass(frozen=True)
class Service(ABC, Generic[F]):
    """One API, as pure functions from what is wanted to requests, and from answers to records.

    :param base_url: without a trailing slash.
    :param auth: where the bearer token comes from.
    :param timeout: seconds for each of connecting, sending and each read.
    :param requests_per_minute: None for no limit.
    :param file_hosts: hosts beside the base URL's that get the bearer token.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    credential_fields: ClassVar[str]
    """The connection fields to look at when the service refuses the credentials."""
    terminal_statuses: ClassVar[frozenset[str]]
    """Statuses that a prediction does not leave; every other one, known or not, is waited for."""
    filters: ClassVar[type[Filters]]
    record: ClassVar[type[BaseModel]]
    default_page_size: ClassVar[int]

    base_url: str
    auth: Auth = field(repr=False)
    timeout: float = 60
    requests_per_minute: int | None = None
    file_hosts: tuple[str, ...] = ()

    @abstractmethod
    def walk(self, filters: F) -> Walk:
        """One pass over the list."""

    @abstractmethod
    def split(self, body: bytes) -> list[Prediction]:
        """The records of one answer of the list endpoint.

        :raises MalformedAnswerError: where it is not what the specification says.
        """

    @abstractmethod
    def read_one(self, body: bytes) -> Prediction:
        """The record of an answer to ``one``."""

    def one(self, prediction_id: str) -> PageRequest:
        """Ask for one prediction; its id may hold colons and slashes."""
        return PageRequest(f"predictions/{quote(prediction_id, safe='')}")

    def refusal(self, status: int, message: str) -> type[PredictionsError] | None:
        """An error that only this service's meaning of a status tells; None for the common one."""
        return None

    def values_request(self, prediction: Prediction) -> PageRequest | None:
        """Where the values of a record are, if they are not in it."""
        return None

    def with_values(self, prediction: Prediction, body: bytes) -> Prediction:
        """The record with the answer to ``values_request`` in its place."""
        return prediction

    def url(self, request: PageRequest) -> str:
        """The whole URL of a request."""
        if not urlsplit(request.path).scheme:
            return f"{self.base_url}/{request.path}"
        if not is_safe_url(request.path):
            raise InvalidRequestError(f"{self.title} names a fileUrl that is not https://; it was not opened")
        return request.path

    def trusts(self, url: str) -> bool:
        """Whether the bearer token may go to a URL."""
        host = urlsplit(url).hostname
        return is_safe_url(url) and (host == urlsplit(self.base_url).hostname or host in self.file_hosts)


class Asking(Protocol):
    """Something that is told by answers what to ask next. It does no I/O; a client moves it."""

    def ask(self) -> PageRequest | None:
        """The next request; None at the end."""

    def take(self, body: bytes) -> Page:
        """What an answer adds. Raises before anything has changed, so the request can be repeated."""


class Walk(ABC):
    """One pass over a list that may change meanwhile.

    Every row is handed out once. While the rows come newest first, the walk ends where the window does.
    """

    def __init__(self, service: Service[Any], filters: Filters) -> None:
        self.service = service
        self.filters = filters
        self.page_size = filters.page_size or service.default_page_size
        self.ended = False
        self._left = filters.max_predictions
        # Hashes: a set of the ids themselves is twice the size.
        self._seen: set[int] = set()
        self._last: datetime | None = None
        self._falls = self._rises = False

    @abstractmethod
    def ask(self) -> PageRequest | None:
        """The next request; None at the end."""

    @abstractmethod
    def take(self, body: bytes) -> Page:
        """What an answer adds."""

    def knows(self, row: Prediction) -> bool:
        """Whether a row was handed out before."""
        return hash(row.id) in self._seen

    def hand_out(self, rows: list[Prediction]) -> Page:
        """Of the rows of an answer, those that are new and wanted."""
        fresh = []
        for row in rows:
            if not self.knows(row):
                self._seen.add(hash(row.id))
                self._watch_order(row.created_at)
                fresh.append(row)
        wanted = tuple(filter(self.filters.admits, fresh))[: self._left]
        if self._left is not None:
            self._left -= len(wanted)
            self.ended = self.ended or self._left == 0
        newest_first = self._falls and not self._rises
        if newest_first and self._last and self.filters.is_past(self._last):
            self.ended = True
        return Page(wanted, duplicates=len(rows) - len(fresh))

    def _watch_order(self, created: datetime | None) -> None:
        """Note whether creation times were seen to fall, and never to rise; no order is assumed."""
        if created is None:
            self._rises = True
        elif self._last:
            self._falls = self._falls or created < self._last
            self._rises = self._rises or created > self._last
        self._last = created


class Lookup:
    """The newest state of given predictions.

    One page of the list answers many; what it does not show is asked one by one.
    """

    def __init__(self, service: Service[Any], ids: Collection[str]) -> None:
        self.service = service
        self._missing = set(ids)
        self._list = service.walk(service.filters()) if len(self._missing) > 1 else None

    def ask(self) -> PageRequest | None:
        """The list's first page, then what it did not show."""
        if self._list:
            return self._list.ask()
        return self.service.one(min(self._missing)) if self._missing else None

    def take(self, body: bytes) -> Page:
        """Those of the answer's records that are looked for."""
        if self._list is None:
            found: tuple[Prediction, ...] = (self.service.read_one(body),)
            self._missing.remove(min(self._missing))
        else:
            found = tuple(row for row in self.service.split(body) if row.id in self._missing)
            self._missing -= {row.id for row in found}
            self._list = None
        return Page(found)


def split_rows(title: str, rows: list[msgspec.Raw], row_type: type[Any]) -> Iterator[tuple[Any, bytes]]:
    """Decode the envelope of each row beside its bytes."""
    decode = msgspec.json.Decoder(row_type).decode
    for index, row in enumerate(rows):
        try:
            yield decode(row), bytes(row)
        except msgspec.DecodeError as error:
            raise MalformedAnswerError(f"{title}: row {index} of the page is no record: {error}") from None


def decoded(title: str, body: bytes, shape: type[_Shape]) -> _Shape:
    """Decode an answer into the shape that the specification gives it."""
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.DecodeError as error:
        raise MalformedAnswerError(
            f"{title} sent {len(body)} bytes that are not the JSON of the specification: {error}"
        ) from None
