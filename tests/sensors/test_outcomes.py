"""How a wait ends, by what has ended it and by what the task is to do then; and what it says of words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_predictions.api.errors import TransientError
from airflow_provider_predictions.sandbox.store import RecordStore
from tests.compat import AIRFLOW, TaskDeferralError, logged, needs
from tests.conftest import moving, on_request
from tests.faults import Fault
from tests.given import DONE, WAIT
from tests.sensors.waiting import HOUR, INTERVAL, SOON, make

pytestmark = pytest.mark.usefixtures("simulated_time")

FLAGS: dict[str, dict[str, bool]] = {
    "neither": {},
    "soft_fail": {"soft_fail": True},
    "never_fail": {"never_fail": True},
}
FAILS, SKIPS, RETRIES, TIMES_OUT = (
    AirflowFailException,
    AirflowSkipException,
    TransientError,
    AirflowSensorTimeout,
)
TABLE: dict[str, tuple[type[Exception], type[Exception], type[Exception]]] = {
    "a status of fail_on": (FAILS, SKIPS, SKIPS),
    "an id that never comes": (FAILS, SKIPS, SKIPS),
    "timeout": (TIMES_OUT, SKIPS, SKIPS),
    "max_failures": (RETRIES, RETRIES, SKIPS),
    "a refused key": (FAILS, FAILS, SKIPS),
    "a refused key at once": (FAILS, FAILS, SKIPS),
}


def prepare(what: str, record_store: RecordStore, sandbox: Any, service: str) -> dict[str, Any]:
    """Order what ends the wait; the arguments of the sensor."""
    refusal = {"status": 403, "body": b'{"message": "no more"}', "times": 99}
    if what == "a status of fail_on":
        moving(record_store, "failed", SOON)
        return {}
    if what == "an id that never comes":
        return {"prediction_ids": ["nobody"], "missing_timeout": 3 * INTERVAL}
    moving(record_store, DONE[service], 2 * HOUR)
    if what == "timeout":
        return {"timeout": 5 * INTERVAL}
    if what == "max_failures":
        sandbox.wire.order(Fault(service, after=2, times=99))
    else:
        sandbox.wire.order(Fault(service, after=0 if what.endswith("at once") else 2, **refusal))
    return {}


@pytest.mark.parametrize("what", TABLE)
@pytest.mark.parametrize("flag", FLAGS)
def test_the_end_of_a_wait_is_the_same_in_each_way(
    wait, mode, record_store: RecordStore, sandbox, service_name, what, flag
) -> None:
    if mode == "reschedule" and what == "max_failures":
        needs(3, 3, "`max_failures` in `reschedule` mode")
    arguments = prepare(what, record_store, sandbox, service_name)

    with pytest.raises(TABLE[what][list(FLAGS).index(flag)]):
        wait(**arguments, **FLAGS[flag])


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        ("Trigger timeout" if AIRFLOW >= (3, 0) else "Trigger/execution timeout", (TIMES_OUT, SKIPS, SKIPS)),
        ("Trigger failure", (TaskDeferralError, TaskDeferralError, SKIPS)),
    ],
)
@pytest.mark.parametrize("flag", FLAGS)
def test_a_trigger_that_airflow_gives_up_ends_a_wait_like_any_other(
    record_store: RecordStore, connections, service_name, error, ends, flag
) -> None:
    sensor = make(WAIT[service_name], deferrable=True, **FLAGS[flag])

    with pytest.raises(ends[list(FLAGS).index(flag)]):
        sensor.resume_execution("__fail__", {"error": error}, {})


@pytest.mark.parametrize("flag", FLAGS)
def test_a_foreign_event_is_skipped_only_with_never_fail(service_name, flag) -> None:
    sensor = make(WAIT[service_name], **FLAGS[flag])

    with pytest.raises(SKIPS if flag == "never_fail" else RETRIES):
        sensor.resume_execution("execute_complete", {"event": {"state": "odd"}}, {})


# --- what a wait says of words, and of what it has looked at -----------------------------------------


def test_the_result_says_how_many_records_were_looked_at(
    wait, record_store: RecordStore, service_name
) -> None:
    for _ in range(3):
        moving(record_store, DONE[service_name], 0)

    assert wait(statuses=["failed"]) == {"statuses": {}, "count": 0, "looked_at": 3}
    assert wait(prediction_ids=[record_store.rows[0].id])["looked_at"] == 1


def test_a_wait_that_is_deferred_says_so_too(wait, record_store: RecordStore, service_name) -> None:
    moving(record_store, DONE[service_name], SOON)

    assert wait() == {"statuses": {DONE[service_name]: 1}, "count": 1, "looked_at": 1}


@pytest.mark.parametrize("argument", ["fail_on", "waiting_statuses", "statuses"])
def test_a_word_that_is_neither_known_nor_met_is_named_once(
    wait, record_store: RecordStore, service_name, argument, capsys, caplog
) -> None:
    moving(record_store, DONE[service_name], SOON)
    known = {"fail_on": ["cancelled"], "waiting_statuses": ["pending", "running"], "statuses": ["pending"]}

    wait(**{argument: [*known[argument], "complet"]})

    log = logged(capsys, caplog)
    assert log.count(f"{argument}: 'complet'") == 1
    assert "found: " in log


def test_a_word_is_named_when_the_wait_times_out(wait, record_store: RecordStore, capsys, caplog) -> None:
    moving(record_store, "failed", 2 * HOUR)

    with pytest.raises(AirflowSensorTimeout):
        wait(statuses=["complet"], min_predictions=1, timeout=5 * INTERVAL)

    assert logged(capsys, caplog).count("statuses: 'complet'") == 1


def test_a_new_word_that_was_met_in_an_earlier_poll_is_not_named(
    wait, mode, record_store: RecordStore, sandbox, service_name, capsys, caplog
) -> None:
    if mode == "reschedule":
        needs(3, 3, "statuses of earlier polls in `reschedule` mode")
    row = record_store.add()
    row.outcome, row.work = "reviewing", 0

    def finish() -> None:
        row.outcome = DONE[service_name]

    on_request(sandbox, service_name, 3, finish)

    wait(waiting_statuses=["reviewing"])

    assert "waiting_statuses: 'reviewing'" not in logged(capsys, caplog)


def test_what_fails_by_default_is_never_named(
    wait, record_store: RecordStore, service_name, capsys, caplog
) -> None:
    moving(record_store, DONE[service_name], SOON)

    wait()

    assert "fail_on: " not in logged(capsys, caplog)


def test_predictions_that_failed_alike_are_named_together(wait, record_store: RecordStore) -> None:
    ids = [moving(record_store, "failed", 0) for _ in range(3)]

    with pytest.raises(AirflowFailException) as caught:
        wait()

    message = str(caught.value)
    assert message.count("failed") == message.count("are failed") == 1
    assert all(id_ in message for id_ in ids)
    assert "fail_on=()" in message


def test_the_trigger_carries_only_json(record_store: RecordStore, connections, service_name) -> None:
    moving(record_store, DONE[service_name], 2 * HOUR)
    with pytest.raises(TaskDeferred) as deferred:
        make(WAIT[service_name], deferrable=True, statuses=["pending", "complet"]).execute({})

    _, arguments = deferred.value.trigger.serialize()

    assert json.loads(json.dumps(arguments)) == arguments
