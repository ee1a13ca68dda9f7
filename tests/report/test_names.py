"""No number of a report depends on what a path, a directory or a run is called, nor on the format."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.report.window import make_window
from tests.report.landed import FORMS, land, left_out, report, table
from tests.report.records import changed, made

START, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
WINDOW = make_window((START, END), "UTC", END)
SHARPNESS = ("seconds", "milliseconds", "microseconds")
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
    20261102: False,
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


def test_usual_times_are_read_as_where_they_land(tmp_path: Path) -> None:
    rng = random.Random(4)
    texts = ["2026-02-30T10:00:00", "2026-11-02T10:00:00+14:59", "2026-11-02T10:00:00-14:59"]
    for _ in range(400):
        moment = START + (END - START) * rng.random()
        text = moment.replace(tzinfo=None).isoformat(rng.choice("T "), rng.choice(SHARPNESS))
        sign, hours, minutes = rng.choice("+-"), rng.randrange(24), rng.choice((0, 30, 45))
        offsets = (
            "",
            "Z",
            f"{sign}{hours:02}",
            f"{sign}{hours:02}:{minutes:02}",
            f"{sign}{hours:02}{minutes}",
        )
        texts.append(text + rng.choice(offsets))
    records = [
        json.dumps({"id": str(n), "status": "failed", "created_at": text}).encode()
        for n, text in enumerate(texts)
    ]
    land("vlmrun", tmp_path / "landed", records)

    report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")

    times = {str(n): as_time(text) for n, text in enumerate(texts)}
    expected = {
        id_: f"{time:%Y-%m-%dT%H:%M:%SZ}" for id_, time in times.items() if time and START <= time < END
    }
    assert len(expected) > 200
    assert {row[0]: row[2] for row in table(tmp_path / "files", "failures")} == expected


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_groups_by_a_time_are_the_same_in_every_format(form: str, tmp_path: Path) -> None:
    times = [
        "2026-11-02T10:00:00Z",
        "2026-11-02T10:00:00",
        "2026-11-02T11:00:00+01:00",
        "2026-11-02T12:00:00.5Z",
    ]
    records = [dated("vlmrun", n, time) for n, time in enumerate(times)]
    land("vlmrun", tmp_path / "landed", records, form)

    report(str(tmp_path / "landed"), WINDOW, tmp_path / "files", group_by="created_at")

    groups = [row[:2] for row in table(tmp_path / "files", "by_group")]
    assert groups == [["2026-11-02T10:00:00Z", "3"], ["2026-11-02T12:00:00.500000Z", "1"]]


def test_groups_that_look_alike_have_targets_of_their_own(tmp_path: Path) -> None:
    names = ["a\x01", "a\x01", "a\x02"]
    records = [
        json.dumps({"id": str(n), "status": "completed", "domain": name, "created_at": START.isoformat()})
        for n, name in enumerate(names)
    ]
    land("vlmrun", tmp_path / "landed", [record.encode() for record in records])
    targets = {f"predictions:{name}": {"min": 2} for name in names}

    summary = report(str(tmp_path / "landed"), WINDOW, tmp_path / "files", targets=targets)

    assert [target["now"] for target in summary["targets"]] == [2, 1]
    assert summary["groups"]["a\ufffd"]["predictions"]["now"] == 2


def dated(service: str, n: int, time: Any) -> bytes:
    vlmrun = {"id": str(n), "status": "completed", "created_at": time, "domain": "d"}
    cradl = {"predictionId": str(n), "status": "succeeded", "createdTime": time, "predictions": []}
    return json.dumps(vlmrun if service == "vlmrun" else cradl).encode()
