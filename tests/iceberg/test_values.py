"""Values as a table: one row for each value, in a table of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from tests.iceberg.catalogs import TABLE, Catalog, some
from tests.report.landed import land


@pytest.fixture
def values(landed: Callable[..., Any]) -> Callable[..., Any]:
    """Land the values of forty records, on each of four days."""

    def values(*given: Any, **arguments: Any) -> Any:
        return landed(*given, form="parquet", shape="values", **arguments)

    return values


@pytest.mark.parametrize("service", ["vlmrun", "cradl"])
def test_the_table_holds_the_rows_of_the_landing(catalog: Catalog, service: str, tmp_path: Path) -> None:
    field = {"label": "total", "value": "1.50", "confidence": 0.5, "page": 2}
    item = {"label": "amount", "value": "7"}
    records = {
        "vlmrun": some(
            30, response={"total": 1.5, "total_metadata": {"confidence": "hi"}, "of": [None, "x"]}
        ),
        "cradl": [
            json.dumps(
                {
                    "predictionId": f"p-{n}",
                    "createdTime": "2026-11-01T00:00:00Z" if n else None,
                    "predictions": [field, {"label": "lines", "value": [[item], [item]]}],
                }
            ).encode()
            for n in range(10)
        ],
    }[service]
    manifest = land(service, tmp_path / "landed", records, "parquet", shape="values", records_per_part=8)

    done = catalog.add(manifest)

    rows = catalog.rows()
    assert (
        (done["count"], len(rows))
        == (len(records), 3 * len(records))
        == (manifest["count"], manifest["rows"])
    )
    assert [row.pop("landing") for row in rows] == [done["landing"]] * len(rows)
    wanted = pq.read_table([part["url"] for part in manifest["parts"]]).to_pylist()
    assert sorted(map(repr, rows)) == sorted(map(repr, wanted))
    snapshot = catalog.load().current_snapshot()
    assert snapshot
    assert snapshot.summary
    assert snapshot.summary.additional_properties["predictions.rows"] == str(len(rows))


def test_the_table_is_partitioned_by_the_day_of_creation(
    catalog: Catalog, values: Callable[..., Any]
) -> None:
    catalog.add(values())

    table = catalog.load()

    assert [field.name for field in table.spec().fields] == ["created_at_day"]
    assert len([*table.scan().plan_files()]) == 4
    assert len([*table.scan(row_filter="created_at >= '2026-11-04T00:00:00+00:00'").plan_files()]) == 1


def test_landings_add_up_and_each_is_there_once(catalog: Catalog, values: Callable[..., Any]) -> None:
    first, second = values(some(20), incremental=True), values(some(20, first=20), incremental=True)

    done = [catalog.add(manifest)["added"] for manifest in (first, second, first)]

    assert done == [True, True, False]
    assert len(catalog.rows()) == 40


def test_predictions_without_values_add_nothing(catalog: Catalog, values: Callable[..., Any]) -> None:
    manifest = values(some(5, response=None))

    done = catalog.add(manifest)

    assert (manifest["count"], manifest["rows"]) == (5, 0)
    assert (done["added"], done["metadata_location"]) == (False, None)


@pytest.mark.parametrize("first", ["records", "values"])
def test_a_table_has_one_shape(
    catalog: Catalog, landed: Callable[..., Any], values: Callable[..., Any], first: str
) -> None:
    made = {"records": landed(name="records", form="parquet"), "values": values(name="values")}
    other = made.pop("values" if first == "records" else "records")
    catalog.add(made[first])
    before = catalog.load().metadata_location

    with pytest.raises(AirflowFailException, match=rf"^table: {TABLE} holds {first}, and the landing "):
        catalog.add(other)

    assert catalog.load().metadata_location == before
    assert catalog.add(other, "documents.other")["added"] is True


def test_a_manifest_whose_shape_rows_or_compression_were_changed_is_refused(
    catalog: Catalog, values: Callable[..., Any], subtests: Any
) -> None:
    manifest = values()
    first, *others = manifest["parts"]
    without = {name: fact for name, fact in manifest.items() if name != "shape"}
    cases = {
        "rows": manifest | {"rows": 41},
        "rows of a part": manifest | {"rows": 41, "parts": [first | {"rows": first["rows"] + 1}, *others]},
        "shape": manifest | {"shape": "records"},
        "unknown shape": manifest | {"shape": "columns"},
        "unknown compression": manifest | {"compression": "lz4"},
        "no shape": without,
    }
    for name, given in cases.items():
        with (
            subtests.test(row=name),
            pytest.raises(AirflowFailException, match=r"manifest: .* changed|is not what|is not a manifest"),
        ):
            catalog.add(given)
