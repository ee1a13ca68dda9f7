"""Wait for Cradl without a worker."""

from __future__ import annotations

from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.triggers.base import PredictionsTrigger


class CradlPredictionsTrigger(PredictionsTrigger):
    """Fire when the predictions of Cradl that are waited for are finished."""

    hook_class = CradlHook
