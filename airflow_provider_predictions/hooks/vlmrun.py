"""The connection of VLM Run."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import Connection
from typing_extensions import override

from airflow_provider_predictions.api.http.auth import BearerAuth
from airflow_provider_predictions.api.vlmrun import VlmRun, VlmRunPrediction
from airflow_provider_predictions.hooks.base import PredictionsHook
from airflow_provider_predictions.hooks.connection_settings import Settings, required


class VlmRunHook(PredictionsHook[VlmRunPrediction]):
    """List the predictions of VLM Run.

    Filters: ``statuses``, ``created_after``, ``created_before``, ``max_predictions``, ``page_size`` (1 to
    1000) and ``domains``.

    :param vlmrun_conn_id: the Airflow connection, of the type ``vlmrun``; by default ``vlmrun_default``.
    """

    conn_name_attr = "vlmrun_conn_id"
    default_conn_name = "vlmrun_default"
    conn_type = "vlmrun"
    hook_name = "VLM Run"
    service_class = VlmRun
    default_base_url = "https://api.vlm.run/v1"
    default_dashboard_url = "https://app.vlm.run/dashboard"

    def __init__(self, vlmrun_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(vlmrun_conn_id, **kwargs)
        self.vlmrun_conn_id = vlmrun_conn_id

    @classmethod
    @override
    def auth(cls, conn: Connection, settings: Settings) -> BearerAuth:
        return BearerAuth(required(conn.password, "API key (password)"))
