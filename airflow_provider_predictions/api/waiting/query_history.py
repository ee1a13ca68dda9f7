"""What the polls of a connection learn about its list, for the polls that follow."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from airflow_provider_predictions.api.limits import (
    MAX_FIRST_PAGE_ROWS,
    MAX_PAGE_BYTES,
    MAX_PAGE_SIZE,
    MAX_POLLS_TO_LARGER_PAGE,
    MAX_SINGLE_LOOKUPS,
    MIN_PAGE_SIZE,
    MIN_POLL_SECONDS,
)
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.waiting.hidden_rows import HiddenRows

REQUEST_WEIGHT = 10_000
"""Bytes of a list that a poll rather reads than it sends one more request."""
LIMITED_REQUEST_WEIGHT = 10 * REQUEST_WEIGHT
"""The same where the service limits requests."""
SIZE_FACTOR = 4
"""After a page fails, the next one has this many times fewer rows; after an answer, this many times more."""
FADING = 0.8
"""Each poll that does not read the list shortens the remembered time of a slow page by this factor."""
FORGOTTEN = 20
"""Each poll looks for one in so many ids in the list again that pages did not show."""


@dataclass
class PageSizes:
    """How many rows a page may have. A size is too large only if something else was answered in its place.

    :ivar first: rows of a pass's first page, at most. Failed polls make it smaller until a page is answered.
    :ivar largest: rows of the largest page that is known to work.
    :ivar limit: rows of the largest page that this poll may try.
    """

    first: int = MAX_PAGE_SIZE
    largest: int = MAX_PAGE_SIZE
    limit: int = MAX_PAGE_SIZE
    _pause: int = 0
    """Polls until a larger page is tried again."""
    _last_pause: int = 0

    def begin(self) -> None:
        """Begin a poll."""
        self._pause = max(0, self._pause - 1)
        larger = SIZE_FACTOR * max(self.largest, MIN_PAGE_SIZE)
        self.limit = self.largest if self._pause else min(MAX_PAGE_SIZE, larger)

    @property
    def begin_with(self) -> int:
        """Rows of the first page. Where no size is known to work, it tries one."""
        return min(self.first, self.limit if self.largest <= MAX_SINGLE_LOOKUPS else self.largest)

    def after_failure(self, size: int) -> int:
        """The size to request after a page of ``size`` rows failed."""
        return self.largest if size > self.largest else max(1, size // SIZE_FACTOR)

    def answered(self, size: int) -> None:
        """Note that a page was answered. A larger one may follow."""
        self.first = MAX_PAGE_SIZE
        if size > self.largest:
            self.largest, self._last_pause = size, 0
        if not self._pause:
            self.limit = max(self.limit, min(MAX_PAGE_SIZE, SIZE_FACTOR * size))

    def failed(self, size: int) -> None:
        """Note that larger pages than ``size`` failed, while the service answered other requests."""
        self.largest = self.limit = size
        self._last_pause = self._pause = min(MAX_POLLS_TO_LARGER_PAGE, 2 * self._last_pause or 1)


@dataclass
class QueryHistory:
    """What the polls of a connection have learned about its list.

    :ivar list_end: the id of the list's last row.
    :ivar record_bytes: bytes of a record that was looked up by its id, a moving average.
    :ivar row_bytes: bytes of a row of the last page, on average.
    :ivar record_seconds: seconds of a lookup, a moving average.
    :ivar page_seconds: seconds of the last page.
    :ivar depth: rows of the list that the last pass read until it had found what it could.
    :ivar is_limited: whether the number of requests is known to be limited.
    :ivar is_refused: whether the rate limit stopped the last poll before any answer.
    :ivar sizes: of pages.
    :ivar turns: id that is looked for -> whether pages did not show it. The next to look up comes first.
    :ivar finished: finished predictions that a wait needs, without their bytes. They are not requested again.
    :ivar hidden: unfinished predictions that the list no longer shows.
    """

    list_end: str = ""
    record_bytes: float = 0
    row_bytes: float = 0
    record_seconds: float = 0
    page_seconds: float = 0
    depth: int = 0
    is_limited: bool = False
    is_refused: bool = False
    sizes: PageSizes = field(default_factory=PageSizes)
    turns: dict[str, bool] = field(default_factory=dict)
    finished: dict[str, Prediction] = field(default_factory=dict)
    hidden: HiddenRows = field(default_factory=HiddenRows)

    def begin(self, ids: Collection[str]) -> None:
        """Begin a poll for these ids. Forget a little, so that it tries again what did not pay off."""
        self.sizes.begin()
        if self.is_slow(len(ids)):
            self.page_seconds *= FADING
        turns = {id_: is_far for id_, is_far in self.turns.items() if id_ in ids}
        far = [id_ for id_, is_far in turns.items() if is_far]
        self.turns = turns | dict.fromkeys(far[: -(-len(far) // FORGOTTEN)], False)
        for id_ in ids:
            self.turns.setdefault(id_, False)

    def near(self, ids: Collection[str]) -> int:
        """How many of these ids a page may show."""
        return sum(not self.turns[id_] for id_ in ids)

    def take_turn(self, ids: Collection[str], *, is_far: bool | None = None) -> None:
        """Put ids that were requested behind the others.

        :param is_far: whether pages did not show them; None to leave it.
        """
        for id_ in ids:
            before = self.turns.pop(id_)
            self.turns[id_] = before if is_far is None else is_far

    def add_limit(self) -> None:
        """Note that the number of requests is limited, so that it pays off to read more of the list."""
        if not self.is_limited:
            self.is_limited, self.turns = True, dict.fromkeys(self.turns, False)

    def is_slow(self, ids: int, seconds: float | None = None) -> bool:
        """Whether a page takes longer than this many lookups. Before the first lookup, a slow page does.

        :param seconds: of the page; None for the last one.
        """
        seconds = self.page_seconds if seconds is None else seconds
        return seconds > MIN_POLL_SECONDS and seconds > ids * self.record_seconds

    def add_lookup(self, size: int, seconds: float) -> None:
        self.record_bytes = ((self.record_bytes or size) + size) / 2
        self.record_seconds = ((self.record_seconds or seconds) + seconds) / 2

    def page_size(self, most: int | None) -> int:
        """Rows of the largest page, as far as its bytes and ``most`` allow."""
        known = self.row_bytes or self.record_bytes
        by_bytes = int(MAX_PAGE_BYTES / known) if known else MAX_PAGE_SIZE
        return max(1, min(most or MAX_PAGE_SIZE, by_bytes))


def rows_of_a_lookup(history: QueryHistory, page_size: int) -> float:
    """Rows of the list that cost as much as the lookup of one id; 0 if no record was read yet.

    A list holds whole records. A request costs as much as some bytes, more where requests are limited.

    :param page_size: rows of a page.
    """
    known = history.row_bytes or history.record_bytes
    request = LIMITED_REQUEST_WEIGHT if history.is_limited else REQUEST_WEIGHT
    record = history.record_bytes or known
    return (record + request) / (known + request / page_size) if known else 0.0


def rows_to_read(ids: int, history: QueryHistory, page_size: int, debt: float = 0) -> int:
    """Rows of the list to read instead of looking up each id; 0 to look up each id.

    A few ids are looked up one by one. For more, a poll reads on while the rows that answered nothing cost
    less than what pages can still save. So a poll costs at most twice as much as the cheaper way, even if
    the list shows none of the ids. If the list is slow, the time decides.

    :param ids: how many are not answered yet, but for those that pages did not show.
    :param page_size: rows of a page.
    :param debt: rows that were read in vain.
    """
    if ids <= MAX_SINGLE_LOOKUPS or history.sizes.limit <= MAX_SINGLE_LOOKUPS or history.is_slow(ids):
        return 0
    rate = rows_of_a_lookup(history, page_size)
    if not rate:
        return min(ids, MAX_FIRST_PAGE_ROWS)
    spare = ids * (rate - 1) - debt
    return ids + int(spare) if spare > 0 else 0
