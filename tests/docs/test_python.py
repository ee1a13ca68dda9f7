"""Every block of Python is run, or parsed by Airflow, and has its types checked."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.api.vlmrun import VlmRun
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.storage.manifest import Manifest
from tests.docs.blocks import DAGS, LANDED, MODULES, QUERIES, ROOT, SNIPPETS, Block, looks_like

pytestmark = pytest.mark.docs

LOGGED = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T\S+ \[.*\n", re.MULTILINE)
"""A line that Airflow logs to the output while a block runs a task."""


@pytest.mark.parametrize("block", SNIPPETS, ids=lambda block: block.place)
def test_a_snippet_runs(block: Block, connections: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    for record_store in (connections.vlmrun, connections.cradl):
        record_store.fill(5, days=1)

    exec(compile(block.code, block.place, "exec"), {"__name__": "snippet"})

    printed = LOGGED.sub("", capsys.readouterr().out)
    assert looks_like(block.output or "…").fullmatch(printed.strip())


@pytest.fixture(scope="module")
def parsed(airflow_db: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of the DAGs, in a process of its own, since DAGs must lie in Airflow's folder."""
    home = tmp_path_factory.mktemp("documented")
    dags, landed, report = home / "dags", home / "landed", home / "report.json"
    dags.mkdir()
    for number, block in enumerate(DAGS):
        dags.joinpath(f"dag_{number}.py").write_text(block.code.replace(LANDED, str(landed)))
    with Sandbox(count=40) as sandbox:
        sandbox.cradl.add(work=1e9)
        environment = os.environ | sandbox.environment() | {"AIRFLOW__CORE__DAGS_FOLDER": str(dags)}
        done = subprocess.run(
            [sys.executable, "-c", RUN_DAGS, str(dags), str(report), *RUNNABLE],
            env=environment, capture_output=True, text=True, timeout=900,
        )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def names_in(dags: Block) -> list[str]:
    return re.findall(r"^@dag.*\n^def (\w+)", dags.code, re.MULTILINE)


NEEDS_MORE = re.compile("AssetWatcher|triggering_asset_events|min_predictions|…")
RUNNABLE = [name for block in DAGS if not NEEDS_MORE.search(block.code) for name in names_in(block)]
"""Not those that wait for an asset's event, for new predictions, or for an id that is left open."""
RUN_DAGS = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag

folder, report, *names = sys.argv[1:]
bag = DagBag(folder)
runs = {}
for name in names:
    run = bag.dags[name].test()
    runs[name] = {"state": run.state} | {
        ti.task_id: ti.xcom_pull(task_ids=ti.task_id) for ti in run.get_task_instances()
    }
found = {"errors": bag.import_errors, "names": sorted(bag.dags), "runs": runs}
Path(report).write_text(json.dumps(found))
"""


def test_airflow_parses_every_dag(parsed: dict[str, Any]) -> None:
    assert not parsed["errors"]
    assert parsed["names"] == sorted(name for block in DAGS for name in names_in(block))


def test_every_dag_runs(parsed: dict[str, Any]) -> None:
    assert {name: run["state"] for name, run in parsed["runs"].items()} == dict.fromkeys(RUNNABLE, "success")


def test_the_dag_of_the_readme_is_short_and_reports_on_what_it_lands(parsed: dict[str, Any]) -> None:
    block = next(block for block in DAGS if block.place.startswith("README"))
    landed, report = (parsed["runs"]["predictions"][task] for task in ("land", "report"))

    assert landed["count"] == sum(landed["statuses"].values()) > 0
    assert not landed["statuses"].keys() & VlmRun.unfinished_statuses
    assert "VLM Run" in report["text"]
    assert len([line for line in block.code.splitlines() if line.strip()]) <= 12


def test_the_incremental_dag_leaves_what_is_unfinished(parsed: dict[str, Any]) -> None:
    landed = parsed["runs"]["incremental"]["land"]

    assert landed["count"] == 40
    assert landed["incremental"]["unfinished"] == 1


def test_the_reference_names_every_member_of_a_manifest(parsed: dict[str, Any]) -> None:
    landed = parsed["runs"]["incremental"]["land"]
    rows = re.findall(r"^\| (`.*?) \|", ROOT.joinpath("docs/reference/manifest.md").read_text(), re.MULTILINE)

    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}

    members = {*Manifest.__annotations__}
    missing = {"unsettled", "values_missing_ids", "values_missing_reasons"}
    of_other_layouts = {"shape", "rows", "partition_by"}
    # It is there if the landing met the next minute.
    assert {*landed, "started_at"} == members - missing - of_other_layouts
    parts = {f"parts[].{name}" for name in [*landed["parts"][0], "rows"]}
    filters = {f"filters.{name}" for name in landed["filters"]}
    incremental = {f"incremental.{name}" for name in landed["incremental"]}
    assert named == {*members - {"incremental"}, *parts, *filters, *incremental}


WATCHING = [block for block in DAGS if "AssetWatcher" in block.code]


@pytest.mark.parametrize("block", WATCHING, ids=lambda block: block.place)
def test_a_watching_dag_has_a_trigger_that_airflow_can_store(block: Block) -> None:
    given: dict[str, Any] = {}
    exec(block.code, given)

    (trigger,) = [value.trigger for value in given.values() if type(value).__name__ == "AssetWatcher"]
    path, arguments = trigger.serialize()
    assert path.endswith("PredictionsEventTrigger")
    assert type(trigger)(**arguments).serialize() == (path, arguments)


def test_the_watching_dag_is_scheduled_by_its_asset() -> None:
    given: dict[str, Any] = {}
    exec(next(block.code for block in DAGS if "def invoices()" in block.code), given)

    (watcher,) = given["finished"].watchers
    path, arguments = watcher.trigger.serialize()
    assert path.endswith(".VlmRunPredictionsEventTrigger")
    assert arguments["domains"] == ["document.invoice"]


@pytest.fixture(scope="module")
def with_a_third_service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package, with the modules that ``adding-a-service.md`` adds."""
    home = tmp_path_factory.mktemp("third")
    package = home / "airflow_provider_predictions"
    shutil.copytree(ROOT / package.name, package, ignore=shutil.ignore_patterns("__pycache__"))
    for block in [*MODULES, *QUERIES]:
        package.joinpath(block.title).write_text(block.code)
    return home


USE_ACME = """
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow_provider_predictions.hooks.acme import AcmeHook
from airflow_provider_predictions.operators.acme import (
    AcmeListPredictionsOperator, AcmePredictionsToObjectStorageOperator,
)
from airflow_provider_predictions.operators.report import PredictionsReportOperator
from airflow_provider_predictions.report import acme, subjects
from airflow_provider_predictions.sensors.acme import AcmePredictionsSensor
from airflow_provider_predictions.triggers.acme import AcmePredictionsEventTrigger

ok, message = AcmeHook().test_connection()
assert ok and message.startswith("Acme accepts the credentials"), message
listed = AcmeListPredictionsOperator(task_id="list", fields=["id", "status"]).execute({})
path = "file://" + __import__("sys").argv[1]
landed = AcmePredictionsToObjectStorageOperator(task_id="land", path=path).execute({})
with pytest.raises(AirflowFailException, match="Acme: 3 of 30 predictions"):
    AcmePredictionsSensor(task_id="fail").execute({})
sensor = AcmePredictionsSensor(task_id="wait", fail_on=(), mode="poke", poke_interval=1)
assert sensor.poke({"ti": None}).xcom_value["count"] == landed["count"] == len(listed) == 30
assert AcmePredictionsEventTrigger().serialize()[1]["acme_conn_id"] == "acme_default"
subjects.SUBJECTS["acme"] = acme.SUBJECT  # as the page says
period = ("2000-01-01", "2100-01-01")
report = PredictionsReportOperator(task_id="report", source=landed, path=path + "-report", period=period)
told = report.execute({})
assert told["count"] == 30 and told["text"].startswith("Acme, 1 January 2000"), told["text"]
assert "of the finished ones failed" in told["text"], told["text"]
"""


def test_the_modules_of_a_third_service_list_land_wait_and_report(
    with_a_third_service: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The sandbox's VLM Run stands in for Acme: its list is paged in the same way."""
    sandbox.vlmrun.fill(30)
    for number, record in enumerate(sandbox.vlmrun.rows):
        record.outcome = "completed" if number % 10 else "error"
    acme = json.dumps(sandbox.connection("vlmrun", conn_type="acme"))
    environment = os.environ | {"AIRFLOW_CONN_ACME_DEFAULT": acme}

    subprocess.run(
        [sys.executable, "-c", USE_ACME, str(tmp_path)],
        cwd=with_a_third_service, env=environment, check=True, timeout=600,
    )  # fmt: skip


def test_all_python_has_the_types_that_the_package_asks_for(
    with_a_third_service: Path, tmp_path: Path
) -> None:
    for number, block in enumerate([*DAGS, *SNIPPETS]):
        tmp_path.joinpath(f"block_{number}.py").write_text(f"# {block.place}\n{block.code}")
    added = [f"airflow_provider_predictions/{block.title}" for block in MODULES]
    lenient = [
        "--no-warn-unused-ignores",
        "--allow-untyped-defs",
        "--allow-untyped-calls",
        "--allow-untyped-decorators",
    ]

    done = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", *lenient,
            "--allow-incomplete-defs", "--allow-any-generics", "--cache-dir", ROOT / ".mypy_cache" / "docs",
            *sorted(tmp_path.glob("*.py")), *added,
        ],
        cwd=with_a_third_service, capture_output=True, text=True, timeout=900,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout
