"""Triggers of VLM Run."""

from __future__ import annotations

from collections.abc import Collection
from typing import Unpack

from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.triggers.base import PredictionsTrigger
from airflow_provider_predictions.triggers.event import PredictionsEventTrigger, WatchArgs


class VlmRunPredictionsTrigger(PredictionsTrigger):
    """Fire when the predictions of VLM Run are finished."""

    hook_class = VlmRunHook


class VlmRunPredictionsEventTrigger(PredictionsEventTrigger):
    """Fire for each batch of predictions of VLM Run that have finished; for an ``AssetWatcher``.

    The other arguments are those of ``PredictionsEventTrigger``.

    :param vlmrun_conn_id: the Airflow connection, by default ``vlmrun_default``.
    :param domains: only these, such as ``document.invoice``; a list or comma-separated text.
    :raises ConfigurationError: naming the argument that is wrong.
    """

    hook_class = VlmRunHook

    def __init__(
        self,
        *,
        vlmrun_conn_id: str = VlmRunHook.default_conn_name,
        domains: Collection[str] | str | None = None,
        **watch: Unpack[WatchArgs],
    ) -> None:
        super().__init__(vlmrun_conn_id=vlmrun_conn_id, domains=domains, **watch)
