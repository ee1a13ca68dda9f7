"""The verdict says Normal only of what it has compared."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.report.summary import Summary
from airflow_provider_predictions.report.window import make_window
from tests.report.landed import land, report

START, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
WINDOW = make_window((START, END), "UTC", END)
DAY = timedelta(days=1)
Predictions = Iterable[tuple[str, str]]
"""A status and a domain each."""


def records(start: datetime, predictions: Predictions) -> list[bytes]:
    created = (start + timedelta(minutes=10)).isoformat()
    return [
        json.dumps(
            {"id": f"{start:%d}-{n}", "status": status, "domain": domain, "created_at": created}
        ).encode()
        for n, (status, domain) in enumerate(predictions)
    ]


def compared(tmp_path: Path, before: Predictions, now: Predictions, **options: Any) -> Summary:
    at = END + timedelta(hours=1)
    land("vlmrun", tmp_path / "before", records(START - DAY, before), at=START + timedelta(hours=1))
    land("vlmrun", tmp_path / "now", records(START, now), at=at)
    return report(f"file://{tmp_path}", WINDOW, tmp_path / "files", **options)


def of(status: str, count: int, groups: int = 1) -> list[tuple[str, str]]:
    return [(status, f"domain {n % groups}") for n in range(count)]


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (of("completed", 400, 100), of("failed", 400, 100), "Look at failures: 0.0 % to 100.0 %."),
        (
            of("failed", 60, 60) + of("completed", 240, 60),
            of("failed", 180, 60) + of("completed", 120, 60),
            "Look at failures: 20.0 % to 60.0 %.",
        ),
        (
            of("completed", 100),
            of("completed", 100) + [("failed", "new")] * 100,
            "Look at failures: 0.0 % to 50.0 %.",
        ),
    ],
)
def test_all_failures_together_are_compared_too(
    tmp_path: Path, before: Predictions, now: Predictions, said: str
) -> None:
    verdict = compared(tmp_path, before, now)["verdict"]

    assert (verdict["state"], verdict["text"].replace("\u202f", " ")) == ("look", said)
    assert verdict["group"] is None


def test_the_group_that_is_behind_it_is_named(tmp_path: Path) -> None:
    before = of("completed", 200, 2)

    verdict = compared(tmp_path, before, of("completed", 100) + [("failed", "domain 1")] * 100)["verdict"]

    assert verdict["text"].startswith("Look at domain 1: failures 0.0")


@pytest.mark.parametrize("name", [None, ""])
def test_failures_of_predictions_without_a_group_are_not_told_as_those_of_all(
    tmp_path: Path, name: Any
) -> None:
    calm, nameless = of("completed", 900), [("completed", name)]

    now = calm + [("failed", name)] * 50 + nameless * 50
    verdict = compared(tmp_path, calm + nameless * 100, now)["verdict"]

    said = "Look at those without a name: failures 0.0 % to 50.0 %."
    assert verdict["text"].replace("\u202f", " ") == said


def test_a_group_that_got_worse_is_found_behind_many_larger_changes(tmp_path: Path) -> None:
    calm = [("completed", "calm")] * 2000
    before = of("completed", 60, 12) + [("completed", "bad")] * 300 + calm
    now = of("completed", 1200, 12) + [("failed", "bad")] * 12 + [("completed", "bad")] * 288 + calm

    summary = compared(tmp_path, before, now)

    assert {one["measure"] for one in summary["changes"]} == {"predictions"}
    assert summary["verdict"]["text"].replace("\u202f", " ") == "Look at bad: failures 0.0 % to 4.0 %."


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ([], of("failed", 100)),
        (of("completed", 4), of("failed", 100)),
        (of("cancelled", 100), of("failed", 100)),
        (of("completed", 100), of("pending", 999) + of("completed", 1)),
        (of("completed", 100), of("completed", 4)),
    ],
)
@pytest.mark.parametrize("targets", [{}, {"predictions": {"min": 1}}, {"failed_share:nobody": {"max": 0.05}}])
def test_nothing_is_normal_if_failures_were_neither_compared_nor_judged(
    tmp_path: Path, before: Predictions, now: Predictions, targets: Any
) -> None:
    verdict = compared(tmp_path, before, now, targets=targets)["verdict"]

    assert verdict["state"] == "unknown"
    assert verdict["text"].endswith((" to compare with yet.", " to compare."))


def test_failures_that_were_not_landed_before_are_not_compared(tmp_path: Path) -> None:
    land("vlmrun", tmp_path / "a", records(START - DAY, of("completed", 100)), statuses=["completed"])
    land("vlmrun", tmp_path / "b", records(START, of("failed", 100)))

    verdict = report(f"file://{tmp_path}", WINDOW, tmp_path / "files")["verdict"]

    assert verdict["state"] == "unknown"


@pytest.mark.parametrize("targets", [{"failed_share": {"max": 0.5}}, {"failed": {"max": 50}}])
def test_a_target_on_failures_that_is_met_is_enough(tmp_path: Path, targets: Any) -> None:
    verdict = compared(tmp_path, [], of("completed", 9) + of("failed", 1), targets=targets)["verdict"]

    assert verdict["state"] == "normal"


def test_what_stayed_the_same_is_normal(tmp_path: Path) -> None:
    assert compared(tmp_path, of("completed", 9), of("completed", 9))["verdict"]["text"] == "Normal."


@pytest.mark.parametrize(("hour", "notes"), [(-1, 1), (12, 1), (24, 0), (25, 0)])
def test_landings_that_end_before_the_period_does_are_named(tmp_path: Path, hour: int, notes: int) -> None:
    land("vlmrun", tmp_path / "a", records(START - DAY, of("completed", 9)), at=START + timedelta(hours=hour))

    summary = report(f"file://{tmp_path}", WINDOW, tmp_path / "files")

    found = [note for note in summary["notes"] if note.startswith("The newest landing ")]
    assert len(found) == notes
    assert summary["verdict"]["state"] == "unknown"
    assert summary["verdict"]["text"] == "No predictions of this period have landed."


def test_a_service_whose_landings_begin_in_the_period_is_named(tmp_path: Path) -> None:
    land(
        "vlmrun",
        tmp_path / "a",
        records(START - 2 * DAY, of("completed", 9)) + records(START, of("failed", 9)),
    )
    land("cradl", tmp_path / "b", [b'{"predictionId": "p", "createdTime": "2026-11-02T12:00:00Z"}'])

    notes = report(f"file://{tmp_path}", WINDOW, tmp_path / "files")["notes"]

    assert [note.split(", so")[0] for note in notes] == [
        "The sources hold nothing of Cradl created before 2026-11-02 12:00"
    ]


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ({"max_predictions": 9}, "max_predictions"),
        ({"max_predictions": 10}, None),
        ({"domains": ["domain 0"]}, "domains"),
        ({"created_before": (START + timedelta(hours=12)).isoformat()}, "created_before"),
        ({"created_after": (START + timedelta(hours=12)).isoformat()}, "created_after"),
        ({"created_after": START.isoformat(), "created_before": END.isoformat()}, None),
        ({}, None),
    ],
)
def test_landings_that_other_filters_limit_are_named(
    tmp_path: Path, filters: dict[str, Any], named: str | None
) -> None:
    land("vlmrun", tmp_path / "a", records(START, of("completed", 9)), filters={"statuses": None} | filters)

    notes = report(f"file://{tmp_path}", WINDOW, tmp_path / "files")["notes"]

    found = [note for note in notes if note.startswith("The landings were limited by ")]
    assert [named in note for note in found] == ([True] if named else [])


@pytest.mark.parametrize(
    ("spans", "named"),
    [
        ([(0, 12), (12, 24)], ""),
        ([(12, 30), (-24, 12)], ""),
        ([(0, 24), (6, 12)], ""),
        ([(0, 12), (13, 24)], "created_after and created_before"),
        ([(0, 12), (0, 12)], "created_before"),
        ([(24, 48), (-24, 0)], "created_before"),
    ],
)
def test_landings_that_together_leave_a_gap_in_the_period_are_named(
    tmp_path: Path, spans: list[tuple[int, int]], named: str
) -> None:
    for number, span in enumerate(spans):
        after, before = ((START + timedelta(hours=hour)).isoformat() for hour in span)
        filters = {"statuses": None, "created_after": after, "created_before": before}
        day = START + timedelta(hours=span[0])
        land("vlmrun", tmp_path / str(number), records(day, of("completed", 2)), filters=filters)

    notes = report(f"file://{tmp_path}", WINDOW, tmp_path / "files")["notes"]

    found = [note.split(",")[0] for note in notes if note.startswith("The landings were limited by ")]
    assert found == ([f"The landings were limited by {named}"] if named else [])


@pytest.mark.parametrize(("most", "said"), [(0.05, "5.01 %, at most 5.00 %"), (0.04, "5.0 %, at most 4.0 %")])
def test_a_missed_target_and_its_number_differ_as_written(tmp_path: Path, most: float, said: str) -> None:
    now = of("completed", 9499) + of("failed", 501)

    summary = compared(tmp_path, [], now, targets={"failed_share": {"max": most}})

    number, bound = said.split(", ")
    page = (tmp_path / "files/report.html").read_text().replace("\u202f", " ")
    assert summary["verdict"]["text"].replace("\u202f", " ") == f"Look at failures: {number}."
    assert f'<span class="value">{number} <small>501 of 10,000</small>' in page
    assert f"Target missed: {bound}<" in page


def lasting(day: datetime, seconds: float, count: int = 400) -> list[bytes]:
    """Completed predictions that took about so many seconds."""
    created = day + timedelta(minutes=10)
    return [
        json.dumps(
            {
                "id": f"{day:%d}-{n}",
                "status": "completed",
                "domain": "receipt",
                "created_at": created.isoformat(),
                "completed_at": (created + timedelta(seconds=seconds + (n % 3 - 1) * 0.2)).isoformat(),
            }
        ).encode()
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("now", "state"), [(20.5, "normal"), (22.3, "normal"), (22.5, "look"), (30, "look"), (10, "normal")]
)
def test_a_duration_that_is_surely_but_hardly_longer_is_normal(
    tmp_path: Path, now: float, state: str
) -> None:
    land("vlmrun", tmp_path / "before", lasting(START - DAY, 20.4), at=START + timedelta(hours=1))
    land("vlmrun", tmp_path / "now", lasting(START, now), at=END + timedelta(hours=1))

    summary = report(f"file://{tmp_path}", WINDOW, tmp_path / "files")

    assert {"mean_seconds"} == {one["measure"] for one in summary["changes"]}
    assert summary["verdict"]["state"] == state


@pytest.mark.parametrize("measure", ["mean_seconds", "median_seconds", "p95_seconds"])
def test_a_duration_between_two_others_meets_the_bound_that_it_equals(tmp_path: Path, measure: str) -> None:
    at = {"mean_seconds": 12.2, "median_seconds": 12.2, "p95_seconds": 12.29}[measure]
    created = START + timedelta(minutes=10)
    both = [
        json.dumps(
            {
                "id": str(seconds),
                "status": "completed",
                "created_at": created.isoformat(),
                "completed_at": (created + timedelta(seconds=seconds)).isoformat(),
            }
        ).encode()
        for seconds in (12.1, 12.3)
    ]
    land("vlmrun", tmp_path / "a", both)

    summary = report(
        f"file://{tmp_path}", WINDOW, tmp_path / "files", targets={measure: {"min": at, "max": at}}
    )

    assert [(one["state"], one["now"]) for one in summary["targets"]] == [("met", at)]
