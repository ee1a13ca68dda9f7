"""Where a window begins in a list that is read by offsets, step by step."""

from __future__ import annotations

import pytest

from airflow_provider_predictions.api.pagination.search import WindowSearch
from tests.api.lists import at


@pytest.fixture
def search() -> WindowSearch:
    """After a page of ten rows, the last of them 200 s after the beginning; the window ends at 100 s."""
    return WindowSearch(before=at(100), low=9, newer=at(200), precision=10)


def test_a_search_leaps_four_times_as_far_each_time_and_then_halves(search: WindowSearch) -> None:
    steps = []
    for created in (at(180), at(160), None, at(100), at(99)):
        steps.append(search.index)
        assert search.look(created)
        assert not search.is_done

    assert steps == [19, 59, 219, 139, 179]
    assert (search.low, search.high) == (139, 179)


def test_a_search_is_done_when_the_window_begins_within_a_page(search: WindowSearch) -> None:
    assert search.look(at(100))
    assert not search.is_done
    search.look(at(50))
    looked = []
    while not search.is_done:
        looked.append(search.index)
        search.look(at(50))

    assert looked == [39, 29]
    assert (search.low, search.high) == (19, 29)


@pytest.mark.parametrize(
    ("created", "fits"), [(200, True), (201, False), (100, True), (50, True), (49, False)]
)
def test_a_row_that_is_newer_than_one_in_front_or_older_than_one_behind_is_out_of_order(
    search: WindowSearch, created: float, fits: bool
) -> None:
    search.look(at(50))

    assert search.look(at(created)) is fits


def test_an_end_that_has_come_nearer_is_no_row_out_of_order(search: WindowSearch) -> None:
    search.look(None)

    assert search.look(at(-1000))
    assert search.look(None)
