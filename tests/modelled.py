"""Tasks and triggers whose service is the model of a server."""

from __future__ import annotations

from typing import Any

from airflow_provider_predictions.api.service import Service
from tests.api.services import CRADL, VLMRUN
from tests.given import HOOK
from tests.server_model import AsyncModelClient, ModelClient, ServerModel

SERVICES: dict[str, Service[Any]] = {"vlmrun": VLMRUN, "cradl": CRADL}


def modelled(made: Any, server: ServerModel) -> Any:
    """An operator, a sensor or a trigger like another one, whose requests the model answers."""
    service = SERVICES[server.service]

    class Hook(HOOK[server.service]):  # type: ignore[misc]
        def get_conn(self) -> ModelClient:
            return ModelClient(service, server, attempts=self.attempts)

        async def aget_conn(self) -> AsyncModelClient:
            return AsyncModelClient(service, server, attempts=self.attempts)

    class Modelled(made):  # type: ignore[misc]
        hook_class = Hook

    return Modelled
