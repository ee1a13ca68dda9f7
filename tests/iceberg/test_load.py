"""What a landing is as a table: every record, each day for itself, in columns that only become more."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.iceberg.files import Days, write
from tests.iceberg.catalogs import END, TABLE, Catalog, some
from tests.report.landed import FORMS, land
from tests.report.records import made, odd
from tests.storage.servers import s3_server


def days(catalog: Catalog) -> dict[date | None, int]:
    """How many rows each partition holds."""
    found = catalog.load().inspect.partitions().to_pylist()
    return {next(iter(each["partition"].values())): each["record_count"] for each in found}


@pytest.mark.parametrize(("form", "codec"), [*FORMS, ("parquet", "zstd")])
@pytest.mark.parametrize("service", ["vlmrun", "cradl"])
def test_a_landing_of_each_format_is_the_same_table(
    catalog: Catalog, service: str, form: str, codec: str | None, tmp_path: Path
) -> None:
    records = made(service, END - timedelta(days=4), END, 50) + odd(service, END - timedelta(days=2), END)
    wanted = land(service, tmp_path / "parquet", records, "parquet")
    manifest = land(service, tmp_path / "landed", records, form, codec, records_per_part=30)

    done = catalog.add(manifest)

    assert done["count"] == manifest["count"] == len(catalog.rows())
    found = [{k: v for k, v in row.items() if k != "landing"} for row in catalog.rows()]
    plain = pq.read_table([part["url"] for part in wanted["parts"]]).to_pylist()
    assert Counter(map(repr, found)) == Counter(map(repr, plain))
    assert {row["landing"] for row in catalog.rows()} == {done["landing"]}


def test_the_table_is_partitioned_by_the_day_of_creation(
    catalog: Catalog, landed: Callable[..., Any]
) -> None:
    """Also before 1970, when a day is rounded down, not towards the epoch; and of records without a time."""
    times = ["1969-12-31T23:59:59", "1970-01-01T00:00:00", "2026-11-04T23:59:59.999999", "soon", None]
    records = [record for time in times for record in some(2, created_at=time)]

    catalog.add(landed(records))

    assert days(catalog) == {
        date(1969, 12, 31): 2,
        date(1970, 1, 1): 2,
        date(2026, 11, 4): 2,
        None: 4,
    }
    table = catalog.load()
    assert [str(field) for field in table.spec().fields] == ["1000: created_at_day: day(3)"]
    assert table.scan(row_filter="created_at is null").to_arrow().num_rows == 4
    planned = [*table.scan(row_filter="created_at >= '2026-11-04T00:00:00+00:00'").plan_files()]
    assert len(planned) == 1


def test_incremental_landings_add_up(catalog: Catalog, landed: Callable[..., Any]) -> None:
    first = landed(some(20), incremental=True)
    second = landed(some(20, first=20), incremental=True)

    done = [catalog.add(manifest) for manifest in (first, second, first)]

    assert [each["added"] for each in done] == [True, True, False]
    assert len({row["id"] for row in catalog.rows()}) == len(catalog.rows()) == 40
    assert len({each["landing"] for each in done}) == 2


def test_a_manifest_is_also_given_by_its_url(catalog: Catalog, landed: Callable[..., Any]) -> None:
    manifest = landed(incremental=True)

    done = catalog.add(f"file://{manifest['path']}/_manifest.json")

    assert done["count"] == 40
    assert catalog.add(manifest)["added"] is False


def test_a_landing_without_records_makes_no_table(catalog: Catalog, landed: Callable[..., Any]) -> None:
    nothing = landed([])

    before = catalog.add(nothing)
    catalog.add(landed(some(4), name="other"))
    after = catalog.add(nothing)

    assert (before["count"], before["added"], before["metadata_location"]) == (0, False, None)
    assert after["metadata_location"] == catalog.load().metadata_location
    assert len(catalog.load().metadata.snapshots) == 1


def test_an_incremental_landing_that_has_found_nothing_adds_nothing(
    catalog: Catalog, landed: Callable[..., Any]
) -> None:
    """It commits nothing, so that its manifest has no time of a commit."""
    nothing = landed([], incremental=True) | {"incremental": {"unfinished": 3}}
    del nothing["committed_at"]

    assert catalog.add(nothing)["added"] is False


def test_a_column_that_the_table_lacks_is_added_and_none_is_taken_away(
    catalog: Catalog, landed: Callable[..., Any]
) -> None:
    catalog.add(landed(some(4), name="first"))
    table = catalog.load()
    with table.update_schema() as update:
        update.delete_column("usage")
        update.add_column("note", table.schema().find_type("domain"))
    before = {field.name: field.field_id for field in catalog.load().schema().fields}

    catalog.add(landed(some(4, first=4, usage={"credits_used": 1})))

    after = {field.name: field.field_id for field in catalog.load().schema().fields}
    assert before.items() <= after.items()
    assert after.keys() - before.keys() == {"usage"}
    assert sorted(filter(None, (row["usage"] for row in catalog.rows()))) == ['{"credits_used": 1}'] * 4
    assert {row["note"] for row in catalog.rows()} == {None}


def test_columns_that_were_renamed_or_moved_keep_what_they_hold(
    catalog: Catalog, landed: Callable[..., Any]
) -> None:
    """Files hold the ids of columns, so that a rename does not lose what was written before."""
    catalog.add(landed(some(4), name="first"))
    with catalog.load().update_schema() as update:
        update.rename_column("domain", "kind")

    catalog.add(landed(some(4, first=4)))

    rows = catalog.rows()
    assert [row["kind"] for row in rows].count("document.invoice") == 4
    assert [row["domain"] for row in rows].count("document.invoice") == 4


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    """A catalog in SQLite with its warehouse in S3."""
    with s3_server() as url:
        connection = {
            "conn_type": "aws",
            "login": "test-access",
            "password": "test-secret",
            "extra": {"endpoint_url": url, "region_name": "us-east-1"},
        }
        monkeypatch.setenv("AIRFLOW_CONN_LAKE_S3", json.dumps(connection))
        ObjectStoragePath("s3://lake_s3@lake").fs.mkdir("lake")
        yield Catalog(
            {
                "type": "sql",
                "uri": f"sqlite:///{tmp_path}/catalog.db",
                "warehouse": "s3://lake/warehouse",
                "s3.endpoint": url,
                "s3.region": "us-east-1",
                "s3.access-key-id": "test-access",
                "s3.secret-access-key": "test-secret",
            }
        )


def test_landing_and_table_in_s3(s3: Catalog, tmp_path: Path) -> None:
    path = ObjectStoragePath("s3://lake_s3@lake/landed")
    manifest = land("vlmrun", path, some(), "parquet", records_per_part=12)

    done = s3.add(manifest)
    again = s3.add("s3://lake_s3@lake/landed/_manifest.json")

    assert (done["added"], again["added"]) == (True, False)
    assert done["location"] == "s3://lake/warehouse/documents/predictions"
    assert len(s3.rows()) == 40
    metadata = ObjectStoragePath(done["metadata_location"].replace("s3://", "s3://lake_s3@")).read_text()
    assert "test-secret" not in metadata
    assert b"test-secret" not in (tmp_path / "catalog.db").read_bytes()


def test_a_connection_of_airflow_gives_the_catalog(
    catalog: Catalog, landed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "iceberg", "extra": catalog.properties}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))

    done = catalog.add(landed(), catalog="lake")

    named = Catalog(catalog.properties | {"name": "lake"})
    assert done["added"]
    assert named.add(landed(), table=TABLE)["added"]  # a landing anew is another landing


def test_the_rows_of_a_day_come_back_in_their_order(tmp_path: Path) -> None:
    def batch(*hours: int) -> pa.RecordBatch:
        times = [datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in hours]
        return pa.record_batch(
            {"at": pa.array(times, pa.timestamp("us", tz="UTC")), "n": pa.array(map(float, hours))}
        )

    held = Days(tmp_path, "at")
    for hours in ((0, 25), (26, 1), (2, 27, 50)):
        held.add(batch(*hours))

    assert held.rows == {date(2026, 11, 1): 3, date(2026, 11, 2): 3, date(2026, 11, 3): 1}
    assert [n for rows in held.read(date(2026, 11, 2)) for n in rows["n"].to_pylist()] == [25.0, 26.0, 27.0]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_large_day_gets_several_files(catalog: Catalog, landed: Callable[..., Any], tmp_path: Path) -> None:
    records = some(40, response="".join(map(chr, range(0x4E00, 0x4E00 + 20_000))) * 12)
    catalog.add(landed(records[:4]))
    table, held, locations = catalog.load(), Days(tmp_path, "created_at"), []
    rows = table.scan().to_arrow().drop_columns("landing").combine_chunks().to_batches()[0]
    for _ in range(30):
        held.add(rows)

    count = write(table, held, "more", "the mark", locations, file_bytes=1)

    assert count == 120
    assert len({Path(location).name[:10] for location in locations}) == 4
    assert len(locations) == len(set(locations)) > 4, "a file is cut behind a row group, and never within one"
