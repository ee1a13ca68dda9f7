"""The arguments that every VLM Run task takes."""

from __future__ import annotations

from airflow_provider_predictions.api.filters import Words
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.tasks.arguments import Templated, declare
from airflow_provider_predictions.tasks.base import PredictionsTask, conn_id


class VlmRunTask(PredictionsTask):
    """A task that reads predictions of VLM Run."""

    hook_class = VlmRunHook
    arguments = declare(
        conn_id(VlmRunHook),
        Templated(
            "domains",
            "str | Collection[str | Ref] | Ref | None",
            Words,
            "read only predictions of these domains, as a list or comma-separated text",
            when_empty="nothing matches",
            example='["document.invoice"]',
        ),
    )
