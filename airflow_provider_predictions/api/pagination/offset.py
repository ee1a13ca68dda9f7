"""Follow pages of ``skip`` and ``limit`` over rows that shift while the list grows and shrinks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow_provider_predictions.api.filters import Filters
from airflow_provider_predictions.api.limits import MAX_SEARCHES
from airflow_provider_predictions.api.models import Page, PageRequest, Prediction
from airflow_provider_predictions.api.pagination.base import Paginator, Proof
from airflow_provider_predictions.api.service import Service

NO_ROWS = "[]"
"""Stands for the id of the last row of a list that has none."""
_BLIND = Proof(None, "the list came one row a page, so a row that was removed may have hidden another")
_SHIFTED = Proof(False, "rows moved while they were read, and come in no order that would show a missed one")
_PART = Proof(
    None, "only the rows around the window were read: VLM Run does not promise the order that they have"
)


@dataclass
class WindowSearch:
    """Where a window begins in a list that comes newest first: leaps of fourfold length, then halves.

    :param before: the window's end; rows created then or later lie in front of it.
    :param low: the index of a row in front of the window, and ``newer`` its time.
    :param precision: rows; the search ends when the window is known to begin within so many.
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
        """Which row to look at next."""
        if self.high is None:
            return self.low + self.leap * self.precision
        return (self.low + self.high) // 2

    @property
    def is_done(self) -> bool:
        """Whether the window begins within a page behind ``low``."""
        return self.high is not None and self.high - self.low <= self.precision

    def look(self, created: datetime | None) -> bool:
        """Take the time of the row at ``index``, None behind the end; False where it is out of order."""
        if created and (created > self.newer or (self.older and created < self.older)):
            return False
        if created and created >= self.before:
            self.low, self.newer, self.leap = self.index, created, self.leap * 4
        else:
            self.high, self.older = self.index, created
        return True


class OffsetPaginator(Paginator):
    """One pass over a list by offsets.

    Rows added in front push known rows into the next page: they are dropped. Rows removed in front would pull
    unknown rows out of it: so each page starts with the last row of the one before, and where it does not,
    the walk steps back until it meets a row that it knows.

    A response may hold fewer rows than asked anywhere in the list. The list ends where two responses in a row
    stop at the same row: the second one was asked for from that row on, so it meets it again. A server that
    always stops there cannot be told from one whose list ends there.
    """

    parameter = "skip"

    def __init__(self, service: Service[Any], filters: Filters) -> None:
        super().__init__(service, filters)
        # Of a single row, none could be met again; who wants one need not meet it.
        self.page_size = max(self.page_size, 1 if self._left == 1 else 2)
        self._skip = 0
        self._start = 0
        """Rows in front of it were not read, since they are newer than the window."""
        self._search: WindowSearch | None = None
        self._searches_left = MAX_SEARCHES
        self._stepped_back_from = 0
        """The index of a row."""
        self._size = self.page_size
        """How many rows the last response held."""
        self._step_back = self._size
        self._largest = 0
        """How many rows the largest response held."""
        self._joint = ""
        """The id of the row that the next page should start with."""
        self._stop: str | None = None
        """The id of the last row of the response before, where that held fewer rows than asked."""
        self._is_end_near = False
        self._shifted = False
        self._blind = False
        """Whether a page was taken that met no known row."""

    def next_requests(self, count: int) -> list[PageRequest]:
        """The next page, one row of it known, and those behind it."""
        if self.ended:
            return []
        if self._search:
            return [self._page_request({"skip": self._search.index, "limit": 1})]
        step = max(1, self._size - self._overlap)
        if self._may_search() or self._is_end_near:
            count = 1
        if self._left is not None:
            count = min(count, -(-self._left // step))
        starts = range(self._skip, self._skip + count * step, step)
        return [self._page_request({"skip": skip, "limit": self.page_size}) for skip in starts]

    def read(self, body: bytes) -> list[Prediction]:
        """The rows of a page."""
        return self.service.split(body)

    def advance(self, answer: list[Prediction]) -> Page:
        """The new rows of a page."""
        if self._search:
            self._look(self._search, answer)
        elif not self._joins(answer):
            self._go_back()
        elif self._loses_order(answer) and self._start:
            self._begin_at(0)
        elif self._may_search() and (search := self._search_behind(answer)):
            self._search = search
        else:
            return self._read_on(answer)
        return Page(())

    @property
    def proof(self) -> Proof:
        """Whether each page met the one before, and the end was seen twice."""
        if self._blind:
            return _BLIND
        if self._shifted and not self.seen.ordered:
            return _SHIFTED
        return _PART if self._start or self.is_past else Proof(True)

    def state(self) -> dict[str, Any]:
        """Where the walk is."""
        own = {name: getattr(self, name) for name in self._RESUMED}
        return super().state() | own

    _RESUMED = ("_skip", "_start", "_size", "_largest", "_joint", "_stop", "_shifted", "_blind")

    def restore(self, state: dict[str, Any], earlier: Callable[[], Iterable[str]]) -> None:
        """Go on from where another walk was."""
        super().restore(state, earlier)
        for name in self._RESUMED:
            setattr(self, name, state[name])
        self._step_back = self._size

    @property
    def _asks_for_page(self) -> bool:
        return self._search is None

    @property
    def _overlap(self) -> int:
        """How many rows of a page are to be known. Of a server that gives one row a page, none is."""
        return 0 if self.page_size == 1 or self._largest == 1 else 1

    def _begin_at(self, skip: int) -> None:
        self._skip = self._start = skip
        self._step_back = self._size
        self._search, self._searches_left = None, 0
        self._to_reread += self._yielded

    # --- finding the window --------------------------------------------------------------------------

    def _may_search(self) -> bool:
        untouched = self._skip == 0 and self.seen.last is None and self._searches_left > 0
        return untouched and self.filters.created_before is not None and self.seen.ordered

    def _is_in_front(self, row: Prediction) -> bool:
        """Whether neither a row nor those in front of it are wanted."""
        before = self.filters.created_before
        return bool(self.seen.ordered and before and row.created_at and row.created_at >= before)

    def _search_behind(self, rows: list[Prediction]) -> WindowSearch | None:
        """Look for the window further back, where all of a page lies in front of it."""
        before, oldest = self.filters.created_before, rows[-1].created_at if rows else None
        if before and oldest and oldest >= before:
            return WindowSearch(before, len(rows) - 1, oldest, self.page_size)
        return None

    def _look(self, search: WindowSearch, rows: list[Prediction]) -> None:
        """Take the answer to one step of the search."""
        created = rows[0].created_at if rows else None
        if (not rows or created) and search.look(created):
            if search.is_done:
                self._begin_at(search.low)
        elif self._searches_left > 1:
            self._search, self._searches_left = None, self._searches_left - 1
        else:
            self.watch([None])
            self._begin_at(0)

    # --- reading it ----------------------------------------------------------------------------------

    def _joins(self, rows: list[Prediction]) -> bool:
        """Whether nothing can be missing between the rows handed out and these."""
        if self._skip == 0:
            return True
        if not self._overlap:
            # A row that is met again may be the end, or have been shifted by one in front of it.
            self._blind = self._blind or bool(rows)
            return bool(rows)
        if rows and rows[0].id == self._joint:
            return True
        self._shifted = self._shifted or bool(self._joint)
        first = next((row for row in rows if row.fault is None), None)
        return first is not None and (self.seen.knows(first) or self._is_in_front(first))

    def _go_back(self) -> None:
        self._count_without_new_rows()
        self._stepped_back_from = self._skip
        self._skip = max(0, self._skip - self._step_back)
        self._start = min(self._start, self._skip)
        self._to_reread += self._step_back
        self._step_back *= 2
        self._stop, self._is_end_near = None, False

    def _loses_order(self, rows: list[Prediction]) -> bool:
        times = [row.created_at for row in rows if row.fault is None]
        if not self._overlap and self.seen.last:
            times.insert(0, self.seen.last)
        return self.watch(times)

    def _read_on(self, rows: list[Prediction]) -> Page:
        overlap = self._overlap if self._skip else 0
        self._largest = max(self._largest, len(rows))
        # The next page is to start with a record, since rows that are none cannot be told from each other.
        size = len(rows)
        while size and rows[size - 1].fault is not None:
            size -= 1
        if size <= self._overlap:
            size = len(rows)
        behind = rows[overlap:size]
        page = self.new_rows(behind)
        self._move_on(rows, size, brought_new=page.duplicates < len(behind))
        if self.ended:
            return replace(page, rejected=(*page.rejected, *rows[size:]))
        return page

    def _is_no_cap(self, rows: list[Prediction]) -> bool:
        """Whether a response held all that there was. One that rows added in front have shifted may not."""
        return not rows or rows[0].id == self._joint or len(rows) < self._largest

    def _move_on(self, rows: list[Prediction], size: int, *, brought_new: bool) -> None:
        """Decide what follows a page.

        :param size: how many of its rows were read.
        """
        last = rows[-1].id if rows else NO_ROWS
        before, self._stop = self._stop, last if len(rows) < self.page_size else None
        is_end = self._stop is not None and (
            self._stop == self.list_end
            or (self._stop == before and not brought_new and self._is_no_cap(rows))
        )
        self._is_end_near = self._stop is not None and len(rows) < self._size
        self._size = self._step_back = max(1, len(rows))
        self._skip += max(0, size - self._overlap)
        if not self._overlap and not brought_new and self._skip == self._stepped_back_from:
            is_end = True
        self._joint = rows[size - 1].id if rows else ""
        if is_end:
            self.ended, self.list_end = True, last
