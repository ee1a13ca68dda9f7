"""What cannot be added is named, and nothing is written: no table, no file, no snapshot."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from pyiceberg.catalog import load_catalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import DoubleType, NestedField, StringType, TimestamptzType

from airflow_provider_predictions.api.errors import ConfigurationError, StorageError
from airflow_provider_predictions.iceberg.table import SERVICE
from airflow_provider_predictions.operators.iceberg import PredictionsToIcebergOperator
from tests.iceberg.catalogs import TABLE, Catalog, some


def files(catalog: Catalog) -> set[str]:
    """Everything in the warehouse."""
    warehouse = Path(catalog.properties["warehouse"].removeprefix("file://"))
    return {str(file) for file in warehouse.rglob("*") if file.is_file()}


@pytest.fixture
def refused(catalog: Catalog) -> Callable[..., None]:
    """See that a landing is refused with these words, and the warehouse is as it was."""

    def refused(words: str, manifest: Any, **arguments: Any) -> None:
        before = files(catalog)
        with pytest.raises(AirflowFailException, match=words):
            catalog.add(manifest, **arguments)
        assert files(catalog) == before

    return refused


def test_a_manifest_that_is_not_committed(
    refused: Callable[..., None], landed: Callable[..., Any], subtests: Any
) -> None:
    manifest = landed()
    of_another = landed(some(4), name="another")
    without_time = {name: fact for name, fact in manifest.items() if name != "committed_at"}
    cases = {
        "without a time": without_time,
        "not complete": manifest | {"complete": False},
        "of another time": manifest | {"committed_at": of_another["committed_at"]},
        "of a commit that there is not": manifest | {"generation": 7},
        "of nothing, and without a time": without_time | {"parts": [], "count": 0},
        "of another path": manifest | {"path": of_another["path"], "generation": 3},
    }

    for name, given in cases.items():
        with subtests.test(row=name):
            refused("manifest: the log under .* holds no commit of it", given)


def test_a_manifest_that_was_changed(
    refused: Callable[..., None], landed: Callable[..., Any], subtests: Any
) -> None:
    manifest = landed()
    first, *others = manifest["parts"]
    cases = {
        "fewer parts": manifest | {"parts": others, "count": manifest["count"] - first["count"]},
        "another sum": manifest | {"parts": [first | {"sha256": "ab" * 32}, *others]},
        "another format": manifest | {"format": "parquet"},
        "a count that is not of its parts": manifest | {"count": 41},
        "nothing": manifest | {"parts": [], "count": 0},
        "nothing, of an increment": landed(name="grows", incremental=True) | {"parts": [], "count": 0},
        "no part": manifest | {"parts": [first | {"uri": "/etc/passwd"}, *others]},
    }

    for name, given in cases.items():
        with subtests.test(row=name):
            refused("manifest: (is not what was committed|its parts are not those)", given)


def test_what_is_no_manifest(refused: Callable[..., None], tmp_path: Path, subtests: Any) -> None:
    (tmp_path / "_manifest.json").write_text("{}")
    cases = {
        "text": ("{'path': 's3://…'}", "the value is not a manifest"),
        "an empty object": ({"parts": []}, "the value is not a manifest"),
        "no object there": (f"file://{tmp_path}/x/_manifest.json", "nothing has landed there"),
        "another object": (f"file://{tmp_path}/_manifest.json", "is not a manifest of a landing"),
    }

    for name, (given, words) in cases.items():
        with subtests.test(row=name):
            refused(f"manifest: .*{words}", given)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_part_that_was_changed(refused: Callable[..., None], landed: Callable[..., Any], form: str) -> None:
    """The last part: the ones before it are fine, and are not written either."""
    manifest = landed(form=form)
    Path(manifest["parts"][-1]["url"]).write_bytes(b"{}\n")

    refused("manifest: .* is not what its manifest says: 3 bytes", manifest)


def test_a_part_that_is_missing(refused: Callable[..., None], landed: Callable[..., Any]) -> None:
    manifest = landed()
    Path(manifest["parts"][-1]["url"]).unlink()

    refused("manifest: .* is missing, but the manifest names it", manifest)


def test_a_manifest_of_a_landing_that_was_replaced_since(
    refused: Callable[..., None], landed: Callable[..., Any]
) -> None:
    """A retry would read the same manifest again."""
    manifest = landed()
    landed(some(4))

    refused("manifest: .* is gone: another landing has replaced it", manifest)


def test_a_landing_that_is_replaced_while_its_url_is_read_is_left_to_a_retry(
    catalog: Catalog, landed: Callable[..., Any]
) -> None:
    """Which reads the new one."""
    manifest = landed()
    late = Path(manifest["path"].removeprefix("file://"), "_manifest.json")
    content = late.read_bytes()
    landed(some(4))
    late.write_bytes(content)
    before = files(catalog)

    with pytest.raises(StorageError, match=r"manifest: .* is gone: another landing has replaced it"):
        catalog.add(f"{manifest['path']}/_manifest.json")

    assert files(catalog) == before


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("domain", pa.int64()),
        ("created_at", pa.timestamp("us", tz="Europe/Oslo")),
        ("created_at", pa.timestamp("ns", tz="UTC")),
        ("note", pa.int64()),
    ],
    ids=str,
)
def test_a_column_whose_type_changes_between_parts(
    refused: Callable[..., None], landed: Callable[..., Any], column: str, kind: pa.DataType
) -> None:
    """No landing of this package has such parts; one of a later package may."""
    manifest = rewritten(landed(form="parquet"), column, kind)

    refused(rf"manifest: column {column} of part-\S+ is {re.escape(str(kind))}; in", manifest)


def rewritten(manifest: Any, column: str, kind: pa.DataType) -> Any:
    """A committed landing whose last part has another type in a column."""
    part = manifest["parts"][-1]
    file, log = Path(part["url"]), Path(manifest["path"], "_log", "00000001.json")
    table = pq.read_table(file)
    columns = dict(zip(table.column_names, table.columns, strict=True)) | {column: pa.nulls(len(table), kind)}
    pq.write_table(pa.table(columns), file)
    facts = {"bytes": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    entry = json.loads(log.read_bytes())
    entry["manifest"]["parts"][-1] |= facts
    log.write_text(json.dumps(entry))
    return manifest | {"parts": [*manifest["parts"][:-1], part | facts]}


def test_a_catalog_that_is_not_there(
    landed: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: Any
) -> None:
    manifest = landed()
    other = {"conn_type": "vlmrun", "host": "http://127.0.0.1:9", "password": "hunter2"}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(other))
    cases: list[tuple[str, Any, type[Exception], str]] = [
        ("no connection", "nowhere", AirflowFailException, "catalog: there is no connection 'nowhere'"),
        ("another type", "other", AirflowFailException,
         "catalog: 'other' is a connection of the type vlmrun; give one of the type iceberg"),
        ("no directory", {"type": "sql", "uri": f"sqlite:///{tmp_path}/no/catalog.db"},
         AirflowFailException, "catalog: cannot .*unable to open database file. Create its directory"),
        ("no type", {"type": "paper"}, AirflowFailException, "catalog: cannot be opened: ValueError"),
        ("nothing to go by", {"name": "x"}, AirflowFailException, "catalog: cannot be opened"),
        ("no server", {"type": "rest", "uri": "http://user:hunter2@127.0.0.1:9"},
         StorageError, "catalog: cannot be opened: ConnectionError"),
    ]  # fmt: skip

    for name, given, kind, words in cases:
        with subtests.test(row=name):
            with pytest.raises(kind, match=words) as raised:
                Catalog({}).add(manifest, catalog=given)
            assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("warehouse", "words"),
    [
        ("file://lake/warehouse", "file://lake/warehouse is relative. Give file:///absolute/path"),
        ("lake/warehouse", "lake/warehouse is relative"),
        ("s3://key:hunter2@bucket/warehouse", "names a connection before bucket. Give s3://bucket/path"),
    ],
)
def test_a_warehouse_that_other_readers_do_not_find(
    catalog: Catalog,
    landed: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    warehouse: str,
    words: str,
) -> None:
    """Nor does another worker, whose tasks start in another directory."""
    manifest = landed()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    catalog.properties["warehouse"] = warehouse

    with pytest.raises(AirflowFailException, match=f"catalog: its warehouse {words}"):
        catalog.add(manifest)

    assert [*Path.cwd().iterdir()] == []


def existing(
    catalog: Catalog, *fields: NestedField, partition: PartitionSpec | None = None, **owner: str
) -> None:
    """A table that somebody has made."""
    opened = load_catalog("default", **catalog.properties)
    opened.create_namespace("documents")
    opened.create_table(
        TABLE, Schema(*fields), partition_spec=partition or PartitionSpec(),
        properties={SERVICE: "vlmrun", **owner},
    )  # fmt: skip


ID = NestedField(1, "id", StringType(), required=False)
CREATED = NestedField(2, "created_at", TimestamptzType(), required=False)


def test_a_table_of_another_owner(
    catalog: Catalog, refused: Callable[..., None], landed: Callable[..., Any], subtests: Any
) -> None:
    opened = load_catalog("default", **catalog.properties)
    opened.create_namespace("documents")
    opened.create_table(TABLE, Schema(ID, CREATED))
    catalog.add(landed(some(4)), table="documents.vlmrun")
    cradl = [json.dumps({"predictionId": "a", "createdTime": "2026-11-01T00:00:00Z"}).encode()]

    with subtests.test(row="of nobody known"):
        refused(f"table: {TABLE} was not made for predictions", landed())
    with subtests.test(row="of the other service"):
        manifest = landed(cradl, service_name="cradl", name="cradl")
        refused(r"table: documents\.vlmrun holds predictions of vlmrun", manifest, table="documents.vlmrun")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([ID, CREATED, NestedField(3, "status", DoubleType(), required=False)],
         f"column status of {TABLE} is double, and the landing has string"),
        ([NestedField(1, "id", StringType(), required=True), CREATED], "column id of .* is required"),
        ([ID, CREATED, NestedField(3, "team", StringType(), required=True)], "requires column team"),
        ([ID, NestedField(2, "created_at", StringType(), required=False)],
         "column created_at of .* is string, and the landing has timestamptz"),
        ([NestedField(1, "ID", StringType(), required=False), CREATED],
         "column ID of .* differs from id of the landing only in case"),
        ([ID, CREATED, NestedField(3, "Landing", StringType(), required=False)],
         "column Landing of .* differs from landing of the landing only in case"),
    ],
    ids=["another type", "required", "required beside", "another creation", "another case", "mark's case"],
)  # fmt: skip
def test_a_table_of_another_schema(
    catalog: Catalog, refused: Callable[..., None], landed: Callable[..., Any], fields: Any, words: str
) -> None:
    existing(catalog, *fields)

    refused(f"table: .*{words}", landed())

    assert catalog.rows() == []
    assert len(catalog.load().schemas()) == 1


def test_a_table_with_partitions_that_are_not_of_time(
    catalog: Catalog, refused: Callable[..., None], landed: Callable[..., Any]
) -> None:
    partition = PartitionSpec(PartitionField(1, 1000, IdentityTransform(), "id"))
    existing(catalog, ID, CREATED, partition=partition)

    refused(f"table: {TABLE} is partitioned by something other than the day", landed())


def test_a_table_of_a_format_that_pyiceberg_does_not_write(
    catalog: Catalog, refused: Callable[..., None], landed: Callable[..., Any]
) -> None:
    """Another engine has upgraded it."""
    existing(catalog, ID, CREATED)
    file = Path(catalog.load().metadata_location.removeprefix("file://"))
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format-version": 3, "next-row-id": 0}))

    refused(f"table: {TABLE} has the format version 3, and pyiceberg .* writes up to 2", landed())


def test_a_table_without_partitions_that_somebody_made_is_taken(
    catalog: Catalog, landed: Callable[..., Any]
) -> None:
    existing(catalog, ID, CREATED)

    catalog.add(landed())

    assert len(catalog.rows()) == 40


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"manifest": None}, "manifest: is empty"),
        ({"manifest": {}}, "manifest: is empty"),
        ({"manifest": "{'path': 's3://…"}, "manifest: looks like a list, but is neither JSON"),
        ({"manifest": "file:///a"}, "manifest: must be a manifest, or the URL of one"),
        ({"manifest": 7}, "manifest: must be a manifest, or the URL of one"),
        ({"table": "invoices"}, "table: must be a namespace and a name"),
        ({"table": ""}, "table: must be"),
        ({"table": None}, "table: must be"),
        ({"table": "a..b"}, "table: must be"),
        ({"catalog": ""}, "catalog: must be"),
        ({"catalog": None}, "catalog: must be"),
        ({"catalog": 7}, "catalog: must be"),
    ],
)
def test_wrong_arguments_are_refused_while_the_dag_is_parsed(arguments: dict[str, Any], words: str) -> None:
    given = {"manifest": "file:///a/_manifest.json", "table": "a.b", "catalog": "c"} | arguments

    with pytest.raises(ConfigurationError, match=words):
        PredictionsToIcebergOperator(task_id="add", **given)


def test_templates_are_checked_when_the_task_runs(catalog: Catalog, landed: Callable[..., Any]) -> None:
    task = PredictionsToIcebergOperator(
        task_id="add", manifest="{{ a }}", table="{{ b }}", catalog={"uri": "{{ c }}"}
    )
    task.manifest, task.table = landed(), "invoices"

    with pytest.raises(AirflowFailException, match="table: must be a namespace and a name"):
        task.execute({})
