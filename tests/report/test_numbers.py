"""Every number of a report is what plain Python computes of the same records."""

from __future__ import annotations

import csv
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine

from airflow_provider_predictions.report.window import Period, make_window
from tests.conftest import SERVICES
from tests.report.landed import FORMS, land, left_out, report, table
from tests.report.oracle import Oracle, Times
from tests.report.records import changed, made, odd, shuffled, with_values

MOMENT = datetime(2026, 11, 3, 7, 30, tzinfo=UTC)
PERIODS: dict[str, tuple[Period, str, str]] = {
    "day": ("day", "UTC", "%m-%d %H:%M"),
    "half an hour off": ("day", "Asia/Kolkata", "%m-%d %H:%M"),
    "week that has the hour twice": ("week", "America/New_York", "%Y-%m-%d"),
    "day that has the hour twice": (("2026-10-25", "2026-10-26"), "Europe/Oslo", "%m-%d %H:%M %z"),
    "moments": (("2026-11-01T10:20:30", "2026-11-02T03:40:50.5"), "Europe/Oslo", "%m-%d %H:%M"),
}


QUICK = {
    ("vlmrun", "day"),
    ("vlmrun", "day that has the hour twice"),
    ("cradl", "week that has the hour twice"),
    ("cradl", "moments"),
}
"""Those that need no marker."""


def landings_of(service: str, times: Times, *, lacks_values: bool = True) -> list[list[bytes]]:
    """Three landings whose predictions come again: finished first, finished later, and in another shape.

    :param lacks_values: whether values of Cradl were not read.
    """
    whole = made(service, times.before, times.end, 300) + odd(service, times.before, times.end)
    older = made(service, times.before - 3 * (times.end - times.start), times.before, 100, seed=5)
    newer = made(service, times.end, times.end + (times.end - times.start), 30, seed=6)
    boundary = changed(
        made(service, times.start, times.end, 8, seed=7),
        **{"created_at" if service == "vlmrun" else "createdTime": times.start.isoformat()},
    )
    late = changed(
        made(service, times.before - (times.end - times.start), times.start, 25, seed=8),
        **{"completed_at" if service == "vlmrun" else "updatedTime": times.start.isoformat()},
    )
    late[:5] = changed(late[:5], status="pending")  # changed in the period, and not finished
    error = "error" if service == "cradl" else "message"
    again = [
        *changed(whole[:60], status="pending"),
        *changed(whole[60:120], status="failed", **{error: "it broke again"}),
        *whole[120:150],
    ]
    landings = [shuffled(whole), older + late, shuffled(again + newer + boundary)]
    return landings if lacks_values else [with_values(one) for one in landings]


def times_of(name: str) -> tuple[Any, Times]:
    period, zone, label = PERIODS[name]
    window = make_window(period, zone, MOMENT)
    return window, Times(window.end, window.starts, window.zone, label)


@pytest.mark.parametrize(
    ("service_name", "name"),
    [
        pytest.param(service, name, marks=() if (service, name) in QUICK else pytest.mark.slow)
        for service in SERVICES
        for name in PERIODS
    ],
)
def test_every_number_is_right(service_name: str, name: str, tmp_path: Path) -> None:
    """Whatever the landings look like: each is in another format."""
    window, times = times_of(name)
    landings = landings_of(service_name, times, lacks_values=name == "moments")
    for place, records in enumerate(landings):
        form, codec = FORMS[(place + list(PERIODS).index(name)) % len(FORMS)]
        land(service_name, tmp_path / f"landed/{place}", records, form, codec, records_per_part=150)
    oracle = Oracle([(service_name, records) for records in landings], times)

    summary = report(str(tmp_path / "landed"), window, tmp_path / "files")

    assert_right(tmp_path / "files", summary, oracle)


GROUPINGS = {"vlmrun": "usage.element_type", "cradl": "documentId", "both": "usage.element_type"}


@pytest.mark.parametrize(("name", "group_by"), [*GROUPINGS.items(), ("both", None)])
def test_every_number_is_right_in_money_by_group_and_of_both_services(
    name: str, group_by: str | None, tmp_path: Path
) -> None:
    window, times = times_of("moments")
    landed = [
        (service, records)
        for service in ("vlmrun", "cradl")
        if name in (service, "both")
        for records in landings_of(service, times, lacks_values=group_by is not None)
    ]
    for place, (service, records) in enumerate(landed):
        form, codec = FORMS[place % len(FORMS)]
        land(service, tmp_path / f"landed/{place}", records, form, codec, records_per_part=200)
    oracle = Oracle(landed, times, price=0.0125, group_by=group_by)

    options = {"price_per_credit": 0.0125, "currency": "EUR", "group_by": group_by}
    summary = report(str(tmp_path / "landed"), window, tmp_path / "files", **options)

    assert summary["services"] == sorted({service for service, _ in landed})
    assert_right(tmp_path / "files", summary, oracle)


def assert_right(files: Path, summary: Any, oracle: Oracle) -> None:
    """Every number of the summary and of the tables is the oracle's."""
    assert json.loads((files / "summary.json").read_text()) == summary
    assert summary["count"] == len(oracle.now) > 100
    assert_equal(summary["measures"], oracle.measures())
    assert len(summary["measures"]["predictions"]["history"]) > 2
    groups = oracle.groups()
    assert len(summary["groups"]) >= 3
    for group, measures in summary["groups"].items():
        if "\ufffd" in group:  # a character that is not shown
            continue
        assert_equal(measures, {name: groups[group][name] for name in measures})
    assert summary["statuses"] == oracle.statuses()
    assert summary["late"] == sum(row[-1] for row in oracle.late()) > 10
    assert summary["left_out"] == left_out(files) == oracle.left_out()
    tables = oracle.tables()
    for name, rows in tables.items():
        assert_rows(table(files, name), rows)
    for change, row in zip(summary["changes"], tables["changes"], strict=False):
        assert tuple(change.values()) == (*row[:2], *(pytest.approx(value) for value in row[2:]))
    assert {file.stem for file in files.glob("*.csv")} == tables.keys() | {"left_out"}


@pytest.mark.slow
def test_all_formats_give_the_same_report(service_name: str, tmp_path: Path) -> None:
    window, times = times_of("day")
    landings = landings_of(service_name, times)
    written, summaries = [], []
    for form, codec in FORMS:
        base = tmp_path / f"{form}-{codec}"
        for place, records in enumerate(landings):
            land(service_name, base / f"landed/{place}", records, form, codec, records_per_part=200)
        summaries.append(report(str(base / "landed"), window, base / "files"))
        files = {file.name: file.read_bytes() for file in (base / "files").glob("*.csv")}
        del files["left_out.csv"]
        written.append(files)

    assert all(files == written[0] for files in written), [
        name for name in written[0] if len({files[name] for files in written}) > 1
    ]
    assert all(summary == summaries[0] for summary in summaries)


@pytest.mark.parametrize("service_name", [pytest.param("vlmrun", marks=pytest.mark.slow), "cradl"])
def test_the_order_of_records_and_parts_changes_nothing(service_name: str, tmp_path: Path) -> None:
    window, times = times_of("day")
    records = made(service_name, times.before, times.end, 400) + odd(service_name, times.before, times.end)
    pages = []
    for seed in (1, 2):
        base = tmp_path / str(seed)
        land(service_name, base / "landed", shuffled(records, seed), records_per_part=50 * seed)
        with time_machine.travel(MOMENT, tick=False):  # the page says when it was made
            report(str(base / "landed"), window, base / "files")
        files = [*(base / "files").glob("*.csv"), base / "files/report.html", base / "files/summary.json"]
        pages.append({file.name: file.read_bytes() for file in files if file.stem != "left_out"})

    assert pages[0] == pages[1], [name for name in pages[0] if pages[0][name] != pages[1][name]]


def assert_rows(found: list[list[str]], wanted: list[tuple[Any, ...]]) -> None:
    assert len(found) == len(wanted)
    for given, right in zip(found, wanted, strict=True):
        assert len(given) == len(right)
        assert all(is_cell(cell, value) for cell, value in zip(given, right, strict=True)), (given, right)


def is_cell(cell: str, value: Any) -> bool:
    """Whether a CSV holds a value; text that looks like a formula has an apostrophe before it."""
    if value is None:
        return cell == ""
    if isinstance(value, str):
        return cell == (f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") and value else value)
    return math.isclose(float(cell), value, rel_tol=1e-9, abs_tol=1e-9)


def assert_equal(found: Any, wanted: Any) -> None:
    """Equal up to the last digits of sums."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            assert_equal((name, found[name]), (name, value))
    elif isinstance(wanted, list | tuple):
        assert len(found) == len(wanted), (found, wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_equal(one, other)
    else:
        assert found == (pytest.approx(wanted, rel=1e-9) if isinstance(wanted, float) else wanted)


def test_csv_holds_the_names_of_its_columns(tmp_path: Path) -> None:
    window, times = times_of("day")
    land("vlmrun", tmp_path / "landed", made("vlmrun", times.start, times.end, 5))
    report(str(tmp_path / "landed"), window, tmp_path)

    with (tmp_path / "by_time.csv").open(newline="") as file:
        assert next(csv.reader(file)) == ["time", "status", "predictions"]
