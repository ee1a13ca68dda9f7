"""Incremental landings of rows whose creation times, or whose service's clock, are wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.report.window import make_window
from airflow_provider_predictions.sandbox.data import Record
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.store import RecordStore
from tests.compat import let_threads_execute
from tests.given import LIST, context_of
from tests.operators.test_incremental import ENDLESS, Runs, ids
from tests.report.landed import report
from tests.storage.landings import commit_state, down

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CREATED = {"vlmrun": "created_at", "cradl": "createdTime"}
ODD: list[Any] = [
    "0001-01-01T00:00:00",
    "0001-01-01T00:00:00+23:59",
    "2099-01-01T00:00:00",
    "9999-12-31T23:59:59.999999",
    "9999-12-31T23:59:59-23:59",
    "10000-01-01T00:00:00",
    "2026-13-01T00:00:00",
    "2026-11-01T24:00:00",
    "2026-12-31T23:59:60",
    "2026-11-01T12:00:00+99:99",
    "-2026-11-01T12:00:00",
    "",
    "soon",
    1_793_000_000,
    1e400,
    True,
    None,
    [],
    {"at": 1},
]
"""Creation times that a service may send, whatever its specification says."""


@pytest.fixture
def runs(connections: Sandbox, service_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    let_threads_execute(monkeypatch)
    return Runs(service_name, tmp_path / "base", page_size=10)


def now() -> datetime:
    return datetime.now(UTC)


def add(record_store: RecordStore, created: datetime) -> Record:
    """A finished prediction, whenever it was created."""
    return record_store.add(created=created, work=min(0.0, (now() - created).total_seconds()))


def dated(monkeypatch: pytest.MonkeyPatch, record_store: RecordStore, times: dict[str, Any]) -> None:
    """Let the list show rows with these creation times, by their ids."""
    show, name = (
        record_store.kind.show,
        CREATED["vlmrun" if b"created_at" in record_store.texts()[0] else "cradl"],
    )

    def shown(row: Record, *how: str) -> bytes:
        text = show(row, *how)
        return json.dumps(json.loads(text) | {name: times[row.id]}).encode() if row.id in times else text

    record_store._texts.clear()
    monkeypatch.setattr(record_store, "kind", replace(record_store.kind, show=shown))


def watermark(manifest: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(manifest["incremental"]["watermark"])


def test_rows_that_are_dated_ahead_land_once_and_hide_no_others(
    runs: Runs,
    record_store: RecordStore,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    record_store.fill(5)
    ahead = [add(record_store, now() + by) for by in (3 * HOUR, DAY * 36_500, DAY * 2_000_000)]
    first = runs()
    record_store.rows.insert(2, add(record_store, now()))
    del record_store.rows[0]

    later = [runs() for _ in range(2)]

    assert [run["count"] for run in (first, *later)] == [8, 1, 0]
    assert first["incremental"]["ahead"] == 3
    assert sorted(first["incremental"]["ahead_ids"]) == ids(ahead)
    # Some versions of Airflow print what others log, and some do both.
    logs = capsys.readouterr().out, caplog.text
    assert max(log.count("3 predictions are dated ahead of the service's clock") for log in logs) == 1
    assert max(log.count("dated ahead") for log in logs) == 1
    assert later[0]["incremental"]["ahead"] == 0
    assert sorted(runs.landed()) == ids(record_store.rows)


def test_what_finishes_behind_a_row_that_is_dated_ahead_lands(runs: Runs, record_store: RecordStore) -> None:
    slow = record_store.add(work=ENDLESS)
    add(record_store, now() + 9 * HOUR)
    runs()
    slow.work = 0

    assert runs()["count"] == 1


def header(by: timedelta) -> Callable[[], str]:
    return lambda: format_datetime(now() + by, usegmt=True)


@pytest.mark.parametrize("by", [DAY, -DAY], ids=["a day ahead", "a day behind"])
def test_creation_times_are_of_the_clock_of_the_service(
    runs: Runs, record_store: RecordStore, connections: Sandbox, by: timedelta
) -> None:
    """Seen from a service that is right, the worker's clock is a day behind, or ahead."""
    connections.wire.date = header(by)
    old, stuck = (add(record_store, now() + by - age) for age in (3 * HOUR, 90 * timedelta(minutes=1)))
    old.work = stuck.work = ENDLESS
    add(record_store, now() + by)
    first = runs(max_age=2 * HOUR)
    add(record_store, now() + by + 3 * HOUR)
    second = runs(max_age=2 * HOUR)
    add(record_store, now() + by)
    third = runs(max_age=2 * HOUR)

    assert first["incremental"]["given_up_ids"] == [old.id]
    assert [run["count"] for run in (first, second, third)] == [1, 1, 1]
    assert [run["incremental"]["ahead"] for run in (first, second, third)] == [0, 1, 0]
    assert watermark(first) == stuck.created
    assert runs()["count"] == 0


@pytest.mark.parametrize(
    "date",
    [None, "", "soon", "Mon, 01 Jan 0001 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 99 Nov 2026"],
)
def test_without_a_date_that_can_be_true_the_clock_of_the_worker_counts(
    runs: Runs, record_store: RecordStore, connections: Sandbox, date: str | None
) -> None:
    connections.wire.date = lambda: date
    add(record_store, now())
    for age in (3 * HOUR, DAY * 36_500):
        add(record_store, now() + age)

    manifest = runs()

    assert (manifest["count"], manifest["incremental"]["ahead"]) == (3, 2)
    assert abs(watermark(manifest) - (now() - HOUR)) < timedelta(minutes=1)
    add(record_store, now())
    assert runs()["count"] == 1


def test_a_clock_that_jumps_back_between_pages_skips_nothing(
    runs: Runs, record_store: RecordStore, connections: Sandbox
) -> None:
    """As two proxies have it, and an answer out of a cache, whose ``Age`` says how old it is."""
    jumps = cycle([DAY, timedelta(0), -2 * HOUR])
    connections.wire.date = lambda: format_datetime(now() + next(jumps), usegmt=True)
    record_store.fill(40, days=2)
    add(record_store, now() + 5 * HOUR)
    first = runs()
    for _ in range(3):
        add(record_store, now())
        runs()

    assert watermark(first) <= now() - 3 * HOUR
    assert sorted(runs.landed()) == ids(record_store.rows)


def test_a_retry_goes_on_by_the_clock_of_the_attempt_that_has_read_the_newest_rows(
    runs: Runs, record_store: RecordStore, connections: Sandbox
) -> None:
    record_store.fill(25, days=2)
    add(record_store, now() + 9 * HOUR)
    connections.wire.order(down(runs.service, after=2))
    with pytest.raises(Exception, match="503"):
        runs(context_of("monday", 1))
    connections.wire.clear()
    connections.wire.date = header(5 * HOUR)
    between = add(record_store, now() + HOUR)

    retry = runs(context_of("monday", 2))

    assert watermark(retry) <= now() - HOUR
    runs(context_of("tuesday"))
    assert between.id in runs.landed()
    assert sorted(runs.landed()) == ids(record_store.rows)


@pytest.mark.parametrize("by", [timedelta(0), -DAY], ids=["right", "a day behind"])
def test_a_state_whose_watermark_is_to_come_recovers(
    runs: Runs,
    record_store: RecordStore,
    connections: Sandbox,
    by: timedelta,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As a run leaves it whose clock was wrong, and whose service gave no date."""
    record_store.fill(5)
    add(record_store, now())
    runs()
    connections.wire.date = header(by)
    commit_state(runs.path, runs.state | {"watermark": "2098-01-01T00:00:00Z"})
    add(record_store, now())

    assert runs()["count"] == 1
    assert watermark(runs()) <= now()
    add(record_store, now())
    assert runs()["count"] == 1
    assert sorted(runs.landed()) == ids(record_store.rows)


def test_a_watermark_that_only_the_worker_takes_for_the_future_stays(
    runs: Runs, record_store: RecordStore, connections: Sandbox
) -> None:
    """Its clock, or the clock of a proxy, is a day behind for a while."""
    connections.wire.date = header(DAY)
    add(record_store, now() + DAY - 3 * HOUR)
    add(record_store, now() + DAY)
    before = watermark(runs())

    assert before > now()
    add(record_store, now() + DAY)
    assert runs()["count"] == 1
    assert sorted(runs.landed()) == ids(record_store.rows)


def test_a_window_that_begins_in_the_future_skips_nothing_when_it_is_gone(
    runs: Runs, record_store: RecordStore
) -> None:
    add(record_store, now() + DAY * 3000)
    first = runs(created_after=now() + DAY * 365)
    add(record_store, now())

    assert first["count"] == 1
    assert watermark(first) <= now()
    assert runs()["count"] == 1


@pytest.mark.parametrize(("file_format", "zone"), [("jsonl", "Asia/Tokyo"), ("parquet", "America/New_York")])
def test_times_that_no_calendar_holds_end_nothing(
    runs: Runs,
    record_store: RecordStore,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    file_format: str,
    zone: str,
) -> None:
    record_store.fill(len(ODD) + 10, days=2)
    dated(monkeypatch, record_store, {row.id: odd for row, odd in zip(record_store.rows, ODD, strict=False)})

    first = runs(file_format=file_format)
    record_store.add()
    second, third = (runs(file_format=file_format) for _ in range(2))

    assert [run["count"] for run in (first, second, third)] == [len(record_store.rows) - 1, 1, 0]
    assert len(LIST[runs.service](task_id="list").execute({})) == len(record_store.rows)
    window = make_window((now() - 7 * DAY, now()), zone, now())
    assert report(str(runs.path), window, tmp_path / "files")["count"] >= 10


@pytest.mark.parametrize("created", ["0001-01-01T00:00:00", "9999-12-31T23:59:59", "10000-01-01T00:00:00"])
def test_a_list_of_nothing_but_an_odd_time_ends_nothing(
    runs: Runs, record_store: RecordStore, monkeypatch: pytest.MonkeyPatch, created: str
) -> None:
    row = record_store.add()
    dated(monkeypatch, record_store, {row.id: created})

    assert [runs(lookback=timedelta.max, max_age=timedelta.max)["count"] for _ in range(2)] == [1, 0]


def test_ids_that_no_time_settles_leave_the_state_when_their_rows_have_left_the_list(
    runs: Runs, record_store: RecordStore, simulated_time: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead, undated, other = add(record_store, now() + DAY * 36_500), record_store.add(), record_store.add()
    dated(monkeypatch, record_store, {undated.id: None, other.id: None})
    runs()
    assert {ahead.id, undated.id} <= runs.state["landed"].keys()
    record_store.remove([ahead.id, undated.id])
    for _ in range(4):
        simulated_time.skip(2 * 3600)
        record_store.add()
        runs()

    assert runs.state["unmet"] == {}
    assert other.id in runs.state["landed"]
    assert not {ahead.id, undated.id} & runs.state["landed"].keys()
    assert len(runs.state["landed"]) <= 3
