"""What all paginators share: each row once, smaller pages after an error, and an end."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, NamedTuple, Protocol

import msgspec
from typing_extensions import override

from airflow_provider_predictions.api.errors import MalformedAnswerError, PredictionsError
from airflow_provider_predictions.api.filters import Filters
from airflow_provider_predictions.api.limits import MAX_EMPTY_PAGES, MAX_PAGES_WITHOUT_NEW_ROWS, MIN_PAGE_SIZE
from airflow_provider_predictions.api.models import GetRequest, ListEndpoint, Prediction
from airflow_provider_predictions.api.page import Observed, Page
from airflow_provider_predictions.api.pagination.seen import SeenRows
from airflow_provider_predictions.api.state import Versioned, dump, load
from airflow_provider_predictions.api.wording import counted

log = logging.getLogger(__name__)


class Proof(NamedTuple):
    """Whether a pass over a list returned every row.

    :param consistent: True if no row is missing, False if something went wrong, None if it cannot be known.
    :param reason: why it is not True.
    """

    consistent: bool | None
    reason: str | None = None


class RequestFlow(Protocol):
    """Decides the next request from the responses so far. A client sends the requests."""

    def next_requests(self, count: int) -> list[GetRequest]:
        """The next request, and up to ``count - 1`` that probably follow. Empty at the end."""

    def parse(self, body: bytes) -> Any:
        """Read a response without changing state, so that the request can be retried if this raises."""

    def advance(self, response: Any) -> Page:
        """Move on by the parsed response to the next request. Return what it adds."""

    def on_error(self, error: PredictionsError) -> None:
        """Find another way after the next request failed for good, or raise the error."""


class Position(Versioned, kw_only=True):
    """How far a pass has come.

    :ivar page_size: rows to request.
    :ivar left: records still wanted; None for all.
    :ivar ended: whether no request is left. Set it to stop early.
    """

    page_size: int
    left: int | None
    seen: SeenRows = msgspec.field(default_factory=SeenRows)
    ended: bool = False


@dataclass
class EndlessGuard:
    """Rejects a list that never ends. ``parameter`` is what chooses the page in a request."""

    title: str
    parameter: str
    _pages: float = 0
    _to_reread: int = 0

    def expect_again(self, rows: int) -> None:
        """Allow this many known rows, since the pass reads them again."""
        self._to_reread += rows

    def count_rows(self, *, new: int, known: int) -> None:
        if new:
            self._pages = 0
        elif known and self._to_reread > 0:
            self._to_reread -= known
        else:
            # A database that filters after reading, such as DynamoDB, sends empty pages with valid tokens.
            self.count_page(1 if known else MAX_PAGES_WITHOUT_NEW_ROWS / MAX_EMPTY_PAGES)

    def count_page(self, weight: float = 1) -> None:
        """Count a response without a new record.

        :raises MalformedAnswerError: after too many in a row.
        """
        self._pages += weight
        if self._pages >= MAX_PAGES_WITHOUT_NEW_ROWS:
            raise MalformedAnswerError(
                f"{self.title} sent {MAX_PAGES_WITHOUT_NEW_ROWS} pages or more without a new record: "
                f"it ignores {self.parameter}, or the list changes faster than it can be read"
            )


class Paginator(RequestFlow):
    """One pass over a list that may change meanwhile. It yields each row once.

    While rows come in order, the pass ends where the time window of the filters ends.
    """

    parameter: ClassVar[str]
    """The parameter of a request that chooses the page."""

    def __init__(self, endpoint: ListEndpoint[Any], filters: Filters, position: Position) -> None:
        self.endpoint = endpoint
        self.filters = filters
        self.list_end = ""
        """Id of the list's last row, if this pass or an earlier one reached it."""
        self.position = position
        self._guard = EndlessGuard(endpoint.title, self.parameter)

    @property
    @abstractmethod
    def proof(self) -> Proof:
        """Whether all matching rows up to the current position were yielded."""

    @property
    @abstractmethod
    def _asks_for_page(self) -> bool:
        """Whether the next request is for a page, not for a single row."""

    @override
    def parse(self, body: bytes) -> Any:
        return self.endpoint.parse(body)

    @override
    def on_error(self, error: PredictionsError) -> None:
        may_help = error.asks_for_less or (error.may_ask_for_less and self._shrinks)
        if not (self._asks_for_page and may_help):
            raise error
        size = self.position.page_size
        if not (self._shrinks and error.asks_for_less):
            named = copy(error)
            named.args = (f"{error}. The page had {size} rows; see page_size",)
            raise named
        self.position.page_size = smaller = max(MIN_PAGE_SIZE, size // 2)
        log.warning("%s. Requesting %d rows a page instead of %d (page_size)", error, smaller, size)

    @property
    def _shrinks(self) -> bool:
        return self.position.page_size > MIN_PAGE_SIZE

    def state(self) -> dict[str, Any]:
        """Return the position as JSON values, for ``restore`` in another process."""
        return dump(self.position)

    def restore(self, state: dict[str, Any] | None, earlier: Callable[[], Iterable[str]]) -> None:
        """Resume from the position of another paginator.

        :param earlier: returns the ids that were yielded up to there.
        :raises StateError: if the state is not a position in such a list.
        """
        self.position = load(state, type(self.position))
        self.position.seen.earlier = earlier

    def note_order(self, times: Sequence[datetime | None]) -> bool:
        """Note the creation times of neighbours. Return whether they break the list's order."""
        is_broken = self.position.seen.note_order(times)
        if is_broken:
            log.warning("%s: the list is not in the order of creation; reading all of it",
                        self.endpoint.title)  # fmt: skip
        return is_broken

    def new_rows(self, rows: Sequence[Prediction]) -> Page:
        """Return the rows of a response that are new and match the filters."""
        at = self.position
        fresh = at.seen.drop_known(rows)
        rejected, duplicates = fresh.rejected, len(rows) - len(fresh)
        records = fresh[: len(fresh) - len(rejected)]
        # Rejected rows have no ids, so nothing tells new ones from those that came before.
        self._guard.count_rows(new=len(records), known=duplicates + len(rejected))
        wanted = self.filters.choose(records)[: at.left]
        if rejected:
            count = counted(len(rejected), "row")
            log.warning("%s: a page has %s without a JSON object", self.endpoint.title, count)
        if at.left is not None:
            at.left -= len(wanted)
        at.ended = at.ended or at.left == 0 or self._is_past_window
        return Page(wanted, duplicates, rejected, Observed.of(records), ids=records.ids)

    @property
    def _is_past_window(self) -> bool:
        """Whether no later row can match, since the list is in order."""
        seen, is_past = self.position.seen, self.filters.is_past
        return bool(seen.proven and seen.last and is_past(seen.last, newest_first=seen.newest_first))

    def _page_request(self, params: dict[str, str | int], hidden: tuple[str, ...] = ()) -> GetRequest:
        shrinks = self._asks_for_page and self._shrinks
        return GetRequest(self.endpoint.path, {**self.endpoint.params, **params}, hidden, shrinks=shrinks)
