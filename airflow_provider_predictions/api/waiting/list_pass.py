"""Decide when a poll reads the list instead of single predictions, and how far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from airflow_provider_predictions.api.errors import NoAnswerError, PredictionsError
from airflow_provider_predictions.api.filters import Filters
from airflow_provider_predictions.api.limits import MAX_SINGLE_LOOKUPS, MIN_PAGE_SIZE
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.waiting.decide import Wait
from airflow_provider_predictions.api.waiting.query_history import (
    QueryHistory,
    rows_of_a_lookup,
    rows_to_read,
)

DEPTH_MARGIN = 1.25
"""The first page has this many times the rows that the last pass needed, since new rows come in front."""


class WantedIds:
    """The ids that a poll looks for. It drops finished predictions from the history that no wait needs."""

    def __init__(self, service: Service[Any], waits: Sequence[Wait], history: QueryHistory) -> None:
        # A prediction with a status of fail_on is read each time, since the message quotes its record.
        reread = {wait.failing(service) for wait in waits} | {wait.waiting_statuses or () for wait in waits}
        self._history = history
        self._final = service.terminal_statuses.difference(*reread)
        ids = {id_ for wait in waits for id_ in wait.prediction_ids or ()}
        self._finished = history.finished = {
            id_: found
            for id_, found in history.finished.items()
            if id_ in ids and found.status in self._final
        }
        self.known = Page(tuple(self._finished.values()), listed=False)
        self.missing = ids - self._finished.keys()

    @property
    def near(self) -> int:
        """How many missing ids a page may show."""
        return self._history.near(self.missing)

    def remove(self, page: Page) -> set[str]:
        """Remove the ids that a page answers, and return them."""
        found = self.missing.intersection(page.statuses)
        for id_ in found:
            if page.statuses[id_] in self._final:
                self._finished[id_] = msgspec.structs.replace(page.by_id[id_], raw=b"")
        self.missing -= found
        if page.listed:
            self._history.take_turn(found, is_far=False)
        return found


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
        self.by_filters = by_filters
        self.paginator: Any = None
        """None while no page is requested."""
        self._pass: Any = None
        """The paginator, also while single ids are requested."""
        self.is_over = False
        """Whether no further page would pay off, for ids that the pages did not show."""
        self._rows = self._found = 0
        self._debt = 0.0
        """Rows that were read in vain. Each id that a page answers makes up for some."""
        self._largest_answered = 0
        self._failed = 0
        """Rows of the last page that failed, until something else is answered."""
        self._failed_seconds = 0.0
        self._is_interrupted = False
        """Whether the last page failed for a reason that may be over soon."""
        self._may_resume = True

    @property
    def has_window(self) -> bool:
        """Whether the pass leaves out a part of the list."""
        return bool(self.filters.created_after or self.filters.created_before)

    @property
    def _most(self) -> int:
        return self._history.page_size(self.filters.page_size)

    def start(self, ids: int) -> bool:
        """Read the list, or continue to, if that pays off for this many ids. Return whether it does."""
        history, size = self._history, min(self._most, self._history.sizes.begin_with)
        if not self.by_filters:
            rows = 0 if self.is_over else rows_to_read(ids, history, self._most, self._debt)
            if not rows:
                return False
            size = min(size, self._expected(ids, rows))
        if not self._pass:
            self._pass = self._service.paginator(self.filters.model_copy(update={"page_size": size}))
            self._pass.list_end = history.list_end
        else:
            self._pass.position.page_size, self._pass.position.ended = size, False
        self.paginator = self._pass
        return True

    def advance(self, answer: Any, size: int, seconds: float, wanted: WantedIds) -> Page:
        """Return the records of a page of ``size`` bytes, and remove their ids from ``wanted``."""
        history, at = self._history, self.paginator.position
        page: Page = self.paginator.advance(answer)
        history.page_seconds, history.list_end = seconds, self.paginator.list_end
        if rows := len(page.predictions):
            # Of a response, the page leaves out rows that were in the page before, or outside of the window.
            history.row_bytes = size / max(rows, len(answer[0] if isinstance(answer, tuple) else answer))
            self._note_size(at.page_size)
        found = wanted.remove(page)
        if found and not self.by_filters:
            history.depth = self._rows + max(n for n, id_ in enumerate(page.ids, 1) if id_ in found)
        self._rows += rows + len(page.rejected)
        self._found += len(found)
        if self.by_filters:
            at.page_size = self._next_size(self._most)
        else:
            rate = rows_of_a_lookup(history, self._most)
            self._debt = max(0.0, self._debt + rows + len(page.rejected) - len(found) * rate)
            self._plan(wanted.near)
        return page

    def _note_size(self, rows: int) -> None:
        """Note that a page of so many rows was answered."""
        self._largest_answered = max(self._largest_answered, rows)
        self._history.sizes.answered(rows)
        if rows < self._failed:
            self._history.sizes.failed(rows)
        self._failed = 0

    def _next_size(self, rows: int) -> int:
        # Two pages may share a row.
        return min(rows + 1, self._most, self._history.sizes.limit)

    def _plan(self, ids: int) -> None:
        """Continue with a page of another size, or end.

        :param ids: how many no page has answered, but for those that are not expected in the list.
        """
        history, at = self._history, self.paginator.position
        rows = rows_to_read(ids, history, self._most, self._debt)
        self.is_over = at.ended or not (rows or history.is_slow(ids))
        if not rows:
            at.ended = True
        else:
            at.page_size = self._next_size(self._expected(ids, rows))

    def _expected(self, ids: int, most: int) -> int:
        """Rows in which the pass may find so many ids more, as far as it knows; not more than ``most``."""
        if not self._rows:
            return min(most, math.ceil(self._history.depth * DEPTH_MARGIN) or ids)
        return min(most, math.ceil(ids * self._rows / self._found)) if self._found else most

    def on_error(self, error: PredictionsError, seconds: float, ids: int) -> None:
        """Continue in another way after a page failed with ``ids`` not answered yet, or raise the error."""
        if error.of_token:
            raise error
        if not error.asks_for_less:
            with suppress(PredictionsError):
                self.paginator.on_error(error)
                return
        history, at = self._history, self.paginator.position
        size, answered = at.page_size, self._largest_answered
        smaller = max(history.sizes.after_failure(size), answered if answered < size else 0)
        is_slow = not self.by_filters and history.is_slow(ids, seconds)
        helps = is_of_size(error) and smaller > MAX_SINGLE_LOOKUPS and not is_slow
        if not self.by_filters or is_of_size(error):
            self._failed, self._failed_seconds = size, seconds
        # After a transient error, a poll by filters waits for the next interval, unless smaller pages work.
        if helps and (not (self.by_filters and error.retryable) or 0 < answered < size):
            at.page_size = smaller
            return
        if helps and not answered:
            history.sizes.first = max(MIN_PAGE_SIZE, smaller)
        self._is_interrupted = error.retryable and not is_of_size(error)
        raise error

    def resume(self) -> bool:
        """Return whether to request the page that failed again, since the service answered another request.

        Once in a poll, the failure may have been the service's. After that, the list is the reason.
        """
        if self._is_interrupted and self._may_resume:
            self._may_resume, self._failed = False, 0
            return True
        if self._failed:
            self._history.page_seconds = self._failed_seconds
            self._history.sizes.failed(self._history.sizes.after_failure(self._failed))
            self._failed = 0
        return False


def is_of_size(error: PredictionsError) -> bool:
    """Whether a smaller page may work."""
    return error.asks_for_less or isinstance(error, NoAnswerError) or error.status in (408, 422)
