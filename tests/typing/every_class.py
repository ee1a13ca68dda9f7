"""A DAG file that uses every public class; ``mypy --strict`` reads it as it reads a user's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import assert_type, cast

from airflow.providers.common.compat.sdk import DAG, Asset, Context
from airflow.sdk import AssetWatcher, task

from airflow_provider_predictions.api.cradl import CradlPrediction
from airflow_provider_predictions.api.errors import PredictionsError
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.vlmrun import VlmRunPrediction
from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.operators.cradl import (
    CradlListPredictionsOperator,
    CradlPredictionsToObjectStorageOperator,
)
from airflow_provider_predictions.operators.iceberg import IcebergCommit, PredictionsToIcebergOperator
from airflow_provider_predictions.operators.report import PredictionsReportOperator, Report
from airflow_provider_predictions.operators.vlmrun import (
    VlmRunListPredictionsOperator,
    VlmRunPredictionsToObjectStorageOperator,
)
from airflow_provider_predictions.sensors.base import Waited
from airflow_provider_predictions.sensors.cradl import CradlPredictionsSensor
from airflow_provider_predictions.sensors.vlmrun import VlmRunPredictionsSensor
from airflow_provider_predictions.storage.manifest import Manifest
from airflow_provider_predictions.tasks.retry import PredictionsRetryPolicy
from airflow_provider_predictions.triggers.cradl import CradlPredictionsEventTrigger, CradlPredictionsTrigger
from airflow_provider_predictions.triggers.vlmrun import (
    VlmRunPredictionsEventTrigger,
    VlmRunPredictionsTrigger,
)

watchers = [
    AssetWatcher(name="vlmrun", trigger=VlmRunPredictionsEventTrigger(domains=["document.invoice"])),
    AssetWatcher(name="cradl", trigger=CradlPredictionsEventTrigger(model_id="cradl:model:1", max_age=3600)),
]
finished = Asset("finished", watchers=watchers)
landed = Asset(uri="predictions://landed")

with DAG("every_class", schedule=[finished], start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False):
    wait = VlmRunPredictionsSensor(
        task_id="wait", prediction_ids="{{ params.ids }}", timeout=3600, deferrable=True
    )
    CradlPredictionsSensor(task_id="wait_cradl", fail_on=(), max_interval=timedelta(minutes=10))
    records = VlmRunListPredictionsOperator(task_id="list", fields=["id", "status"], max_predictions=10)
    CradlListPredictionsOperator(task_id="list_cradl", order="descending", retry_policy=None)
    land = VlmRunPredictionsToObjectStorageOperator(
        task_id="land", path="s3://aws@bucket/{{ run_id }}", compression="gzip", outlets=[landed]
    )
    CradlPredictionsToObjectStorageOperator(
        task_id="land_cradl", path="file:///tmp/x", incremental=True, max_age=timedelta(days=7)
    )

    report = PredictionsReportOperator(
        task_id="report",
        source=land.output,
        path="s3://aws@bucket/reports",
        period=("2026-11-01", "2026-12-01"),
    )

    add = PredictionsToIcebergOperator(
        task_id="add", manifest=land.output, table="documents.invoices", catalog={"type": "rest"}
    )

    @task(retries=2, retry_policy=PredictionsRetryPolicy())
    def credits_of(manifest: Manifest) -> float:
        """Typed as people type their own tasks."""
        total = 0.0
        for prediction in VlmRunHook().iter_predictions(created_after=manifest["created_min"]):
            total += (prediction.usage.credits_used or 0) if prediction.usage else 0
        return total

    wait >> records >> land
    credits_of(cast("Manifest", land.output))  # Airflow does not type what a task passes to the next one


def types(context: Context) -> None:
    """What mypy knows of what the classes give."""
    vlmrun, cradl = VlmRunHook("vlmrun_default"), CradlHook("cradl_default", attempts=1)
    assert_type(vlmrun.iter_predictions(domains="document.invoice"), Iterator[VlmRunPrediction])
    assert_type(cradl.iter_predictions(model_id="x"), Iterator[CradlPrediction])
    assert_type(cradl.aiter_predictions(), AsyncIterator[CradlPrediction])
    assert_type(vlmrun.iter_pages(), Iterator[Page])
    assert_type(vlmrun.get_prediction("x"), VlmRunPrediction)
    assert_type(cradl.test_connection(), tuple[bool, str])
    assert_type(land.execute(context), Manifest)
    assert_type(report.execute(context), Report)
    assert_type(add.execute(context), IcebergCommit)
    assert_type(report.execute(context)["summary"]["measures"]["predictions"]["now"], float | None)
    assert_type(wait.execute_complete(context, {}), Waited)
    try:
        cradl.get_prediction("x")
    except PredictionsError as error:
        assert_type(error.retryable, bool)
        assert_type(error.retry_after, float | None)
    for trigger_class in (VlmRunPredictionsTrigger, CradlPredictionsTrigger):
        trigger = trigger_class(conn_id="x", poke_interval=60, wait={"prediction_ids": ["a"]})
        assert_type(trigger.deadline, float | None)
