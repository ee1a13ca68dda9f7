"""Which predictions a report is about, in every time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.report.window import make_window

ZONES = ["UTC", "Europe/Oslo", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana"]
MOMENT = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "zone", "moment", "start", "end", "before"),
    [
        ("day", "UTC", "2026-11-24T05:00Z", "2026-11-23T00:00Z", "2026-11-24T00:00Z", "2026-11-22T00:00Z"),
        ("day", "UTC", "2026-11-24T00:00Z", "2026-11-23T00:00Z", "2026-11-24T00:00Z", "2026-11-22T00:00Z"),
        ("day", "UTC", "2026-11-23T23:59Z", "2026-11-22T00:00Z", "2026-11-23T00:00Z", "2026-11-21T00:00Z"),
        (
            "day",
            "Europe/Oslo",
            "2026-11-23T23:00Z",
            "2026-11-22T23:00Z",
            "2026-11-23T23:00Z",
            "2026-11-21T23:00Z",
        ),
        (
            "day",
            "Europe/Oslo",
            "2026-10-26T05:00Z",
            "2026-10-24T22:00Z",
            "2026-10-25T23:00Z",
            "2026-10-23T22:00Z",
        ),
        (
            "day",
            "Europe/Oslo",
            "2026-03-30T05:00Z",
            "2026-03-28T23:00Z",
            "2026-03-29T22:00Z",
            "2026-03-27T23:00Z",
        ),
        (
            "day",
            "Asia/Kolkata",
            "2026-11-24T05:00Z",
            "2026-11-22T18:30Z",
            "2026-11-23T18:30Z",
            "2026-11-21T18:30Z",
        ),
        ("week", "UTC", "2026-11-23T00:00Z", "2026-11-16T00:00Z", "2026-11-23T00:00Z", "2026-11-09T00:00Z"),
        ("week", "UTC", "2026-11-22T23:00Z", "2026-11-09T00:00Z", "2026-11-16T00:00Z", "2026-11-02T00:00Z"),
        ("month", "UTC", "2026-03-01T00:00Z", "2026-02-01T00:00Z", "2026-03-01T00:00Z", "2026-01-04T00:00Z"),
        ("month", "UTC", "2026-01-15T00:00Z", "2025-12-01T00:00Z", "2026-01-01T00:00Z", "2025-10-31T00:00Z"),
    ],
)
def test_the_last_whole_period_ends_at_or_before_the_run(
    period: Any, zone: str, moment: str, start: str, end: str, before: str
) -> None:
    window = make_window(period, zone, datetime.fromisoformat(moment))

    assert [window.start, window.end, window.before] == list(
        map(datetime.fromisoformat, (start, end, before))
    )


def test_texts_without_an_offset_are_of_the_time_zone() -> None:
    window = make_window(("2026-11-01", "2026-11-02T06:00+00:00"), "Europe/Oslo", MOMENT)

    assert window.start == datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert window.end == datetime(2026, 11, 2, 6, tzinfo=UTC)
    assert window.start - window.before == window.end - window.start


@given(
    start=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    length=st.timedeltas(timedelta(seconds=1), timedelta(days=900)),
    zone=st.sampled_from(ZONES),
)
@settings(deadline=None, max_examples=150, derandomize=True)
def test_buckets_cover_the_window_without_gap_or_overlap(
    start: datetime, length: timedelta, zone: str
) -> None:
    window = make_window((start, start + length), zone, MOMENT)
    buckets = window.buckets

    assert [buckets[0].start, buckets[-1].end] == [window.start, window.end]
    assert all(a.end == b.start for a, b in pairwise(buckets))
    assert all(bucket.start < bucket.end for bucket in buckets)
    assert len({bucket.label for bucket in buckets}) == len(buckets) <= 64


@pytest.mark.parametrize(
    ("period", "named"),
    [
        ("year", "year"),
        ((), r"\(\)"),
        (("2026-11-01",), "2026-11-01"),
        (("2026-11-02", "2026-11-01"), "after the start"),
        (("2026-11-01", "2026-11-01"), "no width"),
        (("yesterday", "2026-11-01"), "yesterday"),
        (("0001-01-01", "2026-11-01"), "year 1"),
        (None, "None"),
    ],
)
def test_a_wrong_period_is_named(period: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^period: .*{named}"):
        make_window(period, "UTC", MOMENT)


@pytest.mark.parametrize("zone", ["Mars/Base", "", "../UTC", None])
def test_a_wrong_time_zone_is_named(zone: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^timezone: "):
        make_window("day", zone, MOMENT)


@pytest.mark.parametrize(
    ("start", "end", "title"),
    [
        ("2026-11-01", "2026-11-02", "1 November 2026"),
        ("2026-11-01", "2026-11-15", "1\u201314 November 2026"),
        ("2026-10-28", "2026-11-04", "28 October \u2013 3 November 2026"),
        ("2026-12-28", "2027-01-04", "28 December 2026 \u2013 3 January 2027"),
        ("2026-11-01T06:00Z", "2026-11-02", "2026-11-01 06:00 to 2026-11-02 00:00"),
        ("2026-11-01", "2026-11-02T06:00Z", "2026-11-01 00:00 to 2026-11-02 06:00"),
    ],
)
def test_a_title_has_times_only_where_the_window_begins_or_ends_within_a_day(
    start: str, end: str, title: str
) -> None:
    period = (datetime.fromisoformat(start), datetime.fromisoformat(end))

    assert make_window(tuple(at.replace(tzinfo=UTC) for at in period), "UTC", MOMENT).title == title


def test_periods_of_one_length_lie_before_the_window() -> None:
    days = make_window("day", "Europe/Oslo", datetime(2026, 10, 27, 5, tzinfo=UTC))
    first = make_window(("0001-01-03", "0001-01-04"), "UTC", MOMENT)

    assert [f"{start:%m-%d %H}" for start in days.starts][:3] == ["10-25 23", "10-24 22", "10-23 22"]
    assert len(days.starts) == 8
    assert [start.day for start in first.starts] == [3, 2, 1]
