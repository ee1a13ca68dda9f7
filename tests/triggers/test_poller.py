"""Waits that share a connection, in one process, against a service on a real socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from airflow_provider_predictions.sandbox.faults import Fault
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.shelf import Shelf
from airflow_provider_predictions.triggers.base import PredictionsTrigger
from airflow_provider_predictions.triggers.cradl import CradlPredictionsTrigger
from airflow_provider_predictions.triggers.poller import Poller
from airflow_provider_predictions.triggers.vlmrun import VlmRunPredictionsTrigger

TRIGGERS = {"vlmrun": VlmRunPredictionsTrigger, "cradl": CradlPredictionsTrigger}
DONE = {"vlmrun": "completed", "cradl": "succeeded"}
INTERVAL = 0.2


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lower bound of a trigger's interval is for a real scheduler."""
    monkeypatch.setattr(Poller, "shortest_interval", 0.05)


def trigger(service_name: str, interval: float = INTERVAL, **arguments: Any) -> PredictionsTrigger:
    names = ("max_interval", "started", "deadline", "max_failures", "conn_id")
    own = {name: arguments.pop(name) for name in names if name in arguments}
    own.setdefault("conn_id", f"{service_name}_default")
    return TRIGGERS[service_name](poke_interval=interval, wait=arguments, **own)


async def fired(trigger: PredictionsTrigger) -> dict[str, Any]:
    (event,) = [event async for event in trigger.run()]
    payload: dict[str, Any] = event.payload
    return payload


def together(*triggers: PredictionsTrigger) -> list[dict[str, Any]]:
    async def run() -> list[dict[str, Any]]:
        return await asyncio.wait_for(asyncio.gather(*map(fired, triggers)), 30)

    return asyncio.run(run())


def moving(shelf: Shelf, outcome: str, seconds: float = 0.6) -> str:
    row = shelf.add(work=seconds)
    row.outcome = outcome
    return row.id


def requests(sandbox: Sandbox, service: str) -> int:
    return len([seen for seen in sandbox.wire.seen if seen.part == service])


def test_a_thousand_waits_for_ids_cost_the_requests_of_one(
    connections: Sandbox, shelf: Shelf, service_name: str
) -> None:
    ids = [moving(shelf, DONE[service_name], 1.5) for _ in range(90)]
    together(trigger(service_name, prediction_ids=ids))
    alone = requests(connections, service_name)
    ids = [moving(shelf, DONE[service_name], 1.5) for _ in range(90)]
    connections.wire.seen.clear()

    payloads = together(*[trigger(service_name, prediction_ids=[ids[n % 90]]) for n in range(1000)])

    assert all(payload["state"] == "done" for payload in payloads)
    assert requests(connections, service_name) <= 1.2 * alone


def test_waits_for_parts_of_the_list_are_answered_by_one_pass(
    connections: Sandbox, shelf: Shelf, service_name: str
) -> None:
    start = shelf.add().created
    ids = [moving(shelf, DONE[service_name], n / 4) for n in range(1, 5)]
    windows = [{"created_after": start.isoformat(), "statuses": status} for status in ("pending", "running")]

    payloads = together(
        *[trigger(service_name, filters=window) for window in windows],
        *[trigger(service_name, prediction_ids=[id_]) for id_ in ids],
        trigger(service_name, filters={"created_after": start.isoformat()}, fail_on=()),
    )

    assert {payload["state"] for payload in payloads} == {"done"}
    assert payloads[-1]["statuses"][DONE[service_name]] >= 4
    # One pass of at most two pages in each interval, by the most impatient.
    assert requests(connections, service_name) <= 2 * (1.5 / INTERVAL + 1)


def test_a_wait_that_is_wrong_hurts_no_other(connections, shelf: Shelf, service_name: str) -> None:
    id_ = moving(shelf, DONE[service_name])

    wrong, unknown, good = together(
        trigger(service_name, filters={"colour": "red"}),
        trigger(service_name, prediction_ids=["nobody"], missing_timeout=0),
        trigger(service_name, prediction_ids=[id_]),
    )

    assert (wrong["state"], wrong["retryable"]) == ("error", False)
    assert "colour" in wrong["message"]
    assert unknown["state"] == "failed"
    assert good["state"] == "done"


def test_each_wait_bears_its_own_number_of_failures(connections, shelf: Shelf, service_name: str) -> None:
    id_ = moving(shelf, DONE[service_name], 0)
    connections.wire.order(Fault(service_name, times=3))

    hasty, patient = together(
        trigger(service_name, prediction_ids=[id_], max_failures=2),
        trigger(service_name, prediction_ids=[id_]),
    )

    assert (hasty["state"], hasty["retryable"]) == ("error", True)
    assert patient["state"] == "done"


def test_a_deadline_is_kept_whatever_the_interval(connections, shelf: Shelf, service_name: str) -> None:
    moving(shelf, "failed", 3600)
    start = time.time()

    (payload,) = together(trigger(service_name, 60, started=start - 100, deadline=start + 0.3))

    assert payload == {"state": "timeout", "message": "Not finished within 100 s"}
    assert time.time() - start < 2


def test_a_deadline_that_passed_while_no_triggerer_ran_is_kept(connections, service_name: str) -> None:
    start = time.time()

    (payload,) = together(trigger(service_name, 60, started=start - 100, deadline=start - 50))

    assert payload["state"] == "timeout"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({}, id="5xx"),
        pytest.param({"how": "reset"}, id="reset"),
        pytest.param({"how": "truncate"}, id="truncated"),
        pytest.param({"status": 200}, id="malformed"),
        pytest.param({"status": 429, "body": b'{"message": "Too Many Requests"}'}, id="429"),
        pytest.param({"status": 404, "body": b'{"message": "Not found"}'}, id="404"),
        pytest.param({"how": "slow", "seconds": 0.3}, id="slow"),
    ],
)
def test_no_answer_makes_polls_come_sooner(connections, shelf, service_name: str, fault) -> None:
    id_ = moving(shelf, "failed", 3600)
    connections.wire.order(Fault(service_name, times=99, **fault))
    start = time.time()

    together(
        *[
            trigger(service_name, prediction_ids=[id_], max_failures=99, deadline=start + 1.5)
            for _ in range(20)
        ]
    )

    assert 2 <= requests(connections, service_name) <= 1.5 / INTERVAL + 1


def test_a_retry_after_puts_the_next_poll_off(connections, shelf: Shelf, service_name: str) -> None:
    id_ = moving(shelf, DONE[service_name], 0)
    refusal = {"status": 429, "body": b'{"message": "Too Many Requests"}', "headers": {"Retry-After": "1"}}
    connections.wire.order(Fault(service_name, times=1, **refusal))
    start = time.time()

    (payload,) = together(trigger(service_name, prediction_ids=[id_]))

    assert payload["state"] == "done"
    assert time.time() - start > 1 + INTERVAL


def test_one_short_page_is_one_request(connections, shelf: Shelf, service_name: str) -> None:
    """But for the first poll, which makes sure that the list ends there."""
    shelf.fill(20)
    moving(shelf, "failed", 3600)
    start = time.time()

    together(trigger(service_name, filters={}, fail_on=(), deadline=start + 1.5))

    assert 2 <= requests(connections, service_name) <= 1.5 / INTERVAL + 1


def test_nothing_is_asked_any_more_when_all_waits_are_gone(connections, shelf, service_name: str) -> None:
    id_ = moving(shelf, "failed", 3600)

    async def run() -> None:
        waits = [asyncio.create_task(fired(trigger(service_name, prediction_ids=[id_]))) for _ in range(3)]
        await asyncio.sleep(2 * INTERVAL)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        asked = requests(connections, service_name)
        await asyncio.sleep(3 * INTERVAL)
        assert requests(connections, service_name) == asked
        assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    asyncio.run(run())
    assert not Poller._of_loops


def test_who_joins_later_is_told_by_the_polls_of_the_others(connections, shelf, service_name: str) -> None:
    first = moving(shelf, "failed", 3600)
    done = moving(shelf, DONE[service_name], 0)

    async def run() -> float:
        waiting = asyncio.create_task(fired(trigger(service_name, prediction_ids=[first])))
        await asyncio.sleep(1.5 * INTERVAL)
        start = time.time()
        payload: Coroutine[Any, Any, dict[str, Any]] = fired(trigger(service_name, 60, prediction_ids=[done]))
        assert (await asyncio.wait_for(payload, 10))["state"] == "done"
        waiting.cancel()
        return time.time() - start

    assert asyncio.run(run()) < 3 * INTERVAL


def test_waits_that_come_one_after_the_other_make_no_polls_closer(
    connections, shelf, service_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told sooner than the shortest interval after coming, and no poll is made for that."""
    monkeypatch.setattr(Poller, "shortest_interval", INTERVAL)
    id_ = moving(shelf, "failed", 3600)

    async def run() -> float:
        start, waits = time.time(), []
        for _ in range(60):
            waits.append(asyncio.create_task(fired(trigger(service_name, prediction_ids=[id_]))))
            await asyncio.sleep(INTERVAL / 8)
        seconds = time.time() - start
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        return seconds

    seconds = asyncio.run(run())

    assert 3 <= requests(connections, service_name) <= seconds / INTERVAL + 1


def test_who_comes_is_told_soon_but_not_at_once(
    connections, shelf, service_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Poller, "shortest_interval", 0.5)
    first = moving(shelf, "failed", 3600)
    done = moving(shelf, DONE[service_name], 0)

    async def run() -> float:
        waiting = asyncio.create_task(fired(trigger(service_name, prediction_ids=[first])))
        await asyncio.sleep(0.4)
        start = time.time()
        await asyncio.wait_for(fired(trigger(service_name, 60, prediction_ids=[done])), 10)
        waiting.cancel()
        return time.time() - start

    assert 0.5 <= asyncio.run(run()) < 0.8


def test_a_retry_after_holds_for_those_who_come_later(connections, shelf, service_name: str) -> None:
    id_ = moving(shelf, DONE[service_name], 0)
    refusal = {"status": 429, "body": b'{"message": "Too Many Requests"}', "headers": {"Retry-After": "1"}}
    connections.wire.order(Fault(service_name, times=1, **refusal))

    async def run() -> float:
        start = time.time()
        waiting = asyncio.create_task(fired(trigger(service_name, prediction_ids=[id_])))
        await asyncio.sleep(2 * INTERVAL)
        await asyncio.wait_for(fired(trigger(service_name, prediction_ids=[id_])), 10)
        await waiting
        return time.time() - start

    assert asyncio.run(run()) > 1 + INTERVAL


def test_a_token_that_expires_again_and_again_is_renewed(connections: Sandbox) -> None:
    id_ = moving(connections.cradl, "succeeded", 2)

    async def run() -> dict[str, Any]:
        waiting = asyncio.create_task(fired(trigger("cradl", prediction_ids=[id_])))
        for _ in range(3):
            await asyncio.sleep(2.5 * INTERVAL)
            connections.tokens.revoke()
        return await asyncio.wait_for(waiting, 10)

    assert asyncio.run(run())["state"] == "done"
    assert len([seen for seen in connections.wire.seen if seen.part == "token"]) >= 3
