"""No number of a report depends on what a path, a directory or a run is called, nor on the format."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.report.window import make_window
from tests.report.landed import FORMS, land, left_out, report
from tests.report.records import changed, made

START, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
WINDOW = make_window((START, END), "UTC", END)
NAMES = [
    "status=running/x",
    "id=7",
    "run[1]",
    "a*b?c",
    "{a,b}",
    "back\\slash",
    "it's",
    'say "so"',
    "a b%20#?",
]
TIMES: dict[Any, bool] = {
    "20261102T100000Z": True,
    "2026-11-02T10:00Z": True,
    "2026-11-02 10:00:00.123456789+0000": True,
    "2026-11-02T10:00:00,5Z": True,
    "2026-W45-1T10:00:00Z": True,
    "2026-11-03T01:00:00+0530": True,
    "2026-11-02": True,
    "2026-11-02T24:00:01Z": False,
    "2026-11-02T10:00:60Z": False,
    "2026-11-31T10:00:00Z": False,
    " 2026-11-02T10:00:00Z": False,
    "2026-11-02T10:00:00 UTC": False,
    20261102: True,
    1793613600: False,
    None: False,
    "epoch": False,
    "now": False,
    "": False,
}


@pytest.mark.parametrize(
    ("form", "codec"), [pytest.param(*form, marks=pytest.mark.slow if form[1] else ()) for form in FORMS]
)
def test_a_path_may_have_any_name(form: str, codec: str | None, tmp_path: Path) -> None:
    land("vlmrun", tmp_path / "odd/run1", made("vlmrun", START, END, 30), form, codec)
    sources: dict[str, list[str]] = {"plain": [], "odd": []}
    for seed, odd in enumerate(NAMES):
        for base, name in (("plain", f"{seed}"), ("odd", odd)):
            path = tmp_path / base / name
            land("vlmrun", path, made("vlmrun", START, END, 20, seed=seed), form, codec)
            sources[base].append(str(path))

    plain, odd = (report(source, WINDOW, tmp_path / "files") for source in sources.values())

    assert odd == plain
    assert plain["count"] == 20 * len(NAMES)


def test_a_temporary_directory_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    land("vlmrun", tmp_path / "landed", made("vlmrun", START, END, 20))
    home = tmp_path / "it's status=x [1]*"
    home.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(home))

    assert report(str(tmp_path / "landed"), WINDOW, home / "files")["count"] == 20


@pytest.mark.parametrize(("first", "last"), [("scheduled__1", "manual__2"), ("a", "b")])
def test_of_two_records_with_one_id_the_one_counts_that_was_committed_last(
    first: str, last: str, service_name: str, tmp_path: Path
) -> None:
    records = made(service_name, START, END, 10)
    land(service_name, tmp_path / first, changed(records, status="failed"), at=END)
    land(
        service_name,
        tmp_path / last,
        changed(records, status="cancelled"),
        at=datetime(2026, 11, 4, tzinfo=UTC),
    )

    for source in (str(tmp_path), [str(tmp_path / last), str(tmp_path / first)]):
        summary = report(source, WINDOW, tmp_path / "files")
        assert summary["statuses"] == {"cancelled": 10}


def test_of_two_commits_at_one_moment_the_higher_generation_counts(tmp_path: Path) -> None:
    records = made("vlmrun", START, END, 10)
    land("vlmrun", tmp_path / "b", changed(records, status="failed"), at=END)
    land("vlmrun", tmp_path / "a", [], at=START)
    land("vlmrun", tmp_path / "a", changed(records, status="cancelled"), at=END)

    assert report(str(tmp_path), WINDOW, tmp_path / "files")["statuses"] == {"cancelled": 10}


def test_every_format_reads_the_same_times(service_name: str, tmp_path: Path) -> None:
    records = [dated(service_name, n, time) for n, time in enumerate(TIMES)]
    for form in ("jsonl", "parquet"):
        land(service_name, tmp_path / form, records, form)
        summary = report(str(tmp_path / form), WINDOW, tmp_path / "files")

        assert summary["count"] == sum(TIMES.values()), form
        assert left_out(tmp_path / "files") == {
            "no creation time that can be read": len(TIMES) - sum(TIMES.values())
        }


def dated(service: str, n: int, time: Any) -> bytes:
    vlmrun = {"id": str(n), "status": "completed", "created_at": time, "domain": "d"}
    cradl = {"predictionId": str(n), "status": "succeeded", "createdTime": time, "predictions": []}
    return json.dumps(vlmrun if service == "vlmrun" else cradl).encode()
