"""Watching a list for what finishes, against a service on a real socket, in simulated time."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.feed import LARGEST_EVENT, events
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.sandbox.faults import Fault
from airflow_provider_predictions.sandbox.shelf import Shelf
from airflow_provider_predictions.triggers.cradl import CradlPredictionsEventTrigger
from airflow_provider_predictions.triggers.event import PredictionsEventTrigger
from airflow_provider_predictions.triggers.poller import Poller
from airflow_provider_predictions.triggers.vlmrun import VlmRunPredictionsEventTrigger
from tests.compat import kill, needs
from tests.conftest import moving

pytestmark = pytest.mark.usefixtures("simulated_time")

TRIGGERS = {"vlmrun": VlmRunPredictionsEventTrigger, "cradl": CradlPredictionsEventTrigger}
DONE = {"vlmrun": "completed", "cradl": "succeeded"}
INTERVAL = 60.0
"""Seconds between two looks, and up to a tenth more: what a watcher takes where nothing is said."""
STORED_AFTER = 2
"""Seconds that the triggerer takes to store an event."""


class Store:
    """The state of an asset, as the triggerer hands it to a watcher; it outlives the triggerer."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self._by_name = {"finished": self}

    async def aget(self, key: str, default: Any = None) -> Any:
        return json.loads(self.values[key]) if key in self.values else default

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)


@pytest.fixture(autouse=True)
def _watchers() -> None:
    needs(3, 0, "asset watchers")


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture(params=["alone", "shared"])
def shared(request: pytest.FixtureRequest) -> bool:
    """Each way to run: as Airflow before 3.3 does, and with the shared streams that it has since."""
    if request.param == "shared":
        needs(3, 3, "shared streams")
    return bool(request.param == "shared")


@pytest.fixture
def watched(shared: bool, service_name: str) -> Callable[..., list[dict[str, Any]]]:
    """What a watcher tells of until its triggerer is killed, in the middle between two looks."""

    def watched(
        looks: int,
        store: Store | None,
        *,
        stores: bool = True,
        between: Callable[[], object] = lambda: None,
        **arguments: Any,
    ) -> list[dict[str, Any]]:
        trigger = restored(TRIGGERS[service_name](**arguments))
        trigger.asset_state_store = store  # type: ignore[assignment]
        told: list[dict[str, Any]] = []
        watch = watch_shared if shared else watch_alone

        async def until() -> None:
            asyncio.get_running_loop().call_later(2.5 * INTERVAL, between)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(watch(trigger, told, stores), (looks + 0.5) * INTERVAL)

        asyncio.run(until())
        return told

    return watched


def restored(trigger: PredictionsEventTrigger) -> PredictionsEventTrigger:
    """As the metadata database gives it to the triggerer."""
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
    """What the triggerer has one of."""
    from airflow.triggers.shared_stream import SharedStreamManager

    # Its default is the clock of when it was imported, which may be another test's.
    return SharedStreamManager(_now=time.monotonic)


def ids_of(told: list[dict[str, Any]]) -> list[str]:
    return [id_ for event in told for id_ in event["ids"]]


def test_what_finishes_is_told_of_once_and_what_was_finished_is_not(
    connections, shelf: Shelf, service_name: str, store: Store, watched
) -> None:
    shelf.fill(20)
    ids = [moving(shelf, DONE[service_name], 100 * n) for n in range(1, 4)]

    told = watched(6, store)

    assert sorted(ids_of(told)) == sorted(ids)  # one look may see several, newest first
    assert all(event["service"] == service_name for event in told)
    assert sum((event["count"] for event in told), 0) == 3
    assert {status for event in told for status in event["statuses"]} == {DONE[service_name]}


def test_only_statuses_that_are_asked_for_are_told_of(
    connections, shelf: Shelf, service_name: str, store: Store, watched
) -> None:
    moving(shelf, DONE[service_name], 100)
    failed = moving(shelf, "failed", 100)

    assert ids_of(watched(3, store, statuses="failed")) == [failed]


def test_a_restart_loses_and_doubles_nothing(
    connections, shelf: Shelf, service_name: str, store: Store, watched
) -> None:
    watched(1, store)
    ids = [moving(shelf, DONE[service_name], 30 + 70 * n) for n in range(12)]

    told = [event for _ in range(5) for event in watched(3, store)]

    # Killed before it was noted that an event is stored, it comes again, and says so by its batch.
    batches = {event["batch"]: event["ids"] for event in told}
    assert sorted(id_ for some in batches.values() for id_ in some) == sorted(ids)
    assert len(told) - len(batches) <= 4, "a kill doubles the events of one look at most"


def test_what_finishes_while_nobody_watches_is_told_of_later(
    connections, shelf: Shelf, service_name: str, store: Store, watched
) -> None:
    watched(1, store)
    id_ = moving(shelf, DONE[service_name], 0)

    assert ids_of(watched(1, store)) == [id_]


def test_an_event_that_a_kill_may_have_swallowed_comes_again_as_it_was(
    connections, shelf: Shelf, service_name: str, store: Store, watched
) -> None:
    """Killed before Airflow has said that the event is stored."""
    id_ = moving(shelf, DONE[service_name], 100)
    before = watched(3, store, stores=False)
    other = moving(shelf, DONE[service_name], 0)

    again = watched(3, store)

    assert [told["ids"] for told in before] == [[id_]]
    assert again[0] == before[0]
    assert ids_of(again[1:]) == [other]


def test_without_a_state_a_watcher_begins_with_what_is_unfinished(
    connections, shelf: Shelf, service_name: str, watched
) -> None:
    shelf.fill(5)
    id_ = moving(shelf, DONE[service_name], 100)

    assert ids_of(watched(3, None)) == [id_]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({}, id="5xx"),
        pytest.param({"how": "reset"}, id="reset"),
        pytest.param({"status": 403, "body": b'{"message": "no"}'}, id="403"),
    ],
)
def test_failures_do_not_end_the_watch(
    connections, shelf, service_name: str, store: Store, watched, fault
) -> None:
    connections.wire.order(Fault(service_name, after=3, times=6, **fault))
    id_ = moving(shelf, DONE[service_name], 200)

    assert ids_of(watched(11, store)) == [id_]


def test_a_connection_that_is_missing_for_a_while_does_not_end_the_watch(
    connections, shelf, service_name: str, store: Store, watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"AIRFLOW_CONN_{service_name.upper()}_DEFAULT"
    value = os.environ[name]
    watched(1, store)
    monkeypatch.delenv(name)
    id_ = moving(shelf, DONE[service_name], 0)

    assert ids_of(watched(4, store, between=lambda: monkeypatch.setenv(name, value))) == [id_]


def test_what_never_finishes_is_not_waited_for_longer_than_its_age(
    connections, shelf: Shelf, service_name: str, store: Store, watched
) -> None:
    now = datetime.now(UTC)
    shelf.add(created=now - timedelta(hours=20), work=1e6)
    shelf.add(created=now - timedelta(hours=10), work=1e6)
    shelf.add(created=now, work=0)

    watched(1, store, max_age=15 * 3600)

    watermark = datetime.fromisoformat(json.loads(store.values["predictions"])["feed"]["watermark"])
    assert abs((watermark - (now - timedelta(hours=10))).total_seconds()) < 1


def test_watchers_of_one_connection_share_their_polls(connections, shelf: Shelf, service_name: str) -> None:
    moving(shelf, DONE[service_name], 3600)

    async def watch(many: int) -> None:
        runs = [asyncio.create_task(anext(TRIGGERS[service_name]().run())) for _ in range(many)]
        await asyncio.sleep(10.5 * INTERVAL)
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    asyncio.run(watch(30))

    # A list of one page is one request, but for the first poll, which makes sure that it ends there.
    assert 9 <= connections.wire.requests(service_name) <= 10 + 2


def test_watchers_of_several_statuses_share_a_stream(connections, shelf, service_name: str) -> None:
    needs(3, 3, "shared streams")
    done, failed = moving(shelf, DONE[service_name], 100), moving(shelf, "failed", 100)
    asked: dict[str, list[dict[str, Any]]] = {DONE[service_name]: [], "failed": []}

    async def watch() -> None:
        manager = shared_streams()
        triggers = [TRIGGERS[service_name](statuses=status) for status in asked]
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
    connections, shelf, service_name: str, store: Store
) -> None:
    """Its database did not say in time that an event is stored."""
    needs(3, 3, "shared streams")
    first = moving(shelf, DONE[service_name], 100)

    async def watch() -> list[str]:
        manager = shared_streams()
        trigger = TRIGGERS[service_name]()
        key = trigger.shared_stream_key()
        trigger.asset_state_store = store
        told: list[str] = []
        stream = manager.subscribe(trigger_id=1, trigger=trigger, key=key)
        async for fired in trigger.filter_shared_stream(stream):
            told += fired.payload["ids"]
            manager.bind_pending_event(trigger_id=1, key=key)
            if len(told) == 2:
                break
            # Airflow waits for 300 s, and looks after it each 30 s.
            asyncio.get_running_loop().call_later(600, moving, shelf, DONE[service_name], 0)
        await manager.stop_all()
        return told

    told = asyncio.run(asyncio.wait_for(watch(), 1200))

    assert told[0] == first
    assert len(set(told)) == 2


def test_an_event_that_is_stored_is_not_told_again_since_another_watcher_of_the_stream_has_failed(
    connections, shelf, service_name: str
) -> None:
    """Airflow does not confirm a look whose events are not all stored."""
    needs(3, 3, "shared streams")
    id_ = moving(shelf, DONE[service_name], 100)
    stores = [Store(), Store()]
    told: list[str] = []

    async def watch() -> None:
        manager = shared_streams()
        triggers = [TRIGGERS[service_name](max_age=age) for age in (1000, 2000)]
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
        state = json.loads(store.values["predictions"])
        assert id_ in state["feed"]["told"]
        assert state["pending"] == []


def test_a_watcher_that_is_stopped_looks_no_more(connections, shelf, service_name: str, store: Store) -> None:
    async def run() -> None:
        moving(shelf, DONE[service_name], 100)
        trigger = TRIGGERS[service_name]()
        trigger.asset_state_store = store
        events = trigger.run()  # is kept by the task, as by the triggerer's
        told = asyncio.Event()

        async def watch() -> None:
            async for _ in events:
                told.set()
                await asyncio.Event().wait()

        watching = asyncio.create_task(watch())
        await asyncio.wait_for(told.wait(), 5 * INTERVAL)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await kill(trigger)
        await trigger.cleanup()
        assert not Poller._of_loops
        await asyncio.sleep(0)
        assert {task for task in asyncio.all_tasks() if task.get_coro() is not events} == {
            asyncio.current_task()
        }

    asyncio.run(run())
    assert {seen.method for seen in connections.wire.seen if seen.part != "token"} == {"GET"}


def test_an_unknown_status_is_warned_of_once_and_not_told_of(
    connections, shelf, service_name: str, store: Store, watched, capsys, caplog
) -> None:
    moving(shelf, "archived", 100)

    assert watched(4, store) == []
    # Some versions of Airflow print what others log, and some do both.
    logs = capsys.readouterr().out, caplog.text
    assert max(log.count("The status 'archived' is not known") for log in logs) == 1


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
def test_a_state_that_hangs_does_not_hang_the_watch(
    connections, shelf, service_name: str, watched, calls: int
) -> None:
    store = Hanging(calls)
    id_ = moving(shelf, DONE[service_name], 600)

    assert ids_of(watched(13, store)) == [id_]
    assert id_ in store.values["predictions"]


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


def test_a_state_that_cannot_be_kept_for_a_while_does_not_end_the_watch(
    connections, shelf, service_name: str, watched
) -> None:
    ids = [moving(shelf, DONE[service_name], seconds) for seconds in (200, 400)]

    assert ids_of(watched(9, Moody())) == ids


def test_each_asset_of_equal_watchers_has_the_state(connections, shelf, service_name: str, watched) -> None:
    store, other = Store(), Store()
    store._by_name["other"] = other
    id_ = moving(shelf, DONE[service_name], 100)

    assert ids_of(watched(3, store)) == [id_]
    assert other.values == store.values
    assert "predictions" in other.values


def test_an_event_fits_into_the_database_and_none_is_left_out() -> None:
    rows = [Prediction(f"cradl:prediction:{n:032}", "succeeded", None, None, b"") for n in range(5000)]

    told = list(events("cradl", rows))

    assert ids_of(told) == [row.id for row in rows]
    assert len(told) > 1
    assert all(len(json.dumps(event)) <= LARGEST_EVENT + 1000 < 1 << 16 for event in told)
    assert len({event["batch"] for event in told}) == len(told)


def test_equal_watchers_are_one_trigger_for_airflow(service_name: str) -> None:
    one, other = (
        TRIGGERS[service_name](statuses=words) for words in ("failed, pending", ["pending", "failed"])
    )

    assert PredictionsEventTrigger.hash(*one.serialize()) == PredictionsEventTrigger.hash(*other.serialize())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"poke_interval": 0}, "poke_interval: "),
        ({"max_age": -1}, "max_age: "),
        ({"colour": "red"}, "colour: "),
        ({"created_before": "x"}, "created_before: "),
    ],
)
def test_a_wrong_argument_of_a_watcher_is_named(service_name: str, arguments, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        TRIGGERS[service_name](**arguments)
