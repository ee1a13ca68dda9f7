"""Read pages by ``skip`` and ``limit``, although rows shift when the list grows or shrinks."""

from __future__ import annotations

from dataclasses import replace

from typing_extensions import override

from airflow_provider_predictions.api.filters import Filters
from airflow_provider_predictions.api.limits import MAX_FRONT_READS
from airflow_provider_predictions.api.models import GetRequest, ListEndpoint, Prediction
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.pagination.base import Paginator, Position, Proof
from airflow_provider_predictions.api.pagination.end import ListEnd, last_id
from airflow_provider_predictions.api.pagination.front import Front
from airflow_provider_predictions.api.pagination.overlap import Overlap, is_resorted
from airflow_provider_predictions.api.pagination.search import WindowSearch, WindowStart
from airflow_provider_predictions.api.record_batch import RecordBatch

_BLIND = Proof(None, "two pages shared no row, so a removed row may have hidden another")
_SHIFTED = Proof(False, "rows moved while the list was read, and its order cannot show a missed row")
_LACKING = Proof(False, "the list has more records than came: one may have moved among those that were read")
_REPEATED = Proof(None, "an id came twice: the list has it twice, or a row moved and hid another one")
_LIMITED = Proof(None, "rows came in front of those that were read, and others may have moved there")
_RESORTED = Proof(False, "rows with one creation time came in another order, so one may be missing")


class OffsetPosition(Position, kw_only=True):
    """A position in a list with offsets. ``skip`` is the index of the next page."""

    skip: int = 0
    start: WindowStart
    overlap: Overlap
    end: ListEnd
    front: Front


class OffsetPaginator(Paginator):
    """One pass over a list by offsets.

    Rows added in front push known rows into the next page. These are dropped. Rows removed in front pull
    unknown rows out of the next page. So each request starts at the last row of the page before. If that row
    is not there, the pass steps back until it finds a row that it knows.
    """

    parameter = "skip"
    position: OffsetPosition

    def __init__(self, endpoint: ListEndpoint[RecordBatch], filters: Filters) -> None:
        left = filters.max_predictions
        # Pages must overlap, so they need two rows, unless only one record is wanted.
        page_size = max(filters.page_size or endpoint.page_size, 1 if left == 1 else 2)
        position = OffsetPosition(
            page_size=page_size,
            left=left,
            start=WindowStart(),
            overlap=Overlap(page_size),
            end=ListEnd(page_size),
            front=Front(),
        )
        super().__init__(endpoint, filters, position)
        self._before: list[str] = []
        """Ids of the response before. A resumed pass has none."""

    @override
    def next_requests(self, count: int) -> list[GetRequest]:
        at = self.position
        if at.ended:
            return []
        if at.start.search:
            return [self._page_request({"skip": at.start.search.index, "limit": 1})]
        step = max(1, at.end.size - self._shared_rows)
        if self._may_search or at.end.is_near or at.end.behind:
            count = 1
        if at.left is not None:
            count = min(count, -(-at.left // step))
        starts = range(at.skip, at.skip + count * step, step)
        return [self._page_request({"skip": skip, "limit": at.page_size}) for skip in starts]

    @override
    def advance(self, response: RecordBatch) -> Page:
        at, before = self.position, self.filters.created_before
        if search := at.start.search:
            self._look(search, response)
            return Page(())
        if not self._take_overlap(response):
            self._step_back()
            return Page(())
        is_broken = self._note_order_of(response)
        if is_broken and at.start.index:
            self._begin_at(0)
            return Page(())
        if self._may_search and at.start.begin_search(response, before, at.page_size):
            return Page(())
        return self._read_on(response)

    @property
    @override
    def proof(self) -> Proof:
        at = self.position
        if at.overlap.blind:
            return _BLIND
        if at.overlap.resorted:
            return _RESORTED
        if not at.seen.ordered and at.overlap.shifted:
            return _SHIFTED
        if not at.seen.ordered and self._lacks_rows:
            return _REPEATED
        if at.start.index or self._is_past_window:
            title = self.endpoint.title
            reason = f"only rows near the time window were read, and {title} does not promise their order"
            return Proof(None, reason)
        if self._lacks_rows:
            return _LIMITED if at.left == 0 else _LACKING
        return Proof(True)

    @property
    @override
    def _asks_for_page(self) -> bool:
        return self.position.start.search is None

    @property
    def _shared_rows(self) -> int:
        """How many rows a page should share with the one before.

        None if the server sends one row a page, or if it may have stopped twice in front of a large row.
        """
        end = self.position.end
        return 0 if self.position.page_size == 1 or end.largest == 1 or end.behind else 1

    @property
    def _may_search(self) -> bool:
        """Whether the time window may begin far behind the first page."""
        at, before = self.position, self.filters.created_before
        is_untouched = at.skip == 0 and at.seen.last is None and at.start.searches_left > 0
        return is_untouched and before is not None and at.seen.ordered

    @property
    def _lacks_rows(self) -> bool:
        """Whether the list has more records than came, though it was read from its start."""
        at = self.position
        return not at.start.index and at.front.came < at.front.length

    def _look(self, search: WindowSearch, rows: RecordBatch) -> None:
        self._guard.count_page()
        if not self.position.start.look(search, rows):
            self.note_order([None])
            self._begin_at(0)
        elif search.is_done:
            self._begin_at(search.low)

    def _begin_at(self, skip: int) -> None:
        self._go_to(skip)
        self.position.start = WindowStart(skip, searches_left=0)
        self._guard.expect_again(self.position.seen.count)

    def _go_to(self, skip: int) -> None:
        at = self.position
        at.skip, at.overlap.step, at.overlap.row_id = skip, at.end.size, ""
        at.end.stop, at.end.behind = None, False

    def _take_overlap(self, rows: RecordBatch) -> bool:
        """Take the start of a page. Return whether no row can be missing in front of it."""
        at = self.position
        if at.skip == 0:
            return True
        if self._shared_rows:
            return at.overlap.take_page(rows, self._is_passed)
        if at.end.behind:
            at.overlap.blind = at.overlap.blind or not all(map(self._is_passed, rows[:1]))
            return True
        # A repeated row may be the last one, or a new row in front may have shifted it.
        at.overlap.blind = at.overlap.blind or bool(rows)
        return bool(rows)

    def _is_passed(self, row: Prediction) -> bool:
        """Whether the pass has yielded a row, or skipped it because it is newer than the time window."""
        seen, before, created = self.position.seen, self.filters.created_before, row.created_at
        return seen.knows(row) or bool(seen.ordered and before and created and created >= before)

    def _step_back(self) -> None:
        at = self.position
        self._guard.count_page()
        self._guard.expect_again(at.overlap.step)
        at.skip = at.overlap.step_back(at.skip)
        at.start.index = min(at.start.index, at.skip)
        at.end.stop, at.end.is_near = None, False

    def _note_order_of(self, rows: RecordBatch) -> bool:
        times, seen = rows.times_to_compare, self.position.seen
        if self.position.front.is_next:  # a row that has moved there tells nothing about the others
            return self.note_order([time for time in times if time is None])
        is_again = self._shared_rows or not rows or seen.knows(rows[0])
        return self.note_order([seen.last, *times] if seen.last and not is_again else times)

    def _read_on(self, rows: RecordBatch) -> Page:
        at, front = self.position, self.position.front
        overlap, end = at.overlap, at.end
        if end.behind and not rows:
            self._end(overlap.row_id)
            return Page(())
        first = self._shared_rows if at.skip else 0
        end.largest = max(end.largest, len(rows))
        # The next page should start with a record, since rejected rows may look the same.
        size = len(rows)
        while rows.rejected and size and rows[size - 1].fault is not None:
            size -= 1
        if size <= self._shared_rows:
            size = len(rows)
        # A database may sort rows with one creation time anew for each response.
        if at.seen.ordered and not rows.order:
            ties = [id_ for id_, time in zip(rows.ids, rows.times, strict=True) if time == at.seen.last]
            overlap.resorted = overlap.resorted or is_resorted(self._before, ties)
        self._before = rows.ids
        page = self.new_rows(rows[first:size])
        is_new = page.duplicates < size - first
        # New rows in front may have shifted known rows into a response that the server capped.
        is_whole = not rows or rows.ids[0] == overlap.row_id or len(rows) < end.largest
        # Where the newest rows do not come first, others may have come behind the end that was known.
        known_end = self.list_end if at.seen.ordered else ""
        is_end = end.take_page(rows, at.page_size, known_end, is_new=is_new, is_whole=is_whole)
        end.behind = False
        if not front.is_next:
            front.count_rows(at.skip, rows[:size])
        front.came += len(page.ids)
        at.skip += max(0, size - self._shared_rows)
        if is_end and end.went_on and self._shared_rows and end.stop != known_end:
            at.skip, end.behind, is_end = at.skip + 1, True, False
        overlap.step, overlap.row_id = end.size, rows.ids[size - 1] if rows else ""
        is_back = not self._shared_rows and not is_new and at.skip == overlap.left_at
        if front.is_next and page.duplicates:  # rejected rows behind known ones have come, too
            page = replace(page, rejected=())
        elif (is_end or is_back or at.ended) and not front.reads:
            page = replace(page, rejected=(*page.rejected, *rows[size:]))
        if is_end or is_back:
            self._end(last_id(rows))
        elif front.is_next and front.ends_in(rows[:size], page.ids):
            self._end(self.list_end)
        return page

    def _end(self, list_end: str) -> None:
        """End the pass, or read the front of the list again if rows have shifted.

        If the list had more rows than have come then, its end is read again: it may have become shorter.
        """
        at, front, self.list_end = self.position, self.position.front, list_end
        most = MAX_FRONT_READS if self._lacks_rows else int(at.overlap.shifted)
        at.end.is_near = True
        if at.ended or self.proof not in (Proof(True), _LACKING):
            at.ended = True
        elif front.is_next and self._lacks_rows:
            self._go_to(max(0, front.length - 1))
        elif not front.is_next and front.reads < most:
            front.reads, front.newest = front.reads + 1, at.seen.first
            self._go_to(0)
        else:
            at.ended = True
        front.is_next = not (at.ended or front.is_next)
