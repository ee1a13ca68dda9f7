"""Windows of a long list, which are searched for."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_predictions.api.models import GetRequest
from airflow_provider_predictions.api.pagination.base import Paginator
from airflow_provider_predictions.api.service import Service
from tests.api.lists import (
    START,
    Ahead,
    Listing,
    Row,
    Story,
    at,
    ids_of,
    missed,
    nothing,
    pages,
    paginator_of,
    stories,
    times_of,
    told,
)
from tests.api.services import SERVICES, VLMRUN

pytestmark = pytest.mark.usefixtures("quiet")


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

    def answer(self, request: GetRequest) -> bytes:
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


def seek(
    archive: Archive, between: Callable[[], None] = nothing, **window: Any
) -> tuple[list[str], Paginator]:
    paginator = paginator_of(VLMRUN, **window)
    return ids_of(pages(paginator, archive, between, most=3000)), paginator


@SPREADS
@DAYS
def test_a_day_of_a_long_list_costs_little_more_than_its_pages(
    spread: Callable[[int], int], day: int
) -> None:
    archive = Archive(range(MILLION), spread)
    wanted = archive.within(day * DAY, (day + 1) * DAY)

    listed, paginator = seek(archive, **a_day(day))

    assert listed == wanted
    assert wanted
    assert archive.asked <= -(-len(wanted) // 999) + MOST_EXTRA
    assert paginator.proof.consistent is None  # the rest was not read


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

    listed, paginator = seek(archive, change, **a_day(day))

    assert len(set(listed)) == len(listed)
    assert set(archive.within(day * DAY, (day + 1) * DAY)) - {str(n) for n in rows if n < 0} <= set(listed)
    assert paginator.position.seen.ordered
    assert paginator.proof.consistent is None  # the rest was not read
    assert archive.asked <= 2 * -(-len(listed) // 999) + MOST_EXTRA


@pytest.mark.parametrize("is_ahead", [False, True])
def test_what_lasts_in_a_window_is_read_once_whatever_happens(is_ahead: bool, examples: settings) -> None:
    @given(stories("in order", st.integers(2, 5)), st.integers(0, 12), st.integers(0, 12))
    @examples
    def prove(story: Story, one: int, other: int) -> None:
        first, last = sorted((one, other))
        paginator = paginator_of(
            VLMRUN, page_size=story.page_size, created_after=at(first), created_before=at(last)
        )
        flights = Ahead(story.listing, 3, cycle([True, False, False]))
        read = (
            flights.pages(paginator, story.restore)
            if is_ahead
            else pages(paginator, story.listing, story.restore)
        )

        listed = ids_of(read)

        inside = {row.id for row in story.listing.ever if first <= (row.created or 0) < last}
        assert set(listed) <= inside
        assert not missed(story, listed) & inside

    prove()


def test_rows_that_come_while_a_window_is_searched_are_no_disorder() -> None:
    """More of them than lie between two rows that the search looks at."""
    story = told(range(40, 0, -1), "", "", "++++", "++++", page_size=3)
    paginator = paginator_of(VLMRUN, page_size=3, created_after=at(3), created_before=at(9))

    listed = ids_of(pages(paginator, story.listing, story.restore))

    assert listed == [f"row{n}" for n in range(32, 38)]
    assert paginator.position.seen.ordered
    assert paginator.proof.consistent is None  # the rest was not read


@pytest.mark.parametrize("when", range(2, 14))
def test_a_search_that_a_rush_of_rows_overtakes_is_made_again(when: int) -> None:
    archive = Archive(list(range(100_000)), lambda number: number * 10)
    wanted = archive.within(5 * DAY, 6 * DAY)

    def rush() -> None:
        if archive.asked == when:
            archive.rows = [*range(-20_000, 0), *archive.rows]

    listed, paginator = seek(archive, rush, **a_day(5))

    assert listed == wanted
    assert paginator.position.seen.ordered
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

        listed = ids_of(pages(paginator_of(service, page_size=page_size, **filters), listing))

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
    assert "is not in the order of creation" in caplog.text


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

    listed, paginator = seek(archive, **a_day(day))

    assert listed == []
    assert archive.asked <= MOST_EXTRA
    assert paginator.proof.consistent is not False


@pytest.mark.parametrize("page_size", [1, 2, 1000])
def test_one_row_in_front_of_a_window_does_not_stop_the_search(page_size: int) -> None:
    archive = Archive(range(3), lambda number: number * DAY)

    listed, _ = seek(archive, page_size=page_size, created_before=START)

    assert listed == ["1", "2"]
    assert archive.asked < 10


def test_a_cap_of_the_server_does_not_spoil_the_search() -> None:
    archive = Archive(range(MILLION), evenly)
    whole_answer = archive.answer

    def capped(request: GetRequest) -> bytes:
        limit = min(100, int(request.params["limit"]))
        return whole_answer(GetRequest(request.path, {**request.params, "limit": limit}))

    archive.answer = capped  # type: ignore[method-assign]

    listed, _ = seek(archive, **a_day(14))

    assert listed == archive.within(14 * DAY, 15 * DAY)
    assert archive.asked <= -(-len(listed) // 99) + MOST_EXTRA
