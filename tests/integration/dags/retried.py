"""What Airflow does after an error of the service: the delay is the service's, not the task's hour."""

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.operators.vlmrun import VlmRunListPredictionsOperator
from airflow_provider_predictions.tasks.retry import PredictionsRetryPolicy

with DAG(
    "retried",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(hours=1)},
):

    @task(retry_policy=PredictionsRetryPolicy())
    def with_a_hook() -> int:
        return len(list(VlmRunHook("limited", attempts=1).iter_predictions(max_predictions=3)))

    with_a_hook() >> VlmRunListPredictionsOperator(task_id="refused", page_size=1, vlmrun_conn_id="wrong")
