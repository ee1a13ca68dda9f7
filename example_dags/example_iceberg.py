"""Land newly finished predictions, add them to an Iceberg table, and query the table with DuckDB.

Needs the connection ``vlmrun_default``, the extras ``iceberg`` and ``report`` (for DuckDB), and Airflow
3.1 or newer. The catalog is a file, which suits a single machine. Elsewhere, give the id of an Iceberg
connection: ``catalog="lake"``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG, Asset, Param, task

from airflow_provider_predictions.operators.iceberg import PredictionsToIcebergOperator
from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator

TABLE = "documents.predictions"
CATALOG = {
    "type": "sql",
    "uri": "sqlite:///{{ params.path.removeprefix('file://') }}/catalog.db",
    "warehouse": "{{ params.path }}/warehouse",
}

with DAG(
    "example_iceberg",
    schedule="@hourly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params={"path": Param("file:///tmp/predictions", description="Where the files go, as a URL.")},
    tags=["predictions", "example"],
    doc_md=__doc__,
):
    land = VlmRunPredictionsToObjectStorageOperator(
        task_id="land", path="{{ params.path }}/vlmrun", incremental=True, file_format="parquet"
    )
    add = PredictionsToIcebergOperator(
        task_id="add",
        manifest=land.output,
        table=TABLE,
        catalog=CATALOG,
        outlets=[Asset(uri="predictions://vlmrun/table")],
    )

    @task
    def summarise(added: dict, params=None) -> dict[str, int]:
        """How many predictions of each domain the table holds."""
        import duckdb
        from pyiceberg.catalog import load_catalog

        path = params["path"]
        if not added["metadata_location"]:
            return {}
        catalog = load_catalog(
            "default", type="sql", uri=f"sqlite:///{path.removeprefix('file://')}/catalog.db"
        )
        rows = catalog.load_table(TABLE).scan(selected_fields=("domain",)).to_arrow_batch_reader()
        return dict(
            duckdb.from_arrow(rows).query("rows", "SELECT domain, count(*) FROM rows GROUP BY ALL").fetchall()
        )

    summarise(add.output)
