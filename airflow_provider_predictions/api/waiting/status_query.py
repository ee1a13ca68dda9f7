"""The requests of one poll, which answers all waits of a connection."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from airflow_provider_predictions.api.errors import (
    AuthenticationError,
    NoAnswerError,
    NotFoundError,
    PredictionsError,
    QuotaExceededError,
    RateLimitedError,
    TransientError,
)
from airflow_provider_predictions.api.filters import Filters
from airflow_provider_predictions.api.limits import (
    MAX_FAILED_LOOKUPS,
    MAX_PAGE_BYTES,
    MAX_ROWS_PER_PAGE,
    MAX_SINGLE_LOOKUPS,
)
from airflow_provider_predictions.api.models import Page, Prediction
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.waiting.decide import Wait

FIRST_PAGE_ROWS = 25
"""Rows of a page while the size of a record is not known: of 300 KB each, as many bytes as the bound."""
ListKey = tuple[object, ...]
SHRINK_FACTOR = 4
"""A page that fails is asked for again with so many times fewer rows."""
SLOW_PAGE = 5.0
"""Seconds: as long as the shortest interval of a wait. A faster page is never too slow."""
FADING = 0.8
"""By so much the time of a slow page counts less with each poll that asks for none."""


@dataclass
class QueryHistory:
    """What the polls of a connection have learned, each from those before it.

    :ivar list_end: the id of the list's last row.
    :ivar record_bytes: of a record that was asked for by its id, the newest counting most.
    :ivar row_bytes: of a row of the last page, on average.
    :ivar record_seconds: that such a record took, the newest counting most.
    :ivar page_seconds: that the last page took.
    :ivar largest: rows of a page that the service is known to manage.
    :ivar finished: what is waited for and does not change any more, without its record. It is not asked for
        again.
    """

    list_end: str = ""
    record_bytes: float = 0
    row_bytes: float = 0
    record_seconds: float = 0
    page_seconds: float = 0
    largest: int = MAX_ROWS_PER_PAGE
    finished: dict[str, Prediction] = field(default_factory=dict)

    def is_slow(self, ids: int) -> bool:
        """Whether a page takes longer than asking for each id; while that is not known, it does.

        :param ids: how many are not answered yet.
        """
        return self.page_seconds > SLOW_PAGE and self.page_seconds > ids * self.record_seconds


def rows_to_read(ids: int, history: QueryHistory) -> int:
    """Rows of the list to read instead of asking for each id; 0 to ask for each id.

    A list holds whole records, so a page costs what as many single requests cost. A few ids are asked for one
    by one. For more of them the rate limit counts: a page saves requests, and has no more bytes than asking
    for each id would. Where the list is slow, time counts.

    :param ids: how many are not answered yet.
    """
    if ids <= MAX_SINGLE_LOOKUPS or history.largest <= MAX_SINGLE_LOOKUPS or history.is_slow(ids):
        return 0
    known = history.row_bytes or history.record_bytes
    return int(ids * (history.record_bytes or known) / known) if known else min(ids, FIRST_PAGE_ROWS)


class StatusQuery:
    """One look at all that is waited for.

    A few ids are asked for one by one, in any order. For more, pages of the list are read first, while they
    answer more than one id each and cost no more bytes than single requests. Waits by filters are answered by
    one pass, through filters that are as wide as all of them. Where the list fails or is slow, ids are asked
    for one by one.

    :param waits: which differ from each other.
    :param learned: by the polls before; this one adds to it.
    """

    def __init__(
        self, service: Service[Any], waits: Sequence[Wait], history: QueryHistory | None = None
    ) -> None:
        self.service = service
        self.history = history = history or QueryHistory()
        given = [size for size in (wait.filters.get("page_size") for wait in waits) if size]
        self._given = min(map(int, given), default=MAX_ROWS_PER_PAGE)
        filters = [found for found in (wait.list_filters(service) for wait in waits) if found]
        self._filters = widened(service, filters) if filters else None
        ids = {id_ for wait in waits for id_ in wait.prediction_ids or ()}
        # A failed one ends its wait with what its record says, so it is read each time.
        asked_again = {s for wait in waits for s in (*wait.fail_on, *(wait.waiting_statuses or ()))}
        self._final = service.terminal_statuses - asked_again
        history.finished = {
            id_: found
            for id_, found in history.finished.items()
            if id_ in ids and found.status in self._final
        }
        self.known = Page(tuple(history.finished.values()), listed=False)
        """Predictions that an earlier poll has seen to be finished."""
        self._missing = ids - history.finished.keys()
        if history.largest <= MAX_SINGLE_LOOKUPS:
            # A page is tried again some polls after one has failed that was as small,
            history.largest *= 2
        if history.is_slow(len(self._missing)):
            # or was slow.
            history.page_seconds *= FADING
        self._rows_left = 0 if filters else rows_to_read(len(self._missing), history)
        self._failed: dict[str, PredictionsError] = {}
        self._list_error: PredictionsError | None = None
        self.put_off_by: PredictionsError | None = None
        """Why this poll has stopped before its end: the service asks for time."""
        self._answered = False
        self._pages = 0
        self._place = self._furthest = 0
        """How many rows of the list were read with pages of this size, and with pages of any size."""
        self._has_shrunk = False
        self._one_by_one: list[str] | None = None
        self._compares = False
        """Whether the next single request shows if the list is slow beside it."""
        self._paginator: Any = None
        self._asked_at = 0.0
        if self._filters or self._rows_left:
            self._begin(self._first_size())
        else:
            self._ask_one_by_one()

    def _first_size(self) -> int:
        known = self.history.row_bytes or self.history.record_bytes
        by_bytes = int(MAX_PAGE_BYTES / known) if known else MAX_ROWS_PER_PAGE
        size = self._furthest + self._rows_left
        if self._filters:
            size = self._filters.page_size or self.service.default_page_size
        return max(1, min(size, self._given, by_bytes, self.history.largest))

    def _begin(self, size: int) -> None:
        filters = self._filters or self.service.filters()
        self._size, self._place = size, 0
        self._paginator = self.service.paginator(filters.model_copy(update={"page_size": size}))
        self._paginator.list_end = self.history.list_end

    def _ask_one_by_one(self) -> None:
        self._one_by_one = random.sample([*self._missing], len(self._missing))
        is_unknown = not (self._filters or self.history.record_seconds)
        self._compares = is_unknown and self.history.is_slow(len(self._missing))

    def _compare(self) -> None:
        """Read the list after all, where the first single request shows that it is the quicker way."""
        self._compares = False
        self._rows_left = rows_to_read(len(self._missing), self.history)
        if self._rows_left:
            self._one_by_one = None
            self._begin(self._first_size())

    def next_requests(self, count: int) -> list[Any]:
        """The next page of the list, or what no page has shown."""
        self._asked_at = time.monotonic()
        if self._one_by_one is None:
            if requests := self._paginator.next_requests(1):
                return list(requests)
            self._ask_one_by_one()
        left = self._one_by_one or []
        return [self.service.one(id_) for id_ in left[-count:][::-1]]

    def read(self, body: bytes) -> Any:
        """What an answer holds, and its bytes."""
        if self._one_by_one is None:
            return self._paginator.read(body), len(body)
        return self.service.read_one(body, self._one_by_one[-1]), len(body)

    def advance(self, answer: Any) -> Page:
        """The records of an answer."""
        found, size = answer
        self._answered = True
        if self._one_by_one is not None:
            self._one_by_one.pop()
            history, seconds = self.history, self._seconds
            history.record_bytes = (history.record_bytes or size) * 0.5 + size * 0.5
            history.record_seconds = (history.record_seconds or seconds) * 0.5 + seconds * 0.5
            page = Page((found,), listed=False)
        else:
            page = self._paginator.advance(found)
            self._taken(page, size)
        for id_ in self._missing.intersection(page.by_id):
            if page.by_id[id_].status in self._final:
                self.history.finished[id_] = msgspec.structs.replace(page.by_id[id_], raw=b"")
        self._missing -= page.by_id.keys()
        if self._compares and self._one_by_one is not None:
            self._compare()
        return page

    @property
    def _seconds(self) -> float:
        """How long the last request took, with its wait for the rate limit."""
        return time.monotonic() - self._asked_at

    def _taken(self, page: Page, size: int) -> None:
        rows, history = len(page.predictions), self.history
        was_known = history.row_bytes or history.record_bytes
        self._pages += 1
        history.page_seconds = self._seconds
        if rows:
            history.row_bytes = size / rows
        history.list_end = self._paginator.list_end
        # What a busy moment has made smaller grows again.
        if not self._has_shrunk:
            history.largest = min(MAX_ROWS_PER_PAGE, max(history.largest, self._size * 2))
        if self._filters:
            return
        self._place += max(rows, self._size)
        unread, self._furthest = self._place - self._furthest, max(self._place, self._furthest)
        if unread <= 0:
            return
        self._rows_left -= unread
        left = len(self._missing) - len(self._missing.intersection(page.by_id))
        answers_many = (
            len(self._missing) - left > 1 and left > MAX_SINGLE_LOOKUPS and not history.is_slow(left)
        )
        if answers_many and not was_known and not self._paginator.ended:
            # The first page was small, since nothing was known.
            self._rows_left = rows_to_read(left, history)
            if (size := self._first_size()) > self._size:
                self._begin(size)
            return
        is_worth_it = answers_many and self._rows_left >= self._size
        self._paginator.ended = self._paginator.ended or not is_worth_it

    def on_error(self, error: PredictionsError) -> None:
        """Go on without what was refused, or has failed, or raise the error."""
        if not self._goes_on_without(error):
            raise error

    def _goes_on_without(self, error: PredictionsError) -> bool:
        """Whether there is more to ask, though the service has failed to answer the last request."""
        if isinstance(error, QuotaExceededError) or error.status == 401:
            return False
        if isinstance(error, RateLimitedError) or error.retry_after:
            return self._stop(error)
        if self._one_by_one is None:
            return self._without_page(error)
        if isinstance(error, AuthenticationError) and not self._answered and self._list_error:
            return False
        id_ = self._one_by_one.pop()
        if isinstance(error, NotFoundError):
            return True
        self._failed[id_] = error
        if sum(is_of_all(failed) for failed in self._failed.values()) >= MAX_FAILED_LOOKUPS:
            self._failed |= dict.fromkeys(self._one_by_one, error)
            self._one_by_one.clear()
        return True

    def _stop(self, error: PredictionsError) -> bool:
        """Tell those who are answered; the others are asked for in the next poll, which comes later."""
        self.put_off_by = error
        if self._one_by_one is None:
            self._list_error = error
        else:
            # Fewer requests are worth more now than faster ones.
            self.history.page_seconds = 0
        self._failed |= dict.fromkeys(self._missing, error)
        self._one_by_one = []
        return self._answered or bool(self.known.predictions)

    def _without_page(self, error: PredictionsError) -> bool:
        """Ask for a smaller page, where that may help, or for each id."""
        if self._goes_on(error):
            return True
        size, self.history.page_seconds = self._size // SHRINK_FACTOR, self._seconds
        is_slow = not self._filters and self.history.is_slow(len(self._missing))
        helps = is_of_size(error) and size > MAX_SINGLE_LOOKUPS and not is_slow
        if self._filters is None or is_of_size(error):
            self.history.largest, self._has_shrunk = max(1, size), True
        # For a passing reason, a poll by filters is not repeated before the next interval.
        if helps and not (self._filters and (self._pages or error.retryable)):
            self._begin(size)
            return True
        if helps and self._filters and not error.retryable:
            error = TransientError(f"{error}. The next poll asks for smaller pages", status=error.status)
        self._list_error = error
        self._ask_one_by_one()
        if self._filters and not self._missing:
            raise error
        return True

    def _goes_on(self, error: PredictionsError) -> bool:
        """Whether the pass over the list knows another way than a smaller page."""
        if error.asks_for_less:
            return False
        try:
            self._paginator.on_error(error)
        except PredictionsError:
            return False
        return True

    def error_of(self, wait: Wait) -> PredictionsError | None:
        """Why this wait is not answered, where only predictions that it waits for are the reason."""
        if wait.prediction_ids is None:
            return self._list_error
        if isinstance(self._list_error, NotFoundError) and not self._answered:
            return self._list_error
        return next((self._failed[id_] for id_ in wait.prediction_ids if id_ in self._failed), None)


def is_of_size(error: PredictionsError) -> bool:
    """Whether a smaller page may be answered."""
    return error.asks_for_less or isinstance(error, NoAnswerError) or error.status in (408, 422)


def is_of_connection(error: PredictionsError) -> bool:
    """Whether the service would say the same to every other request of these credentials, at this moment."""
    is_refused = isinstance(error, QuotaExceededError | RateLimitedError) or error.status == 401
    return is_refused or isinstance(error, NoAnswerError) or error.retry_after is not None


def is_of_all(error: PredictionsError) -> bool:
    """Whether an error of one prediction is likely to be that of every other."""
    return error.retryable or isinstance(error, AuthenticationError)


def widened(service: Service[Any], filters: Sequence[Filters]) -> Filters:
    """Filters that let everything pass that any of these does, and as little else as possible.

    :param filters: of one list, as :func:`list_of` says.
    """
    first, *others = filters
    if all(other == first for other in others):
        return first
    starts = [found.created_after for found in filters]
    ends = [found.created_before for found in filters]
    return service.filters(
        created_after=None if None in starts else min(time for time in starts if time),
        created_before=None if None in ends else max(time for time in ends if time),
        **{name: getattr(first, name) for name in _of_list(service)},
    )


def list_of(service: Service[Any], wait: Wait) -> ListKey:
    """Equal for waits by filters that one pass over the list can answer.

    A filter that the service applies and the order make another list. So does a number of predictions: which
    are the first ones depends on where the pass begins. All other filters are applied here. Waits for ids are
    answered by the whole list.
    """
    filters = wait.filters if wait.prediction_ids is None else {}
    if filters.get("max_predictions") is not None:
        return (wait.model_dump_json(include={"filters"}),)
    return tuple(filters.get(name) for name in _of_list(service))


def _of_list(service: Service[Any]) -> list[str]:
    return [name for name in (*service.server_filters, "order") if name in service.filters.model_fields]
