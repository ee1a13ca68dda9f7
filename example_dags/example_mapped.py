"""Land each domain of VLM Run under its own path, with one mapped task.

Needs the connection ``vlmrun_default``. For Cradl, map over ``model_id`` in the same way.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator

DOMAINS = ("document.invoice", "document.receipt", "document.bank-statement")

with DAG(
    "example_mapped",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={"path": Param("file:///tmp/predictions", description="Where the files go, as a URL.")},
    tags=["predictions", "example"],
    doc_md=__doc__,
):
    land = VlmRunPredictionsToObjectStorageOperator.partial(
        task_id="land",
        statuses=["completed"],
        max_active_tis_per_dagrun=1,  # each reads the whole list
        map_index_template="{{ task.domains[0] }}",  # the UI shows it instead of a number
    ).expand_kwargs(
        [
            {"domains": [domain], "path": "{{ params.path }}/domains/{{ run_id }}/" + domain}
            for domain in DOMAINS
        ]
    )

    @task
    def summarise(manifests: list[dict]) -> dict:
        """The number of landed predictions of each domain."""
        return {manifest["path"].rsplit("/", 1)[-1]: manifest["count"] for manifest in manifests}

    summarise(land.output)
