"""Landing in each storage, on a real server of its protocol."""

from __future__ import annotations

import hashlib
import json
import random
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow.dataset
import pyarrow.json
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_predictions.api.errors import PredictionsError
from airflow_provider_predictions.sandbox.data import Record
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.store import RecordStore
from airflow_provider_predictions.storage import objects
from airflow_provider_predictions.storage.objects import (
    create,
    get_file,
    put,
    put_file,
    read,
    remove_files,
    try_to_write,
)
from tests.faults import Fault
from tests.given import ARGUMENTS, LAND, context_of, on_machine
from tests.storage.conftest import STORES
from tests.storage.landings import Machine, down, names

PIECES = (("_checkpoint", ""), ("part", ".jsonl"))
"""Of a landing under way: what its objects are called."""


@pytest.fixture
def land(connections: Sandbox, service_name: str) -> Callable[..., dict[str, Any]]:
    """Land from the sandbox, with arguments of the operator."""

    def land(path: ObjectStoragePath | str, context: Any = None, **arguments: Any) -> dict[str, Any]:
        return LAND[service_name](task_id="land", path=str(path), **arguments).execute(context or {})

    return land


@pytest.fixture
def show(record_store: RecordStore) -> Iterator[Callable[[dict[int, bytes]], None]]:
    """Let the service send given rows in place of those at an index."""
    kind = record_store.kind

    def show(rows: dict[int, bytes]) -> None:
        given = {record_store.rows[index].id: text for index, text in rows.items()}

        def shown(record: Record, status: str, files: str) -> bytes:
            return given.get(record.id) or kind.show(record, status, files)

        record_store.kind = replace(kind, show=shown)

    yield show
    record_store.kind = kind


def lines(texts: list[bytes]) -> bytes:
    return b"".join(text + b"\n" for text in texts)


def content(manifest: dict[str, Any]) -> bytes:
    """All bytes of all parts, checked against what the manifest says of them."""
    stored = [ObjectStoragePath(part["uri"]).read_bytes() for part in manifest["parts"]]
    for part, text in zip(manifest["parts"], stored, strict=True):
        assert part["bytes"] == len(text)
        assert part["sha256"] == hashlib.sha256(text).hexdigest()
        assert part["count"] == text.count(b"\n")
    return b"".join(stored)


def rejected(manifest: dict[str, Any]) -> bytes:
    found: bytes = ObjectStoragePath(manifest["rejected_uri"]).read_bytes()
    return found


def committed(path: ObjectStoragePath) -> dict[str, Any]:
    """The manifest as it is stored."""
    manifest: dict[str, Any] = json.loads(path.fs.cat_file((path / "_manifest.json").path))
    return manifest


def break_off(sandbox: Sandbox, service_name: str, *, after: int) -> None:
    """Let the service refuse everything after some requests."""
    sandbox.wire.order(Fault(service_name, status=400, body=b"{}", times=1000, after=after))


def land_in_part(land: Callable[..., Any], sandbox: Sandbox, service_name: str, **how: Any) -> None:
    """Land as the first attempt of a run, until the service is down."""
    sandbox.wire.order(down(service_name, how.pop("after")))
    with pytest.raises(PredictionsError):
        land(how.pop("path"), context=context_of("monday", 1), **how)
    sandbox.wire.clear()


def time_of(text: bytes) -> datetime:
    record = json.loads(text)
    return datetime.fromisoformat(record.get("created_at") or record["createdTime"])


def test_three_thousand_land_byte_for_byte(land, record_store: RecordStore, store) -> None:
    record_store.fill(3000)
    path = store / "predictions" / "2026-11-22"

    manifest = land(path, records_per_part=1300)

    assert content(manifest) == lines(record_store.texts())
    assert [part["count"] for part in manifest["parts"]] == [1300, 1300, 400]
    assert names(path) == ["_manifest.json", "part-00000.jsonl", "part-00001.jsonl", "part-00002.jsonl"]


def test_the_stored_manifest_is_what_the_task_returns(
    land, record_store: RecordStore, store, service_name
) -> None:
    record_store.fill(30)
    times = sorted(map(time_of, record_store.texts()))

    manifest = land(store / "x", records_per_part=10)

    assert committed(store / "x") == manifest
    assert manifest["path"] == str(store / "x")
    assert (manifest["service"], manifest["count"], manifest["complete"]) == (service_name, 30, True)
    assert (manifest["rejected"], manifest["rejected_reasons"], manifest["duplicates"]) == (0, {}, 0)
    assert datetime.fromisoformat(manifest["created_min"]).replace(tzinfo=times[0].tzinfo) == times[0]
    assert datetime.fromisoformat(manifest["created_max"]).replace(tzinfo=times[0].tzinfo) == times[-1]


def test_no_credential_stands_in_the_manifest(land, record_store: RecordStore, s3_store) -> None:
    record_store.fill(3)

    manifest = land(s3_store / "x")

    assert "s3_store@" in manifest["path"]
    assert "test-secret" not in json.dumps(manifest)


def test_landing_again_leaves_only_its_own_objects(land, record_store: RecordStore, store) -> None:
    record_store.fill(40)
    path = store / "x"
    land(path, records_per_part=10)
    mine = ("part-notes.txt", "sub/part-00000.jsonl", "part-00007.parquet")
    for name in mine:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(b"not of this landing")

    again = land(path, records_per_part=30, compression="gzip")

    assert [part["count"] for part in again["parts"]] == [30, 10]
    assert names(path) == sorted(["_manifest.json", "part-00000.jsonl.gz", "part-00001.jsonl.gz", *mine])


def test_an_empty_list_replaces_what_landed_before(land, record_store: RecordStore, store) -> None:
    record_store.fill(5)
    land(store / "x")
    record_store.clear()

    manifest = land(store / "x")

    assert (manifest["parts"], manifest["count"]) == ([], 0)
    assert names(store / "x") == ["_manifest.json"]


def test_a_landing_that_fails_for_good_leaves_nothing(
    land, connections: Sandbox, record_store: RecordStore, store, service_name, machine: Machine
) -> None:
    record_store.fill(40)
    break_off(connections, service_name, after=2)

    with pytest.raises(AirflowFailException):
        land(store / "x", page_size=10, records_per_part=5)

    assert names(store / "x") == []
    assert machine.left() == []


def test_a_list_that_breaks_off_is_gone_on_with(
    land, connections: Sandbox, record_store: RecordStore, store, service_name
) -> None:
    record_store.fill(500)
    path = store / "x"
    land_in_part(land, connections, service_name, path=path, after=20, **ARGUMENTS)
    left = names(path)

    manifest = land(path, context=context_of("monday", 2), **ARGUMENTS)

    assert left == [f"{stem}-{n:05}{end}" for stem, end in PIECES for n in range(5)]
    assert content(manifest) == lines(record_store.texts())
    assert [part["count"] for part in manifest["parts"]] == [70] * 7 + [10]
    assert names(path) == ["_manifest.json", *(f"part-{n:05}.jsonl" for n in range(8))]
    assert sum(seen.part == service_name for seen in connections.wire.seen) < 10


def test_a_landing_goes_on_from_what_lies_beside_its_parts(
    land, connections: Sandbox, record_store: RecordStore, store, service_name, own_tmp, tmp_path, monkeypatch
) -> None:
    record_store.fill(500)
    path = store / "x"
    land_in_part(land, connections, service_name, path=path, after=20, **ARGUMENTS)
    another_machine(tmp_path, monkeypatch)

    manifest = land(path, context=context_of("monday", 2), **ARGUMENTS)

    assert content(manifest) == lines(record_store.texts())
    assert names(path) == ["_manifest.json", *(f"part-{n:05}.jsonl" for n in range(8))]
    assert sum(seen.part == service_name for seen in connections.wire.seen) < 15


def another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, nothing is known but what lies in storage."""
    on_machine(monkeypatch, tmp_path / "another")


def test_while_a_path_is_landed_again_its_readers_see_the_earlier_landing(
    land, connections: Sandbox, record_store: RecordStore, store, service_name
) -> None:
    record_store.fill(30)
    first = land(store / "x", page_size=10, records_per_part=5)

    land_in_part(land, connections, service_name, path=store / "x", after=1, page_size=10, records_per_part=5)

    assert committed(store / "x") == first
    assert content(first) == lines(record_store.texts())


@pytest.mark.parametrize("store", STORES[1:], indirect=True)
def test_a_missing_bucket_is_an_error_and_is_not_made(land, record_store: RecordStore, store) -> None:
    record_store.fill(3)
    missing = ObjectStoragePath(f"{str(store).rstrip('/')}-missing")

    with pytest.raises(
        AirflowFailException, match=r"Create its bucket, container or directory, or correct path"
    ):
        land(missing / "x")

    assert not missing.exists()


ROWS = {3: b'"text"', 4: b"5", 7: b"null", 8: b"[1.10,\n 2]"}
REASONS = {f"{kind} instead of an object": 1 for kind in ("array", "null", "number", "string")}


def test_rows_that_are_no_records_land_beside_the_parts(land, record_store: RecordStore, show, store) -> None:
    record_store.fill(20)
    show(ROWS)

    manifest = land(store / "x", max_rejected=None)

    assert content(manifest) == lines([t for n, t in enumerate(record_store.texts()) if n not in ROWS])
    assert rejected(manifest) == b'"text"\n5\nnull\n[1.10,2]\n'
    assert (manifest["count"], manifest["rejected"], manifest["rejected_reasons"]) == (16, 4, REASONS)
    assert names(store / "x") == ["_manifest.json", "_rejected", "part-00000.jsonl"]


def test_too_many_rejected_rows_fail_the_task_once_all_has_landed(
    land, record_store: RecordStore, show, store
) -> None:
    record_store.fill(20)
    show(ROWS)

    with pytest.raises(AirflowFailException, match=r"max_rejected: found 4 rows .*_rejected"):
        land(store / "x", max_rejected=0)

    assert (committed(store / "x")["count"], committed(store / "x")["rejected"]) == (16, 4)
    assert names(store / "x") == ["_manifest.json", "_rejected", "part-00000.jsonl"]


@pytest.mark.parametrize(("most", "passes"), [(3, False), (4, True), (5, True)])
def test_as_many_rows_may_be_rejected_as_are_allowed(
    land, record_store: RecordStore, show, file_store, most, passes
) -> None:
    record_store.fill(20)
    show(ROWS)

    if passes:
        assert land(file_store, max_rejected=most) == committed(file_store)
    else:
        with pytest.raises(AirflowFailException):
            land(file_store, max_rejected=most)
        assert committed(file_store)["rejected"] == 4


def test_rejected_rows_go_where_a_clean_landing_follows(land, record_store: RecordStore, show, store) -> None:
    record_store.fill(5)
    show({1: b"5"})
    land(store / "x", max_rejected=None)
    record_store.remove([record_store.rows[1].id])

    land(store / "x")

    assert names(store / "x") == ["_manifest.json", "part-00000.jsonl"]


def test_only_rejected_rows_make_no_part(land, record_store: RecordStore, show, store) -> None:
    record_store.fill(2)
    show({0: b"1", 1: b"2"})

    manifest = land(store / "x", max_rejected=None)

    assert (manifest["parts"], manifest["rejected"]) == ([], 2)
    assert rejected(manifest) == b"1\n2\n"


@pytest.mark.parametrize("machine", ["same", "another"])
def test_rejected_rows_outlive_an_interruption(
    land,
    connections: Sandbox,
    record_store: RecordStore,
    show,
    store,
    service_name,
    own_tmp,
    tmp_path,
    monkeypatch,
    machine,
) -> None:
    record_store.fill(200)
    show({5: b"5", 50: b"50", 150: b"150"})
    path, arguments = store / "x", {"page_size": 20, "records_per_part": 30, "max_rejected": None}
    land_in_part(land, connections, service_name, path=path, after=6, **arguments)
    if machine == "another":
        another_machine(tmp_path, monkeypatch)

    manifest = land(path, context=context_of("monday", 2), **arguments)

    assert (manifest["count"], manifest["rejected"]) == (197, 3)
    assert content(manifest) == lines(
        [t for n, t in enumerate(record_store.texts()) if n not in (5, 50, 150)]
    )
    assert rejected(manifest) == b"5\n50\n150\n"


def test_a_file_that_goes_over_in_pieces_arrives_whole(store: ObjectStoragePath, tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(random.Random(0).randbytes(20_000_001))

    put_file(file, store / "large")

    assert (store / "large").read_bytes() == file.read_bytes()


def test_a_large_file_is_never_whole_in_memory(store: ObjectStoragePath, tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as content:
        content.truncate(80_000_000)
    put_file(file, store / "first")  # what is imported and kept open is no part of it
    get_file(store / "first", tmp_path / "first", size=80_000_000)

    for copy, most in (
        (lambda: put_file(file, store / "second"), 40_000_000),
        # Azure's library reads the first 32 MiB at once, and copies them.
        (lambda: get_file(store / "first", tmp_path / "second", size=80_000_000), 75_000_000),
    ):
        tracemalloc.start()
        copy()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < most

    assert (tmp_path / "second").stat().st_size == 80_000_000


def test_an_object_is_created_once(store: ObjectStoragePath) -> None:
    target = store / "_log/00000001.json"

    assert create(target, b"first") == b"first"
    assert create(target, b"second") == b"first"
    assert read(target) == b"first"
    assert try_to_write(store, "_trial")


def test_objects_are_removed_whatever_they_are_called(store: ObjectStoragePath) -> None:
    """A name with a wildcard removes nothing else; before 2026.2, adlfs does not remove it either."""
    wild = [] if store.protocol == "abfs" else ["b*", "d/part-*"]
    gone = ["a", "d/e", *wild]
    for name in [*gone, "b1", "d/part-1"]:
        put(store / name, b"x")

    remove_files(store, gone)
    remove_files(store, gone)

    assert objects.names(store, deep=True) == ["b1", "d/part-1"]


@pytest.mark.parametrize(("form", "pattern"), [("jsonl", "**/*.jsonl"), ("parquet", "**/*.parquet")])
def test_engines_that_know_no_airflow_count_each_record_once(
    land, connections: Sandbox, record_store: RecordStore, file_store, service_name, form: str, pattern: str
) -> None:
    """A run dies after two parts and is never retried; the next one lands everything."""
    record_store.fill(305)
    arguments = {"file_format": form, "incremental": True, "records_per_part": 100, "page_size": 20}
    land_in_part(land, connections, service_name, path=file_store, after=12, **arguments)

    manifest = land(file_store, context=context_of("tuesday"), **arguments)

    files, urls = f"{file_store.path}/{pattern}", [part["url"] for part in manifest["parts"]]
    column = "id" if service_name == "vlmrun" else "predictionId"
    finished = manifest["count"]
    assert finished > 200
    scan = f"read_{'json' if form == 'jsonl' else 'parquet'}"
    for source in (f"'{files}'", str(urls)):
        query = f"SELECT count(*), count(DISTINCT {column}) FROM {scan}({source})"
        assert duckdb.sql(query).fetchall() == [(finished, finished)]
    if form == "parquet":
        assert pyarrow.dataset.dataset(file_store.path, format=form).count_rows() == finished
        assert pyarrow.dataset.dataset(urls, format=form).count_rows() == finished
        assert polars.read_parquet(files)[column].n_unique() == polars.read_parquet(urls).height == finished
    else:
        assert sum(pyarrow.json.read_json(url).num_rows for url in urls) == finished
        assert polars.read_ndjson(urls).height == finished
