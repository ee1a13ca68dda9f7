"""Hooks, and tasks, whose clients wait in no time and count the seconds."""

from __future__ import annotations

import time
from typing import Any

from airflow_provider_predictions.api.http.client import AsyncClient, Client
from airflow_provider_predictions.hooks.base import PredictionsHook


class Waits:
    """The time of a client: what it would have slept has passed."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def sleep(self, seconds: float) -> None:
        """Stand in for the sleep of a client."""
        self.seconds += seconds

    async def asleep(self, seconds: float) -> None:
        """Stand in for the sleep of a client on an event loop."""
        self.seconds += seconds

    def clock(self) -> float:
        """Stand in for its clock."""
        return time.monotonic() + self.seconds


def instant_hook(made: type[PredictionsHook[Any]], waits: Waits) -> type[PredictionsHook[Any]]:
    """A hook like another one, whose clients wait in no time."""

    class Instant(made):  # type: ignore[misc, valid-type]
        def get_conn(self) -> Client:
            client: Client = super().get_conn()
            client.sleep, client.clock = waits.sleep, waits.clock
            return client

        async def aget_conn(self) -> AsyncClient:
            client: AsyncClient = await super().aget_conn()
            client.sleep, client.clock = waits.asleep, waits.clock
            return client

    return Instant


def instant(made: Any, waits: Waits) -> Any:
    """An operator or a sensor like another one, whose requests wait in no time."""

    class Instant(made):  # type: ignore[misc]
        hook_class = instant_hook(made.hook_class, waits)

    return Instant
