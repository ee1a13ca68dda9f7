"""When one wait polls and when it ends, against a service on a real socket, in simulated time."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from airflow_provider_predictions.api.limits import MAX_RETRY_AFTER
from airflow_provider_predictions.sandbox.store import RecordStore
from airflow_provider_predictions.triggers.poller import Poller
from tests.compat import kill
from tests.conftest import asked, moving
from tests.faults import FaultySandbox
from tests.given import DONE
from tests.triggers.waits import INTERVAL, fire, run_all, trigger

pytestmark = pytest.mark.usefixtures("simulated_time")


def test_a_deadline_is_kept_whatever_the_interval(
    connections, record_store: RecordStore, service_name: str
) -> None:
    moving(record_store, "failed", 3600)
    start = time.time()

    (payload,) = run_all(trigger(service_name, 3600, started=start - 100, deadline=start + 50))

    assert payload == {"state": "timeout", "message": "Not finished within 150 s"}
    assert 50 <= time.time() - start < 60


def test_a_deadline_that_passed_while_no_triggerer_ran_is_kept(connections, service_name: str) -> None:
    start = time.time()

    (payload,) = run_all(trigger(service_name, started=start - 100, deadline=start - 50))

    assert payload["state"] == "timeout"


def test_a_token_that_expires_again_and_again_is_renewed(connections: FaultySandbox) -> None:
    id_ = moving(connections.cradl, "succeeded", 3600)

    async def run() -> dict[str, Any]:
        waiting = asyncio.create_task(fire(trigger("cradl", prediction_ids=[id_])))
        for tokens in range(1, 4):
            # The token is good for a poll: its refusal, another token's first answer, and the next poll.
            await asked(connections, "cradl", connections.wire.requests("cradl") + 3)
            assert connections.wire.requests("token") <= tokens
            connections.tokens.revoke()
        connections.cradl.rows[0].work = 0
        return await asyncio.wait_for(waiting, 3600)

    assert asyncio.run(run())["state"] == "done"
    assert connections.wire.requests("token") >= 3


def test_a_trigger_sleeps_before_its_first_poll(connections, record_store, service_name: str) -> None:
    id_ = moving(record_store, DONE[service_name], 0)

    async def run() -> int:
        waiting = asyncio.create_task(fire(trigger(service_name, prediction_ids=[id_])))
        await asyncio.sleep(0.9 * INTERVAL)
        asked = connections.wire.requests(service_name)
        assert (await waiting)["state"] == "done"
        return asked

    assert asyncio.run(run()) == 0


def test_an_old_wait_polls_less_often_with_max_interval(connections, record_store, service_name: str) -> None:
    id_ = moving(record_store, "failed", 3600)

    async def run() -> None:
        old = trigger(service_name, prediction_ids=[id_], max_interval=100, started=time.time() - 10_000)
        waiting = asyncio.create_task(fire(old))
        await asked(connections, service_name, 1)
        await asyncio.sleep(4.5 * INTERVAL)
        waiting.cancel()

    asyncio.run(run())

    assert connections.wire.requests(service_name) == 1


def test_a_wait_that_another_triggerer_takes_over_ends_when_it_would_have(
    connections, record_store, service_name: str
) -> None:
    id_ = moving(record_store, "failed", 3600)
    start = time.time()
    first = trigger(service_name, prediction_ids=[id_], started=start - 100, deadline=start + 150)

    async def killed() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fire(first), 80)

    asyncio.run(killed())
    _, arguments = first.serialize()
    (payload,) = run_all(type(first)(**arguments))

    assert payload["state"] == "timeout"
    assert 150 <= time.time() - start < 160


def test_a_wait_that_a_person_ends_touches_nothing_remote(
    connections, record_store, service_name: str
) -> None:
    id_ = moving(record_store, "failed", 3600)
    other = moving(record_store, "failed", 3600)

    async def run() -> None:
        waits = [trigger(service_name, prediction_ids=[given]) for given in (id_, other)]
        waiting, staying = (asyncio.create_task(fire(wait)) for wait in waits)
        await asked(connections, service_name, 2)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await kill(waits[0])
        await waits[0].cleanup()
        # The other wait goes on.
        await asked(connections, service_name, connections.wire.requests(service_name) + 2)
        staying.cancel()
        await asyncio.gather(staying, return_exceptions=True)

    asyncio.run(run())

    assert {seen.method for seen in connections.wire.seen if seen.part != "token"} == {"GET"}
    assert not Poller._of_loops


def test_a_clock_that_is_a_year_ahead_delays_no_wait_by_more_than_a_quarter_of_an_hour(
    connections, record_store: RecordStore, service_name: str
) -> None:
    id_ = moving(record_store, DONE[service_name], 0)
    start = time.time()

    (payload,) = run_all(trigger(service_name, prediction_ids=[id_], not_before=start + 365 * 86_400))

    assert payload["state"] == "done"
    assert time.time() - start < MAX_RETRY_AFTER + 2 * INTERVAL
