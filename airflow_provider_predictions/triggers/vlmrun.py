"""Wait for VLM Run without a worker."""

from __future__ import annotations

from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.triggers.base import PredictionsTrigger


class VlmRunPredictionsTrigger(PredictionsTrigger):
    """Fire when the predictions of VLM Run that are waited for are finished."""

    hook_class = VlmRunHook
