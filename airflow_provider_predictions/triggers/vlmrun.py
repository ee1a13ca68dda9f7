"""Wait for VLM Run without a worker."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.triggers.base import PredictionsTrigger
from airflow_provider_predictions.triggers.event import PredictionsEventTrigger


class VlmRunPredictionsTrigger(PredictionsTrigger):
    """Fire when the predictions of VLM Run that are waited for are finished."""

    hook_class = VlmRunHook


class VlmRunPredictionsEventTrigger(PredictionsEventTrigger):
    """Fire for each batch of predictions of VLM Run that have finished; for an ``AssetWatcher``.

    Takes the arguments of ``PredictionsEventTrigger``, too.

    :param vlmrun_conn_id: the Airflow connection, by default ``vlmrun_default``.
    :param domains: only these, such as ``document.invoice``; a list or comma-separated text.
    """

    hook_class = VlmRunHook

    def __init__(
        self,
        *,
        vlmrun_conn_id: str = VlmRunHook.default_conn_name,
        domains: Collection[str] | str | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(vlmrun_conn_id=vlmrun_conn_id, domains=domains, **arguments)
