"""Triggers of Cradl."""

from __future__ import annotations

from typing import Unpack

from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.triggers.base import PredictionsTrigger
from airflow_provider_predictions.triggers.event import PredictionsEventTrigger, WatchArgs


class CradlPredictionsTrigger(PredictionsTrigger):
    """Fire when the predictions of Cradl are finished."""

    hook_class = CradlHook


class CradlPredictionsEventTrigger(PredictionsEventTrigger):
    """Fire for each batch of predictions of Cradl that have finished; for an ``AssetWatcher``.

    The other arguments are those of ``PredictionsEventTrigger``.

    :param cradl_conn_id: the Airflow connection, by default ``cradl_default``.
    :param model_id: only of this model.
    :param order: ``descending``, newest first, or ``ascending``.
    :raises ConfigurationError: naming the argument that is wrong.
    """

    hook_class = CradlHook

    def __init__(
        self,
        *,
        cradl_conn_id: str = CradlHook.default_conn_name,
        model_id: str | None = None,
        order: str | None = None,
        **watch: Unpack[WatchArgs],
    ) -> None:
        super().__init__(cradl_conn_id=cradl_conn_id, model_id=model_id, order=order, **watch)
