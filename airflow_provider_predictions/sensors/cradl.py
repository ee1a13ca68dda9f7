"""Wait for Cradl."""

from __future__ import annotations

from airflow_provider_predictions.sensors.base import PredictionsSensor
from airflow_provider_predictions.tasks.cradl import CradlTask
from airflow_provider_predictions.triggers.cradl import CradlPredictionsTrigger


class CradlPredictionsSensor(CradlTask, PredictionsSensor):
    """Wait until predictions of Cradl are succeeded or failed."""

    trigger_class = CradlPredictionsTrigger
