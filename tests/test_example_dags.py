"""The example DAGs, run as ``airflow dags test`` runs them, against the sandbox."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from airflow_provider_predictions.sandbox.server import Sandbox

EXAMPLES = sorted(Path(__file__).parent.parent.joinpath("example_dags").glob("*.py"))


def run(name: str, path: Path) -> dict[str, object]:
    """Run an example to its end; what its tasks pushed to XCom, by task."""
    from airflow.dag_processing.dagbag import DagBag

    dag = DagBag(str(EXAMPLES[0].with_name(f"{name}.py"))).dags[name]
    dag_run = dag.test(run_conf={"path": f"file://{path}"})
    assert dag_run.state == "success"
    return {ti.task_id: ti.xcom_pull(task_ids=ti.task_id) for ti in dag_run.get_task_instances()}


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
    connections.vlmrun.fill(40, moving=2)
    connections.vlmrun.rows[0].work = 3

    xcoms = run("example_vlmrun", landing)

    manifest = manifest_under(landing)
    done = [row for row in connections.vlmrun.rows if row.outcome == "completed"]
    assert lines(manifest) == [connections.vlmrun.text(row) for row in done]
    assert xcoms["wait"]["count"] == 42
    assert xcoms["land"] == manifest
    assert xcoms["summarise"]["predictions"] == Counter(row.group for row in done)


def test_cradl_waits_deferred_lands_values_and_summarises(
    airflow_db: None, connections: Sandbox, landing: Path
) -> None:
    connections.cradl.fill(30, moving=1)

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


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_parse_without_a_connection_or_a_network(example: Path) -> None:
    """Sockets are refused in a process of its own."""
    script = (
        "import socket\n"
        "from airflow.dag_processing.dagbag import DagBag\n"
        "def refuse(*args): raise OSError('no network while parsing')\n"
        "socket.socket.connect = refuse\n"
        f"bag = DagBag({str(example)!r})\n"
        "assert not bag.import_errors, bag.import_errors\n"
        "assert [dag for dag in bag.dags.values() if not dag.catchup]\n"
    )
    environment = {name: value for name, value in os.environ.items() if "CONN" not in name}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)
