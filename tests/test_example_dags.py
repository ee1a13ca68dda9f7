"""The example DAGs, run as ``airflow dags test`` runs them, against the sandbox."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.store import RecordStore
from tests.clock import simulated_time
from tests.compat import AIRFLOW, DagBag, needs
from tests.faults import Seen

pytestmark = pytest.mark.dags

EXAMPLES = Path(__file__).parent.parent / "example_dags"


def instances(name: str, path: Path, file: str = "") -> list[Any]:
    """The task instances of an example that has run to its end."""
    dag = DagBag(str(EXAMPLES / f"{file or name}.py")).dags[name]
    dag_run = dag.test(run_conf={"path": f"file://{path}"})
    assert dag_run.state == "success"
    return list(dag_run.get_task_instances())


def run(name: str, path: Path, file: str = "") -> dict[str, object]:
    """Run an example to its end; what its tasks pushed to XCom, by task."""
    return {ti.task_id: ti.xcom_pull(task_ids=ti.task_id) for ti in instances(name, path, file)}


@contextmanager
def deferred(sandbox: Sandbox, record_store: RecordStore) -> Iterator[None]:
    """With a prediction that ends once the worker has looked: the task defers, and the trigger ends it."""
    row = record_store.add(work=3600)

    def looks() -> int:
        return len([seen for seen in sandbox.wire.seen if re.search("skip=0|maxResults", seen.query)])

    def end(_: Seen) -> None:
        if looks() == 2:
            row.work = 0

    sandbox.wire.rules.append(end)
    with simulated_time():
        yield
    assert looks() == 3, "the worker, the trigger and the landing look once each"


def test_every_parameter_has_a_description() -> None:
    dags = DagBag(str(EXAMPLES)).dags.values()

    assert len(dags) > 5
    for dag in dags:
        for name in dag.params:
            assert dag.params.get_param(name).description, (dag.dag_id, name)


def test_every_instance_of_a_mapped_task_has_a_name() -> None:
    tasks = [task for dag in DagBag(str(EXAMPLES)).dags.values() for task in dag.tasks]
    mapped = [task.partial_kwargs for task in tasks if hasattr(task, "partial_kwargs")]

    assert mapped
    assert all(arguments.get("map_index_template") for arguments in mapped)


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    return tmp_path / "landed"


def forget_events() -> None:
    """Let an asset have none."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session

    with create_session() as session:
        for event in session.query(AssetEvent):
            session.delete(event)


def lines(manifest: dict, compression: str | None = None) -> list[bytes]:
    opened = gzip.open if compression == "gzip" else open
    return [
        line.rstrip(b"\n")
        for part in manifest["parts"]
        for line in opened(part["uri"].removeprefix("file://"), "rb")
    ]


def manifest_under(path: Path) -> dict:
    (found,) = path.rglob("_manifest.json")
    return json.loads(found.read_bytes())


def test_vlmrun_waits_deferred_lands_and_summarises(
    airflow_db: None, connections: Sandbox, landing: Path
) -> None:
    connections.vlmrun.fill(41)

    with deferred(connections, connections.vlmrun):
        xcoms = run("example_vlmrun", landing)

    manifest = manifest_under(landing)
    done = connections.vlmrun.rows
    assert lines(manifest) == [connections.vlmrun.text(row) for row in done]
    assert xcoms["wait"]["count"] == 42
    assert xcoms["land"] == manifest
    assert xcoms["summarise"]["predictions"] == Counter(row.group for row in done)


@pytest.fixture
def stored(airflow_db: None, sandbox: Sandbox) -> Iterator[Sandbox]:
    """The sandbox behind a connection in the metadata database."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(Connection).filter_by(conn_id="vlmrun_default").delete()
        session.add(Connection(conn_id="vlmrun_default", **sandbox.connection("vlmrun")))
    yield sandbox
    with create_session() as session:
        session.query(Connection).filter_by(conn_id="vlmrun_default").delete()


def test_a_connection_of_the_metadata_database_serves_a_deferred_task_too(
    stored: Sandbox, landing: Path
) -> None:
    stored.vlmrun.fill(5)

    with deferred(stored, stored.vlmrun):
        xcoms = run("example_vlmrun", landing)

    assert xcoms["wait"]["count"] == 6


def test_cradl_waits_deferred_lands_values_and_summarises(
    airflow_db: None, connections: Sandbox, landing: Path
) -> None:
    connections.cradl.fill(30)

    with deferred(connections, connections.cradl):
        xcoms = run("example_cradl", landing)

    manifest = manifest_under(landing)
    records = [json.loads(line) for line in lines(manifest, "gzip")]
    assert [record["predictionId"] for record in records] == [row.id for row in connections.cradl.rows]
    assert all(record["predictions"] for record in records if record["status"] == "succeeded")
    assert set(xcoms["summarise"]) == {"supplier", "currency", "total_amount"}


def test_domains_are_mapped_to_paths_of_their_own(
    airflow_db: None, connections: Sandbox, landing: Path
) -> None:
    connections.vlmrun.fill(50)

    tasks = instances("example_mapped", landing)

    (summary,) = [ti.xcom_pull(task_ids=ti.task_id) for ti in tasks if ti.task_id == "summarise"]
    counts = Counter(row.group for row in connections.vlmrun.rows if row.outcome == "completed")
    assert summary == counts
    assert {ti.rendered_map_index for ti in tasks if ti.task_id == "land"} == counts.keys()
    assert len(list(landing.rglob("_manifest.json"))) == 3


def needs_no_scheduler() -> None:
    """Skip where a task with outlets runs only once a scheduler has seen its assets."""
    if AIRFLOW[:2] == (3, 0):
        pytest.skip("`dag.test` of Airflow 3.0 runs no task with assets that no scheduler has seen")


def report_under(path: Path) -> dict:
    """The only report there, whose page and tables lie beside its manifest."""
    (page,) = path.joinpath("reports").rglob("report.html")
    report = json.loads(page.with_name("_manifest.json").read_bytes())
    assert report["report"] == f"file://{page}"
    assert {Path(url).name for url in report["tables"].values()} == {
        file.name for file in page.parent.glob("*.csv")
    }
    return report


def test_a_day_is_reported_beside_the_day_before(
    airflow_db: None, connections: Sandbox, service_name: str, landing: Path
) -> None:
    needs_no_scheduler()
    getattr(connections, service_name).fill(60, days=3)

    xcoms = run(f"example_report_{service_name}", landing, "example_report")

    report = report_under(landing)
    totals = report["summary"]["measures"]
    assert totals["predictions"]["now"] == report["count"] > 10
    assert totals["predictions"]["before"] > 10
    assert xcoms["notify"] == f"{report['text']} {report['report']}"
    if service_name == "cradl":
        assert totals["mean_confidence"]["now"] > 0.5


def test_the_week_is_reported_from_the_landings_of_its_asset(
    airflow_db: None, connections: Sandbox, landing: Path
) -> None:
    needs(3, 0, "`triggering_asset_events` in templates")
    needs_no_scheduler()
    forget_events()  # of the landings that other tests have made, under other paths
    connections.vlmrun.fill(100, days=20)
    run("example_report_vlmrun", landing, "example_report")
    connections.vlmrun.add()
    run("example_report_vlmrun", landing, "example_report")
    for daily in landing.joinpath("reports/vlmrun/daily").iterdir():
        shutil.rmtree(daily)

    xcoms = run("example_report_weekly", landing, "example_report")

    report = report_under(landing)
    assert len(xcoms["landings"]) >= 2
    assert report["summary"]["period"]["timezone"] == "Europe/Oslo"
    assert report["count"] > 20
    assert report["summary"]["measures"]["predictions"]["before"] > 20


def test_what_lands_is_added_to_a_table_that_duckdb_reads(
    airflow_db: None, connections: Sandbox, landing: Path
) -> None:
    pytest.importorskip("pyiceberg", reason="the extra iceberg is for the newest Airflow here")
    connections.vlmrun.fill(40)
    first = run("example_iceberg", landing)
    connections.vlmrun.fill(20)

    second = run("example_iceberg", landing)

    landed = [xcoms["land"]["count"] for xcoms in (first, second)]
    assert landed[0] >= 40
    assert [xcoms["add"]["count"] for xcoms in (first, second)] == landed
    assert sum(second["summarise"].values()) == sum(landed)
    assert {*second["summarise"]} == {row.group for row in connections.vlmrun.rows}


def test_values_land_and_become_a_table(airflow_db: None, connections: Sandbox, landing: Path) -> None:
    pytest.importorskip("pyiceberg", reason="the extra iceberg is for the newest Airflow here")
    connections.cradl.fill(40)

    xcoms = run("example_values", landing)

    assert 0 < xcoms["land"]["count"] <= 40 < xcoms["land"]["rows"]
    assert xcoms["add"]["count"] == xcoms["land"]["count"]
    assert set(xcoms["uncertain"]) <= {"total_amount", "line_items.amount", "currency"}
