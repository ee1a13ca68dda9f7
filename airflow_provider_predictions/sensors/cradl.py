"""Wait for Cradl."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_predictions.sensors.base import PredictionsSensor
from airflow_provider_predictions.tasks.cradl import CradlTask
from airflow_provider_predictions.triggers.cradl import CradlPredictionsTrigger

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date, datetime, timedelta
    from typing import Unpack

    from airflow_provider_predictions._compat import Ref, RetryPolicy
    from airflow_provider_predictions.tasks.airflow_arguments import SensorArgs
    from airflow_provider_predictions.tasks.base import RETRY_POLICY


class CradlPredictionsSensor(CradlTask, PredictionsSensor):
    """Wait until predictions of Cradl are succeeded or failed."""

    trigger_class = CradlPredictionsTrigger

    if TYPE_CHECKING:  # written by scripts/signatures.py

        def __init__(
            self,
            *,
            statuses: str | Collection[str | Ref] | Ref | None = None,
            created_after: datetime | date | str | Ref | None = None,
            created_before: datetime | date | str | Ref | None = None,
            max_predictions: int | str | Ref | None = None,
            page_size: int | str | Ref | None = None,
            retry_policy: RetryPolicy | None = RETRY_POLICY,
            prediction_ids: str | int | Collection[str | int | Ref] | Ref | None = None,
            fail_on: str | Collection[str | Ref] | Ref = ("failed", "cancelled"),
            waiting_statuses: str | Collection[str | Ref] | Ref | None = None,
            min_predictions: int | str | Ref = 0,
            missing_timeout: float | str | Ref = 600.0,
            max_interval: timedelta | float | None = None,
            max_failures: int = 5,
            deferrable: bool = False,
            cradl_conn_id: str | Ref = "cradl_default",
            model_id: str | int | Ref | None = None,
            order: str | Ref | None = None,
            **kwargs: Unpack[SensorArgs],
        ) -> None: ...
