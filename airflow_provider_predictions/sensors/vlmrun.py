"""Wait for VLM Run."""

from __future__ import annotations

from airflow_provider_predictions.sensors.base import PredictionsSensor
from airflow_provider_predictions.tasks.vlmrun import VlmRunTask
from airflow_provider_predictions.triggers.vlmrun import VlmRunPredictionsTrigger


class VlmRunPredictionsSensor(VlmRunTask, PredictionsSensor):
    """Wait until predictions of VLM Run are completed, failed or cancelled."""

    trigger_class = VlmRunPredictionsTrigger
