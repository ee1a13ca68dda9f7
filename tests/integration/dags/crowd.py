"""As many deferred sensors as the run is told of, and one task that watches the triggerer."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG, task
from lag import LagOperator

from airflow_provider_predictions.sensors.vlmrun import VlmRunPredictionsSensor

with DAG("crowd", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False):
    LagOperator(task_id="lag", folder="{{ dag_run.conf['folder'] }}")

    @task
    def ids(dag_run=None) -> list[str]:
        return dag_run.conf["ids"].split(",")

    VlmRunPredictionsSensor.partial(
        task_id="wait", deferrable=True, poke_interval=10, timeout=3600, max_active_tis_per_dag=1000
    ).expand(prediction_ids=ids())
