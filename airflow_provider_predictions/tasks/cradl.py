"""The arguments that every Cradl task takes."""

from __future__ import annotations

from typing import Literal

from airflow_provider_predictions.api.filters import Text
from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.tasks.arguments import Templated, declare
from airflow_provider_predictions.tasks.base import PredictionsTask, conn_id


class CradlTask(PredictionsTask):
    """A task that reads predictions of Cradl."""

    hook_class = CradlHook
    arguments = declare(
        conn_id(CradlHook),
        Templated(
            "model_id",
            "str | int | Ref | None",
            Text,
            "read only predictions of this model",
            example='"cradl:model:1"',
        ),
        Templated(
            "order",
            "str | Ref | None",
            Literal["ascending", "descending"],
            "``descending``, newest first, or ``ascending``; by default from the end of the list that is "
            "nearer to the window",
            example='"descending"',
        ),
    )
