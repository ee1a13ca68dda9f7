"""Wait for Cradl without a worker."""

from __future__ import annotations

from typing import Any

from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.triggers.base import PredictionsTrigger
from airflow_provider_predictions.triggers.event import PredictionsEventTrigger


class CradlPredictionsTrigger(PredictionsTrigger):
    """Fire when the predictions of Cradl that are waited for are finished."""

    hook_class = CradlHook


class CradlPredictionsEventTrigger(PredictionsEventTrigger):
    """Fire for each batch of predictions of Cradl that have finished; for an ``AssetWatcher``.

    Takes the arguments of ``PredictionsEventTrigger``, too.

    :param cradl_conn_id: the Airflow connection, by default ``cradl_default``.
    :param model_id: only of this model.
    """

    hook_class = CradlHook

    def __init__(
        self,
        *,
        cradl_conn_id: str = CradlHook.default_conn_name,
        model_id: str | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(cradl_conn_id=cradl_conn_id, model_id=model_id, **arguments)
