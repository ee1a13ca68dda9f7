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
from airflow.providers.common.compat.sdk import AirflowFailException, Asset, AssetAlias, ObjectStoragePath

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.operators.outlets import identity
from airflow_provider_predictions.operators.report import PredictionsReportOperator
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.store import RecordStore
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
    connections: Sandbox, record_store: RecordStore, service_name: str, tmp_path: Path
) -> None:
    record_store.fill(7)
    asset = Asset(uri="predictions://landed")

    _, manifest, events = land(service_name, tmp_path, [asset])

    facts = events[asset].extra
    assert facts.items() <= manifest.items()
    assert facts["count"] == 7
    assert facts["service"] == service_name
    assert "parts" not in facts


def test_an_alias_stands_for_the_directory_that_has_landed(
    connections: Sandbox, record_store: RecordStore, service_name: str, tmp_path: Path
) -> None:
    record_store.fill(3)
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
    connections: Sandbox, record_store: RecordStore, service_name: str, tmp_path: Path
) -> None:
    needs(3, 3, "asset partitions with `partition_keys`")
    asset = Asset(uri="predictions://landed")

    _, _, events = land(service_name, tmp_path, [asset], partition_keys="2026-11-01, 2026-11-02")

    assert events[asset].partition_keys == {"2026-11-01", "2026-11-02"}


@pytest.mark.skipif(AIRFLOW >= (3, 3), reason="this Airflow has asset partitions")
def test_partitions_are_refused_where_airflow_has_none(service_name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"partition_keys: needs Airflow 3\.3"):
        LAND[service_name](task_id="land", path="file:///tmp/x", partition_keys="a")


def test_partitions_of_no_asset_are_refused(service_name: str) -> None:
    needs(3, 3, "asset partitions with `partition_keys`")
    with pytest.raises(ConfigurationError, match="partition_keys: needs an asset in outlets"):
        LAND[service_name](task_id="land", path="file:///tmp/x", partition_keys="2026-11-01")


def test_openlineage_learns_what_was_read_and_written(
    connections: Sandbox, record_store: RecordStore, service_name: str, tmp_path: Path
) -> None:
    pytest.importorskip("airflow.providers.openlineage", reason="OpenLineage is for the newest Airflow here")
    record_store.fill(7)
    task, manifest, _ = land(service_name, tmp_path, [], records_per_part=4)

    lineage = task.get_openlineage_facets_on_complete(None)

    (read,), (written,) = lineage.inputs, lineage.outputs
    base = urlsplit(connections.connection(service_name)["host"])
    assert (read.namespace, read.name) == (f"{base.scheme}://{base.netloc}", f"{base.path}/predictions")
    assert (written.namespace, written.name) == ("file", str(tmp_path))
    statistics = written.outputFacets["outputStatistics"]
    assert (statistics.rowCount, statistics.fileCount) == (7, 2)
    assert statistics.size == sum(part["bytes"] for part in manifest["parts"])


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_openlineage_learns_the_columns_of_a_landing(
    connections: Sandbox, record_store: RecordStore, service_name: str, tmp_path: Path, file_format: str
) -> None:
    pytest.importorskip("airflow.providers.openlineage", reason="OpenLineage is for the newest Airflow here")
    record_store.fill(2)
    task, _, _ = land(service_name, tmp_path, [], file_format=file_format)

    (written,) = task.get_openlineage_facets_on_complete(None).outputs

    types = {field.name: field.type for field in written.facets["schema"].fields}
    created = "created_at" if service_name == "vlmrun" else "createdTime"
    assert types["status"] == "string"
    assert types[created] == ("string" if file_format == "jsonl" else "timestamp[us, tz=UTC]")
    assert ("other" in types) == (file_format == "parquet")


def test_openlineage_learns_one_dataset_for_all_incremental_landings(
    connections: Sandbox, record_store: RecordStore, service_name: str, tmp_path: Path
) -> None:
    pytest.importorskip("airflow.providers.openlineage", reason="OpenLineage is for the newest Airflow here")
    record_store.fill(3)
    task, _, _ = land(service_name, tmp_path, [], incremental=True)

    (written,) = task.get_openlineage_facets_on_complete(None).outputs

    assert (written.namespace, written.name) == ("file", str(tmp_path))


def test_openlineage_learns_which_landings_a_report_read_and_the_page_that_it_wrote(
    connections: Sandbox, record_store: RecordStore, service_name: str, tmp_path: Path
) -> None:
    pytest.importorskip("airflow.providers.openlineage", reason="OpenLineage is for the newest Airflow here")
    pytest.importorskip("duckdb", reason="reports need the extra report")
    record_store.fill(3)
    land(service_name, tmp_path / "landed", [], incremental=True)
    task = PredictionsReportOperator(
        task_id="report",
        source=f"file://{tmp_path}/landed",
        path=f"file://{tmp_path}/report",
        period=("2020-01-01", "2040-01-01"),
    )
    assert task.get_openlineage_facets_on_complete(None) is None
    report = task.execute({})

    lineage = task.get_openlineage_facets_on_complete(None)

    (read,), (written,) = lineage.inputs, lineage.outputs
    assert (read.namespace, read.name) == ("file", f"{tmp_path}/landed")
    assert (written.namespace, f"file://{written.name}") == ("file", report["report"])
    assert written.outputFacets["outputStatistics"].size == Path(written.name).stat().st_size


def test_openlineage_of_airflow_finds_it(
    connections: Sandbox, record_store: RecordStore, service_name: str, tmp_path: Path
) -> None:
    """The extractor that Airflow's provider uses for operators with such a method."""
    extractors = pytest.importorskip(
        "airflow.providers.openlineage.extractors.base", reason="OpenLineage is for the newest Airflow here"
    )
    record_store.fill(2)
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
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == len(connections.vlmrun.rows)


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


class Supervisor:
    """Tells a task of an asset that it names."""

    def send(self, message: Any) -> Any:
        from airflow.sdk.execution_time.comms import AssetResult

        return AssetResult(name="landed", uri="predictions://landed", group="asset")


@pytest.mark.parametrize("reference", [{"name": "landed"}, {"uri": "predictions://landed"}])
def test_an_asset_that_is_named_gets_the_same_facts_and_partitions(
    connections: Sandbox, record_store: RecordStore, service_name: str, tmp_path: Path, monkeypatch, reference
) -> None:
    needs(3, 0, "`Asset.ref` as an outlet")
    from airflow.sdk.execution_time import task_runner

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(), raising=False)
    record_store.fill(3)
    partitions = {"partition_keys": "2026-11-01"} if AIRFLOW >= (3, 3) else {}

    _, manifest, events = land(service_name, tmp_path, [Asset.ref(**reference)], **partitions)

    event = events[Asset(name="landed", uri="predictions://landed")]
    assert event.extra["count"] == manifest["count"] == 3
    if partitions:
        assert event.partition_keys == {"2026-11-01"}


@pytest.mark.parametrize("keys", ["2026-11-01", "{{ ds }}"])
def test_partitions_of_an_alias_are_refused_while_the_file_is_parsed(service_name: str, keys: str) -> None:
    needs(3, 3, "asset partitions with `partition_keys`")
    outlets = [Asset(uri="predictions://landed"), AssetAlias("landed")]

    with pytest.raises(ConfigurationError, match=r"partition_keys: .* alias 'landed'"):
        LAND[service_name](task_id="land", path="file:///tmp/x", outlets=outlets, partition_keys=keys)


def test_a_condition_of_assets_is_refused_as_an_outlet(service_name: str, subtests) -> None:
    a, b = Asset(uri="predictions://a"), Asset(uri="predictions://b")
    for condition in (a & b, a | b):
        with (
            subtests.test(condition=condition),
            pytest.raises(ConfigurationError, match=r"outlets: .*condition"),
        ):
            LAND[service_name](task_id="land", path="file:///tmp/x", outlets=[condition])


def test_a_report_refuses_a_condition_too() -> None:
    condition = Asset(uri="predictions://a") | Asset(uri="predictions://b")

    with pytest.raises(ConfigurationError, match="outlets: "):
        PredictionsReportOperator(task_id="r", source="/tmp/x", path="/tmp/y", outlets=[condition])


def test_a_key_that_airflow_would_refuse_is_refused_before_anything_is_written(
    connections: Sandbox, service_name: str, tmp_path: Path
) -> None:
    needs(3, 3, "asset partitions with `partition_keys`")
    outlets = [Asset(uri="predictions://landed")]
    with pytest.raises(ConfigurationError, match=r"partition_keys: .* 251 characters"):
        land(service_name, tmp_path / "x", outlets, partition_keys=["x" * 251])

    task = LAND[service_name](
        task_id="land", path=f"file://{tmp_path}/x", outlets=outlets, partition_keys="{{ x }}"
    )
    task.partition_keys = "x" * 251
    with pytest.raises(AirflowFailException, match="partition_keys: "):
        task.execute({"outlet_events": OutletEventAccessors()})

    assert not connections.wire.seen
    assert not (tmp_path / "x").exists()


def test_an_outlet_that_is_no_asset_has_no_event(
    connections: Sandbox, record_store: RecordStore, service_name: str, tmp_path: Path
) -> None:
    _, manifest, events = land(service_name, tmp_path, [{"a": "table"}])

    assert manifest["count"] == 0
    assert not len(events)
