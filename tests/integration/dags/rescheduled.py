"""A sensor that gives its worker back between polls."""

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_predictions.sensors.vlmrun import VlmRunPredictionsSensor

with DAG("rescheduled", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False):
    # After a shorter interval, the scheduler of Airflow 3.0 may not have seen yet that the task gave way.
    VlmRunPredictionsSensor(task_id="wait", mode="reschedule", poke_interval=10, timeout=600, fail_on=())
