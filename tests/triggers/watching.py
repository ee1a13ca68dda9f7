"""What the tests of watchers share: a state store, and both ways to run a watcher."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from airflow_provider_predictions.triggers.event import PredictionsEventTrigger

INTERVAL = 60.0
"""Seconds between polls, and up to a tenth more: the default of a watcher."""
STORED_AFTER = 2
"""Seconds until the triggerer has stored an event."""


class Store:
    """The state store of an asset. It outlives the triggerer."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self._by_name = {"finished": self}

    async def aget(self, key: str, default: Any = None) -> Any:
        return json.loads(self.values[key]) if key in self.values else default

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)


def state_in(store: Store) -> Any:
    """What the only watcher of an asset has stored."""
    (text,) = store.values.values()
    return json.loads(text)


def restored(trigger: PredictionsEventTrigger) -> PredictionsEventTrigger:
    """The trigger after its way through the metadata database."""
    path, arguments = trigger.serialize()
    assert path.endswith(type(trigger).__name__)
    return type(trigger)(**json.loads(json.dumps(arguments)))


async def watch_alone(trigger: PredictionsEventTrigger, told: list[dict[str, Any]], stores: bool) -> None:
    async for fired in trigger.run():
        told.append(fired.payload)
        if not stores:
            await asyncio.Event().wait()


async def watch_shared(trigger: PredictionsEventTrigger, told: list[dict[str, Any]], stores: bool) -> None:
    """The steps of Airflow's ``TriggerRunner.run_trigger``; the database confirms soon, or never."""
    manager, key = shared_streams(), trigger.shared_stream_key()
    try:
        stream = manager.subscribe(trigger_id=1, trigger=trigger, key=key)
        async for fired in trigger.filter_shared_stream(stream):
            told.append(fired.payload)
            number = manager.bind_pending_event(trigger_id=1, key=key)
            if stores and number is not None:
                asyncio.get_running_loop().call_later(STORED_AFTER, manager.confirm_persisted, [number])
    finally:
        await manager.stop_all()


def shared_streams() -> Any:
    """The manager of which a triggerer has one."""
    from airflow.triggers.shared_stream import SharedStreamManager

    # Its default is the clock of when it was imported, which may be another test's.
    return SharedStreamManager(_now=time.monotonic)


def ids_of(told: list[dict[str, Any]]) -> list[str]:
    return [id_ for event in told for id_ in event["ids"]]
