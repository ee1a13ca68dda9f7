"""Follow pages of ``skip`` and ``limit`` over rows that shift while the list grows and shrinks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow_provider_predictions.api.arguments import Filters
from airflow_provider_predictions.api.errors import MalformedAnswerError
from airflow_provider_predictions.api.models import Page, PageRequest, Prediction
from airflow_provider_predictions.api.service import Service, Walk

STANDSTILL = 20
"""So many equal pages in a row are a server that ignores ``skip``. A few are not: a list that grows by one
page between two requests shows the same rows again."""
SEARCHES = 2
"""A list may grow so fast that a search for its window meets newer rows further back, but hardly twice."""
MOST_STEPS_BACK = 200
"""A list whose rows vanish faster than they can be read is given up after so many without a new row."""


@dataclass
class Search:
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


class OffsetWalk(Walk):
    """One pass over a list by offsets.

    Rows added in front push known rows into the next page: they are dropped. Rows removed in front would pull
    unknown rows out of it: so each page starts with the last row of the one before, and where it does not,
    the walk steps back until it meets a row that it knows.

    The list ends with a page shorter than asked, once the server has been seen to fill such a page. Until
    then a short page may be all that the server gives at once: the walk goes on with pages of that size, and
    ends with one that is short again and brings nothing new.
    """

    def __init__(self, service: Service[Any], filters: Filters) -> None:
        super().__init__(service, filters)
        # Of a single row, none could be met again; who wants one need not meet it.
        self.page_size = self._asked_size = max(self.page_size, 1 if self._left == 1 else 2)
        self._skip = 0
        self._start = 0
        """Rows in front of it were not read, since they are newer than the window."""
        self._search: Search | None = None
        self._searches_left = SEARCHES
        self._stepped_back_from = 0
        """The index of a row."""
        self._steps_back = 0
        self._step_back = self.page_size
        self._fills_pages = False
        self._joint = ""
        """The id of the row that the next page should start with."""
        self._shifted = False
        self._previous: list[str] = []
        """The first and the last id of the page before."""
        self._repeats = 0

    def ahead(self, count: int) -> list[PageRequest]:
        """The next page, one row of it known, and those behind it."""
        if self.ended:
            return []
        if self._search:
            return [PageRequest("predictions", {"skip": self._search.index, "limit": 1})]
        step = self.page_size - self._overlap
        if self._may_search():
            count = 1
        if self._left is not None:
            count = min(count, -(-self._left // step))
        starts = range(self._skip, self._skip + count * step, step)
        return [PageRequest("predictions", {"skip": skip, "limit": self.page_size}) for skip in starts]

    def read(self, body: bytes) -> list[Prediction]:
        """The rows of a page."""
        return self.service.split(body)

    def take(self, answer: list[Prediction]) -> Page:
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
    def doubt(self) -> str | None:
        """Why it cannot be proven that no row was missed."""
        if not self._overlap and self._skip > 1:
            return "with one row a page, a row that is removed hides another"
        if self._shifted and not self.frontier.ordered:
            return "rows moved while they were read, and come in no order that would show a missed one"
        return None

    def position(self) -> dict[str, Any]:
        """Where the walk is."""
        own = {name: getattr(self, name) for name in self._RESUMED}
        return super().position() | own

    _RESUMED = ("_skip", "_start", "_fills_pages", "_joint", "_shifted")

    def go_on(self, position: dict[str, Any], earlier: Callable[[], Iterable[str]]) -> None:
        """Go on from where another walk was."""
        super().go_on(position, earlier)
        for name in self._RESUMED:
            setattr(self, name, position[name])
        self._step_back = self.page_size

    @property
    def _overlap(self) -> int:
        return 1 if self.page_size > 1 else 0

    def _begin_at(self, skip: int) -> None:
        self._skip = self._start = skip
        self._step_back = self.page_size
        self._search, self._searches_left = None, 0

    # --- finding the window --------------------------------------------------------------------------

    def _may_search(self) -> bool:
        untouched = self._skip == 0 and self.frontier.last is None and self._searches_left > 0
        return untouched and self.filters.created_before is not None and self.frontier.ordered

    def _is_in_front(self, row: Prediction) -> bool:
        before = self.filters.created_before
        return bool(before and row.created_at and row.created_at >= before)

    def _search_behind(self, rows: list[Prediction]) -> Search | None:
        """Look for the window further back, where all of a page lies in front of it."""
        before, oldest = self.filters.created_before, rows[-1].created_at if rows else None
        if before and oldest and oldest >= before:
            return Search(before, len(rows) - 1, oldest, self.page_size)
        return None

    def _look(self, search: Search, rows: list[Prediction]) -> None:
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
        if self._skip == 0 or (rows and rows[0].id == self._joint):
            return True
        if not self._overlap:
            # An end is believed when the row in front of it is met again.
            return bool(rows)
        self._shifted = self._shifted or bool(self._joint)
        first = next((row for row in rows if row.fault is None), None)
        return first is not None and (self.frontier.knows(first) or self._is_in_front(first))

    def _go_back(self) -> None:
        self._steps_back += 1
        if self._steps_back > MOST_STEPS_BACK:
            raise MalformedAnswerError(
                f"{self.service.title}: rows vanish from the list faster than they can be read"
            )
        self._stepped_back_from = self._skip
        self._skip = max(0, self._skip - self._step_back)
        self._start = min(self._start, self._skip)
        self._step_back *= 2

    def _loses_order(self, rows: list[Prediction]) -> bool:
        times = [row.created_at for row in rows if row.fault is None]
        if not self._overlap and self.frontier.last:
            times.insert(0, self.frontier.last)
        return self.watch(times)

    def _read_on(self, rows: list[Prediction]) -> Page:
        self._refuse_standstill(rows)
        # The next page is to start with a record, since rows that are none cannot be told from each other.
        size = len(rows)
        while size and rows[size - 1].fault is not None:
            size -= 1
        if size <= self._overlap:
            size = len(rows)
        behind = rows[self._overlap if self._skip else 0 : size]
        page = self.hand_out(behind)
        brought_new = page.duplicates < len(behind)
        if brought_new:
            self._steps_back = 0
        self._move_on(rows, size, brought_new=brought_new)
        if self.ended:
            return replace(page, rejected=(*page.rejected, *rows[size:]))
        return page

    def _move_on(self, rows: list[Prediction], size: int, *, brought_new: bool) -> None:
        """Decide what follows a page.

        :param size: how many of its rows were read.
        """
        if len(rows) >= self.page_size:
            self._fills_pages = self._fills_pages or self.page_size == self._asked_size
        elif self._is_the_end(rows, brought_new=brought_new):
            self._end(rows)
        else:
            self.page_size = len(rows)
        self._skip += size - self._overlap
        if not self._overlap and not brought_new and self._skip == self._stepped_back_from:
            self._end(rows)
        self._step_back = self.page_size
        self._joint = rows[size - 1].id if rows else ""

    def _end(self, rows: list[Prediction]) -> None:
        self.ended = True
        self.list_end = rows[-1].id if rows else self._joint

    def _is_the_end(self, rows: list[Prediction], *, brought_new: bool) -> bool:
        """Whether a page that is shorter than asked is the last one."""
        if self._fills_pages or not (brought_new or self._lies_before_the_last(rows)):
            return True
        # No row is ever added behind the oldest one.
        return self.frontier.ordered and bool(rows) and rows[-1].id == self.list_end

    def _lies_before_the_last(self, rows: list[Prediction]) -> bool:
        """Whether rows that are all known end before the last one that was handed out."""
        return len(rows) > self._overlap and rows[-1].id != self._joint

    def _refuse_standstill(self, rows: list[Prediction]) -> None:
        ids = [row.id for row in (*rows[:1], *rows[-1:])]
        repeats = self._repeats + 1 if ids and ids == self._previous else 0
        if repeats == STANDSTILL:
            raise MalformedAnswerError(f"{self.service.title} sends the same page whatever skip says")
        self._previous, self._repeats = ids, repeats
