"""A sensor that gives its worker back between polls."""

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_predictions.sensors.vlmrun import VlmRunPredictionsSensor

with DAG("rescheduled", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False):
    VlmRunPredictionsSensor(task_id="wait", mode="reschedule", poke_interval=3, timeout=120, fail_on=())
