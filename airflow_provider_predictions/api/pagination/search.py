"""Find where a window begins in a long list that comes newest first."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_predictions.api.limits import MAX_SEARCHES
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.state import Versioned


class WindowSearch(Versioned, kw_only=True):
    """A search by leaps that grow fourfold, then by halves.

    :param before: the window's end. Rows created then or later lie in front of it.
    :param low: the index of a row in front of the window. ``newer`` is its creation time.
    :param precision: rows. The search ends when it knows the window's beginning to within these.
    :param high: the index of a row behind the beginning. ``older`` is its creation time; None behind the end.
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
        """The row to look at next."""
        if self.high is None:
            return self.low + self.leap * self.precision
        return (self.low + self.high) // 2

    @property
    def is_done(self) -> bool:
        """Whether the window begins within a page behind ``low``."""
        return self.high is not None and self.high - self.low <= self.precision

    def look(self, created: datetime | None) -> bool:
        """Take the creation time of the row at ``index``, None behind the end. False if out of order."""
        if created and (created > self.newer or (self.older and created < self.older)):
            return False
        if created and created >= self.before:
            self.low, self.newer, self.leap = self.index, created, self.leap * 4
        else:
            self.high, self.older = self.index, created
        return True


class WindowStart(Versioned):
    """Where a pass starts to read.

    :ivar index: of that row. All rows in front of it are newer than the window.
    :ivar search: for it; None while pages are read.
    """

    index: int = 0
    search: WindowSearch | None = None
    searches_left: int = MAX_SEARCHES

    def begin_search(self, rows: list[Prediction], before: datetime | None, precision: int) -> bool:
        """Search if a whole first page lies in front of the window.

        :param before: the window's end.
        :param precision: rows.
        """
        oldest = rows[-1].created_at if rows else None
        if before and oldest and oldest >= before:
            self.search = WindowSearch(before=before, low=len(rows) - 1, newer=oldest, precision=precision)
        return self.search is not None

    def look(self, search: WindowSearch, rows: list[Prediction]) -> bool:
        """Take the response to a step of the search. False if the list turned out to have no order."""
        created = rows[0].created_at if rows else None
        if (not rows or created) and search.look(created):
            return True
        self.search, self.searches_left = None, self.searches_left - 1
        return self.searches_left > 0
