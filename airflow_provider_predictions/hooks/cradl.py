"""The connection of Cradl."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import Connection
from typing_extensions import override

from airflow_provider_predictions.api.cradl import Cradl, CradlPrediction
from airflow_provider_predictions.api.http.auth import ClientCredentialsAuth
from airflow_provider_predictions.hooks.base import PredictionsHook
from airflow_provider_predictions.hooks.connection_settings import Hosts, OneLine, Settings, Url, required


class CradlSettings(Settings):
    """The extras of a Cradl connection.

    :ivar auth_url: the token endpoint.
    :ivar audience: what the token is for.
    :ivar file_hosts: hosts of ``fileUrl`` that get the bearer token, beside that of the base URL.
    """

    auth_url: Url = "https://auth.cradl.ai/oauth2/token"
    audience: OneLine = "https://api.cradl.ai/v1"
    file_hosts: Hosts = ("files.api.cradl.ai",)


class CradlHook(PredictionsHook[CradlPrediction]):
    """List the predictions of Cradl.

    Filters: ``statuses``, ``created_after``, ``created_before``, ``max_predictions``, ``page_size`` (1 to
    1000), ``model_id`` and ``order`` (``descending``, ``ascending``).

    :param cradl_conn_id: the Airflow connection, of the type ``cradl``; by default ``cradl_default``.
    """

    conn_name_attr = "cradl_conn_id"
    default_conn_name = "cradl_default"
    conn_type = "cradl"
    hook_name = "Cradl"
    service_class = Cradl
    settings_class = CradlSettings
    default_base_url = "https://api.cradl.ai/v1"
    default_dashboard_url = "https://rc.app.cradl.ai"

    def __init__(self, cradl_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(cradl_conn_id, **kwargs)
        self.cradl_conn_id = cradl_conn_id

    @classmethod
    @override
    def auth(cls, conn: Connection, settings: CradlSettings) -> ClientCredentialsAuth:
        return ClientCredentialsAuth(
            auth_url=settings.auth_url,
            client_id=required(conn.login, "Client id (login)"),
            client_secret=required(conn.password, "Client secret (password)"),
            audience=settings.audience,
            timeout=settings.timeout,
        )
