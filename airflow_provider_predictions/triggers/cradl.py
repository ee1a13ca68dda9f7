"""Wait for Cradl without a worker."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from airflow_provider_predictions.api.incremental import LOOKBACK
from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.triggers.base import PredictionsTrigger
from airflow_provider_predictions.triggers.event import DAY, PredictionsEventTrigger


class CradlPredictionsTrigger(PredictionsTrigger):
    """Fire when the predictions of Cradl that are waited for are finished."""

    hook_class = CradlHook


class CradlPredictionsEventTrigger(PredictionsEventTrigger):
    """Fire for each batch of predictions of Cradl that have finished; for an ``AssetWatcher``.

    :param cradl_conn_id: the Airflow connection, by default ``cradl_default``.
    :param model_id: only of this model.
    :param statuses: tell only of these; by default of all finished ones.
    :param poke_interval: between polls, a timedelta or seconds; at least 5 seconds.
    :param max_age: how long an unfinished prediction is waited for, a timedelta or seconds; by default a day.
    :param lookback: how long after its creation a prediction may be listed for the first time, a timedelta or
        seconds; by default an hour.
    :raises ConfigurationError: naming the argument that is wrong.
    """

    hook_class = CradlHook

    def __init__(
        self,
        *,
        cradl_conn_id: str = CradlHook.default_conn_name,
        model_id: str | None = None,
        statuses: Collection[str] | str | None = None,
        poke_interval: timedelta | float = 60,
        max_age: timedelta | float = DAY,
        lookback: timedelta | float = LOOKBACK,
        **arguments: Any,
    ) -> None:
        super().__init__(
            cradl_conn_id=cradl_conn_id,
            model_id=model_id,
            statuses=statuses,
            poke_interval=poke_interval,
            max_age=max_age,
            lookback=lookback,
            **arguments,
        )
