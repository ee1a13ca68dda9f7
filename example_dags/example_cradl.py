"""Wait for Cradl without holding a worker, land all predictions with values, and summarise them.

Needs the connection ``cradl_default``. The parameters of the run set where the files go, and how many
predictions to land at most.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from statistics import mean

from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, Param, task

from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator
from airflow_provider_predictions.sensors.cradl import CradlPredictionsSensor

with DAG(
    "example_cradl",
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
    wait = CradlPredictionsSensor(
        task_id="wait",
        max_predictions="{{ params.max_predictions }}",
        fail_on=(),  # one failed document must not stop the others
        deferrable=True,
        poke_interval=5,
        timeout=60 * 60,
    )

    land = CradlPredictionsToObjectStorageOperator(
        task_id="land",
        path="{{ params.path }}/cradl/{{ run_id }}",
        max_predictions="{{ params.max_predictions }}",
        fetch_values=True,
        compression="gzip",
    )

    @task
    def summarise(manifest: dict) -> dict:
        """The mean confidence of each field, read line by line from the landed files."""
        confidences: dict[str, list[float]] = defaultdict(list)
        for part in manifest["parts"]:
            with ObjectStoragePath(part["uri"]).open("rb", compression="gzip") as lines:
                for line in iter(lines.readline, b""):  # Airflow 2.11 cannot iterate over a file
                    for field in json.loads(line)["predictions"] or ():
                        if "confidence" in field:
                            confidences[field["label"]].append(field["confidence"])
        return {label: round(mean(found), 3) for label, found in sorted(confidences.items())}

    wait >> land
    summarise(land.output)
