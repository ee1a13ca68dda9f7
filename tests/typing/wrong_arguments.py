"""What an editor finds in a DAG; ``mypy --strict`` reports each line here on which it finds nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath

from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator as Land
from airflow_provider_predictions.operators.report import PredictionsReportOperator as Report
from airflow_provider_predictions.operators.vlmrun import VlmRunListPredictionsOperator as List
from airflow_provider_predictions.sensors.vlmrun import VlmRunPredictionsSensor as Wait

if TYPE_CHECKING:
    with DAG("wrong", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        up = List(task_id="up").output

        Land(task_id="a", path="/x", pathh="/y")  # type: ignore[call-arg]
        Land(task_id="a", path=5)  # type: ignore[arg-type]
        Land(task_id="a")  # type: ignore[call-arg]
        Land(task_id="a", path="/x", created_after=5)  # type: ignore[arg-type]
        Land(task_id="a", path="/x", retriess=1)  # type: ignore[call-arg]
        Land(task_id="a", path="/x", retries="x")  # type: ignore[arg-type]
        Land(path="/x")  # type: ignore[call-arg]
        Land(task_id="a", path="/x", incremental=up)  # type: ignore[arg-type]
        Land(task_id="a", path="/x", file_format="csv")  # type: ignore[arg-type]
        List(task_id="a", model_id="x")  # type: ignore[call-arg]
        Wait(task_id="a", deferrable="no")  # type: ignore[arg-type]
        Report(task_id="a", path="/x")  # type: ignore[call-arg]

        Land(
            task_id="right",
            path=ObjectStoragePath("/x"),
            created_after=date(2026, 11, 1),
            created_before=up,
            statuses=[up, "a"],
            max_age=timedelta(1),
            on_failure_callback=print,
            trigger_rule="all_done",
            retry_delay=60.0,
        )
        Land(task_id="function", path=lambda context, jinja_env: "/x", max_predictions=up)
        Wait(task_id="ids", prediction_ids=[up, 7], poke_interval=5, mode="reschedule", soft_fail=True)
        Report(task_id="report", path="/x", source=[up, "/y"], retry_policy=None)
