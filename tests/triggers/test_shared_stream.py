"""Watchers that share a stream of polls, in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from airflow_provider_predictions.triggers.event import PredictionsEventTrigger
from tests.compat import needs
from tests.conftest import moving
from tests.given import DONE, WATCH
from tests.triggers.watching import INTERVAL, STORED_AFTER, Store, ids_of, shared_streams, state_in

pytestmark = pytest.mark.usefixtures("simulated_time", "has_watchers")


def test_watchers_of_several_statuses_share_a_stream(connections, record_store, service_name: str) -> None:
    needs(3, 3, "watchers that share their polls")
    done, failed = moving(record_store, DONE[service_name], 100), moving(record_store, "failed", 100)
    asked: dict[str, list[dict[str, Any]]] = {DONE[service_name]: [], "failed": []}

    async def watch() -> None:
        manager = shared_streams()
        triggers = [WATCH[service_name](statuses=status) for status in asked]
        (key,) = {trigger.shared_stream_key() for trigger in triggers}

        async def one(number: int, trigger: PredictionsEventTrigger, told: list[dict[str, Any]]) -> None:
            stream = manager.subscribe(trigger_id=number, trigger=trigger, key=key)
            told += [fired.payload async for fired in until_told(trigger.filter_shared_stream(stream))]

        await asyncio.gather(*map(one, range(2), triggers, asked.values()))
        await manager.stop_all()

    asyncio.run(asyncio.wait_for(watch(), 5 * INTERVAL))

    assert {status: ids_of(told) for status, told in asked.items()} == {
        DONE[service_name]: [done],
        "failed": [failed],
    }


async def until_told(stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for fired in stream:
        yield fired
        return


def test_a_stream_that_airflow_ends_does_not_end_the_watch(
    connections, record_store, service_name: str, store: Store
) -> None:
    """Its database did not say in time that an event is stored."""
    needs(3, 3, "watchers that share their polls")
    first = moving(record_store, DONE[service_name], 100)

    async def watch() -> list[str]:
        manager = shared_streams()
        trigger = WATCH[service_name]()
        key = trigger.shared_stream_key()
        trigger.asset_state_store = store
        told: list[str] = []
        stream = manager.subscribe(trigger_id=1, trigger=trigger, key=key)
        async for fired in trigger.filter_shared_stream(stream):
            told += fired.payload["ids"]
            manager.bind_pending_event(trigger_id=1, key=key)
            if len(told) == 2:
                break
            # Airflow waits for 300 s, and checks every 30 s.
            asyncio.get_running_loop().call_later(600, moving, record_store, DONE[service_name], 0)
        await manager.stop_all()
        return told

    told = asyncio.run(asyncio.wait_for(watch(), 1200))

    assert told[0] == first
    assert len(set(told)) == 2


def test_a_stored_event_does_not_come_again_when_another_watcher_fails(
    connections, record_store, service_name: str
) -> None:
    """Airflow does not confirm an item until all its events are stored."""
    needs(3, 3, "watchers that share their polls")
    id_ = moving(record_store, DONE[service_name], 100)
    stores = [Store(), Store()]
    told: list[str] = []

    async def watch() -> None:
        manager = shared_streams()
        triggers = [WATCH[service_name](max_age=age) for age in (1000, 2000)]
        (key,) = {trigger.shared_stream_key() for trigger in triggers}

        async def one(number: int) -> None:
            trigger = triggers[number]
            trigger.asset_state_store = stores[number]
            stream = manager.subscribe(trigger_id=number, trigger=trigger, key=key)
            async for fired in trigger.filter_shared_stream(stream):
                told.extend(fired.payload["ids"])
                event = manager.bind_pending_event(trigger_id=number, key=key)
                if number == 0 and event is not None:
                    asyncio.get_running_loop().call_later(STORED_AFTER, manager.confirm_persisted, [event])

        watching = [asyncio.create_task(one(number)) for number in range(2)]
        await asyncio.sleep(1200)
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        await manager.stop_all()

    asyncio.run(watch())

    assert told == [id_, id_]
    for store in stores:
        state = state_in(store)
        assert id_ in state["feed"]["told"]
        assert state["pending"] == []
