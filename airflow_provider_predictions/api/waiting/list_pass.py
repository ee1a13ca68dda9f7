"""Decide when a poll reads the list instead of single predictions, and how far."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from airflow_provider_predictions.api.errors import NoAnswerError, PredictionsError, TransientError
from airflow_provider_predictions.api.filters import Filters
from airflow_provider_predictions.api.limits import (
    MAX_FIRST_PAGE_ROWS,
    MAX_PAGE_BYTES,
    MAX_PAGE_SIZE,
    MAX_SINGLE_LOOKUPS,
    MIN_POLL_SECONDS,
)
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.waiting.decide import Wait
from airflow_provider_predictions.api.waiting.hidden_rows import HiddenRows

SHRINK_FACTOR = 4
"""After a page fails, the next one has this many times fewer rows."""
FADING = 0.8
"""Each poll that does not read the list shortens the remembered time of a slow page by this factor."""


@dataclass
class QueryHistory:
    """What the polls of a connection have learned about its list.

    :ivar list_end: the id of the list's last row.
    :ivar record_bytes: bytes of a record that was looked up by its id, a moving average.
    :ivar row_bytes: bytes of a row of the last page, on average.
    :ivar record_seconds: seconds of a lookup, a moving average.
    :ivar page_seconds: seconds of the last page.
    :ivar largest: rows of the largest page to request.
    :ivar finished: finished predictions that a wait needs, without their bytes. They are not requested again.
    :ivar hidden: unfinished predictions that the list no longer shows.
    """

    list_end: str = ""
    record_bytes: float = 0
    row_bytes: float = 0
    record_seconds: float = 0
    page_seconds: float = 0
    largest: int = MAX_PAGE_SIZE
    finished: dict[str, Prediction] = field(default_factory=dict)
    hidden: HiddenRows = field(default_factory=HiddenRows)

    def is_slow(self, ids: int) -> bool:
        """Whether a page takes longer than this many lookups. Before the first lookup, a slow page does."""
        return self.page_seconds > MIN_POLL_SECONDS and self.page_seconds > ids * self.record_seconds

    def begin(self, ids: int) -> None:
        """Forget a little, so that a later poll tries a list again that failed or was slow."""
        if self.largest <= MAX_SINGLE_LOOKUPS:
            self.largest *= 2
        if self.is_slow(ids):
            self.page_seconds *= FADING

    def add_lookup(self, size: int, seconds: float) -> None:
        self.record_bytes = ((self.record_bytes or size) + size) / 2
        self.record_seconds = ((self.record_seconds or seconds) + seconds) / 2


def rows_to_read(ids: int, history: QueryHistory) -> int:
    """Rows of the list to read instead of looking up each id; 0 to look up each id.

    A list holds whole records, so a page costs as many bytes as lookups of its rows. A few ids are looked up
    one by one. For more ids, pages save requests and cost no more bytes than lookups would. If the list is
    slow, the time decides.

    :param ids: how many are not answered yet.
    """
    if ids <= MAX_SINGLE_LOOKUPS or history.largest <= MAX_SINGLE_LOOKUPS or history.is_slow(ids):
        return 0
    known = history.row_bytes or history.record_bytes
    return int(ids * (history.record_bytes or known) / known) if known else min(ids, MAX_FIRST_PAGE_ROWS)


class WantedIds:
    """The ids that a poll looks for. It drops finished predictions from the history that no wait needs."""

    def __init__(self, service: Service[Any], waits: Sequence[Wait], history: QueryHistory) -> None:
        # A prediction with a status of fail_on is read each time, since the message quotes its record.
        reread = {wait.failing(service) for wait in waits} | {wait.waiting_statuses or () for wait in waits}
        self._final = service.terminal_statuses.difference(*reread)
        ids = {id_ for wait in waits for id_ in wait.prediction_ids or ()}
        self._finished = history.finished = {
            id_: found
            for id_, found in history.finished.items()
            if id_ in ids and found.status in self._final
        }
        self.known = Page(tuple(self._finished.values()), listed=False)
        self.missing = ids - self._finished.keys()

    def remove(self, page: Page) -> int:
        """Remove the ids that a page answers. Return how many."""
        found = self.missing.intersection(page.statuses)
        for id_ in found:
            if page.statuses[id_] in self._final:
                self._finished[id_] = msgspec.structs.replace(page.by_id[id_], raw=b"")
        self.missing -= found
        return len(found)


class ListPass:
    """The pages that a poll reads.

    :param filters: of the list. Their ``page_size`` limits each page.
    :param by_filters: whether to read all that the filters match. Otherwise only as many rows as pay off.
    """

    def __init__(
        self, service: Service[Any], filters: Filters, history: QueryHistory, *, by_filters: bool
    ) -> None:
        self._service = service
        self.filters = filters
        self._history = history
        self._may_grow = True
        self.target = None if by_filters else 0
        """Rows to read, from the start of the list; None for all that the filters match."""
        self.rows_read = 0
        """From the start of the list."""
        self._position = 0
        """Rows that the current paginator has read."""
        self.paginator: Any = None
        """None while no page is requested."""

    def start(self, ids: int) -> bool:
        """Read the list if that pays off for this many ids. Return whether it does."""
        if self.target is not None:
            rows = rows_to_read(ids, self._history)
            self.target = self.rows_read + rows
            if not rows:
                return False
        self._open(self._page_size())
        return True

    def _page_size(self) -> int:
        history, rows = self._history, MAX_PAGE_SIZE if self.target is None else self.target
        known = history.row_bytes or history.record_bytes
        by_bytes = int(MAX_PAGE_BYTES / known) if known else MAX_PAGE_SIZE
        return max(1, min(rows, self.filters.page_size or MAX_PAGE_SIZE, by_bytes, history.largest))

    def _open(self, size: int) -> None:
        self._position = 0
        self.paginator = self._service.paginator(self.filters.model_copy(update={"page_size": size}))
        self.paginator.list_end = self._history.list_end

    def advance(self, answer: Any, size: int, seconds: float, wanted: WantedIds) -> Page:
        """Return the records of a page of ``size`` bytes, and remove their ids from ``wanted``."""
        history, was_known = self._history, self._history.row_bytes or self._history.record_bytes
        page: Page = self.paginator.advance(answer)
        page_size = self.paginator.position.page_size
        history.page_seconds = seconds
        if rows := len(page.predictions):
            history.row_bytes = size / rows
        history.list_end = self.paginator.list_end
        # A page size that failed in a busy moment is tried again in a later poll.
        if self._may_grow:
            history.largest = min(MAX_PAGE_SIZE, max(history.largest, page_size * 2))
        self._position += max(rows, page_size)
        is_new, self.rows_read = self._position > self.rows_read, max(self._position, self.rows_read)
        found = wanted.remove(page)
        if is_new and self.target is not None:
            self._plan(self.target, found, len(wanted.missing), was_known=bool(was_known))
        return page

    def _plan(self, target: int, found: int, left: int, *, was_known: bool) -> None:
        """Continue, continue with larger pages, or end.

        :param found: ids that the page answered.
        :param left: ids that no page has answered.
        :param was_known: whether the size of a record was known before the page.
        """
        size = self.paginator.position.page_size
        answers_many = found > 1 and left > MAX_SINGLE_LOOKUPS and not self._history.is_slow(left)
        if answers_many and not was_known and not self.paginator.position.ended:
            # The first page was small, since the size of a record was unknown.
            self.target = self.rows_read + rows_to_read(left, self._history)
            if (larger := self._page_size()) > size:
                self._open(larger)
        elif not answers_many or target - self.rows_read < size:
            self.paginator.position.ended = True

    def on_error(self, error: PredictionsError, seconds: float, ids: int) -> None:
        """Continue in another way after a page failed with ``ids`` not answered yet, or raise the error."""
        if error.of_token:
            raise error
        if not error.asks_for_less:
            with suppress(PredictionsError):
                self.paginator.on_error(error)
                return
        history, size = self._history, self.paginator.position.page_size // SHRINK_FACTOR
        history.page_seconds = seconds
        is_slow = self.target is not None and history.is_slow(ids)
        helps = is_of_size(error) and size > MAX_SINGLE_LOOKUPS and not is_slow
        if self.target is not None or is_of_size(error):
            history.largest, self._may_grow = max(1, size), False
        # After a transient error, a poll by filters waits for the next interval.
        if helps and not (self.target is None and (self.rows_read or error.retryable)):
            self._open(size)
            return
        if helps and not error.retryable:
            raise TransientError(f"{error}. The next poll requests smaller pages", status=error.status)
        raise error


def is_of_size(error: PredictionsError) -> bool:
    """Whether a smaller page may work."""
    return error.asks_for_less or isinstance(error, NoAnswerError) or error.status in (408, 422)
