"""Land what has finished every hour, and start a DAG whenever something has landed.

Needs the connection ``cradl_default`` and Airflow 3.0 or newer. The event of the asset carries the small
facts of the manifest, so that the second DAG knows where to read without asking the first one.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG, Asset, task

from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator

landed = Asset(uri="predictions://cradl/landed")

with DAG(
    "example_assets",
    schedule="@hourly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params={"path": "file:///tmp/predictions"},
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
        """What has landed where, by the events that started this run."""
        facts = [event.extra for event in triggering_asset_events[landed]]
        return [{"path": fact["path"], "count": fact["count"]} for fact in facts]

    read()
