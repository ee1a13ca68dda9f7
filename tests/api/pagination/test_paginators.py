"""What lasts is read once, whatever happens to a list meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.pagination.base import Paginator
from airflow_provider_predictions.api.service import Service
from tests.api.lists import (
    ENDLESS,
    FEW_ROWS_A_PAGE,
    Ahead,
    Change,
    Listing,
    Row,
    Story,
    at,
    ids_of,
    in_every_order,
    is_proven,
    missed,
    pages,
    paginator_of,
    reborn,
    stories,
    told,
)
from tests.api.services import CRADL, SERVICES, VLMRUN

pytestmark = pytest.mark.usefixtures("quiet")


@SERVICES
@in_every_order
def test_what_lasts_is_read_once_whatever_happens(
    service: Service[Any], order: str, examples: settings
) -> None:
    @given(stories(order))
    @examples
    def prove(story: Story) -> None:
        paginator = paginator_of(service, page_size=story.page_size)

        assert not missed(story, ids_of(pages(paginator, story.listing, story.restore)))

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
        paginator = paginator_of(service, page_size=story.page_size)

        listed = ids_of(Ahead(story.listing, count, cycle(luck)).pages(paginator, story.restore))

        assert not missed(story, listed)

    prove()


@in_every_order
def test_a_pass_of_one_row_a_page_misses_none_or_says_so(order: str, examples: settings) -> None:
    """Such pages have no row in common that would show a removed one."""

    @given(stories(order, FEW_ROWS_A_PAGE))
    @examples
    def prove(story: Story) -> None:
        paginator = paginator_of(VLMRUN, page_size=story.page_size)

        assert not missed(story, ids_of(pages(paginator, story.listing, story.restore))) or not is_proven(
            paginator
        )

    prove()


@pytest.mark.parametrize("page_size", [1, 3])
@pytest.mark.parametrize("count", [3, 4])
def test_a_row_that_one_row_a_page_hides_is_said(page_size: int, count: int) -> None:
    story = told(range(count, 0, -1), "-", cap=1)
    paginator = paginator_of(VLMRUN, page_size=page_size)

    assert missed(story, ids_of(pages(paginator, story.listing, story.restore))) == {"row1"}
    assert paginator.proof == (None, "two pages shared no row, so a removed row may have hidden another")


@pytest.mark.parametrize(("page_size", "cap"), [(1, None), (1, 1), (3, 1)])
def test_of_two_rows_none_is_hidden(page_size: int, cap: int | None) -> None:
    story = told([2, 1], "-", page_size=page_size, cap=cap)
    paginator = paginator_of(VLMRUN, page_size=page_size)

    assert ids_of(pages(paginator, story.listing, story.restore)) == ["row0", "row1"]
    assert is_proven(paginator)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_list_whose_end_was_seen_before_is_read_with_one_request(count: int) -> None:
    listing = told(range(count, 0, -1)).listing
    first, second = (paginator_of(VLMRUN, page_size=10) for _ in range(2))
    read = ids_of(pages(first, listing))
    listing.asked.clear()
    second.list_end = first.list_end

    assert ids_of(pages(second, listing)) == read == [row.id for row in listing.rows]
    assert len(listing.asked) == 1


def test_pages_of_one_row_are_asked_for_with_the_row_in_front() -> None:
    story = told(range(5, 0, -1), "-", "", "-", page_size=1)
    paginator = paginator_of(VLMRUN, page_size=1)

    assert not missed(story, ids_of(pages(paginator, story.listing, story.restore)))
    assert is_proven(paginator)


@pytest.mark.parametrize("times", [[0, 0, 1], [5, 3, 4], [5, 3, 4, 2, 1], [0, 0, 1, 2, 3, 4]])
def test_a_row_newer_than_the_last_one_is_not_known_without_an_order(times: list[int]) -> None:
    """A removed row makes the next page start with it, and nothing yet has shown that rows come in order."""
    story = told(times, "-")

    assert not missed(story, ids_of(pages(paginator_of(VLMRUN, page_size=2), story.listing, story.restore)))


def test_rows_that_vanish_more_slowly_than_they_are_read_are_no_reason_to_give_up() -> None:
    story = told(range(3000, 0, -1), *["-"] * 900, page_size=5)
    paginator = paginator_of(VLMRUN, page_size=5)

    assert not missed(story, ids_of(pages(paginator, story.listing, story.restore, most=2000)))


def test_a_server_whose_pages_vary_in_size_does_not_end_a_list_that_grows() -> None:
    story = told(range(20, 0, -1), "+++", page_size=10, cap=4)
    caps = iter([3])

    def restore() -> None:
        story.restore()
        story.listing.cap = next(caps, 4)

    assert not missed(story, ids_of(pages(paginator_of(VLMRUN, page_size=10), story.listing, restore)))


@SERVICES
def test_rows_that_are_no_records_stand_beside_the_others(service: Service[Any]) -> None:
    rows = [Row(f"row{n}", 20 - n, "null" if n % 3 == 0 else None) for n in range(20)]

    read = list(pages(paginator_of(service, page_size=4), Listing(rows)))

    assert ids_of(read) == [row.id for row in rows if not row.junk]
    assert sum(len(page.rejected) for page in read) == 7


def test_equal_rows_that_are_no_records_do_not_join_two_pages() -> None:
    """Removed rows in front bring another ``null`` to where the last one of the page before is looked for."""
    rows = [Row(f"row{n}", 9 - n, "null" if n in (2, 4) else None) for n in range(9)]
    story = Story(Listing(rows), "in order", 3, [[Change("remove", 0, 0)] * 2])

    listed = ids_of(pages(paginator_of(VLMRUN, page_size=3), story.listing, story.restore))

    assert missed(story, listed) <= {"row2", "row4"}


@SERVICES
@in_every_order
def test_a_list_at_rest_is_read_in_its_order_and_proven_to_be_whole(
    service: Service[Any], order: str, examples: settings
) -> None:
    @given(stories(order, st.integers(1, 7), is_quiet=True))
    @examples
    def prove(story: Story) -> None:
        paginator = paginator_of(service, page_size=story.page_size)

        assert ids_of(pages(paginator, story.listing)) == story.at_first
        if min(story.page_size, story.listing.cap or 7) > 1 or len(story.at_first) < 2:
            assert is_proven(paginator) or service is CRADL

    prove()


@SERVICES
@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_short_list_is_proven_to_be_whole(service: Service[Any], count: int) -> None:
    paginator = paginator_of(service)

    assert len(ids_of(pages(paginator, Listing([Row(f"row{n}", -n) for n in range(count)])))) == count
    assert is_proven(paginator) or service is CRADL


@SERVICES
def test_a_list_in_order_is_proven_to_be_whole_whatever_happens(
    service: Service[Any], examples: settings
) -> None:
    @given(stories("in order"), st.booleans())
    @examples
    def prove(story: Story, is_ahead: bool) -> None:
        paginator = paginator_of(service, page_size=story.page_size)
        flights = Ahead(story.listing, 3, cycle([True, False]))
        read = (
            flights.pages(paginator, story.restore)
            if is_ahead
            else pages(paginator, story.listing, story.restore)
        )

        ids_of(read)

        # A list of one row, which then grows, looks like a server that gives one row a page; a row that comes
        # to lie among those that were read looks like one that had been there.
        unclear = len(story.at_first) < 2 or story.adds_among_others
        assert is_proven(paginator) or service is CRADL or unclear
        assert paginator.position.seen.ordered or unclear

    prove()


@pytest.mark.parametrize("change", ["+", "-", "--"])
@pytest.mark.parametrize("times", [[1, 5, 2, 4, 3], [None] * 5, [1, 2, 3, 4, 5]])
def test_a_list_without_order_that_moved_is_doubted(times: list[int | None], change: str) -> None:
    story = told(times, change)
    paginator = paginator_of(VLMRUN, page_size=2)

    assert not missed(story, ids_of(pages(paginator, story.listing, story.restore)))
    assert paginator.proof.consistent is False


@pytest.mark.parametrize(
    ("order", "is_doubted"),
    [("dacb", True), ("adcbe", True), ("abcd", False), ("nabcd", False), ("bcd", False)],
)
def test_rows_of_one_creation_time_that_come_in_another_order_are_doubted(
    order: str, is_doubted: bool
) -> None:
    """A database may sort them anew for each response."""
    listing = Listing([Row(id_, 1) for id_ in "abcd"])

    def sort() -> None:
        listing.ever[:] = [Row(id_, 1) for id_ in order]

    paginator = paginator_of(VLMRUN, page_size=3)
    ids_of(pages(paginator, listing, sort))

    assert (paginator.proof.consistent is False) == is_doubted


def with_deaths(
    paginator: Paginator, story: Story, service: Service[Any], dies: Iterator[bool], **filters: Any
) -> list[bytes]:
    """What a pass yields that sometimes dies after a page."""
    read: list[Page] = []
    for n in range(ENDLESS):
        requests = paginator.next_requests(1)
        if not requests:
            assert reborn(paginator, service, ids_of(read), **filters).next_requests(1) == []
            return [prediction.raw for page in read for prediction in page.predictions]
        if n:
            story.restore()
        read.append(paginator.advance(paginator.parse(story.listing.answer(requests[0]))))
        if next(dies, False):
            paginator = reborn(paginator, service, ids_of(read), **filters)
    pytest.fail("the pass does not end")


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
def test_a_pass_that_dies_after_any_page_leaves_exactly_the_rest(
    service: Service[Any], order: str, filters: dict[str, Any], examples: settings
) -> None:
    @given(stories(order, is_quiet=True), st.lists(st.booleans(), max_size=20))
    @examples
    def prove(story: Story, dies: list[bool]) -> None:
        def listed(dies: Iterator[bool]) -> list[bytes]:
            paginator = paginator_of(service, page_size=story.page_size, **filters)
            return with_deaths(paginator, story, service, dies, page_size=story.page_size, **filters)

        assert listed(iter(dies)) == listed(iter([]))

    prove()


@SERVICES
@in_every_order
def test_what_lasts_is_read_once_by_a_pass_that_dies(
    service: Service[Any], order: str, examples: settings
) -> None:
    @given(stories(order), st.lists(st.booleans(), max_size=20))
    @examples
    def prove(story: Story, dies: list[bool]) -> None:
        filters = {"page_size": story.page_size}
        paginator = paginator_of(service, **filters)

        listed = ids_in(with_deaths(paginator, story, service, iter(dies), **filters))

        assert not missed(story, listed)

    prove()


@pytest.mark.parametrize("times", [range(9), [None] * 9, [*range(9, 4, -1), *range(4)]])
def test_a_pass_asks_for_the_yielded_ids_if_the_order_does_not_tell(times: list[int | None]) -> None:
    """The order may be lost before or after the process that yielded the first rows has died."""
    story = told(times, "", "+")
    paginator = paginator_of(VLMRUN, page_size=3)

    assert not missed(story, ids_in(with_deaths(paginator, story, VLMRUN, cycle([True]), page_size=3)))
