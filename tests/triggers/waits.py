"""What the tests of waits share."""

from __future__ import annotations

import asyncio
from typing import Any

from airflow_provider_predictions.triggers.base import PredictionsTrigger
from airflow_provider_predictions.triggers.poller import Poller
from tests.given import TRIGGER

SHORTEST = Poller.shortest_interval
INTERVAL = 20.0
"""Seconds between two polls, and up to a tenth more."""


def trigger(service_name: str, interval: float = INTERVAL, **arguments: Any) -> PredictionsTrigger:
    names = ("max_interval", "started", "deadline", "max_failures", "conn_id", "not_before")
    own = {name: arguments.pop(name) for name in names if name in arguments}
    own.setdefault("conn_id", f"{service_name}_default")
    return TRIGGER[service_name](poke_interval=interval, wait=arguments, **own)


async def fire(trigger: PredictionsTrigger) -> dict[str, Any]:
    (event,) = [event async for event in trigger.run()]
    payload: dict[str, Any] = event.payload
    return payload


def run_all(*triggers: PredictionsTrigger) -> list[dict[str, Any]]:
    async def run() -> list[dict[str, Any]]:
        return await asyncio.wait_for(asyncio.gather(*map(fire, triggers)), 3600)

    return asyncio.run(run())
