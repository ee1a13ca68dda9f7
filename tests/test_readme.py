"""The README, run."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.get_provider_info import get_provider_info
from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator
from airflow_provider_predictions.operators.landing import PredictionsToObjectStorageOperator
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sensors.base import PredictionsSensor
from airflow_provider_predictions.triggers.cradl import CradlPredictionsEventTrigger
from airflow_provider_predictions.triggers.event import PredictionsEventTrigger
from airflow_provider_predictions.triggers.vlmrun import VlmRunPredictionsEventTrigger

ROOT = Path(__file__).parent.parent
README = ROOT.joinpath("README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SHELL = "\n".join(re.findall(r"```bash\n(.*?)```", README, re.DOTALL))


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def run_dag(code: str, tmp_path: Path) -> dict[str, Any]:
    """The manifest of a DAG that lands; in a process of its own, since a DAG must lie in Airflow's folder."""
    dags = tmp_path / "dags"
    dags.mkdir()
    dags.joinpath("readme.py").write_text(code.replace("/tmp/predictions", f"{tmp_path}/landed"))
    environment = os.environ | {"AIRFLOW__CORE__DAGS_FOLDER": str(dags)}
    (name,) = re.findall(r"^def (\w+)", code, re.MULTILINE)

    command = [sys.executable, "-m", "airflow", "dags", "test", name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stdout[-3000:]
    (manifest,) = tmp_path.joinpath("landed").rglob("_manifest.json")
    return json.loads(manifest.read_bytes())


def test_the_incremental_dag_runs(airflow_db: None, connections: Sandbox, tmp_path: Path) -> None:
    connections.cradl.fill(20)
    connections.cradl.add(work=1e9)
    code = next(block for block in PYTHON if "incremental=True" in block)

    landed = run_dag(code, tmp_path)

    assert landed["count"] == 20
    assert landed["incremental"]["unfinished"] == 1


def test_the_dag_runs(airflow_db: None, connections: Sandbox, tmp_path: Path) -> None:
    connections.vlmrun.fill(20)
    code = next(block for block in PYTHON if "@dag" in block)

    landed = run_dag(code, tmp_path)

    assert landed["statuses"].keys() == {"completed"}
    (shown,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    assert json.loads(shown).keys() == landed.keys()
    assert json.loads(shown)["parts"][0].keys() == landed["parts"][0].keys()
    assert len([line for line in code.splitlines() if line.strip()]) <= 12


def test_the_hook_example_runs(connections: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    connections.cradl.fill(5, days=1)

    exec(next(block for block in PYTHON if "CradlHook" in block), {})

    assert capsys.readouterr().out.count("cradl:prediction:") >= 4


def test_every_command_of_make_exists() -> None:
    targets = set(re.findall(r"^(\w+):", ROOT.joinpath("Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"^make (\w+)", SHELL, re.MULTILINE)) == {"demo", "test"} <= targets


def test_every_connection_command_is_understood(airflow_db: None) -> None:
    commands = re.findall(r"^airflow (connections add .*)$", SHELL, re.MULTILINE)
    variables = {"VLMRUN_API_KEY": "a-key", "CRADL_CLIENT_ID": "an-id", "CRADL_CLIENT_SECRET": "a-secret"}
    for command in commands:
        subprocess.run(
            ["bash", "-c", f'"{sys.executable}" -m airflow {command}'], env=os.environ | variables, check=True
        )

    assert len(commands) == 2
    shown = subprocess.run(
        [sys.executable, "-m", "airflow", "connections", "list", "-o", "json"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    stored = {row["conn_id"]: row for row in json.loads(shown.stdout)}
    assert {stored["vlmrun_default"]["conn_type"], stored["cradl_default"]["conn_type"]} == {
        "vlmrun",
        "cradl",
    }


def test_every_public_class_is_in_the_table() -> None:
    table = section("Classes")
    info = get_provider_info()
    modules = [
        module
        for kind in ("hooks", "operators", "sensors", "triggers")
        for entry in info[kind]
        for module in entry["python-modules"]
    ]
    for module in map(import_module, modules):
        public = {
            name for name, value in vars(module).items()
            if isinstance(value, type) and value.__module__ == module.__name__
            and name.startswith(("VlmRun", "Cradl")) and not name.endswith("Settings")
        }  # fmt: skip
        assert public
        assert not [name for name in public if f"`{name}`" not in table]


@pytest.mark.parametrize(
    "classes",
    [
        (PredictionsToObjectStorageOperator, CradlPredictionsToObjectStorageOperator),
        (PredictionsSensor,),
        (PredictionsEventTrigger, VlmRunPredictionsEventTrigger, CradlPredictionsEventTrigger),
    ],
)
def test_the_table_holds_every_argument(classes: tuple[type, ...]) -> None:
    arguments = {
        name
        for cls in classes
        for name, parameter in inspect.signature(cls.__init__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and not name.endswith("_conn_id")
    }

    assert len(arguments) >= 5
    assert not [name for name in arguments if f"`{name}`" not in section("Classes")]


def test_the_watching_dag_is_scheduled_by_its_asset() -> None:
    given: dict[str, object] = {}
    exec(next(block for block in PYTHON if "AssetWatcher" in block), given)

    (watcher,) = given["finished"].watchers
    path, arguments = watcher.trigger.serialize()
    assert path.endswith(".VlmRunPredictionsEventTrigger")
    assert arguments["domains"] == ["document.invoice"]


def test_the_tables_hold_every_filter_and_every_field() -> None:
    filters, fields = section("Classes"), section("Connection fields")
    for hook in (VlmRunHook, CradlHook):
        assert not [name for name in hook.service_class.filters.model_fields if f"`{name}`" not in filters]
        assert not [name for name in hook.settings_class.model_fields if f"extra `{name}`" not in fields]
        assert f"`{hook.default_base_url}`" in fields


def test_links_to_files_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert ROOT.joinpath(target).exists()
