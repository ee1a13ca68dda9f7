"""The verdict claims no more than is known of what has not landed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.api.filters import utc
from airflow_provider_predictions.report.summary import Summary
from airflow_provider_predictions.report.window import make_window
from tests.report.landed import land, report
from tests.report.records import changed, made

START, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW = make_window((START, END), "UTC", END)
NONE = "No predictions of this period have landed."


def run(unfinished: int, given_up: int = 0, watermark: datetime | None = None) -> dict[str, Any]:
    """What the manifest of an incremental run says."""
    return {
        "watermark": watermark and utc(watermark),
        "unfinished": unfinished,
        "ahead": 0,
        "ahead_ids": [],
        "given_up": given_up,
        "given_up_ids": [],
    }


def of(path: Path, source: object = None) -> Summary:
    return report(source or str(path / "landed"), WINDOW, path / "files")


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([(END, run(40, watermark=START))], " 40 predictions were unfinished."),
        ([(END, run(1))], " 1 prediction was unfinished."),
        ([(END - HOUR, run(40)), (END, run(2, watermark=END - HOUR))], " 2 predictions were unfinished."),
        ([(END - HOUR, run(40)), (END, run(0, watermark=END - HOUR))], ""),
        ([(END + HOUR, run(40, watermark=END))], ""),
        ([(START, run(40))], ""),
        ([(END, run(0, 40, START))], " At least 40 predictions were given up after max_age."),
        (
            [(END - HOUR, run(0, 3, START)), (END, run(1, 2, START))],
            " 1 prediction was unfinished. At least 3 predictions were given up after max_age.",
        ),
        ([(END, run(0, 0, END)), (END + HOUR, run(0, 9, END + HOUR))], ""),
    ],
)
def test_unfinished_predictions_that_may_be_of_the_period_are_told(
    runs: list[tuple[datetime, dict[str, Any]]], said: str, tmp_path: Path
) -> None:
    """Of each path, the newest run tells, unless everything of the period is settled."""
    for at, facts in runs:
        land("vlmrun", tmp_path / "landed", [], incremental=facts, at=at)

    summary = of(tmp_path)

    assert summary["verdict"]["text"] == f"{NONE}{said}"
    assert summary["text"].endswith(f"0 predictions. {NONE}{said}")


def test_unfinished_predictions_of_several_paths_add_up_and_manifests_of_one_path_do_not(
    tmp_path: Path,
) -> None:
    records = changed(made("vlmrun", START, END, 4), status="completed")
    manifests = [
        land("vlmrun", tmp_path / path, [record], incremental=run(count), at=END + at * HOUR)
        for at, (path, record, count) in enumerate(zip("abaa", records, (9, 4, 8, 7), strict=True))
    ]

    said = of(tmp_path, manifests)["verdict"]["text"]

    assert said.endswith(" 11 predictions were unfinished.")
    assert not said.startswith(NONE)


def test_records_without_a_time_that_may_be_of_the_period_are_told(service_name: str, tmp_path: Path) -> None:
    member = "created_at" if service_name == "vlmrun" else "createdTime"
    bare = changed(made(service_name, START, END, 6), **{member: "28.11.2026 05:00"})
    land(service_name, tmp_path / "landed/a", bare[:2], at=START)  # before the period
    land(service_name, tmp_path / "landed/b", [*bare[2:], b"7"], at=END)

    summary = of(tmp_path)

    assert summary["verdict"]["text"] == (
        f"{NONE} 5 records landed without a creation time that can be read."
    )


def test_the_verdict_on_what_has_landed_tells_what_has_not(tmp_path: Path) -> None:
    for day in (START - 24 * HOUR, START):
        created = [(day + HOUR).isoformat()] * 9
        records = [json.dumps({"id": f"{day}{n}", "status": "completed", "created_at": at}).encode()
                   for n, at in enumerate(created)]  # fmt: skip
        land("vlmrun", tmp_path / "landed", records, incremental=run(3), at=day + 24 * HOUR)

    verdict = of(tmp_path)["verdict"]

    assert (verdict["state"], verdict["text"]) == ("normal", "Normal. 3 predictions were unfinished.")


def test_the_last_run_tells_what_is_unfinished_though_it_found_nothing_to_commit(tmp_path: Path) -> None:
    committed = land("vlmrun", tmp_path / "landed", [], incremental=run(1, watermark=START), at=END)
    output = {name: fact for name, fact in committed.items() if name != "committed_at"}
    output |= {"generation": 2, "started_at": utc(END + HOUR), "incremental": run(0, watermark=END)}

    assert of(tmp_path, [str(tmp_path / "landed"), output])["verdict"]["text"] == NONE


def test_rows_that_are_no_records_are_told_though_all_records_beside_them_are_older(tmp_path: Path) -> None:
    old = made("vlmrun", START - 900 * HOUR, START - 800 * HOUR, 3)
    land("vlmrun", tmp_path / "landed", [*old, b"7", b"8"], at=END)

    summary = of(tmp_path)

    assert summary["verdict"]["text"] == f"{NONE} 2 records landed without a creation time that can be read."
    assert [*summary["left_out"].values()] == [3, 2]
