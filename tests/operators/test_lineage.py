"""What others learn of a landing: asset events, OpenLineage, links."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from airflow.providers.common.compat.sdk import Asset, AssetAlias, ObjectStoragePath

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.operators.lineage import identity
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.shelf import Shelf
from airflow_provider_predictions.storage.console import console_url
from tests.compat import AIRFLOW, OutletEventAccessors, needs
from tests.given import LAND


def land(
    service_name: str, path: Path, outlets: list[Any], **arguments: Any
) -> tuple[Any, dict[str, Any], Any]:
    """The task, its manifest, and the events of its outlets as Airflow collects them."""
    task = LAND[service_name](task_id="land", path=f"file://{path}", outlets=outlets, **arguments)
    collected = OutletEventAccessors()
    return task, task.execute({"outlet_events": collected}), collected


def test_the_event_of_an_asset_carries_the_small_facts(
    connections: Sandbox, shelf: Shelf, service_name: str, tmp_path: Path
) -> None:
    shelf.fill(7)
    asset = Asset(uri="predictions://landed")

    _, manifest, events = land(service_name, tmp_path, [asset])

    facts = events[asset].extra
    assert facts.items() <= manifest.items()
    assert facts["count"] == 7
    assert facts["service"] == service_name
    assert "parts" not in facts


def test_an_alias_stands_for_the_directory_that_has_landed(
    connections: Sandbox, shelf: Shelf, service_name: str, tmp_path: Path
) -> None:
    shelf.fill(3)
    alias = AssetAlias("landed")

    _, manifest, events = land(service_name, tmp_path, [alias])

    if AIRFLOW < (3, 0):
        (event,) = events[alias].dataset_alias_events
        assert event["dest_dataset_uri"] == f"file://{tmp_path}"
        assert event["extra"]["count"] == manifest["count"]
    else:
        (event,) = events[alias].asset_alias_events
        assert event.dest_asset_key.uri == f"file://{tmp_path}"
        assert event.extra["count"] == manifest["count"]


def test_each_key_is_a_partition(
    connections: Sandbox, shelf: Shelf, service_name: str, tmp_path: Path
) -> None:
    needs(3, 3, "asset partitions")
    asset = Asset(uri="predictions://landed")

    _, _, events = land(service_name, tmp_path, [asset], partition_keys="2026-11-01, 2026-11-02")

    assert events[asset].partition_keys == {"2026-11-01", "2026-11-02"}


@pytest.mark.skipif(AIRFLOW >= (3, 3), reason="this Airflow has asset partitions")
def test_partitions_are_refused_where_airflow_has_none(service_name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"partition_keys: needs Airflow 3\.3"):
        LAND[service_name](task_id="land", path="file:///tmp/x", partition_keys="a")


def test_partitions_of_no_asset_are_refused(service_name: str) -> None:
    needs(3, 3, "asset partitions")
    with pytest.raises(ConfigurationError, match="partition_keys: needs an asset in outlets"):
        LAND[service_name](task_id="land", path="file:///tmp/x", partition_keys="2026-11-01")


def test_openlineage_learns_what_was_read_and_written(
    connections: Sandbox, shelf: Shelf, service_name: str, tmp_path: Path
) -> None:
    pytest.importorskip("airflow.providers.openlineage", reason="OpenLineage is for the newest Airflow here")
    shelf.fill(7)
    task, manifest, _ = land(service_name, tmp_path, [], records_per_part=4)

    lineage = task.get_openlineage_facets_on_complete(None)

    (read,), (written,) = lineage.inputs, lineage.outputs
    base = urlsplit(connections.connection(service_name)["host"])
    assert (read.namespace, read.name) == (f"{base.scheme}://{base.netloc}", f"{base.path}/predictions")
    assert (written.namespace, written.name) == ("file", str(tmp_path))
    statistics = written.outputFacets["outputStatistics"]
    assert (statistics.rowCount, statistics.fileCount) == (7, 2)
    assert statistics.size == sum(part["bytes"] for part in manifest["parts"])


def test_openlineage_of_airflow_finds_it(
    connections: Sandbox, shelf: Shelf, service_name: str, tmp_path: Path
) -> None:
    """The extractor that Airflow's provider uses for operators with such a method."""
    extractors = pytest.importorskip(
        "airflow.providers.openlineage.extractors.base", reason="OpenLineage is for the newest Airflow here"
    )
    shelf.fill(2)
    task, _, _ = land(service_name, tmp_path, [])

    found = extractors.DefaultExtractor(task).extract_on_complete(None)

    assert [output.name for output in found.outputs] == [str(tmp_path)]


@pytest.mark.dags
def test_a_run_of_airflow_sends_it(airflow_db: None, connections: Sandbox, tmp_path: Path) -> None:
    pytest.importorskip("airflow.providers.openlineage", reason="OpenLineage is for the newest Airflow here")
    connections.vlmrun.fill(7)
    sent = tmp_path / "events.jsonl"
    transport = {"type": "file", "log_file_path": str(sent), "append": True}
    settings = {
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT": "120",
    }
    command = [sys.executable, "-m", "airflow", "dags", "test", "example_vlmrun"]
    conf = json.dumps({"path": f"file://{tmp_path}/landed"})

    subprocess.run([*command, "--conf", conf], env=os.environ | settings, check=True, timeout=300)

    events = [json.loads(line) for line in sent.read_text().splitlines()]
    (told,) = [
        event
        for event in events
        if event["job"]["name"] == "example_vlmrun.land" and event["eventType"] == "COMPLETE"
    ]
    assert [read["name"] for read in told["inputs"]] == ["/vlmrun/v1/predictions"]
    (written,) = told["outputs"]
    assert written["name"].startswith(f"{tmp_path}/landed/vlmrun/")
    landed = len([row for row in connections.vlmrun.rows if row.outcome == "completed"])
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == landed


def test_nothing_is_told_of_a_landing_that_failed(service_name: str) -> None:
    task = LAND[service_name](task_id="land", path="file:///tmp/x")

    assert task.get_openlineage_facets_on_complete(None) is None


def test_an_asset_is_known_without_the_connection_that_reaches_it() -> None:
    assert identity("s3://aws_default@bucket/key/of?x") == "s3://bucket/key/of?x"
    assert identity("file:///tmp/x") == "file:///tmp/x"


@pytest.mark.parametrize("key", ["a/b/_manifest.json", "day=2026-11-01/ü x&y+z/_manifest.json"])
def test_amazon_s3_has_a_page_of_an_object(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    pytest.importorskip("s3fs")
    monkeypatch.setenv("AIRFLOW_CONN_AMAZON", "aws://")

    url = console_url(ObjectStoragePath(f"s3://amazon@bucket/{key}"))

    assert url is not None
    assert urlsplit(url).path == "/s3/object/bucket"
    assert parse_qs(urlsplit(url).query)["prefix"] == [key]


def test_a_server_of_another_vendor_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("s3fs")
    monkeypatch.setenv(
        "AIRFLOW_CONN_VENDOR", '{"conn_type": "aws", "extra": {"endpoint_url": "http://127.0.0.1"}}'
    )

    monkeypatch.setenv("AIRFLOW_CONN_AMAZON", "aws://")

    assert console_url(ObjectStoragePath("s3://vendor@bucket/key")) is None
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1")
    assert console_url(ObjectStoragePath("s3://amazon@bucket/key")) is None
    assert console_url(ObjectStoragePath(f"file://{tmp_path}/key")) is None
