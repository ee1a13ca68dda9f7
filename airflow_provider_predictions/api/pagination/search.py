"""Find where a time window begins in a long list that comes newest first."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_predictions.api.limits import MAX_SEARCHES
from airflow_provider_predictions.api.record_batch import RecordBatch
from airflow_provider_predictions.api.state import Versioned


class WindowSearch(Versioned, kw_only=True):
    """A search by leaps that grow fourfold, then by bisection.

    :param before: the end of the window. Rows created then or later are newer than the window.
    :param low: index of a row newer than the window. ``newer`` is its creation time.
    :param precision: rows. The search ends when it knows the window's first row to within this many.
    :param high: index at or after the window's first row. ``older`` is its creation time; None past the end.
    """

    before: datetime
    low: int
    newer: datetime
    precision: int
    high: int | None = None
    older: datetime | None = None
    leap: int = 1

    @property
    def index(self) -> int:
        """Index of the row to look at next."""
        if self.high is None:
            return self.low + self.leap * self.precision
        return (self.low + self.high) // 2

    @property
    def is_done(self) -> bool:
        return self.high is not None and self.high - self.low <= self.precision

    def look(self, created: datetime | None) -> bool:
        """Take the creation time of the row at ``index``, None past the end. False if out of order."""
        if created and (created > self.newer or (self.older and created < self.older)):
            return False
        if created and created >= self.before:
            self.low, self.newer, self.leap = self.index, created, self.leap * 4
        else:
            self.high, self.older = self.index, created
        return True


class WindowStart(Versioned):
    """Where a pass starts to read: all rows before ``index`` are newer than the time window.

    :ivar search: None while pages are read.
    """

    index: int = 0
    search: WindowSearch | None = None
    searches_left: int = MAX_SEARCHES

    def begin_search(self, rows: RecordBatch, before: datetime | None, precision: int) -> bool:
        """Start a search if all rows of the first page are newer than the window."""
        oldest = rows.times[-1] if rows else None
        if before and oldest and oldest >= before:
            self.search = WindowSearch(before=before, low=len(rows) - 1, newer=oldest, precision=precision)
        return self.search is not None

    def look(self, search: WindowSearch, rows: RecordBatch) -> bool:
        """Take the response to a step of the search. False if the list is not in order."""
        created = rows.times[0] if rows else None
        if (not rows or created) and search.look(created):
            return True
        self.search, self.searches_left = None, self.searches_left - 1
        return self.searches_left > 0
