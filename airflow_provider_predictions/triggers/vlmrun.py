"""Wait for VLM Run without a worker."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from airflow_provider_predictions.api.incremental import LOOKBACK
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.triggers.base import PredictionsTrigger
from airflow_provider_predictions.triggers.event import DAY, PredictionsEventTrigger


class VlmRunPredictionsTrigger(PredictionsTrigger):
    """Fire when the predictions of VLM Run that are waited for are finished."""

    hook_class = VlmRunHook


class VlmRunPredictionsEventTrigger(PredictionsEventTrigger):
    """Fire for each batch of predictions of VLM Run that have finished; for an ``AssetWatcher``.

    :param vlmrun_conn_id: the Airflow connection, by default ``vlmrun_default``.
    :param domains: only these, such as ``document.invoice``; a list or comma-separated text.
    :param statuses: tell only of these; by default of all finished ones.
    :param poke_interval: between polls, a timedelta or seconds; at least 5 seconds.
    :param max_age: how long an unfinished prediction is waited for, a timedelta or seconds; by default a day.
    :param lookback: how long after its creation a prediction may be listed for the first time, a timedelta or
        seconds; by default an hour.
    :raises ConfigurationError: naming the argument that is wrong.
    """

    hook_class = VlmRunHook

    def __init__(
        self,
        *,
        vlmrun_conn_id: str = VlmRunHook.default_conn_name,
        domains: Collection[str] | str | None = None,
        statuses: Collection[str] | str | None = None,
        poke_interval: timedelta | float = 60,
        max_age: timedelta | float = DAY,
        lookback: timedelta | float = LOOKBACK,
        **arguments: Any,
    ) -> None:
        super().__init__(
            vlmrun_conn_id=vlmrun_conn_id,
            domains=domains,
            statuses=statuses,
            poke_interval=poke_interval,
            max_age=max_age,
            lookback=lookback,
            **arguments,
        )
