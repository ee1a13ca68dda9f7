"""What others learn of a table: the task's result, asset events, OpenLineage."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset, AssetAlias

from airflow_provider_predictions.operators.iceberg import PredictionsToIcebergOperator
from tests.compat import OutletEventAccessors
from tests.iceberg.catalogs import TABLE, Catalog


def add(catalog: Catalog, manifest: Any, *outlets: Any) -> tuple[Any, Any, Any]:
    """The task, what it returns, and the events of its outlets."""
    task = PredictionsToIcebergOperator(
        task_id="add", manifest=manifest, table=TABLE, catalog=catalog.properties, outlets=outlets
    )
    events = OutletEventAccessors()
    return task, task.execute({"outlet_events": events}), events


def test_the_result_says_where_the_table_is_and_is_json(catalog: Catalog, landed: Callable[..., Any]) -> None:
    manifest = landed()

    _, done, _ = add(catalog, manifest)

    table = catalog.load()
    snapshot = table.current_snapshot()
    assert snapshot
    assert json.loads(json.dumps(done)) == {
        "table": TABLE,
        "location": table.location(),
        "metadata_location": table.metadata_location,
        "snapshot_id": snapshot.snapshot_id,
        "landing": catalog.rows()[0]["landing"],
        "path": manifest["path"],
        "service": "vlmrun",
        "count": 40,
        "added": True,
    }


def test_a_table_named_none_is_warned_of(
    catalog: Catalog, landed: Callable[..., Any], capsys: Any, caplog: Any
) -> None:
    catalog.add(landed(), table="documents.None")

    assert "table: documents.None holds a part named None" in capsys.readouterr().out + caplog.text


def test_the_event_of_an_asset_carries_the_facts(catalog: Catalog, landed: Callable[..., Any]) -> None:
    asset, alias = Asset(uri="predictions://table"), AssetAlias("table")

    _, done, events = add(catalog, landed(), asset, alias)

    assert events[asset].extra == done
    (event,) = events[alias].asset_alias_events
    assert event.dest_asset_key.uri == done["location"]


def test_openlineage_learns_what_was_read_and_written(catalog: Catalog, landed: Callable[..., Any]) -> None:
    pytest.importorskip("airflow.providers.openlineage", reason="OpenLineage is for the newest Airflow here")
    manifest = landed()
    task, done, _ = add(catalog, manifest)

    lineage = task.get_openlineage_facets_on_complete(None)

    (read,), (written,) = lineage.inputs, lineage.outputs
    assert (read.namespace, read.name) == ("file", manifest["path"])
    assert (written.namespace, written.name) == ("file", done["location"].removeprefix("file://"))
    (symlink,) = written.facets["symlinks"].identifiers
    assert (symlink.name, symlink.type) == (TABLE, "TABLE")
    assert written.outputFacets["outputStatistics"].rowCount == 40


def test_a_task_that_has_not_run_has_no_lineage(catalog: Catalog) -> None:
    task = PredictionsToIcebergOperator(
        task_id="add", manifest="file:///a/_manifest.json", table=TABLE, catalog=catalog.properties
    )

    assert task.get_openlineage_facets_on_complete(None) is None
