"""Rows that move, or come in front, while a list is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from airflow_provider_predictions.api.page import Page
from tests.api.lists import Listing, Row, ids_of, is_proven, pages, paginator_of, reborn, told
from tests.api.services import VLMRUN

pytestmark = pytest.mark.usefixtures("quiet")

IDS = [f"row{n}" for n in range(30)]
PAGE_SIZE = 5
READ = 13
"""Rows that are read by the first three requests."""
QUIET = 9
"""Requests for a list that does not change."""
BEHIND = pytest.mark.parametrize("place", [READ + 1, 20, len(IDS) - 1])


def changing(change: Callable[[list[Row]], Sequence[Row]]) -> tuple[Listing, Callable[[], None]]:
    """A list, and what gives it other rows before the fourth request."""
    listing = told(range(len(IDS), 0, -1)).listing

    def happen() -> None:
        if len(listing.asked) == 3:
            listing.ever[:] = change(listing.rows)

    return listing, happen


def moving(place: int, to: int) -> Callable[[list[Row]], Sequence[Row]]:
    def change(rows: list[Row]) -> Sequence[Row]:
        rows.insert(to, rows.pop(place))
        return rows

    return change


def added(count: int) -> list[Row]:
    return [Row(f"new{n}", 100 - n) for n in range(count)]


def test_the_front_of_a_list_that_does_not_change_is_not_read_again() -> None:
    listing, nothing = changing(lambda rows: rows)
    paginator = paginator_of(VLMRUN, page_size=PAGE_SIZE)

    assert ids_of(pages(paginator, listing, nothing)) == IDS
    assert [asked["skip"] for asked in listing.asked] == [0, 4, 8, 12, 16, 20, 24, 28, 29]
    assert len(listing.asked) == QUIET


@BEHIND
def test_a_row_that_moves_to_the_front_comes_last(place: int) -> None:
    listing, moves = changing(moving(place, 0))
    paginator = paginator_of(VLMRUN, page_size=PAGE_SIZE)

    assert ids_of(pages(paginator, listing, moves)) == [*IDS[:place], *IDS[place + 1 :], IDS[place]]
    assert is_proven(paginator)
    assert len(listing.asked) == QUIET + 1


@BEHIND
def test_a_row_that_moves_among_those_that_were_read_is_said_to_be_missing(place: int) -> None:
    listing, moves = changing(moving(place, 8))
    paginator = paginator_of(VLMRUN, page_size=PAGE_SIZE)

    assert ids_of(pages(paginator, listing, moves)) == [*IDS[:place], *IDS[place + 1 :]]
    assert paginator.proof == (
        False, "the list has more records than came: one may have moved among those that were read"
    )  # fmt: skip
    assert len(listing.asked) <= QUIET + 1 + 3 * 2


@BEHIND
def test_a_row_that_trades_its_place_with_one_that_was_read_leaves_open_whether_one_is_missing(
    place: int,
) -> None:
    def trade(rows: list[Row]) -> Sequence[Row]:
        rows[2], rows[place] = rows[place], rows[2]
        return rows

    listing, trades = changing(trade)
    paginator = paginator_of(VLMRUN, page_size=PAGE_SIZE)

    assert ids_of(pages(paginator, listing, trades)) == [*IDS[:place], *IDS[place + 1 :]]
    assert paginator.proof == (
        None, "an id came twice: the list has it twice, or a row moved and hid another one"
    )  # fmt: skip
    assert len(listing.asked) == QUIET


@BEHIND
def test_a_list_with_an_id_twice_in_a_row_is_whole(place: int) -> None:
    listing, nothing = changing(lambda rows: rows)
    listing.ever.insert(place, listing.ever[place])
    paginator = paginator_of(VLMRUN, page_size=PAGE_SIZE)

    assert ids_of(pages(paginator, listing, nothing)) == IDS
    assert is_proven(paginator)
    assert len(listing.asked) <= QUIET + 1


@pytest.mark.parametrize("place", range(PAGE_SIZE))
def test_a_rejected_row_in_the_front_that_is_read_again_comes_once(place: int) -> None:
    listing, adds = changing(lambda rows: [*added(1), *rows])
    listing.ever.insert(place, Row("", junk="null"))
    paginator = paginator_of(VLMRUN, page_size=PAGE_SIZE)

    read = [*pages(paginator, listing, adds)]

    assert ids_of(read) == [*IDS, "new0"]
    assert sum(len(page.rejected) for page in read) == 1
    assert is_proven(paginator)


@pytest.mark.parametrize("count", range(1, 10))
def test_rows_that_come_in_front_come_last_and_cost_as_many_requests_as_their_pages(count: int) -> None:
    listing, adds = changing(lambda rows: [*added(count), *rows])
    paginator = paginator_of(VLMRUN, page_size=PAGE_SIZE)

    assert ids_of(pages(paginator, listing, adds)) == [*IDS, *(row.id for row in added(count))]
    assert is_proven(paginator)
    assert paginator.position.seen.ordered
    pushed, front = -(-count // (PAGE_SIZE - 1)), -(-(count + 1) // (PAGE_SIZE - 1))
    assert len(listing.asked) <= QUIET + pushed + front


def test_a_row_that_moves_to_the_front_comes_also_if_another_one_was_removed_before() -> None:
    listing, moves = changing(moving(20, 0))
    paginator, listed = paginator_of(VLMRUN, page_size=PAGE_SIZE), []
    for page in pages(paginator, listing, moves):
        listed += [page]
        if len(listing.asked) == 2:
            listing.remove(1)

    assert ids_of(listed) == [*IDS[:21], *IDS[22:], "row21"]
    assert is_proven(paginator)


def test_a_row_that_moves_while_another_one_is_removed_leaves_no_trace() -> None:
    """A known limit: nothing has shifted, and the row that is gone cannot be told from the one that moved."""
    listing, moves = changing(lambda rows: moving(20, 0)([*rows[:1], *rows[2:]]))
    paginator = paginator_of(VLMRUN, page_size=PAGE_SIZE)

    assert "row21" not in ids_of(pages(paginator, listing, moves))
    assert is_proven(paginator)


@pytest.mark.parametrize("twin", [Row("", junk="null"), Row("row29", 1)], ids=["junk", "an id twice"])
def test_a_row_that_moves_in_a_list_with_such_a_row_at_its_end_leaves_no_trace(twin: Row) -> None:
    """A known limit: the end is read again, and with it the row that is no record of its own."""
    listing, moves = changing(moving(20, 8))
    listing.ever.append(twin)
    paginator = paginator_of(VLMRUN, page_size=PAGE_SIZE)

    assert "row20" not in ids_of(pages(paginator, listing, moves))
    assert is_proven(paginator)


@pytest.mark.parametrize("page_size", [2, 5])
def test_rows_without_a_creation_time_that_come_in_front_come_once(page_size: int) -> None:
    new = [Row("new0", 100), Row("new1"), Row("new2", 99), Row("new3")]
    listing, adds = changing(lambda rows: [*new, *rows])
    paginator = paginator_of(VLMRUN, page_size=page_size)

    listed = ids_of(pages(paginator, listing, adds))

    assert sorted(listed) == sorted({*listed})
    assert {*listed} >= {*IDS, "new1"}
    assert paginator.proof.consistent is False


def test_a_pass_that_ends_with_what_was_wanted_does_not_read_the_front_again() -> None:
    listing, adds = changing(lambda rows: [*added(1), *rows])
    paginator = paginator_of(VLMRUN, page_size=PAGE_SIZE, max_predictions=15)

    assert ids_of(pages(paginator, listing, adds)) == IDS[:15]
    assert paginator.proof == (
        None, "rows came in front of those that were read, and others may have moved there"
    )  # fmt: skip


@pytest.mark.parametrize("after", range(1, QUIET + 5))
def test_a_pass_that_dies_reads_the_front_again_like_any_other(after: int) -> None:
    listing, adds = changing(lambda rows: [*added(4), *rows])
    paginator, read = paginator_of(VLMRUN, page_size=PAGE_SIZE), list[Page]()
    for page in pages(paginator, listing, adds):
        read.append(page)
        if len(read) == after:
            break
    paginator = reborn(paginator, VLMRUN, [id_ for page in read for id_ in page.ids], page_size=PAGE_SIZE)
    adds()
    read += pages(paginator, listing, adds)

    assert ids_of(read) == [*IDS, *(row.id for row in added(4))]
    assert is_proven(paginator)


def test_the_front_is_read_again_without_looking_up_all_ids() -> None:
    """Those of a long list are in a file."""
    listing, adds = changing(lambda rows: [*added(2), *rows])
    paginator, looked_up = paginator_of(VLMRUN, page_size=PAGE_SIZE), list[str]()
    paginator.position.seen.earlier = lambda: looked_up.append("once") or ()

    assert ids_of(pages(paginator, listing, adds))[-2:] == ["new0", "new1"]
    assert not looked_up
