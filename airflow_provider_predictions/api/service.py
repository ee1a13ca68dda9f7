"""What a service module says of its API, and what every list has in common."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from typing import Any, ClassVar, Generic, Protocol, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from pydantic import BaseModel

from airflow_provider_predictions.api.arguments import Filters, checked_id, is_safe_url, origin
from airflow_provider_predictions.api.auth import Auth
from airflow_provider_predictions.api.errors import (
    LONGEST_MESSAGE,
    ConfigurationError,
    InvalidRequestError,
    MalformedAnswerError,
    PredictionsError,
    RefusedError,
)
from airflow_provider_predictions.api.frontier import Frontier
from airflow_provider_predictions.api.models import Column, Page, PageRequest, Prediction
from airflow_provider_predictions.api.rows import fields, kind, one_line, records, value, whole

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Filters)
MAX_RESPONSE_BYTES = 256 << 20
"""A page is in memory as a whole, and these services give no more than 1,000 rows a page."""
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
    record: ClassVar[type[BaseModel]]
    envelope: ClassVar[type[msgspec.Struct]]
    """The fields of a record that are read on the way to storage."""
    columns: ClassVar[tuple[Column, ...]]
    default_page_size: ClassVar[int]
    rate_limit_window: ClassVar[float]
    """Seconds over which the service counts requests."""

    base_url: str
    auth: Auth = field(repr=False)
    timeout: float = 60
    requests_per_minute: int | None = None
    max_response_bytes: int = MAX_RESPONSE_BYTES
    file_hosts: tuple[str, ...] = ()

    @abstractmethod
    def walk(self, filters: F) -> Walk:
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

    def read_one(self, body: bytes) -> Prediction:
        """The record of an answer to ``one``."""
        with reading(self.title, body):
            prediction = self.row(whole(body))
            if prediction.fault:
                raise ValueError(prediction.fault)
        return prediction

    def message(self, prediction: Prediction) -> str:
        """What a record says about its failure; empty where it says nothing."""
        for path in self.messages:
            if found := reduce(_member, path, value(prediction.raw)):
                text = "; ".join(map(str, found)) if isinstance(found, list) else str(found)
                return " ".join(text.split())[:LONGEST_MESSAGE]
        return ""

    def one(self, prediction_id: str) -> PageRequest:
        """Ask for one prediction; its id may hold colons and slashes.

        :raises ConfigurationError: for what no id can be.
        """
        try:
            return PageRequest(f"predictions/{quote(checked_id(prediction_id), safe='')}")
        except ValueError as error:
            raise ConfigurationError(f"prediction_id: {error}") from None

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
        # Plain http stays on this machine, where a service has no business unless the connection says so.
        if urlsplit(request.path).scheme != "https" and not self.trusts(request.path):
            raise InvalidRequestError(f"{self.title} names a fileUrl that is not https://; it was not opened")
        return request.path

    def trusts(self, url: str) -> bool:
        """Whether the bearer token may go to a URL."""
        return is_safe_url(url) and (
            origin(url) == origin(self.base_url) or urlsplit(url).hostname in self.file_hosts
        )


def _member(part: Any, name: str) -> Any:
    return part.get(name) if isinstance(part, dict) else None


def _rejected(raw: bytes) -> Prediction:
    return Prediction.rejected(raw, f"{kind(raw)} instead of an object")


class Asking(Protocol):
    """Something that is told by answers what to ask next. It does no I/O; a client moves it."""

    def ahead(self, count: int) -> list[PageRequest]:
        """The next request, and up to ``count - 1`` that will probably follow; none at the end."""

    def read(self, body: bytes) -> Any:
        """What an answer holds. Changes nothing, so the request can be repeated where it raises."""

    def take(self, answer: Any) -> Page:
        """What the answer to the next request adds."""

    def refuse(self, error: RefusedError) -> None:
        """Go on in another way where the next request was refused, or raise the error."""


class Walk(ABC):
    """One pass over a list that may change meanwhile.

    Every row is handed out once. While the rows come in order, the walk ends where the window does.
    """

    def __init__(self, service: Service[Any], filters: Filters) -> None:
        self.service = service
        self.filters = filters
        self.page_size = filters.page_size or service.default_page_size
        self.frontier = Frontier()
        self.ended = False
        self.list_end = ""
        """The id of the list's last row, where a pass has come so far, this one or one before."""
        self._left = filters.max_predictions

    @abstractmethod
    def ahead(self, count: int) -> list[PageRequest]:
        """The next request, and up to ``count - 1`` that will probably follow; none at the end."""

    @abstractmethod
    def read(self, body: bytes) -> Any:
        """What an answer holds."""

    @abstractmethod
    def take(self, answer: Any) -> Page:
        """What the answer to the next request adds."""

    def refuse(self, error: RefusedError) -> None:
        """Raise the error; a walk that knows better goes on."""
        raise error

    @property
    def doubt(self) -> str | None:
        """Why it cannot be proven that no row was missed; None where it can."""
        return None

    def position(self) -> dict[str, Any]:
        """Where the walk is, as JSON: what ``go_on`` needs in another process."""
        return {"page_size": self.page_size, "left": self._left, "ended": self.ended,
                "frontier": self.frontier.position()}  # fmt: skip

    def go_on(self, position: dict[str, Any], earlier: Callable[[], Iterable[str]]) -> None:
        """Go on from where another walk was.

        :param earlier: the ids that were handed out on the way there.
        """
        self.page_size, self._left, self.ended = position["page_size"], position["left"], position["ended"]
        self.frontier = Frontier.at(position["frontier"], earlier)

    def watch(self, times: Sequence[datetime | None]) -> bool:
        """Look at the creation times of neighbours; whether they just turned out to be in no order."""
        before = self.frontier.ordered
        self.frontier.watch(times)
        lost = before and not self.frontier.ordered
        if lost:
            log.warning("%s: the list does not come in the order of creation; reading all of it",
                        self.service.title)  # fmt: skip
        return lost

    def hand_out(self, rows: list[Prediction]) -> Page:
        """Of the rows of an answer, those that are new and wanted."""
        frontier = self.frontier
        fresh = frontier.pass_over(rows)
        rejected = tuple(row for row in fresh if row.fault is not None)
        records = fresh[: len(fresh) - len(rejected)]
        wanted = tuple(self.filters.choose(records))[: self._left]
        if rejected:
            log.warning("%s: %d rows of a page are no records", self.service.title, len(rejected))
        if self._left is not None:
            self._left -= len(wanted)
            self.ended = self.ended or self._left == 0
        if frontier.proven and frontier.last:
            past = self.filters.is_past(frontier.last, newest_first=frontier.newest_first)
            self.ended = self.ended or past
        return Page(wanted, duplicates=len(rows) - len(fresh), rejected=rejected)


@contextmanager
def reading(title: str, body: bytes) -> Iterator[None]:
    """Say what is wrong with an answer that is not the JSON of the specification, without quoting it."""
    try:
        yield
    except (ValueError, LookupError, RecursionError) as error:
        text = f"{title} sent {len(body)} bytes that are not the JSON of the specification: {error}"
        if body.lstrip()[:1] == b"<":
            text += f". It looks like a web page: check {BASE_URL} of the connection"
        raise MalformedAnswerError(text) from None
