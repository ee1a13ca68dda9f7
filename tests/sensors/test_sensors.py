"""One table of cases for each way to wait, in simulated time; what each does when something goes wrong."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_predictions.api.errors import ConfigurationError, ServerError, TransientError
from airflow_provider_predictions.sandbox.faults import Fault
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.shelf import Shelf
from airflow_provider_predictions.sensors.base import PredictionsSensor
from airflow_provider_predictions.sensors.cradl import CradlPredictionsSensor
from airflow_provider_predictions.sensors.vlmrun import VlmRunPredictionsSensor
from airflow_provider_predictions.triggers.base import PredictionsTrigger
from airflow_provider_predictions.triggers.poller import Poller
from tests.compat import AIRFLOW, AirflowRescheduleException, Rescheduled, deserialize, needs, serialize
from tests.conftest import connection_json, ends_with, event_loop_free, moving, on_request

pytestmark = pytest.mark.usefixtures("simulated_time")

SENSORS = {"vlmrun": VlmRunPredictionsSensor, "cradl": CradlPredictionsSensor}
DONE = {"vlmrun": "completed", "cradl": "succeeded"}
INTERVAL = 60.0
HOUR = 3600.0
SOON = 1.5 * INTERVAL
"""Seconds after which most predictions end: between the second poll and the third."""
STATE_STORE = "failures in a row of rescheduled sensors"


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


def rescheduled(sensor: type[PredictionsSensor], **arguments: Any) -> Any:
    """Wait with a new process for each poke; Airflow remembers the time of the first one, and a state."""
    task = Rescheduled()
    while True:
        started = datetime.now(UTC)
        try:
            return make(sensor, mode="reschedule", **arguments).execute(task.context)
        except AirflowRescheduleException as again:
            task.began(started)
            time.sleep(max(0.0, (again.reschedule_date - datetime.now(UTC)).total_seconds()))


@pytest.fixture(params=["poke", "reschedule", "deferred"])
def mode(request: pytest.FixtureRequest) -> str:
    """Each way to wait in turn."""
    mode: str = request.param
    return mode


@pytest.fixture
def wait(request: pytest.FixtureRequest, mode: str, connections: Sandbox, service_name: str):
    """Wait in each way; the result, or what was raised."""
    if mode == "reschedule" and AIRFLOW < (3, 0):
        request.getfixturevalue("airflow_db")

    def run(**arguments: Any) -> Any:
        sensor = SENSORS[service_name]
        if mode == "reschedule":
            return rescheduled(sensor, **arguments)
        if mode == "deferred":
            return in_trigger(make(sensor, deferrable=True, **arguments))
        return make(sensor, **arguments).execute({})

    return run


# --- when the wait ends ------------------------------------------------------------------------------


def test_it_ends_when_nothing_is_unfinished(wait, shelf: Shelf, service_name, sandbox) -> None:
    shelf.fill(3)
    moving(shelf, DONE[service_name], 2 * HOUR)
    ends_with(sandbox, service_name, request=3)

    result = wait(fail_on=())

    assert result["count"] == sum(result["statuses"].values()) == 4
    assert set(result["statuses"]) <= {DONE[service_name], "failed"}
    assert sandbox.wire.requests(service_name) >= 3


def test_an_empty_list_has_nothing_to_wait_for(wait, shelf: Shelf) -> None:
    assert wait() == {"statuses": {}, "count": 0}


def test_given_ids_are_waited_for_whatever_else_is_unfinished(wait, shelf: Shelf, service_name) -> None:
    shelf.fill(5)
    ids = [moving(shelf, DONE[service_name], SOON), moving(shelf, DONE[service_name], SOON)]
    moving(shelf, DONE[service_name], 2 * HOUR)

    assert wait(prediction_ids=ids) == {"statuses": {DONE[service_name]: 2}, "count": 2}


def test_ids_may_come_as_text_from_a_template(wait, shelf: Shelf, service_name) -> None:
    ids = [moving(shelf, DONE[service_name], SOON), moving(shelf, DONE[service_name], SOON)]

    assert wait(prediction_ids=", ".join(ids))["count"] == 2


def test_no_ids_are_no_predictions_to_wait_for(wait, shelf: Shelf, sandbox) -> None:
    moving(shelf, "failed", 2 * HOUR)

    assert wait(prediction_ids=[]) == {"statuses": {}, "count": 0}
    assert not sandbox.wire.seen


def test_the_window_limits_what_is_waited_for(wait, shelf: Shelf, service_name) -> None:
    now = datetime.now(UTC)
    shelf.add(created=now - timedelta(days=3), work=HOUR * 1000)
    moving(shelf, DONE[service_name], SOON)

    assert wait(created_after=now - timedelta(days=1)) == {"statuses": {DONE[service_name]: 1}, "count": 1}


def test_a_failed_prediction_fails_the_task_and_is_named(wait, shelf: Shelf) -> None:
    id_ = moving(shelf, "failed", SOON)

    with pytest.raises(AirflowFailException, match=f"1 of 1 predictions: {id_} is failed"):
        wait()


def test_many_failed_predictions_are_counted_and_ten_are_named(wait, shelf: Shelf) -> None:
    for _ in range(12):
        moving(shelf, "failed", 0)

    with pytest.raises(AirflowFailException, match=r"12 of 12 predictions: .* and 2 more") as caught:
        wait()

    assert str(caught.value).count(" is failed") == 10


def test_only_the_statuses_of_fail_on_fail(wait, shelf: Shelf) -> None:
    moving(shelf, "failed", SOON)

    assert wait(fail_on=["cancelled"]) == {"statuses": {"failed": 1}, "count": 1}


def test_an_unknown_status_is_waited_for(shelf: Shelf, connections, service_name) -> None:
    row = shelf.add()
    row.outcome = "archived"

    with pytest.raises(AirflowSensorTimeout):
        make(SENSORS[service_name], timeout=10 * INTERVAL).execute({})


def test_statuses_to_wait_for_can_be_named(wait, shelf: Shelf) -> None:
    row = shelf.add()
    row.outcome = "archived"

    assert wait(waiting_statuses=["pending", "running"]) == {"statuses": {"archived": 1}, "count": 1}


# --- what goes wrong meanwhile -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({}, id="5xx with HTML"),
        pytest.param({"how": "reset"}, id="reset"),
        pytest.param({"how": "truncate"}, id="truncated body"),
        pytest.param({"status": 429, "body": b'{"message": "Too Many Requests"}'}, id="429"),
        pytest.param({"status": 200}, id="200 with HTML"),
    ],
)
def test_a_passing_fault_does_not_end_the_wait(wait, shelf: Shelf, sandbox, service_name, fault) -> None:
    moving(shelf, DONE[service_name], SOON)
    sandbox.wire.order(Fault(service_name, after=1, times=3, **fault))

    assert wait()["statuses"] == {DONE[service_name]: 1}


def test_five_failures_in_a_row_end_the_wait_as_one_that_a_retry_may_cure(
    wait, shelf: Shelf, sandbox, service_name, mode
) -> None:
    if mode == "reschedule":
        needs(3, 3, STATE_STORE)
    moving(shelf, "failed", 2 * HOUR)
    sandbox.wire.order(Fault(service_name, after=1, times=99))

    with pytest.raises((ServerError, TransientError), match="502"):
        wait()


def test_the_number_of_failures_can_be_given(wait, shelf: Shelf, sandbox, service_name, mode) -> None:
    if mode == "reschedule":
        needs(3, 3, STATE_STORE)
    for _ in range(2):
        moving(shelf, "failed", 2 * HOUR)
    sandbox.wire.order(Fault(service_name, after=2, times=99))

    with pytest.raises((ServerError, TransientError), match="502"):
        wait(max_failures=2)

    assert sandbox.wire.requests(service_name) <= 4


def test_a_failed_poll_is_not_repeated_before_the_next_interval(shelf: Shelf, sandbox, connections,
                                                                service_name) -> None:  # fmt: skip
    sandbox.wire.order(Fault(service_name, times=99))
    start = datetime.now(UTC)

    with pytest.raises(ServerError):
        make(SENSORS[service_name]).execute({})

    assert sandbox.wire.requests(service_name) == 5
    assert (datetime.now(UTC) - start).total_seconds() >= 4 * INTERVAL


def test_a_retry_after_puts_the_next_poll_off(wait, shelf, sandbox, service_name) -> None:
    moving(shelf, DONE[service_name], SOON)
    refusal = {"status": 429, "body": b'{"message": "Too Many Requests"}', "headers": {"Retry-After": "300"}}
    sandbox.wire.order(Fault(service_name, after=1, **refusal))
    start = time.time()

    assert wait()["count"] == 1
    assert time.time() - start > 300


def test_an_old_wait_pokes_less_often_where_it_may(service_name) -> None:
    sensor = make(SENSORS[service_name], poke_interval=10, max_interval=60)

    for age, seconds in ((0, 10), (50, 10), (300, 30), (9000, 60)):
        found = sensor._get_next_poke_interval(0, lambda age=age: age, 1)
        assert seconds <= found <= 1.1 * seconds


def test_a_key_that_is_refused_meanwhile_ends_the_wait_at_once(wait, shelf, sandbox, service_name) -> None:
    moving(shelf, "failed", 2 * HOUR)
    sandbox.wire.order(Fault(service_name, after=1, times=99, status=401, body=b'{"message": "no more"}'))

    with pytest.raises(AirflowFailException, match=r"\(password\)"):
        wait()

    assert sandbox.wire.requests(service_name) <= 4


def test_a_used_up_quota_ends_the_wait_at_once(sandbox, connections) -> None:
    sandbox.wire.order(Fault("cradl", status=429, body=b'{"message": "Limit Exceeded"}', times=99))

    with pytest.raises(AirflowFailException, match="Limit Exceeded"):
        make(CradlPredictionsSensor).execute({})

    assert sandbox.wire.requests("cradl") == 1


def test_a_token_that_expires_while_waiting_is_renewed(wait, shelf, sandbox, service_name) -> None:
    moving(shelf, DONE[service_name], SOON)
    sandbox.tokens.revoke()

    assert wait()["count"] == 1


def test_the_timeout_bounds_the_wait(shelf: Shelf, connections, service_name) -> None:
    moving(shelf, "failed", 2 * HOUR)

    sensor = make(SENSORS[service_name], timeout=7, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})

    assert deferred.value.timeout == timedelta(seconds=7)
    with pytest.raises(AirflowSensorTimeout):
        make(SENSORS[service_name], timeout=10 * INTERVAL).execute({})


def test_the_timeout_ends_the_wait_in_each_way(wait, shelf: Shelf) -> None:
    moving(shelf, "failed", 2 * HOUR)
    start = time.time()

    with pytest.raises(AirflowSensorTimeout):
        wait(timeout=10 * INTERVAL)

    assert 10 * INTERVAL <= time.time() - start < 12 * INTERVAL


def test_soft_fail_skips_on_a_timeout(wait, shelf: Shelf) -> None:
    moving(shelf, "failed", 2 * HOUR)

    with pytest.raises(AirflowSkipException):
        wait(timeout=10 * INTERVAL, soft_fail=True)


def test_an_id_that_comes_later_is_waited_for(wait, shelf: Shelf, sandbox, service_name) -> None:
    later = moving(shelf, DONE[service_name], 0)
    row = shelf.rows[0]
    shelf.remove([later])
    on_request(sandbox, service_name, 3, lambda: shelf.rows.insert(0, row))

    assert wait(prediction_ids=[later])["count"] == 1


def test_an_id_that_never_comes_fails_the_task_after_its_timeout(wait, shelf: Shelf) -> None:
    with pytest.raises(AirflowFailException, match=r"prediction_ids: .* has not known nobody for"):
        wait(prediction_ids=["nobody"], missing_timeout=5 * INTERVAL)


def test_the_least_number_is_waited_for(wait, shelf: Shelf, sandbox, service_name) -> None:
    moving(shelf, DONE[service_name], 0)
    on_request(sandbox, service_name, 4, lambda: moving(shelf, DONE[service_name], 0))

    assert wait(min_predictions=2)["count"] == 2


def test_an_unknown_status_is_warned_of(wait, shelf: Shelf, capsys, caplog) -> None:
    shelf.add().outcome = "archived"

    with pytest.raises(AirflowSensorTimeout):
        wait(timeout=3 * INTERVAL)

    assert "The status 'archived' is not known" in capsys.readouterr().out + caplog.text


def test_soft_fail_skips_on_a_failed_prediction(wait, shelf: Shelf) -> None:
    moving(shelf, "failed", SOON)

    with pytest.raises(AirflowSkipException):
        wait(soft_fail=True)


def test_soft_fail_does_not_skip_on_a_wrong_key(wait, shelf, sandbox, monkeypatch, service_name) -> None:
    value = connection_json(sandbox, service_name, password="wrong-one")
    monkeypatch.setenv(f"AIRFLOW_CONN_{service_name.upper()}_DEFAULT", value)

    with pytest.raises(AirflowFailException, match=r"\(password\)"):
        wait(soft_fail=True)


def test_soft_fail_does_not_skip_on_a_key_refused_while_deferred(shelf, sandbox, connections,
                                                                 service_name) -> None:  # fmt: skip
    moving(shelf, "failed", 2 * HOUR)
    sandbox.wire.order(Fault(service_name, after=1, times=99, status=403, body=b'{"message": "no more"}'))

    with pytest.raises(AirflowFailException, match="no more"):
        in_trigger(make(SENSORS[service_name], deferrable=True, soft_fail=True))


def test_a_finished_list_is_never_deferred(shelf: Shelf, connections, service_name) -> None:
    shelf.add().outcome = DONE[service_name]

    assert make(SENSORS[service_name], deferrable=True).execute({})["count"] == 1


@pytest.mark.parametrize(
    "event", [None, {}, {"state": "done"}, {"state": "odd", "message": "", "statuses": {}}]
)
def test_an_event_that_is_not_the_triggers_fails_closed(service_name, event) -> None:
    with pytest.raises(TransientError, match="event"):
        make(SENSORS[service_name]).execute_complete({}, event)


# --- the trigger -------------------------------------------------------------------------------------


def test_a_trigger_holds_no_secret_and_survives_the_database(shelf, connections, service_name) -> None:
    moving(shelf, "failed", 2 * HOUR)
    sensor = make(
        SENSORS[service_name],
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


def test_the_trigger_leaves_the_event_loop_free(shelf, connections, service_name) -> None:
    moving(shelf, DONE[service_name], SOON)
    with pytest.raises(TaskDeferred) as deferred:
        make(SENSORS[service_name], deferrable=True).execute({})
    connections.tokens.revoke()

    async def run() -> list[Any]:
        with event_loop_free(connections):
            return [event async for event in deferred.value.trigger.run()]

    (event,) = asyncio.run(run())

    assert event.payload["state"] == "done"


def test_the_shortest_interval_of_a_trigger_is_five_seconds() -> None:
    assert Poller.shortest_interval == 5


# --- arguments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"prediction_ids": 7}, "prediction_ids: "),
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
        make(SENSORS[service_name], **arguments)


def test_an_unknown_argument_is_refused_by_name(service_name) -> None:
    with pytest.raises((TypeError, AirflowException), match="colour"):
        make(SENSORS[service_name], colour="red")


def test_everything_textual_is_templated(service_name) -> None:
    fields = set(SENSORS[service_name].template_fields)

    assert fields >= {"prediction_ids", "fail_on", "waiting_statuses", "statuses", "created_after"}
    assert f"{service_name}_conn_id" in fields
