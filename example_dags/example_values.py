"""Land the values of Cradl's predictions as rows, and count the uncertain ones with DuckDB.

Needs the connection ``cradl_default``, the extras ``iceberg`` and ``report`` (for DuckDB), and Airflow
3.1 or newer. Only amounts and the currency land. The names in a document stay out.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator
from airflow_provider_predictions.operators.iceberg import PredictionsToIcebergOperator

CATALOG = {
    "type": "sql",
    "uri": "sqlite:///{{ params.path.removeprefix('file://') }}/catalog.db",
    "warehouse": "{{ params.path }}/warehouse",
}

with DAG(
    "example_values",
    schedule="@hourly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params={"path": Param("file:///tmp/predictions", description="Where the files go, as a URL.")},
    tags=["predictions", "example"],
    doc_md=__doc__,
):
    land = CradlPredictionsToObjectStorageOperator(
        task_id="land",
        path="{{ params.path }}/values",
        incremental=True,
        statuses=["succeeded"],
        fetch_values=True,
        file_format="parquet",
        shape="values",
        paths=["*amount", "currency"],
    )
    PredictionsToIcebergOperator(
        task_id="add", manifest=land.output, table="documents.extracted", catalog=CATALOG
    )

    @task
    def uncertain(manifest: dict) -> dict[str, int]:
        """How many values of each label have a confidence below 0.7."""
        import duckdb

        if not manifest["parts"]:  # nothing new has finished
            return {}
        rows = duckdb.read_parquet([part["url"] for part in manifest["parts"]])
        return dict(rows.filter("confidence < 0.7").aggregate("label, count(*)").order("label").fetchall())

    uncertain(land.output)
