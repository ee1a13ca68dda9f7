"""Watching a list for what finishes, against a service on a real socket."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.feed import LARGEST_EVENT, events
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.sandbox.faults import Fault
from airflow_provider_predictions.sandbox.shelf import Shelf
from airflow_provider_predictions.triggers import event
from airflow_provider_predictions.triggers.cradl import CradlPredictionsEventTrigger
from airflow_provider_predictions.triggers.event import PredictionsEventTrigger
from airflow_provider_predictions.triggers.poller import Poller
from airflow_provider_predictions.triggers.vlmrun import VlmRunPredictionsEventTrigger

TRIGGERS = {"vlmrun": VlmRunPredictionsEventTrigger, "cradl": CradlPredictionsEventTrigger}
DONE = {"vlmrun": "completed", "cradl": "succeeded"}
INTERVAL = 0.1


class Store:
    """The state of an asset, as the triggerer hands it to a watcher; it outlives the triggerer."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    async def aget(self, key: str, default: Any = None) -> Any:
        return json.loads(self.values[key]) if key in self.values else default

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a real scheduler and a real triggerer take their time for."""
    monkeypatch.setattr(Poller, "shortest_interval", 0.05)
    monkeypatch.setattr(event, "PERSISTED_AFTER", 0.05)


@pytest.fixture
def store() -> Store:
    return Store()


def watched(service_name: str, seconds: float, store: Store | None, **arguments: Any) -> list[dict[str, Any]]:
    """What a watcher tells of until its triggerer is stopped."""
    told: list[dict[str, Any]] = []

    async def watch() -> None:
        trigger = TRIGGERS[service_name](**{"poke_interval": INTERVAL} | arguments)
        path, given = trigger.serialize()
        assert path.endswith(TRIGGERS[service_name].__name__)
        again: PredictionsEventTrigger = TRIGGERS[service_name](**json.loads(json.dumps(given)))
        again.asset_state_store = store  # type: ignore[assignment]
        async for fired in again.run():
            told.append(fired.payload)  # noqa: PERF401  (it is cut short)

    async def until() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watch(), seconds)

    asyncio.run(until())
    return told


def moving(shelf: Shelf, outcome: str, seconds: float) -> str:
    row = shelf.add(work=seconds)
    row.outcome = outcome
    return row.id


def ids_of(told: list[dict[str, Any]]) -> list[str]:
    return [id_ for event in told for id_ in event["ids"]]


def test_what_finishes_is_told_of_once_and_what_was_finished_is_not(
    connections, shelf: Shelf, service_name: str, store: Store
) -> None:
    shelf.fill(20)
    ids = [moving(shelf, DONE[service_name], n / 4) for n in range(2, 5)]

    told = watched(service_name, 2.5, store)

    assert ids_of(told) == ids
    assert all(event["service"] == service_name for event in told)
    assert sum((event["count"] for event in told), 0) == 3
    assert {status for event in told for status in event["statuses"]} == {DONE[service_name]}


def test_only_statuses_that_are_asked_for_are_told_of(
    connections, shelf: Shelf, service_name: str, store: Store
) -> None:
    moving(shelf, DONE[service_name], 0.5)
    failed = moving(shelf, "failed", 0.5)

    assert ids_of(watched(service_name, 1.5, store, statuses="failed")) == [failed]


def test_a_restart_loses_and_doubles_nothing(
    connections, shelf: Shelf, service_name: str, store: Store
) -> None:
    ids = [moving(shelf, DONE[service_name], 0.4 + n / 3) for n in range(12)]

    told = [event for _ in range(5) for event in watched(service_name, 1.1, store)]

    assert sorted(ids_of(told)) == sorted(ids)


def test_what_finishes_while_nobody_watches_is_told_of_later(
    connections, shelf: Shelf, service_name: str, store: Store
) -> None:
    watched(service_name, 0.5, store)
    id_ = moving(shelf, DONE[service_name], 0)

    assert ids_of(watched(service_name, 0.5, store)) == [id_]


def test_an_event_that_a_kill_may_have_swallowed_comes_again_as_it_was(
    connections, shelf: Shelf, service_name: str, store: Store, monkeypatch
) -> None:
    """Killed between the event and the note that it was handed on."""
    monkeypatch.setattr(event, "PERSISTED_AFTER", 60)
    id_ = moving(shelf, DONE[service_name], 0.4)
    before = watched(service_name, 1, store)
    monkeypatch.setattr(event, "PERSISTED_AFTER", 0.05)
    other = moving(shelf, DONE[service_name], 0)

    again = watched(service_name, 0.6, store)

    assert [told["ids"] for told in before] == [[id_]]
    assert again[0] == before[0]
    assert ids_of(again[1:]) == [other]


def test_without_a_state_a_watcher_begins_with_what_is_unfinished(
    connections, shelf: Shelf, service_name: str
) -> None:
    shelf.fill(5)
    id_ = moving(shelf, DONE[service_name], 0.6)

    assert ids_of(watched(service_name, 1.5, None)) == [id_]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({}, id="5xx"),
        pytest.param({"how": "reset"}, id="reset"),
        pytest.param({"status": 403, "body": b'{"message": "no"}'}, id="403"),
    ],
)
def test_failures_do_not_end_the_watch(connections, shelf, service_name: str, store: Store, fault) -> None:
    connections.wire.order(Fault(service_name, after=3, times=6, **fault))
    id_ = moving(shelf, DONE[service_name], 0.5)

    assert ids_of(watched(service_name, 2, store)) == [id_]


def test_a_connection_that_is_missing_for_a_while_does_not_end_the_watch(
    connections, shelf, service_name: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"AIRFLOW_CONN_{service_name.upper()}_DEFAULT"
    value = os.environ[name]
    watched(service_name, 0.5, store)
    monkeypatch.delenv(name)
    id_ = moving(shelf, DONE[service_name], 0)
    threading.Timer(1, monkeypatch.setenv, (name, value)).start()

    assert ids_of(watched(service_name, 4, store)) == [id_]


def test_what_never_finishes_is_not_waited_for_longer_than_its_age(
    connections, shelf: Shelf, service_name: str, store: Store
) -> None:
    now = datetime.now(UTC)
    shelf.add(created=now - timedelta(hours=20), work=1e6)
    shelf.add(created=now - timedelta(hours=10), work=1e6)
    shelf.add(created=now, work=0)

    watched(service_name, 0.5, store, max_age=15 * 3600)

    watermark = datetime.fromisoformat(json.loads(store.values["predictions"])["feed"]["watermark"])
    assert abs((watermark - (now - timedelta(hours=10))).total_seconds()) < 1


def test_watchers_of_one_connection_share_their_polls(connections, shelf: Shelf, service_name: str) -> None:
    moving(shelf, DONE[service_name], 3600)

    async def watch(many: int) -> int:
        connections.wire.seen.clear()
        triggers = [TRIGGERS[service_name](poke_interval=INTERVAL) for _ in range(many)]
        runs = [asyncio.create_task(anext(trigger.run())) for trigger in triggers]
        await asyncio.sleep(1)
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)
        return len(connections.wire.seen)

    alone, together = asyncio.run(watch(1)), asyncio.run(watch(30))

    assert together <= 1.2 * alone + 1


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
