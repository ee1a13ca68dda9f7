"""When a wait ends, in each way to wait and in simulated time; and what a sensor takes."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    TaskDeferred,
)

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.sandbox.store import RecordStore
from airflow_provider_predictions.triggers.poller import Poller
from tests.compat import deserialize, serialize
from tests.conftest import ends_with, event_loop_free, moving, on_request
from tests.contract.answers import Listing
from tests.faults import Fault
from tests.given import DONE, WAIT
from tests.sensors.waiting import HOUR, INTERVAL, SOON, make
from tests.wire import in_front

pytestmark = pytest.mark.usefixtures("simulated_time")


def test_it_ends_when_nothing_is_unfinished(wait, record_store: RecordStore, service_name, sandbox) -> None:
    record_store.fill(3)
    moving(record_store, DONE[service_name], 2 * HOUR)
    ends_with(sandbox, service_name, request=3)

    result = wait(fail_on=())

    assert result["count"] == sum(result["statuses"].values()) == 4
    assert set(result["statuses"]) <= {DONE[service_name], "failed"}
    assert sandbox.wire.requests(service_name) >= 3


def test_an_empty_list_has_nothing_to_wait_for(wait, record_store: RecordStore) -> None:
    assert wait() == {"statuses": {}, "count": 0, "looked_at": 0}


def test_a_row_that_is_no_record_may_be_unfinished(wait, connections, service_name) -> None:
    id_ = {"vlmrun": "id", "cradl": "predictionId"}[service_name]
    rows = [json.dumps({id_: "a", "status": DONE[service_name]}).encode(), b"null"]

    with in_front(connections, lambda app: Listing(service_name, rows, app)):
        with pytest.raises(AirflowSensorTimeout):
            wait()
        assert wait(waiting_statuses=["pending"])["count"] == 1


def test_a_wait_by_ids_ignores_other_unfinished_predictions(
    wait, record_store: RecordStore, service_name
) -> None:
    record_store.fill(5)
    ids = [moving(record_store, DONE[service_name], SOON), moving(record_store, DONE[service_name], SOON)]
    moving(record_store, DONE[service_name], 2 * HOUR)

    assert wait(prediction_ids=ids) == {
        "statuses": {DONE[service_name]: 2},
        "count": 2,
        "looked_at": 2,
    }


def test_ids_may_come_as_text_from_a_template(wait, record_store: RecordStore, service_name) -> None:
    ids = [moving(record_store, DONE[service_name], SOON), moving(record_store, DONE[service_name], SOON)]

    assert wait(prediction_ids=", ".join(ids))["count"] == 2


def test_no_ids_are_no_predictions_to_wait_for(wait, record_store: RecordStore, sandbox) -> None:
    moving(record_store, "failed", 2 * HOUR)

    assert wait(prediction_ids=[]) == {"statuses": {}, "count": 0, "looked_at": 0}
    assert not sandbox.wire.seen


def test_the_window_limits_the_wait(wait, record_store: RecordStore, service_name) -> None:
    now = datetime.now(UTC)
    record_store.add(created=now - timedelta(days=3), work=HOUR * 1000)
    moving(record_store, DONE[service_name], SOON)

    assert wait(created_after=now - timedelta(days=1)) == {
        "statuses": {DONE[service_name]: 1},
        "count": 1,
        "looked_at": 2,
    }


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_failed_prediction_fails_the_task_and_is_named(
    wait, record_store: RecordStore, status: str
) -> None:
    id_ = moving(record_store, status, SOON)

    with pytest.raises(AirflowFailException, match=f"1 of 1 predictions: {id_} is {status}"):
        wait()


def test_many_failed_predictions_are_counted_and_ten_are_named(wait, record_store: RecordStore) -> None:
    for _ in range(12):
        moving(record_store, "failed", 0)

    with pytest.raises(AirflowFailException, match=r"12 of 12 predictions: .* and 2 more") as caught:
        wait()

    assert str(caught.value).count(", ") == 9
    assert str(caught.value).count("are failed") == 1


def test_only_the_statuses_of_fail_on_fail(wait, record_store: RecordStore) -> None:
    moving(record_store, "failed", SOON)

    assert wait(fail_on=["cancelled"]) == {"statuses": {"failed": 1}, "count": 1, "looked_at": 1}


def test_an_unknown_status_is_waited_for(record_store: RecordStore, connections, service_name) -> None:
    row = record_store.add()
    row.outcome = "archived"

    with pytest.raises(AirflowSensorTimeout):
        make(WAIT[service_name], timeout=10 * INTERVAL).execute({})


def test_statuses_to_wait_for_can_be_named(wait, record_store: RecordStore) -> None:
    row = record_store.add()
    row.outcome = "archived"

    assert wait(waiting_statuses=["pending", "running"]) == {
        "statuses": {"archived": 1},
        "count": 1,
        "looked_at": 1,
    }


def test_an_id_that_comes_later_is_waited_for(wait, record_store: RecordStore, sandbox, service_name) -> None:
    later = moving(record_store, DONE[service_name], 0)
    row = record_store.rows[0]
    record_store.remove([later])
    on_request(sandbox, service_name, 3, lambda: record_store.rows.insert(0, row))

    assert wait(prediction_ids=[later])["count"] == 1


def test_an_id_that_never_comes_fails_the_task_after_its_timeout(wait, record_store: RecordStore) -> None:
    with pytest.raises(AirflowFailException, match=r"prediction_ids: .* does not know nobody after"):
        wait(prediction_ids=["nobody"], missing_timeout=5 * INTERVAL)


@pytest.mark.parametrize("before", range(4))
def test_an_id_that_one_poll_does_not_find_fails_no_wait(
    wait, record_store: RecordStore, connections, service_name, before: int
) -> None:
    id_ = moving(record_store, DONE[service_name], 4.5 * INTERVAL)
    connections.wire.order(Fault(service_name, status=404, body=b"{}", after=before))

    assert wait(prediction_ids=[id_], missing_timeout=INTERVAL / 2)["count"] == 1


@pytest.mark.parametrize("gone", [2, 9], ids=["for a while", "for good"])
@pytest.mark.parametrize("mode", ["poke", "deferred"], indirect=True)
def test_an_id_that_the_service_hides_late_is_waited_for_again(
    wait, record_store: RecordStore, sandbox, service_name, gone: int
) -> None:
    id_ = moving(record_store, DONE[service_name], 12 * INTERVAL)
    rows = [*record_store.rows]
    on_request(sandbox, service_name, 9, lambda: record_store.remove([id_]))
    on_request(sandbox, service_name, 9 + gone, lambda: record_store.rows.extend(rows))

    if gone == 2:
        assert wait(prediction_ids=[id_], missing_timeout=5 * INTERVAL)["count"] == 1
    else:
        with pytest.raises(AirflowFailException, match=rf"does not know {id_} after (3[0-9]|29)\d s"):
            wait(prediction_ids=[id_], missing_timeout=5 * INTERVAL)


@pytest.mark.parametrize("gone", [2, 9], ids=["for a while", "for good"])
@pytest.mark.parametrize("mode", ["poke", "deferred"], indirect=True)
def test_an_unfinished_prediction_that_the_list_hides_is_waited_for_as_long_as_a_missing_id(
    wait, record_store: RecordStore, sandbox, service_name, gone: int
) -> None:
    id_ = moving(record_store, DONE[service_name], 12 * INTERVAL)
    rows = [*record_store.rows]
    on_request(sandbox, service_name, 4, record_store.rows.clear)
    on_request(sandbox, service_name, 4 + gone, lambda: record_store.rows.extend(rows))
    start = time.time()

    waited = wait(missing_timeout=5 * INTERVAL)

    assert waited["statuses"] == ({DONE[service_name]: 1} if gone == 2 else {}), id_
    assert time.time() - start >= (6 if gone == 9 else 12) * INTERVAL


@pytest.mark.parametrize("mode", ["poke", "deferred"], indirect=True)
@pytest.mark.parametrize("other", ["created_before", "waiting_statuses", "missing_timeout"])
def test_a_hidden_prediction_that_a_wait_does_not_wait_for_delays_nothing(
    wait, record_store: RecordStore, sandbox, service_name, other: str
) -> None:
    moving(record_store, DONE[service_name], SOON)
    hidden = moving(record_store, DONE[service_name], HOUR)
    on_request(sandbox, service_name, 3, lambda: record_store.remove([hidden]))
    start = time.time()

    wait(
        **{other: {"created_before": record_store.rows[0].created, "missing_timeout": 0}.get(other, ["new"])}
    )

    assert time.time() - start < 4 * INTERVAL


def test_the_least_number_is_waited_for(wait, record_store: RecordStore, sandbox, service_name) -> None:
    moving(record_store, DONE[service_name], 0)
    on_request(sandbox, service_name, 4, lambda: moving(record_store, DONE[service_name], 0))

    assert wait(min_predictions=2)["count"] == 2


def test_an_unknown_status_is_warned_of(wait, record_store: RecordStore, capsys, caplog) -> None:
    record_store.add().outcome = "archived"

    with pytest.raises(AirflowSensorTimeout):
        wait(timeout=3 * INTERVAL)

    assert "The status 'archived' is not known" in capsys.readouterr().out + caplog.text


def test_a_finished_list_is_never_deferred(record_store: RecordStore, connections, service_name) -> None:
    record_store.add().outcome = DONE[service_name]

    assert make(WAIT[service_name], deferrable=True).execute({})["count"] == 1


def test_a_trigger_holds_no_secret_and_survives_the_database(record_store, connections, service_name) -> None:
    moving(record_store, "failed", 2 * HOUR)
    sensor = make(
        WAIT[service_name],
        deferrable=True,
        created_after=datetime(2026, 1, 1, tzinfo=UTC),
        statuses=["pending"],
        waiting_statuses="pending",
    )
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})

    path, arguments = deferred.value.trigger.serialize()

    assert deserialize(serialize(arguments)) == arguments == json.loads(json.dumps(arguments))
    assert type(deferred.value.trigger)(**arguments).serialize() == (path, arguments)
    assert "sandbox-" not in str(arguments)


def test_the_trigger_leaves_the_event_loop_free(record_store, connections, service_name) -> None:
    moving(record_store, DONE[service_name], SOON)
    with pytest.raises(TaskDeferred) as deferred:
        make(WAIT[service_name], deferrable=True).execute({})
    connections.tokens.revoke()

    async def run() -> list[Any]:
        with event_loop_free(connections):
            return [event async for event in deferred.value.trigger.run()]

    (event,) = asyncio.run(run())

    assert event.payload["state"] == "done"


def test_the_shortest_interval_of_a_trigger_is_five_seconds() -> None:
    assert Poller.shortest_interval == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"prediction_ids": 7.5}, "prediction_ids: "),
        ({"fail_on": None}, "fail_on: "),
        ({"page_size": 0}, "page_size: "),
        ({"min_predictions": -1}, "min_predictions: "),
        ({"missing_timeout": "soon"}, "missing_timeout: "),
        ({"max_interval": 10, "poke_interval": 60}, "max_interval: "),
        ({"max_failures": 0}, "max_failures: "),
        ({"created_after": "2026-02-01", "created_before": "2026-01-01"}, "created_before: "),
    ],
)
def test_a_wrong_argument_is_named_when_the_dag_is_parsed(service_name, arguments, words) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make(WAIT[service_name], **arguments)


def test_an_unknown_argument_is_refused_by_name(service_name) -> None:
    with pytest.raises((TypeError, AirflowException), match="colour"):
        make(WAIT[service_name], colour="red")


def test_everything_textual_is_templated(service_name) -> None:
    fields = set(WAIT[service_name].template_fields)

    assert fields >= {"prediction_ids", "fail_on", "waiting_statuses", "statuses", "created_after"}
    assert f"{service_name}_conn_id" in fields


def test_an_empty_list_of_ids_ends_the_wait_at_once_with_a_warning(
    connections, service_name, capsys, caplog
) -> None:
    sensor = make(WAIT[service_name], prediction_ids=[], fail_on=())

    assert sensor.poke({}).is_done
    assert not [seen for seen in connections.wire.seen if "predictions" in seen.path]
    assert "prediction_ids: is an empty list" in capsys.readouterr().out + caplog.text
