"""The arguments that every Cradl task takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.tasks.base import PredictionsTask


class CradlTask(PredictionsTask):
    """A task that reads predictions of Cradl.

    :param cradl_conn_id: the Airflow connection, by default ``cradl_default`` (templated).
    :param model_id: only predictions of this model (templated).
    :param order: ``descending``, newest first, or ``ascending``; by default from the end of the list that is
        nearer to the window (templated).
    :raises ConfigurationError: naming the argument that is wrong.
    """

    hook_class = CradlHook
    template_fields: Sequence[str] = ("cradl_conn_id", "model_id", "order")

    def __init__(
        self,
        *,
        cradl_conn_id: str = CradlHook.default_conn_name,
        model_id: str | None = None,
        order: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cradl_conn_id = cradl_conn_id
        self.model_id = model_id
        self.order = order
        self.check_filters()
