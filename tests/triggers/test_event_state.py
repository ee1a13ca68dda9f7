"""What a watcher knows after its triggerer was killed. Time is simulated."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_predictions.sandbox.store import RecordStore
from tests.conftest import moving
from tests.given import DONE, WATCH
from tests.triggers.watching import INTERVAL, Store, ids_of, restored, state_in, watch_alone

pytestmark = pytest.mark.usefixtures("simulated_time", "has_watchers")

FEED = {"version": 1, "watermark": "2026-11-01T00:00:00Z", "told": {}, "unfinished": {}, "unmet": {}}


def test_a_restart_neither_loses_nor_doubles_events(
    connections, record_store: RecordStore, service_name: str, store: Store, watched
) -> None:
    watched(1, store)
    ids = [moving(record_store, DONE[service_name], 30 + 70 * n) for n in range(12)]

    told = [event for _ in range(5) for event in watched(3, store)]

    # After a kill, an event may come again with the same batch.
    batches = {event["batch"]: event["ids"] for event in told}
    assert sorted(id_ for some in batches.values() for id_ in some) == sorted(ids)
    assert len(told) - len(batches) <= 4, "a kill doubles at most the events of one poll"


def test_what_finishes_while_nobody_watches_is_reported_later(
    connections, record_store: RecordStore, service_name: str, store: Store, watched
) -> None:
    watched(1, store)
    id_ = moving(record_store, DONE[service_name], 0)

    assert ids_of(watched(1, store)) == [id_]


def test_an_event_that_may_be_lost_in_a_kill_comes_again_unchanged(
    connections, record_store: RecordStore, service_name: str, store: Store, watched
) -> None:
    """Killed before Airflow has said that the event is stored."""
    id_ = moving(record_store, DONE[service_name], 100)
    before = watched(3, store, stores=False)
    other = moving(record_store, DONE[service_name], 0)

    again = watched(3, store)

    assert [told["ids"] for told in before] == [[id_]]
    assert again[0] == before[0]
    assert ids_of(again[1:]) == [other]


def test_without_a_state_a_watcher_begins_with_what_is_unfinished(
    connections, record_store: RecordStore, service_name: str, watched
) -> None:
    record_store.fill(5)
    id_ = moving(record_store, DONE[service_name], 100)

    assert ids_of(watched(3, None)) == [id_]


def test_a_watcher_waits_no_longer_than_max_age(
    connections, record_store: RecordStore, service_name: str, store: Store, watched
) -> None:
    now = datetime.now(UTC)
    record_store.add(created=now - timedelta(hours=20), work=1e6)
    record_store.add(created=now - timedelta(hours=10), work=1e6)
    record_store.add(created=now, work=0)

    watched(1, store, max_age=15 * 3600)

    watermark = datetime.fromisoformat(state_in(store)["feed"]["watermark"])
    assert abs((watermark - (now - timedelta(hours=10))).total_seconds()) < 1


class Hanging(Store):
    """A state that does not answer for the first few times."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.calls = calls

    async def _hang(self) -> None:
        self.calls -= 1
        if self.calls >= 0:
            await asyncio.Event().wait()

    async def aget(self, key: str, default: Any = None) -> Any:
        await self._hang()
        return await super().aget(key, default)

    async def aset(self, key: str, value: Any) -> None:
        await self._hang()
        await super().aset(key, value)


@pytest.mark.parametrize("calls", [1, 3])
def test_a_hanging_state_store_does_not_hang_the_watch(
    connections, record_store, service_name: str, watched, calls: int
) -> None:
    store = Hanging(calls)
    id_ = moving(record_store, DONE[service_name], 600)

    assert ids_of(watched(13, store)) == [id_]
    assert id_ in state_in(store)["feed"]["told"]


class Moody(Store):
    """A state that cannot be read or written each second time."""

    calls = 0

    def _refuse(self) -> None:
        self.calls += 1
        if self.calls % 2:
            raise ConnectionError("The API server starts.")

    async def aget(self, key: str, default: Any = None) -> Any:
        self._refuse()
        return await super().aget(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self._refuse()
        await super().aset(key, value)


def test_a_temporary_failure_of_the_state_store_does_not_end_the_watch(
    connections, record_store, service_name: str, watched
) -> None:
    ids = [moving(record_store, DONE[service_name], seconds) for seconds in (200, 400)]

    assert ids_of(watched(9, Moody())) == ids


def test_equal_watchers_store_their_state_with_each_asset(
    connections, record_store, service_name: str, watched
) -> None:
    store, other = Store(), Store()
    store._by_name["other"] = other
    id_ = moving(record_store, DONE[service_name], 100)

    assert ids_of(watched(3, store)) == [id_]
    assert other.values == store.values
    assert id_ in state_in(other)["feed"]["told"]


def test_different_watchers_of_one_asset_continue_from_their_own_states(
    connections, sandbox, record_store, service_name: str, store: Store
) -> None:
    """Each service has one. The other service's list is newer, and its watcher was the last to store."""
    other = "cradl" if service_name == "vlmrun" else "vlmrun"
    row = record_store.add(created=datetime.now(UTC) - timedelta(hours=3), work=1e6)
    row.outcome = DONE[service_name]
    getattr(sandbox, other).add()

    def ids(*services: str) -> list[str]:
        """What the watchers report until their triggerer is killed."""
        told: list[dict[str, Any]] = []

        async def watch() -> None:
            watchers = [restored(WATCH[service]()) for service in services]
            for watcher in watchers:
                watcher.asset_state_store = store
            await asyncio.gather(*(watch_alone(watcher, told, stores=True) for watcher in watchers))

        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(watch(), 2.5 * INTERVAL))
        return ids_of(told)

    assert ids(service_name, other) == []
    row.work = 0

    assert ids(other, service_name) == [row.id]


def test_a_watcher_whose_interval_changed_continues_from_its_state(
    connections, record_store: RecordStore, service_name: str, store: Store, watched
) -> None:
    watched(1, store)
    id_ = moving(record_store, DONE[service_name], 0)

    assert ids_of(watched(2, store, poke_interval=30, max_age=7200, lookback=60)) == [id_]


@pytest.mark.parametrize(
    "state",
    [
        {"feed": {"watermark": "2026-11-01T00:00:00Z"}, "pending": []},
        {"feed": FEED, "pending": ["x"]},
        {"feed": FEED, "pending": [{"count": "1", "statuses": {}}]},
        {"pending": []},
        ["feed"],
        5,
    ],
    ids=str,
)
def test_a_state_of_another_form_does_not_silence_the_watch(
    connections, record_store, service_name: str, watched, state: Any
) -> None:
    store = Store()
    watched(1, store)
    store.values = dict.fromkeys(store.values, json.dumps(state))
    id_ = moving(record_store, DONE[service_name], 100)

    assert ids_of(watched(4, store)) == [id_]
    assert "feed" in state_in(store)
