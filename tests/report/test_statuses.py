"""A report gives no number of what was not to land."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.report.window import make_window
from tests.report.landed import SERVICES, land, report, table
from tests.report.records import changed, made, with_values

START, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
OLDEST, BEFORE = datetime(2026, 10, 30, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
WINDOW = make_window((START, END), "UTC", END)
DONE = {"vlmrun": "completed", "cradl": "succeeded"}


def shares(files: Path) -> list[list[str]]:
    """Succeeded, failed, waiting and the share that failed, of each group."""
    return [row[2:6] for row in table(files, "by_group")]


def test_of_succeeded_predictions_there_is_no_share_that_failed(service_name: str, tmp_path: Path) -> None:
    done = DONE[service_name]
    records = with_values(changed(made(service_name, OLDEST, END, 60), status=done))
    land(service_name, tmp_path / "landed", records, statuses=[done])

    summary = report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")

    assert summary["measures"]["succeeded"]["now"] == summary["count"] > 10
    for name in ("failed", "waiting", "failed_share"):
        assert {*summary["measures"][name]["history"]} == {None}
    assert "failed" not in summary["text"]
    assert summary["notes"] == [
        f"Only {done} predictions were to land, so there is no number of failed and waiting ones here, and "
        "no share that failed."
    ]
    assert {tuple(row[1:]) for row in shares(tmp_path / "files")} == {("", "", "")}
    page = (tmp_path / "files/report.html").read_text()
    assert "<p>Not landed: why predictions failed, failed predictions, still waiting.</p>" in page


def test_of_incremental_landings_there_is_no_number_of_waiting_ones(
    service_name: str, tmp_path: Path
) -> None:
    records = with_values(changed(made(service_name, OLDEST, END, 40), status=DONE[service_name]))
    failed = with_values(changed(made(service_name, OLDEST, END, 40, seed=5), status="failed"))
    terminal = sorted(SERVICES[service_name].terminal_statuses)
    land(service_name, tmp_path / "landed", records + failed, statuses=terminal, incremental=True)

    summary = report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")

    totals = summary["measures"]
    assert {*totals["waiting"]["history"]} == {None}
    assert totals["failed_share"]["now"] == totals["failed"]["now"] / summary["count"]
    assert summary["notes"] == [
        f"Only {', '.join(terminal[:2])} and {terminal[2]} predictions were to land, so there is no number "
        "of waiting ones here."
    ]


@pytest.mark.parametrize(("statuses", "unknown"), [(["completed"], "fail"), (["failed"], "share")])
def test_landings_of_all_and_of_some_statuses_are_not_compared(
    statuses: list[str], unknown: str, tmp_path: Path
) -> None:
    before, now = made("vlmrun", BEFORE, START, 60), made("vlmrun", START, END, 60, seed=4)
    land(
        "vlmrun",
        tmp_path / "1",
        [*changed(before[:40], status="completed"), *changed(before[40:], status="failed")],
    )
    land("vlmrun", tmp_path / "2", changed(now, status=statuses[0]), statuses=statuses)

    summary = report(str(tmp_path), WINDOW, tmp_path / "files")

    share = summary["measures"]["failed_share"]
    assert (share["now"], share["before"]) == (None, None)
    assert not [change for change in summary["changes"] if unknown in change["measure"]]
    assert summary["notes"][0].startswith(f"Of some landings only {statuses[0]} predictions were to land, so")


@pytest.mark.parametrize(
    "statuses", [None, ["completed", "failed", "pending", "enqueued", "running", "paused"]]
)
def test_where_all_was_to_land_a_zero_is_one(statuses: Any, tmp_path: Path) -> None:
    land("vlmrun", tmp_path, changed(made("vlmrun", START, END, 5), status="completed"), statuses=statuses)

    summary = report(str(tmp_path), WINDOW, tmp_path / "files")

    assert [summary["measures"][name]["now"] for name in ("failed", "waiting", "failed_share")] == [0, 0, 0.0]
    assert not [note for note in summary["notes"] if "to land" in note]


@pytest.mark.parametrize("day", [START - timedelta(days=19), START, END])
def test_where_no_failed_prediction_was_to_land_none_is_counted_though_all_that_landed_is_older(
    day: datetime, tmp_path: Path
) -> None:
    old = changed(
        made("vlmrun", START - timedelta(days=30), START - timedelta(days=20), 5), status="completed"
    )
    land("vlmrun", tmp_path, old, statuses=["completed"], at=day)

    summary = report(str(tmp_path), WINDOW, tmp_path / "files", targets={"failed": {"max": 0}})

    assert summary["measures"]["failed"]["now"] is None
    assert [target["state"] for target in summary["targets"]] == ["unknown"]
    assert summary["notes"][0].startswith("Only completed predictions were to land, so")


@pytest.mark.parametrize("incremental", [True, False])
def test_where_no_failed_prediction_was_to_land_none_is_counted_though_all_that_landed_is_newer(
    incremental: bool, tmp_path: Path
) -> None:
    """The failed predictions of the period are left out by the first landing that began after it."""
    hour = timedelta(hours=1)
    older = changed(made("vlmrun", BEFORE, START, 5), status="completed")
    newer = changed(made("vlmrun", END, END + 6 * hour, 5), status="completed")
    doubt = {"consistent": False, "inconsistency": "a row is missing."}
    paths = ["a", "a"] if incremental else ["a", "b"]
    for path, records, at, facts in zip(
        paths, (older, newer), (START, END + 6 * hour), ({}, doubt), strict=True
    ):
        land(
            "vlmrun",
            tmp_path / "in" / path,
            records,
            incremental=incremental,
            statuses=["completed"],
            at=at,
            **facts,
        )

    summary = report(str(tmp_path / "in"), WINDOW, tmp_path / "files", targets={"failed": {"max": 0}})

    assert summary["measures"]["failed"]["now"] is None
    assert [target["state"] for target in summary["targets"]] == ["unknown"]
    assert summary["notes"][0].startswith("Only completed predictions were to land, so")
    assert summary["notes"][-1].endswith(": a row is missing.")


def test_a_later_landing_that_holds_newer_predictions_only_tells_nothing_of_the_period(
    tmp_path: Path,
) -> None:
    hour = timedelta(hours=1)
    for day, statuses in ((START, None), (END, None), (END + 24 * hour, ["completed"])):
        records = changed(made("vlmrun", day, day + hour, 5, seed=day.day), status="completed")
        land("vlmrun", tmp_path / "in", records, incremental=True, statuses=statuses, at=day + 2 * hour)

    summary = report(str(tmp_path / "in"), WINDOW, tmp_path / "files")

    assert summary["measures"]["failed"]["now"] == 0


def test_a_filter_of_landings_of_other_days_says_nothing_of_the_period(tmp_path: Path) -> None:
    """Yesterday's window landed after the period had begun."""
    for start, statuses, status in (
        (BEFORE, ["completed"], "completed"),
        (START, None, "failed"),
        (END, ["completed"], "completed"),
    ):
        day = start + timedelta(days=1)
        given = {"statuses": statuses, "created_after": start.isoformat(), "created_before": day.isoformat()}
        rows = changed(made("vlmrun", start, day, 5, seed=day.day), status=status)
        at = day + timedelta(minutes=5)
        land("vlmrun", tmp_path / "in" / f"{start:%d}", rows, filters=given, at=at)

    summary = report(str(tmp_path / "in"), WINDOW, tmp_path / "files", targets={"failed": {"max": 0}})

    assert [target["state"] for target in summary["targets"]] == ["missed"]
    assert not [note for note in summary["notes"] if "to land" in note or "limited" in note]


@pytest.mark.parametrize("before", [None, ["failed"]])
def test_the_statuses_that_are_named_are_those_of_the_period(
    before: list[str] | None, tmp_path: Path
) -> None:
    for start, statuses in (BEFORE, before), (START, ["completed"]):
        end = start + timedelta(days=1)
        given = {"statuses": statuses, "created_after": start.isoformat(), "created_before": end.isoformat()}
        rows = changed(made("vlmrun", start, end, 5, seed=end.day), status="completed")
        land("vlmrun", tmp_path / "in" / f"{start:%d}", rows, filters=given, at=end)

    summary = report(str(tmp_path / "in"), WINDOW, tmp_path / "files", targets={"failed": {"max": 0}})

    assert " only completed predictions were to land" in summary["notes"][0]
    assert summary["targets"][0]["why"] == "only completed predictions were to land"


def test_of_a_period_before_in_which_no_failed_prediction_was_to_land_none_is_counted(tmp_path: Path) -> None:
    """All that landed in it was created before the oldest period."""
    day = timedelta(days=1)
    for created, at, statuses in ((START - 30 * day, START - day / 2, ["completed"]), (START, END, None)):
        records = changed(made("vlmrun", created, created + day, 5, seed=at.day), status="completed")
        land("vlmrun", tmp_path / "in", records, incremental=True, statuses=statuses, at=at)

    failed = report(str(tmp_path / "in"), WINDOW, tmp_path / "files")["measures"]["failed"]

    assert (failed["now"], failed["before"]) == (0, None)


def test_what_one_landing_holds_whole_is_not_limited_by_the_filters_of_another(tmp_path: Path) -> None:
    rows = changed(made("vlmrun", START, END, 5), status="completed")
    for path, domains in ("a", None), ("b", ["domain"]):
        land("vlmrun", tmp_path / "in" / path, rows, filters={"statuses": None, "domains": domains}, at=END)

    notes = report(str(tmp_path / "in"), WINDOW, tmp_path / "files")["notes"]

    assert not [note for note in notes if "limited" in note]


A, B, NINE = {"domains": ["a"]}, {"domains": ["b"]}, {"max_predictions": 9}


@pytest.mark.parametrize(
    ("before", "now", "named"),
    [
        ([A], [B], "domains"),
        ([{}], [A], "domains"),
        ([A], [{}], "domains"),
        ([A, B], [A], "domains"),
        ([A], [A | NINE], "max_predictions"),
        ([A], [B | NINE], "domains and max_predictions"),
        (
            [{}],
            [{"created_after": (START + timedelta(hours=6)).isoformat()}],
            "created_after and created_before",
        ),
        ([{}], [{"created_before": (END - timedelta(hours=6)).isoformat()}], "created_before"),
        ([{}], [{}], ""),
        ([A], [A], ""),
        ([A, B], [A, B], ""),
        ([{}], [{"statuses": ["completed", "failed"]}], "statuses"),
        ([{"statuses": ["completed", "failed"]}], [{}], "statuses"),
        ([A, B | NINE], [B, A | NINE], "domains and max_predictions"),
        ([{}, A], [{}, B], ""),
    ],
)
def test_periods_whose_landings_have_different_filters_are_not_compared(
    before: list[dict[str, Any]], now: list[dict[str, Any]], named: str, tmp_path: Path
) -> None:
    for start, end, several in ((BEFORE, START, before), (START, END, now)):
        for place, given in enumerate(several):
            span = {"created_after": start.isoformat(), "created_before": end.isoformat()}
            status = "failed" if start == START else "completed"
            landed = changed(made("vlmrun", start, end, 40, seed=start.day * 9 + place), status=status)
            path = tmp_path / "in" / f"{start:%d}" / str(place)
            land("vlmrun", path, landed, filters={"statuses": None} | span | given, at=end)

    summary = report(str(tmp_path / "in"), WINDOW, tmp_path / "files")

    totals = summary["measures"].values()
    is_compared = not named
    assert any(one["before"] is not None for one in totals) == is_compared
    assert bool(summary["changes"]) == is_compared
    assert summary["verdict"]["state"] == ("look" if is_compared else "unknown")
    notes = [note for note in summary["notes"] if "different" in note]
    assert notes == [
        f"The landings of this period and of the period before have different filters ({named}), so nothing "
        "is compared."
    ] * bool(named)
