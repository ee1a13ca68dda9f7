"""Walks, driven without a wire, over lists that change between any two requests.

A walk is given the answers to its requests, so whatever can happen on a server can be told to it. Random
stories are told by hypothesis.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tracemalloc
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
from time import thread_time
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_predictions.api.auth import BearerAuth
from airflow_provider_predictions.api.cradl import Cradl
from airflow_provider_predictions.api.errors import InvalidRequestError, MalformedAnswerError
from airflow_provider_predictions.api.models import Page, PageRequest
from airflow_provider_predictions.api.service import Service, Walk
from airflow_provider_predictions.api.vlmrun import VlmRun

VLMRUN = VlmRun("https://api.example.com/v1", BearerAuth("key"))
CRADL = Cradl("https://api.example.com/v1", BearerAuth("key"))
SERVICES = pytest.mark.parametrize("service", [VLMRUN, CRADL], ids=lambda service: service.name)

ENDLESS = 300
"""No story needs so many requests."""

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


# --- a server ----------------------------------------------------------------------------------------


class Row(NamedTuple):
    """A row of a list.

    :param created: seconds since some moment.
    :param junk: what stands there instead of a record.
    """

    id: str
    created: int | None = None
    junk: str | None = None

    def text(self, id_: str, created_at: str) -> str:
        time = None if self.created is None else at(self.created).isoformat()
        return self.junk or json.dumps({id_: self.id, created_at: time, "status": "x"})


class Listing:
    """A list of a server, by offsets and by tokens.

    :param cap: how many rows an answer holds at most.
    """

    def __init__(self, rows: Iterable[Row], cap: int | None = None) -> None:
        self.ever = list(rows)
        """Removed ones, too; a token stays good when the row that it leads behind is gone."""
        self._gone: set[str] = set()
        self.cap = cap
        self.asked: list[dict[str, Any]] = []

    @property
    def rows(self) -> list[Row]:
        return [row for row in self.ever if row.id not in self._gone]

    def insert(self, index: int, row: Row) -> None:
        rows = self.rows
        place = self.ever.index(rows[index]) if index < len(rows) else len(self.ever)
        self.ever.insert(place, row)

    def remove(self, index: int) -> None:
        self._gone.add(self.rows[index].id)

    def answer(self, request: PageRequest) -> bytes:
        params = dict(request.params)
        self.asked.append(params)
        if "skip" in params:
            skip, limit = params["skip"], params["limit"]
            rows = self.rows[skip : skip + min(limit, self.cap or limit)]
            return f"[{','.join(row.text('id', 'created_at') for row in rows)}]".encode()
        size = min(params["maxResults"], self.cap or params["maxResults"])
        rows = self._behind(params.get("nextToken"), is_ascending=params["order"] == "ascending")
        texts = ",".join(row.text("predictionId", "createdTime") for row in rows[:size])
        token = json.dumps(rows[size - 1].id if len(rows) > size else None)
        return f'{{"predictions": [{texts}], "nextToken": {token}}}'.encode()

    def _behind(self, token: str | None, *, is_ascending: bool) -> list[Row]:
        rows = self.ever[::-1] if is_ascending else self.ever
        start = 0 if token is None else [row.id for row in rows].index(token) + 1
        return [row for row in rows[start:] if row.id not in self._gone]


def nothing() -> None:
    """Happen between two requests."""


def pages(
    walk: Walk, listing: Any, between: Callable[[], None] = nothing, most: int = ENDLESS
) -> Iterator[Page]:
    """Answer a walk's requests until it has no more."""
    for n in range(most):
        requests = walk.ahead(1)
        if not requests:
            return
        if n:
            between()
        yield walk.take(walk.read(listing.answer(requests[0])))
    pytest.fail("the walk does not end")


def ids_of(pages: Iterable[Page]) -> list[str]:
    return [prediction.id for page in pages for prediction in page.predictions]


class Ahead:
    """The same with requests in flight, as ``Client.pages`` sends and forgets them.

    :param count: how many are in flight.
    :param luck: whether an answer is made now, whenever there is a chance to; it is once it is asked for.
    """

    def __init__(self, listing: Listing, count: int, luck: Iterator[bool]) -> None:
        self._listing, self._count, self._luck = listing, count, luck
        self._flying: list[tuple[PageRequest, list[bytes]]] = []

    def pages(self, walk: Walk, between: Callable[[], None]) -> Iterator[Page]:
        for _ in range(ENDLESS):
            requests = walk.ahead(self._count)
            if not requests:
                return
            self._start(requests)
            between()
            _, body = self._flying.pop(0)
            page = walk.take(walk.read(body[0] if body else self._listing.answer(requests[0])))
            self._start(walk.ahead(self._count))
            between()
            yield page
        pytest.fail("the walk does not end")

    def _start(self, requests: list[PageRequest]) -> None:
        flying = [(request, body) for request, body in self._flying if request in requests]
        known = [request for request, _ in flying]
        flying += [(request, []) for request in requests if request not in known]
        self._flying = sorted(flying, key=lambda flight: requests.index(flight[0]))
        for request, body in self._flying:
            if not body and next(self._luck):
                body.append(self._listing.answer(request))


# --- stories -----------------------------------------------------------------------------------------


class Change(NamedTuple):
    """Something that happens to a list.

    :param where: a row, counted round and round.
    :param when: chooses the creation time of a new row.
    """

    what: str
    where: int
    when: int


@dataclass
class Story:
    """A list, and what happens to it between the first requests; then it stays as it is."""

    listing: Listing
    order: str
    page_size: int
    changes: list[list[Change]]
    times: Iterator[list[Change]] = field(init=False)

    def __post_init__(self) -> None:
        self.times = iter(self.changes)
        self.at_first = [row.id for row in self.listing.rows]
        self._made = 0

    def __repr__(self) -> str:
        return f"{self.listing.rows} {self.listing.cap=} {self.page_size=} {self.changes}"

    @property
    def adds_among_others(self) -> bool:
        """Whether a row comes to the list elsewhere than in front."""
        return any(change.what not in ("add", "remove") for changes in self.changes for change in changes)

    def go_on(self) -> None:
        """Let the next changes happen."""
        for change in next(self.times, ()):
            rows = self.listing.rows
            if change.what == "remove":
                if rows:
                    self.listing.remove(change.where % len(rows))
            else:
                index = 0 if change.what == "add" else change.where % (len(rows) + 1)
                self._made += 1
                self.listing.insert(index, Row(f"new{self._made}", self._time(index, change.when)))

    def _time(self, index: int, when: int) -> int | None:
        if self.order == "in order":
            times = [row.created or 0 for row in self.listing.rows]
            low = times[index] if index < len(times) else (times or [0])[-1] - 2
            high = times[index - 1] if index else low + 2
            return low + when % (high - low + 1)
        return None if self.order == "without times" and when % 2 else when

    def lasting(self) -> set[str]:
        """What was there from the first to the last request."""
        return set(self.at_first) & {row.id for row in self.listing.rows}


def times_of(order: str) -> st.SearchStrategy[list[int | None]]:
    time = st.integers(0, 12)
    if order == "without times":
        return st.lists(time | st.none(), max_size=25)
    times = st.lists(time, max_size=25)
    return times.map(lambda given: sorted(given, reverse=True)) if order == "in order" else times


SEVERAL_ROWS_A_PAGE = st.integers(2, 7)
FEW_ROWS_A_PAGE = st.integers(1, 3)


def stories(
    order: str, page_sizes: st.SearchStrategy[int] = SEVERAL_ROWS_A_PAGE, *, is_quiet: bool = False
) -> st.SearchStrategy[Story]:
    change = st.builds(
        Change, st.sampled_from(["add", "insert", "remove"]), st.integers(0, 30), st.integers(0, 12)
    )
    changes = st.just([]) if is_quiet else st.lists(st.lists(change, max_size=4), max_size=12)
    rows = times_of(order).map(lambda times: [Row(f"row{n}", time) for n, time in enumerate(times)])
    listings = st.builds(Listing, rows, st.none() | page_sizes)
    return st.builds(Story, listings, st.just(order), page_sizes, changes)


ORDERS = ["in order", "in any order", "without times"]
in_every_order = pytest.mark.parametrize("order", ORDERS)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of stories would fill the log."""
    caplog.set_level("ERROR", "airflow_provider_predictions")


def a_walk(service: Service[Any], **filters: Any) -> Walk:
    return service.walk(service.filters(**filters))


def missed(story: Story, listed: list[str]) -> set[str]:
    """What was not handed out although it lasted; nothing is handed out twice."""
    assert len(set(listed)) == len(listed)
    return story.lasting() - set(listed)


def told(times: Sequence[int | None], *changes: str, page_size: int = 2, cap: int | None = None) -> Story:
    """A story by hand: before each request but the first, ``+`` adds a row in front and ``-`` removes one."""
    rows = [Row(f"row{n}", time) for n, time in enumerate(times)]
    kinds = {"+": Change("add", 0, 0), "-": Change("remove", 0, 0)}
    return Story(Listing(rows, cap), "in order", page_size, [[kinds[sign] for sign in c] for c in changes])


# --- never twice, never missed -----------------------------------------------------------------------


@SERVICES
@in_every_order
def test_what_lasts_is_read_once_whatever_happens(
    service: Service[Any], order: str, examples: settings
) -> None:
    @given(stories(order))
    @examples
    def prove(story: Story) -> None:
        walk = a_walk(service, page_size=story.page_size)

        assert not missed(story, ids_of(pages(walk, story.listing, story.go_on)))

    prove()


@SERVICES
@in_every_order
def test_what_lasts_is_read_once_with_requests_in_flight(
    service: Service[Any], order: str, examples: settings
) -> None:
    """So that an answer may be older than the one before it."""

    @given(stories(order), st.integers(1, 5), st.lists(st.booleans(), min_size=1, max_size=20))
    @examples
    def prove(story: Story, count: int, luck: list[bool]) -> None:
        walk = a_walk(service, page_size=story.page_size)

        listed = ids_of(Ahead(story.listing, count, cycle(luck)).pages(walk, story.go_on))

        assert not missed(story, listed)

    prove()


@in_every_order
def test_a_walk_of_one_row_a_page_misses_none_or_says_so(order: str, examples: settings) -> None:
    """Such pages have no row in common that would show a removed one."""

    @given(stories(order, FEW_ROWS_A_PAGE))
    @examples
    def prove(story: Story) -> None:
        walk = a_walk(VLMRUN, page_size=story.page_size)

        assert not missed(story, ids_of(pages(walk, story.listing, story.go_on))) or walk.doubt

    prove()


@pytest.mark.parametrize("page_size", [1, 3])
@pytest.mark.parametrize("count", [3, 4])
def test_a_row_that_one_row_a_page_hides_is_said(page_size: int, count: int) -> None:
    story = told(range(count, 0, -1), "-", cap=1)
    walk = a_walk(VLMRUN, page_size=page_size)

    assert missed(story, ids_of(pages(walk, story.listing, story.go_on))) == {"row1"}
    assert walk.doubt


@pytest.mark.parametrize(("page_size", "cap"), [(1, None), (1, 1), (3, 1)])
def test_of_two_rows_none_is_hidden(page_size: int, cap: int | None) -> None:
    story = told([2, 1], "-", page_size=page_size, cap=cap)
    walk = a_walk(VLMRUN, page_size=page_size)

    assert ids_of(pages(walk, story.listing, story.go_on)) == ["row0", "row1"]
    assert walk.doubt is None


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_list_whose_end_was_seen_before_is_read_with_one_request(count: int) -> None:
    listing = told(range(count, 0, -1)).listing
    first, second = (a_walk(VLMRUN, page_size=10) for _ in range(2))
    read = ids_of(pages(first, listing))
    listing.asked.clear()
    second.list_end = first.list_end

    assert ids_of(pages(second, listing)) == read == [row.id for row in listing.rows]
    assert len(listing.asked) == 1


def test_pages_of_one_row_are_asked_for_with_the_row_in_front() -> None:
    story = told(range(5, 0, -1), "-", "", "-", page_size=1)
    walk = a_walk(VLMRUN, page_size=1)

    assert not missed(story, ids_of(pages(walk, story.listing, story.go_on)))
    assert walk.doubt is None


@pytest.mark.parametrize("times", [[0, 0, 1], [5, 3, 4], [5, 3, 4, 2, 1], [0, 0, 1, 2, 3, 4]])
def test_a_row_newer_than_the_last_one_is_not_known_without_an_order(times: list[int]) -> None:
    """A removed row makes the next page start with it, and nothing yet has shown that rows come in order."""
    story = told(times, "-")

    assert not missed(story, ids_of(pages(a_walk(VLMRUN, page_size=2), story.listing, story.go_on)))


def test_rows_that_vanish_more_slowly_than_they_are_read_are_no_reason_to_give_up() -> None:
    story = told(range(3000, 0, -1), *["-"] * 900, page_size=5)
    walk = a_walk(VLMRUN, page_size=5)

    assert not missed(story, ids_of(pages(walk, story.listing, story.go_on, most=2000)))


def test_a_server_whose_pages_vary_in_size_does_not_end_a_list_that_grows() -> None:
    story = told(range(20, 0, -1), "+++", page_size=10, cap=4)
    caps = iter([3])

    def go_on() -> None:
        story.go_on()
        story.listing.cap = next(caps, 4)

    assert not missed(story, ids_of(pages(a_walk(VLMRUN, page_size=10), story.listing, go_on)))


@SERVICES
def test_rows_that_are_no_records_stand_beside_the_others(service: Service[Any]) -> None:
    rows = [Row(f"row{n}", 20 - n, "null" if n % 3 == 0 else None) for n in range(20)]

    read = list(pages(a_walk(service, page_size=4), Listing(rows)))

    assert ids_of(read) == [row.id for row in rows if not row.junk]
    assert sum(len(page.rejected) for page in read) == 7


def test_equal_rows_that_are_no_records_do_not_join_two_pages() -> None:
    """Removed rows in front bring another ``null`` to where the last one of the page before is looked for."""
    rows = [Row(f"row{n}", 9 - n, "null" if n in (2, 4) else None) for n in range(9)]
    story = Story(Listing(rows), "in order", 3, [[Change("remove", 0, 0)] * 2])

    listed = ids_of(pages(a_walk(VLMRUN, page_size=3), story.listing, story.go_on))

    assert missed(story, listed) <= {"row2", "row4"}


# --- doubt -------------------------------------------------------------------------------------------


@SERVICES
@in_every_order
def test_a_list_at_rest_is_read_in_its_order_and_without_doubt(
    service: Service[Any], order: str, examples: settings
) -> None:
    @given(stories(order, st.integers(1, 7), is_quiet=True))
    @examples
    def prove(story: Story) -> None:
        walk = a_walk(service, page_size=story.page_size)

        assert ids_of(pages(walk, story.listing)) == story.at_first
        if min(story.page_size, story.listing.cap or 7) > 1 or len(story.at_first) < 2:
            assert walk.doubt is None

    prove()


@SERVICES
@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_short_list_is_read_without_doubt(service: Service[Any], count: int) -> None:
    walk = a_walk(service)

    assert len(ids_of(pages(walk, Listing([Row(f"row{n}", -n) for n in range(count)])))) == count
    assert walk.doubt is None


@SERVICES
def test_a_list_in_order_is_read_without_doubt_whatever_happens(
    service: Service[Any], examples: settings
) -> None:
    @given(stories("in order"), st.booleans())
    @examples
    def prove(story: Story, is_ahead: bool) -> None:
        walk = a_walk(service, page_size=story.page_size)
        flights = Ahead(story.listing, 3, cycle([True, False]))
        read = flights.pages(walk, story.go_on) if is_ahead else pages(walk, story.listing, story.go_on)

        ids_of(read)

        # A list of one row, which then grows, looks like a server that gives one row a page; a row that comes
        # to lie among those that were read looks like one that had been there.
        unclear = walk.page_size == 1 or story.adds_among_others
        assert walk.doubt is None or unclear
        assert walk.frontier.ordered or unclear

    prove()


@pytest.mark.parametrize("change", ["+", "-", "--"])
@pytest.mark.parametrize("times", [[1, 5, 2, 4, 3], [None] * 5, [1, 2, 3, 4, 5]])
def test_a_list_without_order_that_moved_is_doubted(times: list[int | None], change: str) -> None:
    story = told(times, change)
    walk = a_walk(VLMRUN, page_size=2)

    assert not missed(story, ids_of(pages(walk, story.listing, story.go_on)))
    assert walk.doubt


# --- going on in another process ---------------------------------------------------------------------


def reborn(walk: Walk, service: Service[Any], earlier: Sequence[str], **filters: Any) -> Walk:
    """The walk in another process: all that is left of it is JSON, and what it handed out."""
    left = json.dumps(walk.position())
    other = a_walk(service, **filters)
    other.go_on(json.loads(left), lambda: iter(list(earlier)))
    return other


def with_deaths(
    walk: Walk, story: Story, service: Service[Any], dies: Iterator[bool], **filters: Any
) -> list[bytes]:
    """What is handed out by a walk that sometimes dies after a page."""
    read: list[Page] = []
    for n in range(ENDLESS):
        requests = walk.ahead(1)
        if not requests:
            assert reborn(walk, service, ids_of(read), **filters).ahead(1) == []
            return [prediction.raw for page in read for prediction in page.predictions]
        if n:
            story.go_on()
        read.append(walk.take(walk.read(story.listing.answer(requests[0]))))
        if next(dies, False):
            walk = reborn(walk, service, ids_of(read), **filters)
    pytest.fail("the walk does not end")


FILTERS: list[dict[str, Any]] = [
    {},
    {"created_after": at(3), "created_before": at(9)},
    {"created_before": at(6)},
    {"max_predictions": 9},
]


def ids_in(raws: list[bytes]) -> list[str]:
    return [record.get("id") or record["predictionId"] for record in map(json.loads, raws)]


@SERVICES
@in_every_order
@pytest.mark.parametrize("filters", FILTERS, ids=lambda filters: " and ".join(filters))
def test_a_walk_that_dies_after_any_page_leaves_exactly_the_rest(
    service: Service[Any], order: str, filters: dict[str, Any], examples: settings
) -> None:
    @given(stories(order, is_quiet=True), st.lists(st.booleans(), max_size=20))
    @examples
    def prove(story: Story, dies: list[bool]) -> None:
        def listed(dies: Iterator[bool]) -> list[bytes]:
            walk = a_walk(service, page_size=story.page_size, **filters)
            return with_deaths(walk, story, service, dies, page_size=story.page_size, **filters)

        assert listed(iter(dies)) == listed(iter([]))

    prove()


@SERVICES
@in_every_order
def test_what_lasts_is_read_once_by_a_walk_that_dies(
    service: Service[Any], order: str, examples: settings
) -> None:
    @given(stories(order), st.lists(st.booleans(), max_size=20))
    @examples
    def prove(story: Story, dies: list[bool]) -> None:
        filters = {"page_size": story.page_size}
        walk = a_walk(service, **filters)

        listed = ids_in(with_deaths(walk, story, service, iter(dies), **filters))

        assert not missed(story, listed)

    prove()


@pytest.mark.parametrize("times", [range(9), [None] * 9, [*range(9, 4, -1), *range(4)]])
def test_a_walk_asks_for_what_was_handed_out_where_the_order_does_not_tell(times: list[int | None]) -> None:
    """The order may be lost before or after the process that handed out the first rows has died."""
    story = told(times, "", "+")
    walk = a_walk(VLMRUN, page_size=3)

    assert not missed(story, ids_in(with_deaths(walk, story, VLMRUN, cycle([True]), page_size=3)))


# --- windows of a long list --------------------------------------------------------------------------

DAY = 86_400
MILLION = 1_000_000
MOST_EXTRA = 25
"""Requests that finding a window may cost, beside the pages that hold its rows."""


@dataclass
class Archive:
    """A long list of offsets, whose rows are numbers; what they look like is computed.

    :param age: seconds from a row's creation to the newest row's, by its number.
    """

    rows: Sequence[int]
    age: Callable[[int], int]
    asked: int = 0

    def created(self, number: int) -> datetime:
        return START - timedelta(seconds=self.age(number))

    def answer(self, request: PageRequest) -> bytes:
        self.asked += 1
        skip, limit = int(request.params["skip"]), int(request.params["limit"])
        shown = [
            f'{{"id": "{number}", "created_at": "{self.created(number).isoformat()}"}}'
            for number in self.rows[skip : skip + limit]
        ]
        return f"[{','.join(shown)}]".encode()

    def within(self, youngest: int, oldest: int) -> list[str]:
        """The rows between two ages, the older one inclusive, of a list in order."""
        first = bisect_left(self.rows, youngest + 1, key=self.age)
        return [str(number) for number in self.rows[first : bisect_left(self.rows, oldest + 1, key=self.age)]]


def evenly(number: int) -> int:
    """One row every 2.6 seconds, a million in 30 days; a few at a time are of one moment."""
    return number * 30 * DAY // MILLION // 10 * 10


def unevenly(number: int) -> int:
    """All but a ten thousandth part within the tenth day, of an hour's rush."""
    if number < 50:
        return number * 10 * DAY // 50
    if number < MILLION - 50:
        return 10 * DAY + number * 3600 // MILLION
    return 11 * DAY + (number - MILLION + 50) * 19 * DAY // 50


SPREADS = pytest.mark.parametrize("spread", [evenly, unevenly])
DAYS = pytest.mark.parametrize("day", [0, 14, 29], ids=["beginning", "middle", "end"])


def a_day(day: int) -> dict[str, Any]:
    """The window of one day, counted back from the newest row."""
    end = START - timedelta(days=day)
    return {"created_after": end - timedelta(days=1), "created_before": end}


def seek(archive: Archive, between: Callable[[], None] = nothing, **window: Any) -> tuple[list[str], Walk]:
    walk = a_walk(VLMRUN, **window)
    return ids_of(pages(walk, archive, between, most=3000)), walk


@SPREADS
@DAYS
def test_a_day_of_a_long_list_costs_little_more_than_its_pages(
    spread: Callable[[int], int], day: int
) -> None:
    archive = Archive(range(MILLION), spread)
    wanted = archive.within(day * DAY, (day + 1) * DAY)

    listed, walk = seek(archive, **a_day(day))

    assert listed == wanted
    assert wanted
    assert archive.asked <= -(-len(wanted) // 999) + MOST_EXTRA
    assert walk.doubt is None


@DAYS
def test_a_window_begins_with_its_start_and_ends_before_its_end(day: int) -> None:
    archive = Archive(range(100_000), lambda number: number * 10)
    newest, oldest = day * 3000, day * 3000 + 50

    listed, _ = seek(archive, created_after=archive.created(oldest), created_before=archive.created(newest))

    assert listed == [str(number) for number in range(newest + 1, oldest + 1)]


@SPREADS
@DAYS
def test_a_window_of_a_long_list_that_changes_is_complete(spread: Callable[[int], int], day: int) -> None:
    rng = random.Random(day)
    archive = Archive(list(range(MILLION)), spread)
    rows: list[int] = archive.rows  # type: ignore[assignment]

    def change() -> None:
        for _ in range(rng.randrange(4)):
            rows.insert(0, rows[0] - 1)
        for _ in range(rng.randrange(4)):
            del rows[rng.choice([0, rng.randrange(len(rows))])]

    listed, walk = seek(archive, change, **a_day(day))

    assert len(set(listed)) == len(listed)
    assert set(archive.within(day * DAY, (day + 1) * DAY)) - {str(n) for n in rows if n < 0} <= set(listed)
    assert walk.frontier.ordered
    assert walk.doubt is None
    assert archive.asked <= 2 * -(-len(listed) // 999) + MOST_EXTRA


@pytest.mark.parametrize("is_ahead", [False, True])
def test_what_lasts_in_a_window_is_read_once_whatever_happens(is_ahead: bool, examples: settings) -> None:
    @given(stories("in order", st.integers(2, 5)), st.integers(0, 12), st.integers(0, 12))
    @examples
    def prove(story: Story, one: int, other: int) -> None:
        first, last = sorted((one, other))
        walk = a_walk(VLMRUN, page_size=story.page_size, created_after=at(first), created_before=at(last))
        flights = Ahead(story.listing, 3, cycle([True, False, False]))
        read = flights.pages(walk, story.go_on) if is_ahead else pages(walk, story.listing, story.go_on)

        listed = ids_of(read)

        inside = {row.id for row in story.listing.ever if first <= (row.created or 0) < last}
        assert set(listed) <= inside
        assert not missed(story, listed) & inside

    prove()


def test_rows_that_come_while_a_window_is_searched_are_no_disorder() -> None:
    """More of them than lie between two rows that the search looks at."""
    story = told(range(40, 0, -1), "", "", "++++", "++++", page_size=3)
    walk = a_walk(VLMRUN, page_size=3, created_after=at(3), created_before=at(9))

    listed = ids_of(pages(walk, story.listing, story.go_on))

    assert listed == [f"row{n}" for n in range(32, 38)]
    assert walk.frontier.ordered
    assert walk.doubt is None


@pytest.mark.parametrize("when", range(2, 14))
def test_a_search_that_a_rush_of_rows_overtakes_is_made_again(when: int) -> None:
    archive = Archive(list(range(100_000)), lambda number: number * 10)
    wanted = archive.within(5 * DAY, 6 * DAY)

    def rush() -> None:
        if archive.asked == when:
            archive.rows = [*range(-20_000, 0), *archive.rows]

    listed, walk = seek(archive, rush, **a_day(5))

    assert listed == wanted
    assert walk.frontier.ordered
    assert archive.asked <= -(-len(wanted) // 999) + 2 * MOST_EXTRA


@SERVICES
@pytest.mark.parametrize("is_oldest_first", [False, True])
def test_a_window_of_a_list_at_rest_is_exact(
    service: Service[Any], is_oldest_first: bool, examples: settings
) -> None:
    edge = st.none() | st.integers(0, 12)

    @given(times_of("in order"), st.integers(1, 7), st.tuples(edge, edge))
    @examples
    def prove(times: list[int], page_size: int, edges: tuple[int | None, int | None]) -> None:
        first, last = edges if None in edges else sorted(edges)
        rows = [Row(f"row{n}", time) for n, time in enumerate(times)]
        filters = {
            "created_after": None if first is None else at(first),
            "created_before": None if last is None else at(last),
        }
        wanted = [row.id for row in rows if (first or 0) <= row.created < (99 if last is None else last)]
        listing = Listing(rows[::-1] if is_oldest_first else rows)

        listed = ids_of(pages(a_walk(service, page_size=page_size, **filters), listing))

        assert listed in (wanted, wanted[::-1])

    prove()


@pytest.mark.parametrize("how", ["oldest first", "shuffled"])
def test_a_list_out_of_order_is_read_whole_for_a_window(how: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", "airflow_provider_predictions")
    numbers = list(range(20_000))
    archive = Archive(numbers, lambda number: number * 100)
    wanted = archive.within(5 * DAY, 6 * DAY)
    if how == "shuffled":
        random.Random(1).shuffle(numbers)
    else:
        numbers.reverse()

    listed, _ = seek(archive, **a_day(5))

    assert sorted(listed, key=int) == wanted
    assert archive.asked >= 20
    assert "does not come in the order of creation" in caplog.text


def test_an_order_that_breaks_in_front_of_the_window_is_noticed_by_the_search() -> None:
    """The first page is in order, and what the search looks at is not."""
    numbers = [*range(1000), *random.Random(1).sample(range(1000, 20_000), 19_000)]
    archive = Archive(numbers, lambda number: number * 100)

    listed, _ = seek(archive, **a_day(5))

    assert sorted(map(int, listed)) == [n for n in range(20_000) if 5 * DAY < n * 100 <= 6 * DAY]


@pytest.mark.parametrize("count", [0, 1, 2, 999, 1000, 1001, 20_000])
@pytest.mark.parametrize("day", [-10, 400], ids=["in the future", "beyond the end"])
def test_a_window_beside_the_list_is_empty_and_soon_known(count: int, day: int) -> None:
    archive = Archive(range(count), lambda number: number * 100)

    listed, walk = seek(archive, **a_day(day))

    assert listed == []
    assert archive.asked <= MOST_EXTRA
    assert walk.doubt is None


@pytest.mark.parametrize("page_size", [1, 2, 1000])
def test_one_row_in_front_of_a_window_does_not_stop_the_search(page_size: int) -> None:
    archive = Archive(range(3), lambda number: number * DAY)

    listed, _ = seek(archive, page_size=page_size, created_before=START)

    assert listed == ["1", "2"]
    assert archive.asked < 10


def test_a_cap_of_the_server_does_not_spoil_the_search() -> None:
    archive = Archive(range(MILLION), evenly)
    whole_answer = archive.answer

    def capped(request: PageRequest) -> bytes:
        limit = min(100, int(request.params["limit"]))
        return whole_answer(PageRequest(request.path, {**request.params, "limit": limit}))

    archive.answer = capped  # type: ignore[method-assign]

    listed, _ = seek(archive, **a_day(14))

    assert listed == archive.within(14 * DAY, 15 * DAY)
    assert archive.asked <= -(-len(listed) // 99) + MOST_EXTRA


# --- tokens ------------------------------------------------------------------------------------------

REFUSED = InvalidRequestError("Invalid nextToken", status=400)


def cradl_list(count: int) -> Listing:
    """A row a minute, newest first."""
    return Listing(Row(f"row{n}", (count - n) * 60) for n in range(count))


def orders(listing: Listing) -> list[str]:
    return [asked["order"] for asked in listing.asked]


@pytest.mark.parametrize(
    ("first", "last", "order"),
    [(4700, 4800, "descending"), (200, 300, "ascending"), (2700, 2800, "descending")],
    ids=["newest end", "oldest end", "nearer to the newest"],
)
def test_a_window_is_read_from_the_nearer_end(first: int, last: int, order: str) -> None:
    listing = cradl_list(5000)
    window = {"created_after": at(first * 60), "created_before": at(last * 60)}

    listed = ids_of(pages(a_walk(CRADL, **window), listing))

    assert set(listed) == {row.id for row in listing.rows if first * 60 <= (row.created or 0) < last * 60}
    assert orders(listing)[-1] == order
    nearer = min(5000 - first, last)
    assert len(listing.asked) <= nearer / 100 + 4


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_an_order_that_is_asked_for_is_kept(order: str) -> None:
    listing = cradl_list(500)
    window = {"created_after": at(6000), "created_before": at(9000)}

    listed = ids_of(pages(a_walk(CRADL, order=order, **window), listing))

    wanted = [row.id for row in listing.rows if 6000 <= (row.created or 0) < 9000]
    assert listed == (wanted if order == "descending" else wanted[::-1])
    assert set(orders(listing)) == {order}


def test_a_window_without_a_start_is_read_from_the_oldest_end() -> None:
    listing = cradl_list(5000)

    listed = ids_of(pages(a_walk(CRADL, created_before=at(6000)), listing))

    assert listed == [f"row{n}" for n in range(4999, 4900, -1)]
    assert set(orders(listing)) == {"ascending"}
    assert len(listing.asked) <= 2


@pytest.mark.parametrize("window", [{}, {"created_after": at(6000)}])
def test_at_most_so_many_are_the_newest_ones(window: dict[str, Any]) -> None:
    listing = cradl_list(5000)

    listed = ids_of(pages(a_walk(CRADL, created_before=at(9000), max_predictions=7, **window), listing))

    assert listed == [f"row{n}" for n in range(4851, 4858)]
    assert set(orders(listing)) == {"descending"}


@pytest.mark.parametrize("times", [range(20, 0, -1), random.Random(1).sample(range(20), 20), [None] * 20])
def test_a_refused_token_begins_the_list_again_and_nothing_comes_twice(times: list[int | None]) -> None:
    listing = told(times).listing
    walk = a_walk(CRADL, page_size=3)
    flow = pages(walk, listing)
    listed = ids_of([next(flow), next(flow)])

    walk.refuse(REFUSED)

    assert "nextToken" not in walk.ahead(1)[0].params
    assert listed + ids_of(flow) == [row.id for row in listing.rows]


@pytest.mark.parametrize("how", ["in order", "shuffled"])
def test_the_time_to_begin_a_list_again_does_not_grow_with_the_square_of_its_length(how: str) -> None:
    def seconds(count: int) -> float:
        times = list(range(count, 0, -1))
        if how == "shuffled":
            random.Random(1).shuffle(times)
        listing = told(times).listing
        walk = a_walk(CRADL, page_size=500)
        flow = pages(walk, listing)
        listed = ids_of(next(flow) for _ in range(count // 500 - 1))
        started = thread_time()

        walk.refuse(REFUSED)

        assert listed + ids_of(flow) == [row.id for row in listing.rows]
        return thread_time() - started

    assert seconds(16_000) < 24 * seconds(2000)


def test_a_second_refused_token_is_an_error() -> None:
    walk = a_walk(CRADL, page_size=3)
    flow = pages(walk, cradl_list(20))
    next(flow)
    walk.refuse(REFUSED)
    next(flow)

    with pytest.raises(InvalidRequestError):
        walk.refuse(REFUSED)


@pytest.mark.parametrize("status", [403, 404, 415, 422])
def test_another_refusal_of_a_page_is_an_error_at_once(status: int) -> None:
    walk = a_walk(CRADL, page_size=3)
    next(pages(walk, cradl_list(20)))

    with pytest.raises(InvalidRequestError):
        walk.refuse(InvalidRequestError("no", status=status))


def test_a_refusal_of_the_first_page_is_an_error() -> None:
    with pytest.raises(InvalidRequestError):
        a_walk(CRADL).refuse(REFUSED)


def test_a_token_that_was_refused_after_a_death_begins_the_list_again() -> None:
    listing = cradl_list(20)
    walk = a_walk(CRADL, page_size=3)
    flow = pages(walk, listing)
    listed = ids_of([next(flow), next(flow)])

    other = reborn(walk, CRADL, listed, page_size=3)
    other.refuse(REFUSED)

    assert listed + ids_of(pages(other, listing)) == [row.id for row in listing.rows]


def test_an_empty_page_with_a_token_is_followed() -> None:
    walk = a_walk(CRADL)

    assert walk.take(walk.read(b'{"predictions": [], "nextToken": "on"}')).predictions == ()
    assert walk.ahead(1)[0].params["nextToken"] == "on"


@pytest.mark.parametrize("between", [0, 1, 5])
def test_a_token_that_comes_again_is_no_way_on(between: int) -> None:
    walk = a_walk(CRADL)
    for n in range(between + 1):
        walk.take(walk.read(b'{"predictions": [], "nextToken": "%d"}' % n))

    with pytest.raises(MalformedAnswerError, match="nextToken"):
        walk.take(walk.read(b'{"predictions": [], "nextToken": "0"}'))


# --- memory ------------------------------------------------------------------------------------------

MANY = pytest.mark.parametrize("many", [50_000, pytest.param(300_000, marks=pytest.mark.search)])


def growth(numbers: Sequence[int], memory: Callable[[], int]) -> int:
    """Bytes that the last nine tenths of a list add to what its first tenth takes."""
    listing, read, few = Listing(Row(f"row{n}", -n) for n in numbers), 0, 0
    texts = [row.text("id", "created_at") for row in listing.rows]

    class Printed:
        def answer(self, request: PageRequest) -> bytes:
            skip, limit = int(request.params["skip"]), int(request.params["limit"])
            return f"[{','.join(texts[skip : skip + limit])}]".encode()

    for page in pages(a_walk(VLMRUN), Printed(), most=400):
        read += len(page.predictions)
        if not few and read >= len(numbers) / 10:
            few = memory()
    assert read == len(numbers)
    return memory() - few


def traced() -> int:
    """The most that was allocated since the first call; what the test itself holds was before that."""
    tracemalloc.start()
    return tracemalloc.get_traced_memory()[1]


@MANY
def test_a_list_in_order_takes_the_same_memory_however_long_it_is(many: int) -> None:
    try:
        assert growth(range(many), traced) < 2_000_000
    finally:
        tracemalloc.stop()


PEAK = """
import random, resource, sys
from tests.api.test_walks import growth
many = int(sys.argv[1])
numbers = random.Random(1).sample(range(many), many)
print(growth(numbers, lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
"""


@MANY
def test_a_list_out_of_order_takes_little_memory_a_row(many: int) -> None:
    """Of the process, since tracemalloc does not see what SQLite takes."""
    run = subprocess.run([sys.executable, "-c", PEAK, str(many)], capture_output=True, text=True, check=True)

    assert int(run.stdout.splitlines()[-1]) <= 64 * many * 9 // 10
