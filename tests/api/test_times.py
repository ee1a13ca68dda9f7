"""Timestamps of the services, on a machine wherever it stands."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from airflow_provider_predictions.api.models import Prediction, as_time
from airflow_provider_predictions.api.page import Page

pytestmark = pytest.mark.usefixtures("tokyo")

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-01T12:00:00",
        "2026-11-01T12:00:00.000000",
        "2026-11-01T12:00:00.000",
        "2026-11-01 12:00:00",
        "2026-11-01T12:00:00Z",
        "2026-11-01T12:00:00+00:00",
        "2026-11-01T14:00:00+0200",
        "2026-11-01T14:00+02",
        "2026-11-01T12:00",
        "20261101T120000Z",
    ],
)
def test_a_time_is_read_in_utc_however_it_is_written(text: str) -> None:
    found = as_time(text)

    assert found == NOON
    assert found.tzinfo is UTC


def test_each_spelling_that_the_pattern_of_cradl_allows_is_read() -> None:
    marks = ["-", ""], ["-", ""], [" ", "T", ""], [":", ""], [":", ""], ["", ".0", ".000000"]
    offsets = ["Z", "+00:00", "+0000"]

    for year, month, gap, hour, minute, fraction, offset in itertools.product(*marks, offsets):
        text = f"2026{year}11{month}01{gap}12{hour}00{minute}00{fraction}{offset}"
        assert as_time(text) == NOON, text


@pytest.mark.parametrize(
    "value", ["", "soon", "2026-13-01T12:00:00", "9999-12-31T23:59:59-01:00", "2026110112000Z", None, 7, NOON]
)
def test_what_is_no_text_of_a_time_is_none(value: object) -> None:
    assert as_time(value) is None


@pytest.mark.parametrize(
    "value", ["1838123131221", "1576091531538498159", "182303102065157", "53830612", "52330805.07164533"]
)
def test_a_number_of_seconds_since_1970_is_no_time_of_another_year(value: str) -> None:
    """Each of these is also a date and a time without dashes, as ISO 8601 allows."""
    assert as_time(value) is None


def test_a_page_spans_the_times_that_its_records_tell() -> None:
    def page(*hours: int | None) -> Page:
        times = [hour and NOON.replace(hour=hour) for hour in hours]
        return Page(tuple(Prediction(f"{n}", "done", found, None, b"{}") for n, found in enumerate(times)))

    assert page(3, None, 1, 2).records.span == (NOON.replace(hour=1), NOON.replace(hour=3))
    assert page(None).records.span is None
    assert page().records.span is None
    assert list(page(1, 2).by_id) == ["0", "1"]
