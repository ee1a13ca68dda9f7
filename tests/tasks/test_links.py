"""Where the links of a task lead."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sensors.vlmrun import VlmRunPredictionsSensor
from airflow_provider_predictions.tasks.base import DashboardLink
from tests.compat import AIRFLOW
from tests.given import connect


def tasks() -> DAG:
    with DAG("linked", schedule=None) as dag:
        VlmRunPredictionsSensor(task_id="wait", vlmrun_conn_id="mine")
        CradlPredictionsToObjectStorageOperator(task_id="land", path="file:///tmp/x")
    return dag


def test_each_task_leads_to_the_dashboard_of_its_connection(
    connections: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"dashboard_url": "https://eu.example/board"}
    connect(monkeypatch, connections.connection("vlmrun", extra=extra))
    dag = tasks()
    if AIRFLOW < (3, 0):
        # There the web server asks, with what it has read from its database.
        from airflow.serialization.serialized_objects import SerializedDAG

        dag = SerializedDAG.from_dict(SerializedDAG.to_dict(dag))

    links = [DashboardLink().get_link(dag.get_task(name), ti_key=None) for name in ("wait", "land")]

    assert links == ["https://eu.example/board", "https://rc.app.cradl.ai"]


def test_a_landing_has_a_link_to_its_manifest_too() -> None:
    names = {task.task_id: [link.name for link in task.operator_extra_links] for task in tasks().tasks}

    assert names == {"wait": ["Dashboard"], "land": ["Dashboard", "Manifest"]}
