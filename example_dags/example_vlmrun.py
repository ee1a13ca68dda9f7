"""Wait for VLM Run without holding a worker, land all predictions, and summarise them.

Needs the connection ``vlmrun_default``. The parameters of the run set where the files go, and how many
predictions to land at most.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, Param, task

from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator
from airflow_provider_predictions.sensors.vlmrun import VlmRunPredictionsSensor

with DAG(
    "example_vlmrun",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={
        "path": Param("file:///tmp/predictions", description="Where the files go, as a URL."),
        "max_predictions": Param(
            200,
            type="integer",
            minimum=1,
            description="How many predictions to wait for and to land at most.",
        ),
    },
    tags=["predictions", "example"],
    doc_md=__doc__,
):
    wait = VlmRunPredictionsSensor(
        task_id="wait",
        max_predictions="{{ params.max_predictions }}",
        fail_on=(),  # one failed document must not stop the others
        deferrable=True,
        poke_interval=5,
        timeout=60 * 60,
    )

    land = VlmRunPredictionsToObjectStorageOperator(
        task_id="land",
        path="{{ params.path }}/vlmrun/{{ run_id }}",
        max_predictions="{{ params.max_predictions }}",
    )

    @task
    def summarise(manifest: dict) -> dict:
        """Predictions and credits by domain, read line by line from the landed files."""
        count: Counter[str] = Counter()
        spent: Counter[str] = Counter()
        for part in manifest["parts"]:
            with ObjectStoragePath(part["uri"]).open("rb") as lines:
                for line in iter(lines.readline, b""):  # Airflow 2.11 cannot iterate over a file
                    prediction = json.loads(line)
                    domain = prediction.get("domain") or "none"
                    count[domain] += 1
                    spent[domain] += (prediction.get("usage") or {}).get("credits_used") or 0
        return {"predictions": dict(count), "credits": dict(spent)}

    wait >> land
    summarise(land.output)
