"""Land newly finished predictions of Cradl every hour. Each landing starts a second DAG.

Needs the connection ``cradl_default`` and Airflow 3.0 or newer. The asset's event carries the path and the
counts of the landing, so the second DAG knows what to read.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG, Asset, Param, task

from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator

landed = Asset(uri="predictions://cradl/landed")

with DAG(
    "example_assets",
    schedule="@hourly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params={"path": Param("file:///tmp/predictions", description="Where the files go, as a URL.")},
    tags=["predictions", "example"],
    doc_md=__doc__,
):
    CradlPredictionsToObjectStorageOperator(
        task_id="land",
        path="{{ params.path }}/cradl/incremental",
        incremental=True,
        outlets=[landed],
    )

with DAG(
    "example_assets_downstream",
    schedule=[landed],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["predictions", "example"],
    doc_md=__doc__,
):

    @task
    def read(triggering_asset_events=None) -> list[dict]:
        """The path and the count of each landing that started this run."""
        facts = [event.extra for event in triggering_asset_events[landed]]
        return [{"path": fact["path"], "count": fact["count"]} for fact in facts]

    read()
