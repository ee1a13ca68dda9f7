"""List and land the predictions of VLM Run."""

from __future__ import annotations

from airflow_provider_predictions.operators.landing import PredictionsToObjectStorageOperator
from airflow_provider_predictions.operators.listing import ListPredictionsOperator
from airflow_provider_predictions.tasks.vlmrun import VlmRunTask


class VlmRunListPredictionsOperator(VlmRunTask, ListPredictionsOperator):
    """Push the predictions of VLM Run to XCom, each a dict as VLM Run sent it."""


class VlmRunPredictionsToObjectStorageOperator(VlmRunTask, PredictionsToObjectStorageOperator):
    """Land the predictions of VLM Run in object storage, byte for byte, and push the manifest to XCom."""
