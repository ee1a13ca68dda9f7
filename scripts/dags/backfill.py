"""Wait until the predictions of some days are finished, then land each day under a path of its own."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator
from airflow_provider_predictions.sensors.vlmrun import VlmRunPredictionsSensor

with DAG(
    "backfill",
    schedule=None,
    params={"path": "", "first": "2026-01-01T00:00:00+00:00", "days": 30},
    default_args={"retries": 5, "retry_delay": timedelta(seconds=2)},
    max_active_tasks=32,
):
    wait = VlmRunPredictionsSensor(
        task_id="wait",
        created_after="{{ params.first }}",
        fail_on=(),
        deferrable=True,
        poke_interval=5,
    )

    @task
    def windows(params: dict) -> list[dict]:
        """A day each."""
        first = datetime.fromisoformat(params["first"])
        days = [first + timedelta(days=n) for n in range(params["days"])]
        return [
            {
                "created_after": day.isoformat(),
                "created_before": (day + timedelta(days=1)).isoformat(),
                "path": f"{params['path']}/{day:%Y-%m-%d}",
            }
            for day in days
        ]

    land = VlmRunPredictionsToObjectStorageOperator.partial(
        task_id="land",
        pool="vlmrun",
        # So small that a day is many requests and some parts, to be killed in between.
        page_size=20,
        records_per_part=50,
    ).expand_kwargs(windows())

    @task
    def total(manifests: list[dict]) -> int:
        """How many have landed."""
        return sum(manifest["count"] for manifest in manifests)

    wait >> land
    total(land.output)
