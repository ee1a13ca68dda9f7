"""What the passes over every list have in common: rows once, ends, and smaller pages."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from airflow_provider_predictions.api.errors import MalformedAnswerError, PredictionsError
from airflow_provider_predictions.api.filters import Filters
from airflow_provider_predictions.api.limits import MAX_PAGES_WITHOUT_NEW_ROWS, MIN_PAGE_SIZE
from airflow_provider_predictions.api.models import Page, PageRequest, Prediction
from airflow_provider_predictions.api.observed import Observed
from airflow_provider_predictions.api.pagination.seen import SeenRows
from airflow_provider_predictions.api.wording import counted

if TYPE_CHECKING:
    from airflow_provider_predictions.api.service import Service

log = logging.getLogger(__name__)

EMPTY_PAGES_AS_ONE = 10
"""So many empty pages count as one of known rows."""


class Proof(NamedTuple):
    """What is known of a pass over a list.

    :param consistent: True where it was shown that no row is missing, False where something was seen to be
        wrong, None where the service gives no way to know.
    :param reason: why it is not True.
    """

    consistent: bool | None
    reason: str | None = None


class RequestFlow(Protocol):
    """Something that is told by answers what to ask next. It does no I/O; a client moves it."""

    def next_requests(self, count: int) -> list[PageRequest]:
        """The next request, and up to ``count - 1`` that will probably follow; none at the end."""

    def read(self, body: bytes) -> Any:
        """What an answer holds. Changes nothing, so the request can be repeated where it raises."""

    def advance(self, answer: Any) -> Page:
        """What the answer to the next request adds."""

    def on_error(self, error: PredictionsError) -> None:
        """Go on in another way where the next request has failed for good, or raise the error."""


class Paginator(ABC):
    """One pass over a list that may change meanwhile.

    Every row is handed out once. While the rows come in order, the walk ends where the window does.
    """

    parameter: ClassVar[str]
    """Which parameter of a request chooses the page."""

    def __init__(self, service: Service[Any], filters: Filters) -> None:
        self.service = service
        self.filters = filters
        self.page_size = filters.page_size or service.default_page_size
        self.seen = SeenRows()
        self.ended = False
        self.is_past = False
        """Whether the rows behind the window were left out, since the list comes in order."""
        self.list_end = ""
        """The id of the list's last row, where a pass has come so far, this one or one before."""
        self._left = filters.max_predictions
        self._without_new_rows = 0.0
        """How far the last responses in a row were from a new row, in requests."""
        self._yielded = 0
        """How many rows of the list were."""
        self._to_reread = 0
        """So many rows that were handed out before are expected again."""

    @abstractmethod
    def next_requests(self, count: int) -> list[PageRequest]:
        """The next request, and up to ``count - 1`` that will probably follow; none at the end."""

    @abstractmethod
    def read(self, body: bytes) -> Any:
        """What an answer holds."""

    @abstractmethod
    def advance(self, answer: Any) -> Page:
        """What the answer to the next request adds."""

    def on_error(self, error: PredictionsError) -> None:
        """Ask for a smaller page where one was too much, or raise the error."""
        if not (self._asks_for_page and error.asks_for_less):
            raise error
        if not self._shrinks:
            text = f"{error}. It was a page of {self.page_size} rows; see page_size"
            raise type(error)(
                text, status=error.status, retry_after=error.retry_after, timed_out=error.timed_out
            )
        size, self.page_size = self.page_size, max(MIN_PAGE_SIZE, self.page_size // 2)
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
        return self.page_size > MIN_PAGE_SIZE

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
            self._without_new_rows = 0
        elif known and self._to_reread > 0:
            self._to_reread -= known
        else:
            # A database that filters what it has read (DynamoDB does) gives empty pages with good tokens.
            self._count_without_new_rows(1 if known else 1 / EMPTY_PAGES_AS_ONE)

    def _count_without_new_rows(self, requests: float = 1) -> None:
        self._without_new_rows += requests
        if self._without_new_rows >= MAX_PAGES_WITHOUT_NEW_ROWS:
            raise MalformedAnswerError(
                f"{self.service.title} sent {MAX_PAGES_WITHOUT_NEW_ROWS} pages or more without a new row: "
                f"it ignores {self.parameter}, or the list changes faster than it can be read"
            )

    def state(self) -> dict[str, Any]:
        """Where the walk is, as JSON: what ``restore`` needs in another process."""
        return {
            "page_size": self.page_size,
            "left": self._left,
            "yielded": self._yielded,
            "ended": self.ended,
            "is_past": self.is_past,
            "seen": self.seen.state(),
        }

    def restore(self, state: dict[str, Any], earlier: Callable[[], Iterable[str]]) -> None:
        """Go on from where another walk was.

        :param earlier: the ids that were handed out on the way there.
        """
        self.page_size, self._left = state["page_size"], state["left"]
        self._yielded = state["yielded"]
        self.ended, self.is_past = state["ended"], state["is_past"]
        self.seen = SeenRows.at(state["seen"], earlier)

    def watch(self, times: Sequence[datetime | None]) -> bool:
        """Look at the creation times of neighbours; whether they just turned out to be in no order."""
        before = self.seen.ordered
        self.seen.watch(times)
        lost = before and not self.seen.ordered
        if lost:
            log.warning("%s: the list does not come in the order of creation; reading all of it",
                        self.service.title)  # fmt: skip
        return lost

    def new_rows(self, rows: list[Prediction]) -> Page:
        """Of the rows of an answer, those that are new and wanted."""
        seen = self.seen
        fresh = seen.drop_known(rows)
        self._yielded += len(fresh)
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
        if seen.proven and seen.last:
            past = self.filters.is_past(seen.last, newest_first=seen.newest_first)
            self.is_past = past
            self.ended = self.ended or past
        return Page(wanted, len(rows) - len(fresh), rejected, Observed.of(records))
