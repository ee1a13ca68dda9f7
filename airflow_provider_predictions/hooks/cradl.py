"""The connection of Cradl."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import Connection
from typing_extensions import override

from airflow_provider_predictions._compat import mask_secret, unmask_secret
from airflow_provider_predictions.api.cradl import Cradl, CradlPrediction
from airflow_provider_predictions.api.http.auth import ClientCredentialsAuth
from airflow_provider_predictions.api.limits import MAX_MASKED_TOKENS
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


class _TokenMask:
    """Masks the newest tokens of a credential. A replaced one may still be in a request, so it stays masked.

    Airflow's masker forgets nothing. Each token would slow it down, and after about 800 that of Airflow 2.11
    fails ("pattern too large").
    """

    def __init__(self) -> None:
        self._masked: list[str] = []

    def __call__(self, token: str) -> None:
        """Mask a token. An endpoint may send the same one again."""
        self._masked = [*(masked for masked in self._masked if masked != token), token]
        if len(self._masked) > MAX_MASKED_TOKENS:
            unmask_secret(self._masked.pop(0))
        mask_secret(token)


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
            on_token=_TokenMask(),
        )
