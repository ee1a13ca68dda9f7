"""Parts in directories by day of creation: which records lie where, in how many parts, and once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_predictions.api.limits import MAX_PARTS_PER_BATCH
from airflow_provider_predictions.sandbox.store import RecordStore
from airflow_provider_predictions.storage.manifest import moved
from airflow_provider_predictions.storage.partitions import UNKNOWN, split
from tests.api.services import VLMRUN
from tests.given import context_of, untagged
from tests.storage.landings import Machine, essence, names, stored

ARGUMENTS = {"partition_by": "created_date", "records_per_part": 7, "page_size": 20}
FORMS: list[Any] = [
    pytest.param({}, id="jsonl"),
    pytest.param({"compression": "gzip"}, id="gzip"),
    pytest.param({"file_format": "parquet"}, id="parquet"),
    pytest.param({"file_format": "parquet", "shape": "values"}, id="values"),
]


def folder(part: dict[str, Any], manifest: dict[str, Any]) -> str:
    """The directory of a part, relative to the landing's."""
    return part["uri"].removeprefix(f"{manifest['path']}/").rpartition("/")[0]


def days(record_store: RecordStore) -> Counter[str]:
    return Counter(f"created_date={row.created.date()}" for row in record_store.rows)


def counts(manifest: dict[str, Any]) -> Counter[str]:
    found: Counter[str] = Counter()
    for part in manifest["parts"]:
        found[folder(part, manifest)] += part["count"]
    return found


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize("arguments", FORMS)
def test_each_record_lies_in_the_directory_of_its_day(
    land, record_store: RecordStore, file_store: ObjectStoragePath, arguments, incremental: bool
) -> None:
    record_store.fill(130, days=20)

    manifest = land(**ARGUMENTS | arguments, incremental=incremental)

    assert manifest["partition_by"] == "created_date"
    assert manifest["count"] == 130
    assert counts(manifest) == days(record_store)
    assert max(part["count"] for part in manifest["parts"]) == 7
    listed = {str(path) for path in Path(file_store.path).rglob("created_date=*/*")}
    assert {part["url"] for part in manifest["parts"]} == listed


@pytest.mark.parametrize("service_name", ["vlmrun"])
def test_an_engine_prunes_by_the_day(land, record_store: RecordStore) -> None:
    record_store.fill(60, days=6)
    manifest = land(**ARGUMENTS, file_format="parquet")
    urls = [part["url"] for part in manifest["parts"]]

    rows = duckdb.execute(
        "SELECT created_date::VARCHAR, count(*), bool_and(created_at::DATE = created_date) "
        "FROM read_parquet(?, hive_partitioning = true) GROUP BY ALL",
        [urls],
    ).fetchall()

    assert {f"created_date={day}": count for day, count, _ in rows} == days(record_store)
    assert all(is_right for *_, is_right in rows)


def test_a_day_is_that_of_utc_and_a_record_without_a_time_has_a_directory_too(tmp_path: Path) -> None:
    times = ["2026-11-01T23:59:59.9-01:00", "2026-11-02T00:00:00", "soon", None, "0001-01-01T00:00:00Z"]
    lines = [json.dumps({"id": "a", "created_at": time}).encode() + b"\n" for time in times]
    (tmp_path / "lines").write_bytes(b"".join(lines))

    pieces = split(tmp_path / "lines", VLMRUN, 100, tmp_path)

    assert {piece.folder: piece.lines.read_bytes() for piece in pieces} == {
        "created_date=2026-11-02": lines[0] + lines[1],
        f"created_date={UNKNOWN}": lines[2] + lines[3],
        "created_date=0001-01-01": lines[4],
    }


def test_a_file_that_a_killed_attempt_left_is_not_continued(tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b'{"id": "a"}\n')
    (tmp_path / "split-0").write_bytes(b"left")

    (piece,) = split(tmp_path / "lines", VLMRUN, 100, tmp_path)

    assert (piece.lines.read_bytes(), piece.count) == (b'{"id": "a"}\n', 1)


@pytest.mark.parametrize("service_name", ["vlmrun"])
def test_a_list_in_any_order_gives_few_parts(land, record_store: RecordStore) -> None:
    """From each batch of ten parts, a day gets what it fills, and one more."""
    record_store.fill(700, days=10)
    record_store.rows.sort(key=lambda row: row.id)

    manifest = land(**ARGUMENTS)

    batches = 700 / 7 / MAX_PARTS_PER_BATCH
    assert len(manifest["parts"]) <= 700 / 7 + batches * len(days(record_store))
    assert counts(manifest) == days(record_store)


@pytest.mark.parametrize("arguments", FORMS)
def test_equal_landings_make_equal_objects(land, record_store: RecordStore, file_store, arguments) -> None:
    record_store.fill(300, days=4)

    first = land(path=str(file_store / "a"), **ARGUMENTS | arguments)
    second = land(path=str(file_store / "b"), **ARGUMENTS | arguments | {"page_size": 33, "prefetch": 3})

    assert essence(first) == essence(second)
    assert stored(first) == stored(second)


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize("service_name", ["vlmrun"])
def test_an_interrupted_landing_is_continued_and_leaves_nothing(
    land, interrupted, record_store: RecordStore, file_store, new_machine: Callable[[], Machine], incremental
) -> None:
    """On this machine and on another one, after each request."""
    record_store.fill(200, days=3)
    arguments = ARGUMENTS | {"incremental": incremental, "page_size": 45}
    whole = land(path=str(file_store / "whole"), **arguments)

    for after in range(1, whole["requests"]):
        for moves in (False, True):
            path = file_store / f"{after}-{moves}"
            machine = new_machine()
            interrupted(after=after, path=str(path), **arguments)
            if moves:
                machine = new_machine()
            manifest = land(path=str(path), **arguments)

            assert essence(manifest) == essence(whole)
            assert stored(manifest) == stored(whole)
            parts = {part["url"] for part in manifest["parts"]}
            assert {str(file) for file in Path(path.path).rglob("*.jsonl")} == parts
            assert not [name for name in names(path) if "checkpoint" in name]
            assert machine.left() == []


@pytest.mark.parametrize("service_name", ["vlmrun"])
def test_a_later_landing_removes_the_days_of_the_one_before(
    land, record_store: RecordStore, file_store: ObjectStoragePath
) -> None:
    """With the same layout, and with another one."""
    root = Path(file_store.path)
    for number, arguments in enumerate([ARGUMENTS, ARGUMENTS, {}, ARGUMENTS, {}]):
        record_store.clear()
        record_store.fill(30, days=3 + number)
        manifest = land(context_of(f"run {number}"), **arguments)
        left = {str(path) for path in root.rglob("*.jsonl")}
        assert left == {part["url"] for part in manifest["parts"]}
        assert bool(list(root.glob("created_date=*"))) == ("partition_by" in manifest)


@pytest.mark.parametrize("service_name", ["vlmrun"])
@pytest.mark.parametrize("incremental", [False, True])
def test_another_run_removes_the_days_of_an_attempt_that_was_killed(
    land, interrupted, record_store: RecordStore, file_store: ObjectStoragePath, machine: Machine, incremental
) -> None:
    record_store.fill(200, days=5)
    arguments = ARGUMENTS | {"incremental": incremental}
    interrupted(after=7, **arguments)
    root = Path(file_store.path)
    left = set(root.rglob("created_date=*/part-*"))
    unfinished = next(iter(left)).with_suffix(".jsonl.0123456789abcdef.new")
    unfinished.write_bytes(b"cut short")
    record_store.clear()
    record_store.fill(10, days=2)

    manifest = land(context_of("another run"), **arguments)

    assert left
    assert {str(path) for path in root.rglob("part-*")} == {part["url"] for part in manifest["parts"]}
    days_left = {path.name for path in root.rglob("created_date=*")}
    assert days_left == {folder(part, manifest) for part in manifest["parts"]}


@pytest.mark.parametrize("service_name", ["vlmrun"])
def test_each_store_holds_the_days_and_is_swept(land, record_store: RecordStore, store) -> None:
    path = store / "landed"
    record_store.fill(30, days=3)
    land(context_of("run 1"), path=str(path), **ARGUMENTS)
    record_store.clear()
    record_store.fill(20, days=2)

    manifest = land(context_of("run 2"), path=str(path), **ARGUMENTS)

    path.fs.invalidate_cache()
    found = [name for name in path.fs.find(path.path) if name.endswith(".jsonl")]
    assert len(found) == len(manifest["parts"])
    assert sum(text.count(b"\n") for text in stored(manifest)) == 20


@pytest.mark.parametrize("service_name", ["vlmrun"])
@pytest.mark.parametrize("arguments", [{"incremental": True}, {"file_format": "parquet", "shape": "values"}])
def test_in_each_store_an_interrupted_landing_by_day_is_continued_elsewhere(
    land, interrupted, record_store: RecordStore, store, new_machine: Callable[[], Machine], arguments
) -> None:
    record_store.fill(200, days=3)
    given, path = ARGUMENTS | {"page_size": 45} | arguments, store / "landed"
    whole = land(path=str(store / "whole"), **given)

    new_machine()
    interrupted(after=whole["requests"] - 1, path=str(path), **given)
    new_machine()
    manifest = land(path=str(path), **given)

    assert essence(manifest) == essence(whole)
    assert stored(manifest) == stored(whole)
    assert counts(manifest) == days(record_store)
    path.fs.invalidate_cache()
    found = {name for name in path.fs.find(path.path) if "/created_date=" in name}
    assert found == {ObjectStoragePath(part["uri"]).path for part in manifest["parts"]}


@pytest.mark.parametrize("service_name", ["vlmrun"])
@pytest.mark.parametrize(
    "name",
    [
        "../created_date=2026-11-01/part-00000.jsonl",
        "created_date=../part-00000.jsonl",
        "created_date=2026-11-01/../part-00000.jsonl",
        "created_date=2026-11-01/../../etc/passwd",
        "created_date=/etc/part-00000.jsonl",
        "other=2026-11-01/part-00000.jsonl",
        "part-00000.jsonl",
    ],
)
def test_no_name_leads_out_of_the_directory(land, record_store: RecordStore, file_store, name: str) -> None:
    record_store.fill(3, days=1)
    manifest = land(**ARGUMENTS)
    part = manifest["parts"][0] | {"uri": f"{manifest['path']}/{name}"}
    elsewhere = file_store / "elsewhere"

    try:
        (found, *_) = moved(manifest | {"parts": [part]}, elsewhere)["parts"]
    except ValueError:
        return
    assert found["uri"] == f"{elsewhere}/created_date=2026-11-01/part-00000.jsonl"


@pytest.mark.parametrize("service_name", ["vlmrun"])
def test_a_path_that_is_named_like_a_day_is_no_day(land, record_store: RecordStore, file_store) -> None:
    record_store.fill(3, days=1)
    path = file_store / "created_date=2026-11-01"

    first = land(context_of("run 1"), path=str(path))
    second = land(context_of("run 2"), path=str(path))

    assert "partition_by" not in second
    assert [untagged(file.name) for file in Path(path.path).glob("part*")] == ["part-00000.jsonl"]
    assert moved(second, path)["parts"] == second["parts"]
    assert first["count"] == second["count"] == 3


@pytest.mark.parametrize("service_name", ["vlmrun"])
@pytest.mark.parametrize("above", [{}, ARGUMENTS, {"incremental": True}, ARGUMENTS | {"incremental": True}])
@pytest.mark.parametrize("below", [{}, ARGUMENTS, {"incremental": True}])
@pytest.mark.parametrize("folder_below", ["created_date=", "00000001"])
def test_a_landing_in_a_directory_of_another_one_leaves_its_parts_alone(
    land, record_store: RecordStore, file_store, above, below, folder_below: str
) -> None:
    """Landings of a day each may be older than one by day above them."""
    record_store.fill(20, days=2)
    day = record_store.rows[-1].created.date() if folder_below.endswith("=") else ""
    paths = {"above": file_store / "path", "below": file_store / "path" / f"{folder_below}{day}"}
    landed: dict[str, dict[str, Any]] = {}
    order = ["below", "above", "above", "below", "below", "above", "below"]
    for number, name in enumerate(order):
        record_store.add()
        arguments = above if name == "above" else below
        landed[name] = land(context_of(f"run {number}"), path=str(paths[name]), **arguments)

        assert [stored(manifest) for manifest in landed.values()]


@pytest.mark.parametrize("service_name", ["vlmrun"])
@pytest.mark.parametrize("incremental", [False, True])
def test_a_report_and_a_table_read_the_parts_in_their_directories(
    land, record_store: RecordStore, tmp_path: Path, incremental: bool
) -> None:
    pytest.importorskip("pyiceberg", reason="the extra iceberg is for the newest Airflow here")
    from airflow_provider_predictions.operators.report import PredictionsReportOperator
    from tests.iceberg.catalogs import Catalog

    record_store.fill(60, days=5)
    manifest = land(**ARGUMENTS, incremental=incremental)
    uri, warehouse = f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/warehouse"
    catalog = Catalog({"type": "sql", "uri": uri, "warehouse": warehouse})

    added = catalog.add(manifest)
    by_url = catalog.add(f"{manifest['path']}/_manifest.json")

    assert (added["added"], by_url["added"]) == (True, False)
    assert len(catalog.rows()) == 60

    now = datetime.now(UTC)
    report = PredictionsReportOperator(
        task_id="report",
        path=f"file://{tmp_path}/report",
        source=manifest,
        period=(now - timedelta(days=10), now + timedelta(days=1)),
    )
    assert report.execute({})["count"] == 60


@pytest.mark.parametrize("service_name", ["vlmrun"])
@pytest.mark.parametrize(("first", "second"), [({}, ARGUMENTS), (ARGUMENTS, {})])
def test_an_incremental_path_keeps_its_layout(
    land, record_store: RecordStore, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """Engines read no directories of days beside parts without one."""
    record_store.fill(5)
    land(context_of("run 1"), incremental=True, **first)
    record_store.fill(5)

    with pytest.raises(AirflowFailException, match=r"path: .* holds predictions of vlmrun"):
        land(context_of("run 2"), incremental=True, **second)
