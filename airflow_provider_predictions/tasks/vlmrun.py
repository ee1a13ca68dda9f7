"""The arguments that every VLM Run task takes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.tasks.base import PredictionsTask


class VlmRunTask(PredictionsTask):
    """A task that reads predictions of VLM Run.

    :param vlmrun_conn_id: the Airflow connection, by default ``vlmrun_default`` (templated).
    :param domains: only these, such as ``document.invoice``; a list or comma-separated text (templated).
    :raises ConfigurationError: naming the argument that is wrong.
    """

    hook_class = VlmRunHook
    template_fields: Sequence[str] = ("vlmrun_conn_id", "domains")

    def __init__(
        self,
        *,
        vlmrun_conn_id: str = VlmRunHook.default_conn_name,
        domains: Collection[str] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vlmrun_conn_id = vlmrun_conn_id
        self.domains = domains
        self.check_filters()
