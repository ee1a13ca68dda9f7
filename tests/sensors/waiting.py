"""The ways of a sensor to wait: with a worker, with a new one for each poke, and in a trigger."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_predictions.sensors.base import PredictionsSensor
from airflow_provider_predictions.triggers.base import PredictionsTrigger
from tests.compat import AirflowRescheduleException, Rescheduled

INTERVAL = 60.0
HOUR = 3600.0
SOON = 1.5 * INTERVAL
"""Seconds after which most predictions end: between the second poll and the third."""


def make(sensor: type[PredictionsSensor], **arguments: Any) -> PredictionsSensor:
    return sensor(task_id="wait", **{"poke_interval": INTERVAL, "timeout": HOUR} | arguments)


def in_trigger(sensor: PredictionsSensor) -> Any:
    """Wait deferred, with everything that crosses the database sent through JSON."""
    try:
        return sensor.execute({})
    except TaskDeferred as caught:
        deferred = caught
    path, arguments = deferred.trigger.serialize()
    trigger = import_string(path)(**json.loads(json.dumps(arguments)))
    event = json.loads(json.dumps(first_event(trigger)))
    return sensor.resume_execution(deferred.method_name, {"event": event}, {})


def import_string(path: str) -> Any:
    module, name = path.rsplit(".", 1)
    return getattr(import_module(module), name)


def first_event(trigger: PredictionsTrigger) -> Any:
    async def fire() -> list[Any]:
        return [event async for event in trigger.run()]

    (event,) = asyncio.run(asyncio.wait_for(fire(), 2 * HOUR))
    return event.payload


def rescheduled(sensor: type[PredictionsSensor], task: Rescheduled | None = None, **arguments: Any) -> Any:
    """Wait with a new process for each poke; Airflow remembers the time of the first one, and a state."""
    task = task or Rescheduled()
    while True:
        started = datetime.now(UTC)
        try:
            return make(sensor, mode="reschedule", **arguments).execute(task.context)
        except AirflowRescheduleException as again:
            task.began(started)
            time.sleep(max(0.0, (again.reschedule_date - datetime.now(UTC)).total_seconds()))
