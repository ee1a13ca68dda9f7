"""Which rows of a list were yielded before, row by row."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from airflow_provider_predictions.api.filters import utc
from airflow_provider_predictions.api.limits import MAX_RECENT_PAGES, MAX_TIES
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.pagination.seen import HashFile, Index, SeenRows
from airflow_provider_predictions.api.state import dump, load
from tests.api.lists import at


def row(id_: str, seconds: float | None = 0) -> Prediction:
    return Prediction(id_, "completed", None if seconds is None else at(seconds), None, b"{}")


def ids(rows: list[Prediction]) -> list[str]:
    return [each.id for each in rows]


def test_an_index_holds_what_it_was_given_and_nothing_twice() -> None:
    index = Index(map(hash, ("a", "b")))
    index.add(map(hash, ("b", "c")))

    assert [name in index for name in "abcd"] == [True, True, True, False]


def test_notes_are_read_as_they_were_written_also_beyond_memory() -> None:
    notes, hashes = HashFile(), [hash(f"id-{n}") for n in range(70_000)]
    notes.add(hashes[:35_001])
    notes.add(hashes[35_001:])

    assert list(notes) == hashes


def test_notes_beyond_a_bound_are_not_kept_in_memory() -> None:
    tracemalloc.start()
    try:
        notes = HashFile()
        for first in range(0, 200_000, 2_000):
            notes.add(range(first, first + 2_000))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 600_000  # of 1.6 million bytes
    assert list(notes) == list(range(200_000))


def test_seen_rows_hold_the_ids_of_a_few_pages_only() -> None:
    pages = [[row(f"id-{n}", -n) for n in range(first, first + 500)] for first in range(0, 50_000, 500)]
    seen = SeenRows()
    tracemalloc.start()
    try:
        for rows in pages:
            assert seen.drop_known(rows) == rows
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 1_000_000


@pytest.mark.parametrize("newest_first", [True, False])
def test_an_order_is_proven_by_two_moments_and_lost_by_one_row(newest_first: bool) -> None:
    sign = -1 if newest_first else 1
    seen = SeenRows(newest_first=newest_first)
    seen.note_order([at(0), at(0)])
    assert (seen.ordered, seen.moved, seen.proven) == (True, False, False)
    seen.note_order([at(0), at(sign)])
    assert seen.proven
    seen.note_order([at(0)])
    assert seen.proven
    seen.note_order([at(sign), at(0)])

    assert (seen.ordered, seen.moved, seen.proven) == (False, True, False)


def test_a_row_without_a_time_ends_the_order() -> None:
    seen = SeenRows()
    seen.note_order([at(1), None, at(0)])

    assert not seen.ordered


def test_rows_of_one_moment_are_told_from_each_other() -> None:
    seen = SeenRows()

    assert ids(seen.drop_known([row("a", 9), row("b", 8), row("c", 8)])) == ["a", "b", "c"]
    assert ids(seen.drop_known([row("b", 8), row("c", 8), row("d", 8), row("e", 7)])) == ["d", "e"]
    assert seen.last == at(7)
    assert [seen.knows(each) for each in (row("e", 7), row("f", 7), row("d", 8), row("a", 9))] == [
        True, False, True, True,
    ]  # fmt: skip


def test_more_rows_of_one_moment_than_memory_holds_are_looked_up() -> None:
    seen = SeenRows()
    rows = [row(f"{n}") for n in range(MAX_TIES + 500)]
    seen.drop_known(rows)
    for _ in range(MAX_RECENT_PAGES):
        seen.drop_known([])

    assert all(map(seen.knows, rows))
    assert not seen.knows(row("other"))


def test_pages_before_the_recent_ones_are_looked_up_where_there_is_no_order() -> None:
    seen = SeenRows()
    seen.note_order([at(0), at(1)])
    for n in range(5):
        seen.drop_known([row(f"{n}", n)])

    assert [seen.knows(row(f"{n}", n)) for n in range(6)] == [True] * 5 + [False]
    seen.drop_known([row("5", 5)])
    assert seen.knows(row("5", 5))


def test_a_row_that_is_no_record_is_a_repeat_where_a_known_row_comes_after_it() -> None:
    seen, junk = SeenRows(), Prediction.rejected(b"1", "number instead of an object")
    seen.drop_known([row("a", 3), row("b", 2)])

    assert ids(seen.drop_known([junk, row("b", 2), row("c", 1), junk])) == ["c", junk.id]


def test_seen_rows_resume_from_their_state() -> None:
    seen = SeenRows()
    seen.note_order([at(2), at(1)])
    seen.drop_known([row("a", 2), row("b", 1), row("c", 1)])

    state = json.loads(json.dumps(dump(seen)))
    again = load(state, SeenRows)
    again.earlier = lambda: ["a", "b", "c"]

    assert state == {
        "version": 1, "newest_first": True, "ordered": True, "moved": True, "first": utc(at(2)),
        "last": utc(at(1)), "ties": ["b", "c"], "count": 3,
    }  # fmt: skip
    assert dump(again) == state
    assert [again.knows(row(name, 1)) for name in "bcd"] == [True, True, False]
    again.note_order([at(0), at(1)])
    assert [again.knows(row(name, 2)) for name in "abcd"] == [True, True, True, False]
