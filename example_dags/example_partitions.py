"""Land each day of VLM Run as a partition of an asset. Each partition starts a second DAG.

Needs the connection ``vlmrun_default`` and Airflow 3.3 or newer. Trigger it with the days to land. Each day
becomes a partition of the asset. The second DAG has one run for each day, with the day as ``partition_key``.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Asset, Param, task
from airflow.sdk import PartitionedAssetTimetable, PartitionedAtRuntime

from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator

days = Asset(uri="predictions://vlmrun/days")

with DAG(
    "example_partitions",
    schedule=PartitionedAtRuntime(),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={
        "path": Param("file:///tmp/predictions", description="Where the files go, as a URL."),
        "days": Param(["2026-11-21", "2026-11-22"], description="The days to land, one partition each."),
    },
    tags=["predictions", "example"],
    doc_md=__doc__,
):

    @task
    def windows(params=None) -> list[dict[str, str]]:
        """The arguments of each day's landing."""
        return [
            {
                "created_after": day,
                "created_before": str(date.fromisoformat(day) + timedelta(days=1)),
                "path": f"{params['path']}/vlmrun/days/{day}",
                "partition_keys": day,
            }
            for day in params["days"]
        ]

    VlmRunPredictionsToObjectStorageOperator.partial(
        task_id="land",
        outlets=[days],
        max_active_tis_per_dagrun=1,
        map_index_template="{{ task.partition_keys }}",  # the UI shows the day instead of a number
    ).expand_kwargs(windows())

with DAG(
    "example_partitions_downstream",
    schedule=PartitionedAssetTimetable(assets=days),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["predictions", "example"],
    doc_md=__doc__,
):

    @task
    def report(dag_run=None) -> str:
        """The day that this run is for."""
        return dag_run.partition_key

    report()
