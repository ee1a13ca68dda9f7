"""What a service module says of its API, and what every list has in common."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from pydantic import BaseModel

from airflow_provider_predictions.api.arguments import (
    Filters,
    checked_id,
    is_private_url,
    is_safe_url,
    origin,
)
from airflow_provider_predictions.api.auth import Auth
from airflow_provider_predictions.api.errors import (
    LONGEST_MESSAGE,
    ConfigurationError,
    MalformedAnswerError,
    PredictionsError,
    UnusableFileError,
)
from airflow_provider_predictions.api.frontier import Frontier
from airflow_provider_predictions.api.met import Met
from airflow_provider_predictions.api.models import Column, Page, PageRequest, Prediction
from airflow_provider_predictions.api.rows import fields, kind, one_line, records, value, whole
from airflow_provider_predictions.api.wording import counted

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Filters)
LEAST_PAGE = 10
"""A page that is too large or too slow is not made smaller than so many rows."""
MOST_BARREN = 100
"""Responses in a row that bring no new row, after which a list is taken for one without an end."""
EMPTY_PAGES = 10
"""So many empty pages count as one of known rows."""
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


class Proof(NamedTuple):
    """What is known of a pass over a list.

    :param consistent: True where it was shown that no row is missing, False where something was seen to be
        wrong, None where the service gives no way to know.
    :param reason: why it is not True.
    """

    consistent: bool | None
    reason: str | None = None


class Asking(Protocol):
    """Something that is told by answers what to ask next. It does no I/O; a client moves it."""

    def ahead(self, count: int) -> list[PageRequest]:
        """The next request, and up to ``count - 1`` that will probably follow; none at the end."""

    def read(self, body: bytes) -> Any:
        """What an answer holds. Changes nothing, so the request can be repeated where it raises."""

    def take(self, answer: Any) -> Page:
        """What the answer to the next request adds."""

    def refuse(self, error: PredictionsError) -> None:
        """Go on in another way where the next request has failed for good, or raise the error."""


class Walk(ABC):
    """One pass over a list that may change meanwhile.

    Every row is handed out once. While the rows come in order, the walk ends where the window does.
    """

    parameter: ClassVar[str]
    """Which parameter of a request chooses the page."""

    def __init__(self, service: Service[Any], filters: Filters) -> None:
        self.service = service
        self.filters = filters
        self.page_size = filters.page_size or service.default_page_size
        self.frontier = Frontier()
        self.ended = False
        self.is_past = False
        """Whether the rows behind the window were left out, since the list comes in order."""
        self.list_end = ""
        """The id of the list's last row, where a pass has come so far, this one or one before."""
        self._left = filters.max_predictions
        self._barren = 0.0
        """How far the last responses in a row were from a new row, in requests."""
        self._handed_out = 0
        """How many rows of the list were."""
        self._to_reread = 0
        """So many rows that were handed out before are expected again."""

    @abstractmethod
    def ahead(self, count: int) -> list[PageRequest]:
        """The next request, and up to ``count - 1`` that will probably follow; none at the end."""

    @abstractmethod
    def read(self, body: bytes) -> Any:
        """What an answer holds."""

    @abstractmethod
    def take(self, answer: Any) -> Page:
        """What the answer to the next request adds."""

    def refuse(self, error: PredictionsError) -> None:
        """Ask for a smaller page where one was too much, or raise the error."""
        if not (self._asks_for_page and error.asks_for_less):
            raise error
        if not self._shrinks:
            text = f"{error}. It was a page of {self.page_size} rows; see page_size"
            raise type(error)(
                text, status=error.status, retry_after=error.retry_after, timed_out=error.timed_out
            )
        size, self.page_size = self.page_size, max(LEAST_PAGE, self.page_size // 2)
        log.warning("%s. Asking for %d rows a page instead of %d (page_size)", error, self.page_size, size)

    @property
    @abstractmethod
    def proof(self) -> Proof:
        """Whether all rows that match were handed out, as far as the pass has come."""

    @property
    @abstractmethod
    def _asks_for_page(self) -> bool:
        """Whether the next request is for a page to be handed out."""

    @property
    def _shrinks(self) -> bool:
        return self.page_size > LEAST_PAGE

    def _page_request(self, params: dict[str, str | int], hidden: tuple[str, ...] = ()) -> PageRequest:
        shrinks = self._asks_for_page and self._shrinks
        return PageRequest(self.service.list_path, params, hidden, shrinks=shrinks)

    def _refuse_endless(self, *, fresh: int, known: int) -> None:
        """Refuse a list that has no end.

        :param fresh: how many rows of a response are new.
        :param known: how many are not.
        :raises MalformedAnswerError: after too many responses in a row without a new one.
        """
        if fresh:
            self._barren = 0
        elif known and self._to_reread > 0:
            self._to_reread -= known
        else:
            # A database that filters what it has read (DynamoDB does) gives empty pages with good tokens.
            self._count_barren(1 if known else 1 / EMPTY_PAGES)

    def _count_barren(self, requests: float = 1) -> None:
        self._barren += requests
        if self._barren >= MOST_BARREN:
            raise MalformedAnswerError(
                f"{self.service.title} sent {MOST_BARREN} pages or more without a new row: it ignores "
                f"{self.parameter}, or the list changes faster than it can be read"
            )

    def position(self) -> dict[str, Any]:
        """Where the walk is, as JSON: what ``go_on`` needs in another process."""
        return {
            "page_size": self.page_size,
            "left": self._left,
            "handed_out": self._handed_out,
            "ended": self.ended,
            "is_past": self.is_past,
            "frontier": self.frontier.position(),
        }

    def go_on(self, position: dict[str, Any], earlier: Callable[[], Iterable[str]]) -> None:
        """Go on from where another walk was.

        :param earlier: the ids that were handed out on the way there.
        """
        self.page_size, self._left = position["page_size"], position["left"]
        self._handed_out = position["handed_out"]
        self.ended, self.is_past = position["ended"], position["is_past"]
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
        self._handed_out += len(fresh)
        self._refuse_endless(fresh=len(fresh), known=len(rows) - len(fresh))
        rejected = tuple(row for row in fresh if row.fault is not None)
        records = fresh[: len(fresh) - len(rejected)]
        wanted = tuple(self.filters.choose(records))[: self._left]
        if rejected:
            log.warning(
                "%s: a page has %s that are no records", self.service.title, counted(len(rejected), "row")
            )
        if self._left is not None:
            self._left -= len(wanted)
            self.ended = self.ended or self._left == 0
        if frontier.proven and frontier.last:
            past = self.filters.is_past(frontier.last, newest_first=frontier.newest_first)
            self.is_past = past
            self.ended = self.ended or past
        return Page(wanted, len(rows) - len(fresh), rejected, Met.of(records))


@contextmanager
def reading(title: str, body: bytes) -> Iterator[None]:
    """Say what is wrong with an answer that is not the JSON of the specification, without quoting it."""
    try:
        yield
    except (ValueError, LookupError, RecursionError) as error:
        text = f"{title} sent {len(body)} bytes that are not the JSON of the specification: {error}"
        is_web_page = body.lstrip()[:1] == b"<"
        if is_web_page:
            text += f". It looks like a web page: check {BASE_URL} of the connection"
        raise MalformedAnswerError(text, is_web_page=is_web_page) from None
