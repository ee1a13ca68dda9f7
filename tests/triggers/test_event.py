"""A watcher of a service on a real socket, in simulated time."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.limits import MAX_EVENT_BYTES
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.waiting.finished_events import events
from airflow_provider_predictions.sandbox.store import RecordStore
from airflow_provider_predictions.triggers.event import PredictionsEventTrigger
from airflow_provider_predictions.triggers.poller import Poller
from tests.compat import kill
from tests.conftest import moving
from tests.contract.answers import Listing
from tests.faults import Fault
from tests.given import DONE, WATCH
from tests.triggers.watching import INTERVAL, Store, ids_of
from tests.wire import in_front

pytestmark = pytest.mark.usefixtures("simulated_time", "has_watchers")


def test_what_finishes_is_reported_once_and_what_was_finished_is_ignored(
    connections, record_store: RecordStore, service_name: str, store: Store, watched
) -> None:
    record_store.fill(20)
    ids = [moving(record_store, DONE[service_name], 100 * n) for n in range(1, 4)]

    told = watched(6, store)

    assert sorted(ids_of(told)) == sorted(ids)  # one poll may find several, newest first
    assert all(event["service"] == service_name for event in told)
    assert sum((event["count"] for event in told), 0) == 3
    assert {status for event in told for status in event["statuses"]} == {DONE[service_name]}


def test_only_requested_statuses_are_reported(
    connections, record_store: RecordStore, service_name: str, store: Store, watched
) -> None:
    moving(record_store, DONE[service_name], 100)
    failed = moving(record_store, "failed", 100)

    assert ids_of(watched(3, store, statuses="failed")) == [failed]


def test_a_status_that_looks_like_a_typo_is_named_once(
    connections, record_store: RecordStore, service_name: str, store: Store, watched, capsys, caplog
) -> None:
    record_store.fill(20)

    assert not watched(3, store, statuses=["fail", "failed"])

    # Airflow 3.0 writes it to both.
    written, warning = capsys.readouterr().out, "statuses: 'fail' was not found in 20 records; found: "
    assert (caplog.text if warning in caplog.text else written).count(warning) == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({}, id="5xx"),
        pytest.param({"how": "reset"}, id="reset"),
        pytest.param({"status": 403, "body": b'{"message": "no"}'}, id="403"),
    ],
)
def test_failures_do_not_end_the_watch(
    connections, record_store, service_name: str, store: Store, watched, fault
) -> None:
    connections.wire.order(Fault(service_name, after=3, times=6, **fault))
    id_ = moving(record_store, DONE[service_name], 200)

    assert ids_of(watched(11, store)) == [id_]


def test_a_temporarily_missing_connection_does_not_end_the_watch(
    connections, record_store, service_name: str, store: Store, watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"AIRFLOW_CONN_{service_name.upper()}_DEFAULT"
    value = os.environ[name]
    watched(1, store)
    monkeypatch.delenv(name)
    id_ = moving(record_store, DONE[service_name], 0)

    assert ids_of(watched(4, store, between=lambda: monkeypatch.setenv(name, value))) == [id_]


def test_an_id_that_airflow_cannot_send_does_not_stop_the_triggerer(
    connections, service_name: str, store: Store, watched
) -> None:
    rows: list[bytes] = []
    id_ = {"vlmrun": "id", "cradl": "predictionId"}[service_name]
    row = json.dumps({id_: "half \ud800", "status": DONE[service_name]}).encode()

    with in_front(connections, lambda app: Listing(service_name, rows, app)):
        told = watched(4, store, between=lambda: rows.append(row))

    assert ids_of(told) == ["half \ufffd"]
    assert "half" in str(store.values)
    assert r"\ud800" not in str(store.values)


def test_watchers_of_one_connection_share_their_polls(
    connections, record_store: RecordStore, service_name: str
) -> None:
    moving(record_store, DONE[service_name], 3600)

    async def watch(many: int) -> None:
        runs = [asyncio.create_task(anext(WATCH[service_name]().run())) for _ in range(many)]
        await asyncio.sleep(10.5 * INTERVAL)
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    asyncio.run(watch(30))

    # A list of one page is one request, but for the first poll, which makes sure that it ends there.
    assert 9 <= connections.wire.requests(service_name) <= 10 + 2


def test_a_stopped_watcher_polls_no_more(connections, record_store, service_name: str, store: Store) -> None:
    async def run() -> None:
        moving(record_store, DONE[service_name], 100)
        trigger = WATCH[service_name]()
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


def test_an_unknown_status_is_warned_of_once_and_not_reported(
    connections, record_store, service_name: str, store: Store, watched, capsys, caplog
) -> None:
    moving(record_store, "archived", 100)

    assert watched(4, store) == []
    # Some versions of Airflow print what others log, and some do both.
    logs = capsys.readouterr().out, caplog.text
    assert max(log.count("The status 'archived' is not known") for log in logs) == 1


def test_each_event_fits_into_the_database_and_no_prediction_is_left_out() -> None:
    rows = [Prediction(f"cradl:prediction:{n:032}", "succeeded", None, None, b"") for n in range(5000)]

    told = list(events("cradl", rows))

    assert ids_of(told) == [row.id for row in rows]
    assert len(told) > 1
    assert all(len(json.dumps(event)) <= MAX_EVENT_BYTES + 1000 < 1 << 16 for event in told)
    assert len({event["batch"] for event in told}) == len(told)


def test_equal_watchers_are_one_trigger_for_airflow(service_name: str) -> None:
    one, other = (WATCH[service_name](statuses=words) for words in ("failed, pending", ["pending", "failed"]))

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
        WATCH[service_name](**arguments)
