"""The example DAGs, run as ``airflow dags test`` runs them, against the sandbox."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.shelf import Shelf
from tests.compat import AIRFLOW, DagBag, needs

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(ROOT.joinpath("example_dags").glob("*.py"))


def run(name: str, path: Path, file: str = "") -> dict[str, object]:
    """Run an example to its end; what its tasks pushed to XCom, by task."""
    dag = DagBag(str(EXAMPLES[0].with_name(f"{file or name}.py"))).dags[name]
    dag_run = dag.test(run_conf={"path": f"file://{path}"})
    assert dag_run.state == "success"
    return {ti.task_id: ti.xcom_pull(task_ids=ti.task_id) for ti in dag_run.get_task_instances()}


@contextmanager
def unfinished_at_first_poll(sandbox: Sandbox, shelf: Shelf) -> Iterator[None]:
    """A prediction that ends once the worker has asked, so that the task defers and the trigger ends it."""
    row = shelf.add(work=3600)

    def end() -> None:
        while not sandbox.wire.seen:
            time.sleep(0.05)
        time.sleep(1)
        row.work = 0

    ending = threading.Thread(target=end, daemon=True)
    ending.start()
    yield
    ending.join()
    polls_and_landing = [seen for seen in sandbox.wire.seen if re.search("skip=0|maxResults", seen.query)]
    assert len(polls_and_landing) >= 3


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    return tmp_path / "landed"


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

    with unfinished_at_first_poll(connections, connections.vlmrun):
        xcoms = run("example_vlmrun", landing)

    manifest = manifest_under(landing)
    done = [row for row in connections.vlmrun.rows if row.outcome == "completed"]
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

    with unfinished_at_first_poll(stored, stored.vlmrun):
        xcoms = run("example_vlmrun", landing)

    assert xcoms["wait"]["count"] == 6


def test_cradl_waits_deferred_lands_values_and_summarises(
    airflow_db: None, connections: Sandbox, landing: Path
) -> None:
    connections.cradl.fill(30)

    with unfinished_at_first_poll(connections, connections.cradl):
        xcoms = run("example_cradl", landing)

    manifest = manifest_under(landing)
    done = [row for row in connections.cradl.rows if row.outcome == "succeeded"]
    records = [json.loads(line) for line in lines(manifest, "gzip")]
    assert [record["predictionId"] for record in records] == [row.id for row in done]
    assert all(record["predictions"] for record in records)
    assert set(xcoms["summarise"]) == {"supplier", "currency", "total_amount"}


def test_domains_are_mapped_to_paths_of_their_own(
    airflow_db: None, connections: Sandbox, landing: Path
) -> None:
    connections.vlmrun.fill(50)

    xcoms = run("example_mapped", landing)

    counts = Counter(row.group for row in connections.vlmrun.rows if row.outcome == "completed")
    assert xcoms["summarise"] == counts
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
    totals = report["summary"]["totals"]
    assert totals["predictions"]["now"] == report["count"] > 10
    assert totals["predictions"]["before"] > 10
    assert xcoms["notify"] == f"{report['text']} {report['report']}"
    if service_name == "cradl":
        assert totals["mean_confidence"]["now"] > 0.5


def test_the_week_is_reported_from_the_landings_of_its_asset(
    airflow_db: None, connections: Sandbox, landing: Path
) -> None:
    needs(3, 0, "asset events in the template context, which were of datasets")
    needs_no_scheduler()
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
    assert report["summary"]["totals"]["predictions"]["before"] > 20


class Events(Mapping):
    """Events by their asset, as Airflow hands them to a task: no asset has a hash in Airflow 3.0."""

    def __init__(self, by_uri: dict[str, list[SimpleNamespace]]) -> None:
        self._by_uri = by_uri

    def __getitem__(self, asset: Asset) -> list[SimpleNamespace]:
        return self._by_uri[asset.uri]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_uri)

    def __len__(self) -> int:
        return len(self._by_uri)


@pytest.fixture
def landings_of_two_weeks() -> Callable[..., list[str]]:
    """The task that decides whether the weekly report is written, and of what."""
    bag = DagBag(str(ROOT / "example_dags" / "example_report.py"))
    decide: Callable[..., list[str]] = bag.dags["example_report_weekly"].get_task("landings").python_callable
    return decide


@pytest.mark.parametrize(
    ("days", "started_by", "is_whole"),
    [
        (range(1, 9), 1, False),
        (range(1, 10), 1, True),
        (range(1, 11), 1, False),
        (range(1, 11), 3, True),
        ((1, 2, 3, 12), 1, True),
        ((9,), 1, True),
        (range(1, 20), 0, True),
    ],
    ids=["Sunday", "Monday", "Tuesday", "three at once", "a gap", "the first one", "by hand"],
)
def test_one_landing_a_week_starts_its_report(
    landings_of_two_weeks: Callable[..., list[str]], days: Iterable[int], started_by: int, is_whole: bool
) -> None:
    """The 9th of November 2026 is a Monday."""
    events = [
        SimpleNamespace(timestamp=datetime(2026, 11, day, 5, tzinfo=UTC), extra={"path": str(day)})
        for day in days
    ]
    asset = landings_of_two_weeks.__globals__["LANDED"]["vlmrun"]
    triggering = Events({asset.uri: events[-started_by:]} if started_by else {})

    found = landings_of_two_weeks(
        triggering_asset_events=triggering, inlet_events=Events({asset.uri: events})
    )

    assert found == ([event.extra["path"] for event in events][-15:] if is_whole else [])


@pytest.mark.parametrize("example", [*EXAMPLES, *ROOT.glob("scripts/dags/*.py")], ids=lambda path: path.stem)
def test_examples_parse_without_a_connection_or_a_network(example: Path) -> None:
    """Sockets are refused in a process of its own."""
    if example.stem == "example_events":
        needs(3, 0, "asset watchers")
    if example.stem == "backfill" and AIRFLOW < (3, 3):
        pytest.skip("`make cluster-demo` starts the newest Airflow")
    if example.stem == "example_partitions":
        needs(3, 3, "asset partitions")
    script = (
        "import socket\n"
        "from tests.compat import DagBag\n"
        "def refuse(*args): raise OSError('no network while parsing')\n"
        "socket.socket.connect = refuse\n"
        f"bag = DagBag({str(example)!r})\n"
        "assert not bag.import_errors, bag.import_errors\n"
        "assert [dag for dag in bag.dags.values() if not dag.catchup]\n"
    )
    environment = {name: value for name, value in os.environ.items() if "CONN" not in name}
    subprocess.run(
        [sys.executable, "-c", script], env=environment, check=True, timeout=60, cwd=EXAMPLES[0].parents[1]
    )
