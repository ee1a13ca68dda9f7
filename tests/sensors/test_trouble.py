"""What each way to wait does when something goes wrong meanwhile, in simulated time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_predictions.api.errors import ServerError, TransientError
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.sandbox.store import RecordStore
from airflow_provider_predictions.sensors.cradl import CradlPredictionsSensor
from airflow_provider_predictions.sensors.vlmrun import VlmRunPredictionsSensor
from airflow_provider_predictions.triggers.poller import Poller
from tests.compat import AIRFLOW, Rescheduled, needs
from tests.conftest import moving
from tests.faults import Fault
from tests.given import DONE, WAIT, connect
from tests.sensors.waiting import HOUR, INTERVAL, SOON, in_trigger, make, rescheduled

pytestmark = pytest.mark.usefixtures("simulated_time")


STATE_STORE = "`max_failures` in `reschedule` mode"
SHORTEST = Poller.shortest_interval


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
def test_a_transient_error_does_not_end_the_wait(
    wait, record_store: RecordStore, sandbox, service_name, fault
) -> None:
    moving(record_store, DONE[service_name], SOON)
    sandbox.wire.order(Fault(service_name, after=1, times=3, **fault))

    assert wait()["statuses"] == {DONE[service_name]: 1}


def test_five_failures_in_a_row_end_the_wait_with_a_retryable_error(
    wait, record_store: RecordStore, sandbox, service_name, mode
) -> None:
    if mode == "reschedule":
        needs(3, 3, STATE_STORE)
    moving(record_store, "failed", 2 * HOUR)
    sandbox.wire.order(Fault(service_name, after=1, times=99))

    with pytest.raises((ServerError, TransientError), match="502"):
        wait()


def test_the_number_of_failures_can_be_given(
    wait, record_store: RecordStore, sandbox, service_name, mode
) -> None:
    if mode == "reschedule":
        needs(3, 3, STATE_STORE)
    for _ in range(2):
        moving(record_store, "failed", 2 * HOUR)
    sandbox.wire.order(Fault(service_name, after=2, times=99))

    with pytest.raises((ServerError, TransientError), match="502"):
        wait(max_failures=2)

    assert sandbox.wire.requests(service_name) <= 4


def test_a_cleared_task_does_not_count_what_failed_before(
    connections, record_store: RecordStore, sandbox, service_name
) -> None:
    """Airflow keeps the state of a task when a person clears it."""
    needs(3, 3, STATE_STORE)
    row = record_store.add(work=1e6)
    row.outcome, task = DONE[service_name], Rescheduled()
    sandbox.wire.order(Fault(service_name, times=3))
    with pytest.raises(AirflowSensorTimeout):
        rescheduled(WAIT[service_name], task, timeout=INTERVAL / 2, max_failures=3)
    task.clear()
    row.work = 0

    assert rescheduled(WAIT[service_name], task, max_failures=3)["count"] == 1


class MoodyHook(VlmRunHook):
    """A secrets backend that does not find the connection each time."""

    found: ClassVar[list[bool]] = []

    @classmethod
    def get_connection(cls, conn_id: str) -> Any:
        if cls.found and not cls.found.pop(0):
            raise AirflowNotFoundException("The secrets backend does not respond")
        return super().get_connection(conn_id)


class MoodySensor(VlmRunPredictionsSensor):
    """Waits with it."""

    hook_class = MoodyHook


def moody(mode: str, **arguments: object) -> Any:
    if mode == "reschedule":
        return rescheduled(MoodySensor, **arguments)
    return make(MoodySensor, **arguments).execute({})


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_connection_that_a_worker_cannot_read_for_a_while_does_not_end_the_wait(
    connections, sandbox, mode: str, request: pytest.FixtureRequest
) -> None:
    if AIRFLOW < (3, 0):
        request.getfixturevalue("airflow_db")
    moving(sandbox.vlmrun, "completed", SOON)
    MoodyHook.found[:] = [True, False, False, False]

    assert moody(mode)["count"] == 1


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_connection_that_no_poll_of_a_worker_could_read_fails_the_task_at_once(
    connections, mode: str, request: pytest.FixtureRequest
) -> None:
    if AIRFLOW < (3, 0):
        request.getfixturevalue("airflow_db")
    MoodyHook.found[:] = [False]

    with pytest.raises(AirflowNotFoundException):
        moody(mode)


def test_a_failed_poll_is_not_repeated_before_the_next_interval(
    record_store: RecordStore, sandbox, connections, service_name
) -> None:
    sandbox.wire.order(Fault(service_name, times=99))
    start = datetime.now(UTC)

    with pytest.raises(ServerError):
        make(WAIT[service_name]).execute({})

    assert sandbox.wire.requests(service_name) == 5
    assert (datetime.now(UTC) - start).total_seconds() >= 4 * INTERVAL


def test_a_retry_after_delays_the_next_poll(wait, record_store, sandbox, service_name) -> None:
    moving(record_store, DONE[service_name], SOON)
    refusal = {"status": 429, "body": b'{"message": "Too Many Requests"}', "headers": {"Retry-After": "300"}}
    sandbox.wire.order(Fault(service_name, after=1, **refusal))
    start = time.time()

    assert wait()["count"] == 1
    assert time.time() - start > 300


def test_an_old_wait_pokes_less_often_with_max_interval(service_name) -> None:
    sensor = make(WAIT[service_name], poke_interval=10, max_interval=60)

    for age, seconds in ((0, 10), (50, 10), (300, 30), (9000, 60)):
        found = sensor._get_next_poke_interval(0, lambda age=age: age, 1)
        assert seconds <= found <= 1.1 * seconds


def test_a_key_that_is_refused_meanwhile_ends_the_wait_at_once(
    wait, record_store, sandbox, service_name
) -> None:
    moving(record_store, "failed", 2 * HOUR)
    sandbox.wire.order(Fault(service_name, after=1, times=99, status=401, body=b'{"message": "no more"}'))

    with pytest.raises(AirflowFailException, match=r"\(password\)"):
        wait()

    assert sandbox.wire.requests(service_name) <= 4


def test_a_used_up_quota_ends_the_wait_at_once(sandbox, connections) -> None:
    sandbox.wire.order(Fault("cradl", status=429, body=b'{"message": "Limit Exceeded"}', times=99))

    with pytest.raises(AirflowFailException, match="Limit Exceeded"):
        make(CradlPredictionsSensor).execute({})

    assert sandbox.wire.requests("cradl") == 1


def test_a_token_that_expires_while_waiting_is_renewed(wait, record_store, sandbox, service_name) -> None:
    moving(record_store, DONE[service_name], SOON)
    sandbox.tokens.revoke()

    assert wait()["count"] == 1


def test_the_timeout_bounds_the_wait(record_store: RecordStore, connections, service_name) -> None:
    moving(record_store, "failed", 2 * HOUR)

    sensor = make(WAIT[service_name], timeout=7, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})

    assert deferred.value.timeout == timedelta(seconds=7)
    with pytest.raises(AirflowSensorTimeout):
        make(WAIT[service_name], timeout=10 * INTERVAL).execute({})


@pytest.mark.parametrize("timeout", [0, 1, 4.9])
def test_no_deferral_ends_before_the_scheduler_has_seen_it(
    record_store: RecordStore, connections, service_name, timeout: float
) -> None:
    """Else Airflow takes the task for one that was killed, and fails it whatever soft_fail says."""
    moving(record_store, "failed", 2 * HOUR)
    sensor, start = make(WAIT[service_name], timeout=timeout, deferrable=True, soft_fail=True), time.time()

    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    assert deferred.value.timeout >= timedelta(seconds=SHORTEST)
    with pytest.raises(AirflowSkipException, match="Not finished within"):
        in_trigger(make(WAIT[service_name], timeout=timeout, deferrable=True, soft_fail=True))

    assert SHORTEST <= time.time() - start < 2 * SHORTEST


@pytest.mark.parametrize("timeout", [timedelta.max, 1e12])
def test_airflow_can_store_the_end_of_any_deferral(
    record_store: RecordStore, connections, service_name, timeout: float
) -> None:
    moving(record_store, "failed", 2 * HOUR)

    with pytest.raises(TaskDeferred) as deferred:
        make(WAIT[service_name], timeout=timeout, deferrable=True).execute({})

    assert datetime.now(UTC) + deferred.value.timeout


def test_the_timeout_ends_the_wait_in_each_way(wait, record_store: RecordStore) -> None:
    moving(record_store, "failed", 2 * HOUR)
    start = time.time()

    with pytest.raises(AirflowSensorTimeout):
        wait(timeout=10 * INTERVAL)

    assert 10 * INTERVAL <= time.time() - start < 12 * INTERVAL


def test_soft_fail_skips_on_a_timeout(wait, record_store: RecordStore) -> None:
    moving(record_store, "failed", 2 * HOUR)

    with pytest.raises(AirflowSkipException):
        wait(timeout=10 * INTERVAL, soft_fail=True)


def test_soft_fail_skips_on_a_failed_prediction(wait, record_store: RecordStore) -> None:
    moving(record_store, "failed", SOON)

    with pytest.raises(AirflowSkipException):
        wait(soft_fail=True)


def test_soft_fail_does_not_skip_on_a_wrong_key(
    wait, record_store, sandbox, monkeypatch, service_name
) -> None:
    wrong = sandbox.connection(service_name, password="wrong-one")
    connect(monkeypatch, wrong, f"{service_name}_default")

    with pytest.raises(AirflowFailException, match=r"\(password\)"):
        wait(soft_fail=True)


def test_soft_fail_does_not_skip_on_a_key_refused_while_deferred(record_store, sandbox, connections,
                                                                 service_name) -> None:  # fmt: skip
    moving(record_store, "failed", 2 * HOUR)
    sandbox.wire.order(Fault(service_name, after=1, times=99, status=403, body=b'{"message": "no more"}'))

    with pytest.raises(AirflowFailException, match="no more"):
        in_trigger(make(WAIT[service_name], deferrable=True, soft_fail=True))


@pytest.mark.parametrize(
    "event", [None, {}, {"state": "done"}, {"state": "odd", "message": "", "statuses": {}}]
)
def test_a_foreign_event_fails_the_task(service_name, event) -> None:
    with pytest.raises(TransientError, match="event"):
        make(WAIT[service_name]).execute_complete({}, event)
