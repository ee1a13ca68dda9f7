"""What a poll that fails means for those who wait, in simulated time."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any, ClassVar

import pytest

from airflow_provider_predictions.api.http.client import AsyncClient
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.sandbox.store import RecordStore
from airflow_provider_predictions.triggers.vlmrun import VlmRunPredictionsTrigger
from tests.conftest import moving
from tests.faults import Fault, FaultySandbox
from tests.given import DONE
from tests.triggers.waits import INTERVAL, fire, run_all, trigger

pytestmark = pytest.mark.usefixtures("simulated_time")


def test_each_wait_tolerates_its_own_number_of_failures(
    connections, record_store: RecordStore, service_name: str
) -> None:
    id_ = moving(record_store, DONE[service_name], 0)
    connections.wire.order(Fault(service_name, times=3))

    hasty, patient = run_all(
        trigger(service_name, prediction_ids=[id_], max_failures=2),
        trigger(service_name, prediction_ids=[id_]),
    )

    assert (hasty["state"], hasty["retryable"]) == ("error", True)
    assert patient["state"] == "done"


def test_a_retry_after_delays_the_next_poll(
    connections, record_store: RecordStore, service_name: str
) -> None:
    id_ = moving(record_store, DONE[service_name], 0)
    refusal = {"status": 429, "body": b'{"message": "Too Many Requests"}', "headers": {"Retry-After": "100"}}
    connections.wire.order(Fault(service_name, times=1, **refusal))
    start = time.time()

    (payload,) = run_all(trigger(service_name, prediction_ids=[id_]))

    assert payload["state"] == "done"
    assert time.time() - start > 100 + INTERVAL


def test_a_retry_after_also_delays_later_waits(connections, record_store, service_name: str) -> None:
    id_ = moving(record_store, DONE[service_name], 0)
    refusal = {"status": 429, "body": b'{"message": "Too Many Requests"}', "headers": {"Retry-After": "100"}}
    connections.wire.order(Fault(service_name, times=1, **refusal))

    async def run() -> float:
        start = time.time()
        waiting = asyncio.create_task(fire(trigger(service_name, prediction_ids=[id_])))
        await asyncio.sleep(2 * INTERVAL)
        await asyncio.wait_for(fire(trigger(service_name, prediction_ids=[id_])), 3600)
        await waiting
        return time.time() - start

    assert asyncio.run(run()) > 100 + INTERVAL


CANNOT_BE_READ = pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 422, "body": b'{"detail": "no id"}'}, id="422"),
        pytest.param({}, id="5xx"),
        pytest.param({"how": "reset"}, id="reset"),
        pytest.param({"status": 200}, id="malformed"),
    ],
)


@CANNOT_BE_READ
def test_a_prediction_that_cannot_be_read_ends_only_the_wait_for_it(
    connections, record_store, service_name: str, fault
) -> None:
    connections.wire.order(Fault(service_name, path="odd", times=99, **fault))
    id_ = moving(record_store, DONE[service_name], 8 * INTERVAL)

    odd, later, unknown = run_all(
        trigger(service_name, prediction_ids=["odd"]),
        trigger(service_name, prediction_ids=[id_]),
        trigger(service_name, prediction_ids=["nobody"], missing_timeout=8 * INTERVAL),
    )

    assert odd["state"] == "error"
    assert odd["retryable"] is (fault.get("status") != 422)
    assert later["state"] == "done"
    assert unknown["state"] == "failed"


def test_a_poll_stops_after_several_failed_lookups(connections, record_store, service_name: str) -> None:
    ids = [f"predictions/odd-{number}" for number in range(50)]
    for number in range(50):
        connections.wire.order(Fault(service_name, path=f"odd-{number}", times=99))

    payloads = run_all(*[trigger(service_name, prediction_ids=[id_], max_failures=2) for id_ in ids])

    assert {(payload["state"], payload["retryable"]) for payload in payloads} == {("error", True)}
    # Each of the two polls reads the list, which may take two requests, and fails for three predictions.
    assert connections.wire.requests(service_name) <= 2 * (2 + 3)


def test_a_retry_after_for_one_prediction_delays_all(connections, record_store, service_name: str) -> None:
    connections.wire.order(Fault(service_name, path="odd", status=503, headers={"Retry-After": "100"}))
    start = time.time()

    (payload,) = run_all(trigger(service_name, prediction_ids=["odd"], missing_timeout=0))

    assert payload["state"] == "failed"
    assert time.time() - start > 100 + INTERVAL


def test_a_temporarily_missing_connection_ends_no_wait(
    connections, record_store, service_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secrets backend that does not answer looks like this."""
    name = f"AIRFLOW_CONN_{service_name.upper()}_DEFAULT"
    value = os.environ[name]
    monkeypatch.delenv(name)
    id_ = moving(record_store, DONE[service_name], 0)

    async def run() -> dict[str, Any]:
        asyncio.get_running_loop().call_later(2.5 * INTERVAL, monkeypatch.setenv, name, value)
        return await asyncio.wait_for(fire(trigger(service_name, prediction_ids=[id_])), 3600)

    assert asyncio.run(run())["state"] == "done"


def test_a_missing_connection_ends_the_wait_with_a_retryable_error(
    connections, record_store, service_name: str
) -> None:
    (payload,) = run_all(trigger(service_name, conn_id="nobody", prediction_ids=["a"], max_failures=2))

    assert (payload["state"], payload["retryable"]) == ("error", True)
    assert "there is no connection 'nobody'" in payload["message"]


class MoodyHook(VlmRunHook):
    """A secrets backend that hangs, or gives up, at first."""

    moods: ClassVar[list[str]] = []

    async def aget_conn(self) -> AsyncClient:
        match self.moods.pop(0) if self.moods else "":
            case "hangs":
                await asyncio.Event().wait()
            case "is cancelled":
                raise asyncio.CancelledError
        return await super().aget_conn()


class MoodyTrigger(VlmRunPredictionsTrigger):
    """Waits with it."""

    hook_class = MoodyHook


@pytest.mark.parametrize("mood", ["hangs", "is cancelled"])
def test_a_failed_read_of_the_connection_ends_no_wait(connections: FaultySandbox, mood: str) -> None:
    id_ = moving(connections.vlmrun, "completed", 0)
    MoodyHook.moods[:] = [mood] * 3

    wait = {"prediction_ids": [id_]}
    (payload,) = run_all(MoodyTrigger(conn_id="vlmrun_default", poke_interval=INTERVAL, wait=wait))

    assert payload["state"] == "done"
    assert not MoodyHook.moods


def test_an_unreadable_connection_ends_the_wait_and_is_named(connections: FaultySandbox) -> None:
    MoodyHook.moods[:] = ["hangs"] * 2

    wait = {"prediction_ids": ["a"]}
    (payload,) = run_all(
        MoodyTrigger(conn_id="vlmrun_default", poke_interval=INTERVAL, wait=wait, max_failures=2)
    )

    assert payload == {
        "state": "error",
        "message": "vlmrun_conn_id: connection 'vlmrun_default' was not read within 60 s",
        "retryable": True,
    }
