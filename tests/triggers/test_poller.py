"""Waits that share a connection, in one process, against a service on a real socket, in simulated time."""

from __future__ import annotations

import asyncio
import os
import time
from itertools import cycle, pairwise
from typing import Any, ClassVar

import pytest

from airflow_provider_predictions.api.client import AsyncClient
from airflow_provider_predictions.api.waiting import Pace, Tally, Wait, judge
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.sandbox.faults import Fault, Seen
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.shelf import Shelf
from airflow_provider_predictions.triggers.base import PredictionsTrigger
from airflow_provider_predictions.triggers.cradl import CradlPredictionsTrigger
from airflow_provider_predictions.triggers.poller import Poller
from airflow_provider_predictions.triggers.vlmrun import VlmRunPredictionsTrigger
from tests.clock import SimulatedTime
from tests.compat import kill
from tests.conftest import asked, ends_with, moving

pytestmark = pytest.mark.usefixtures("simulated_time")

SHORTEST = Poller.shortest_interval
TRIGGERS = {"vlmrun": VlmRunPredictionsTrigger, "cradl": CradlPredictionsTrigger}
DONE = {"vlmrun": "completed", "cradl": "succeeded"}
INTERVAL = 20.0
"""Seconds between two polls, and up to a tenth more."""


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
        return await asyncio.wait_for(asyncio.gather(*map(fired, triggers)), 3600)

    return asyncio.run(run())


def between_requests(connections: Sandbox, service_name: str, waits: int, **arguments: Any) -> list[float]:
    """The seconds between the requests of equal waits that do not end, in eight intervals."""

    async def run() -> None:
        running = [asyncio.create_task(fired(trigger(service_name, **arguments))) for _ in range(waits)]
        await asyncio.sleep(8 * INTERVAL)
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    asyncio.run(run())
    times = [seen.at for seen in connections.wire.seen if seen.part == service_name]
    return [after - before for before, after in pairwise(times)]


def test_a_thousand_waits_for_ids_cost_the_requests_of_one(
    connections: Sandbox, shelf: Shelf, service_name: str
) -> None:
    ids = [moving(shelf, DONE[service_name], 3600) for _ in range(90)]
    ends_with(connections, service_name, request=6)
    together(trigger(service_name, prediction_ids=ids))
    alone = connections.wire.requests(service_name)
    ids = [moving(shelf, DONE[service_name], 3600) for _ in range(90)]
    connections.wire.seen.clear()

    payloads = together(*[trigger(service_name, prediction_ids=[ids[n % 90]]) for n in range(1000)])

    assert all(payload["state"] == "done" for payload in payloads)
    assert 6 <= connections.wire.requests(service_name) <= 1.2 * alone


def test_waits_for_parts_of_the_list_are_answered_by_one_pass(
    connections: Sandbox, shelf: Shelf, service_name: str
) -> None:
    start = shelf.add().created
    ids = [moving(shelf, DONE[service_name], n * INTERVAL) for n in range(1, 5)]
    windows = [{"created_after": start.isoformat(), "statuses": status} for status in ("pending", "running")]

    payloads = together(
        *[trigger(service_name, filters=window) for window in windows],
        *[trigger(service_name, prediction_ids=[id_]) for id_ in ids],
        trigger(service_name, filters={"created_after": start.isoformat()}, fail_on=()),
    )

    assert {payload["state"] for payload in payloads} == {"done"}
    assert payloads[-1]["statuses"][DONE[service_name]] >= 4
    # One pass of at most two pages in each interval, by the most impatient.
    assert connections.wire.requests(service_name) <= 2 * (4 + 1)


def test_a_wait_that_is_wrong_hurts_no_other(connections, shelf: Shelf, service_name: str) -> None:
    id_ = moving(shelf, DONE[service_name], 1.5 * INTERVAL)

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

    (payload,) = together(trigger(service_name, 3600, started=start - 100, deadline=start + 50))

    assert payload == {"state": "timeout", "message": "Not finished within 150 s"}
    assert 50 <= time.time() - start < 60


def test_a_deadline_that_passed_while_no_triggerer_ran_is_kept(connections, service_name: str) -> None:
    start = time.time()

    (payload,) = together(trigger(service_name, started=start - 100, deadline=start - 50))

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
    ],
)
def test_no_failure_makes_polls_come_sooner(connections, shelf, service_name: str, fault) -> None:
    id_ = moving(shelf, "failed", 3600)
    connections.wire.order(Fault(service_name, times=99, **fault))

    gaps = between_requests(connections, service_name, waits=20, prediction_ids=[id_], max_failures=99)

    assert len(gaps) >= 6
    assert min(gaps) >= INTERVAL


def test_an_answer_that_takes_longer_than_an_interval_makes_polls_come_no_sooner(
    connections, shelf, service_name: str, simulated_time: SimulatedTime
) -> None:
    id_ = moving(shelf, "failed", 3600)
    connections.wire.rules.append(lambda _: simulated_time.skip(1.5 * INTERVAL))

    gaps = between_requests(connections, service_name, waits=20, prediction_ids=[id_])

    assert len(gaps) >= 2
    assert min(gaps) >= 2.5 * INTERVAL


def test_a_retry_after_puts_the_next_poll_off(connections, shelf: Shelf, service_name: str) -> None:
    id_ = moving(shelf, DONE[service_name], 0)
    refusal = {"status": 429, "body": b'{"message": "Too Many Requests"}', "headers": {"Retry-After": "100"}}
    connections.wire.order(Fault(service_name, times=1, **refusal))
    start = time.time()

    (payload,) = together(trigger(service_name, prediction_ids=[id_]))

    assert payload["state"] == "done"
    assert time.time() - start > 100 + INTERVAL


def test_one_short_page_is_one_request(connections, shelf: Shelf, service_name: str) -> None:
    """But for the first poll, which makes sure that the list ends there."""
    shelf.fill(20)
    moving(shelf, "failed", 3600)

    gaps = between_requests(connections, service_name, waits=1, filters={}, fail_on=())

    assert len(gaps) >= 6
    assert min(gaps[2:]) >= INTERVAL


def test_nothing_is_asked_any_more_when_all_waits_are_gone(connections, shelf, service_name: str) -> None:
    id_ = moving(shelf, "failed", 3600)

    async def run() -> None:
        waits = [asyncio.create_task(fired(trigger(service_name, prediction_ids=[id_]))) for _ in range(3)]
        await asyncio.sleep(2 * INTERVAL)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        asked = connections.wire.requests(service_name)
        await asyncio.sleep(3 * INTERVAL)
        assert connections.wire.requests(service_name) == asked
        assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    asyncio.run(run())
    assert not Poller._of_loops


def test_who_joins_later_is_told_by_the_polls_of_the_others(connections, shelf, service_name: str) -> None:
    first = moving(shelf, "failed", 3600)
    done = moving(shelf, DONE[service_name], 0)

    async def run() -> float:
        waiting = asyncio.create_task(fired(trigger(service_name, prediction_ids=[first])))
        await asked(connections, service_name, 1)
        start = time.time()
        payload = await asyncio.wait_for(fired(trigger(service_name, 3600, prediction_ids=[done])), 3600)
        assert payload["state"] == "done"
        waiting.cancel()
        return time.time() - start

    assert asyncio.run(run()) < 2 * INTERVAL


def test_waits_that_come_one_after_the_other_make_no_polls_closer(
    connections, shelf, service_name: str
) -> None:
    """Nobody is told sooner than the shortest interval after coming, and no poll is made for that."""
    id_ = moving(shelf, "failed", 3600)

    async def run() -> float:
        start, waits = time.time(), []
        for _ in range(60):
            waits.append(asyncio.create_task(fired(trigger(service_name, SHORTEST, prediction_ids=[id_]))))
            await asyncio.sleep(SHORTEST / 8)
        seconds = time.time() - start
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        return seconds

    seconds = asyncio.run(run())

    assert 6 <= connections.wire.requests(service_name) <= seconds / SHORTEST + 1


def test_who_comes_is_told_soon_but_not_at_once(connections, shelf, service_name: str) -> None:
    first = moving(shelf, "failed", 3600)
    done = moving(shelf, DONE[service_name], 0)

    async def run() -> float:
        waiting = asyncio.create_task(fired(trigger(service_name, SHORTEST, prediction_ids=[first])))
        await asyncio.sleep(0.8 * SHORTEST)
        start = time.time()
        await asyncio.wait_for(fired(trigger(service_name, 3600, prediction_ids=[done])), 3600)
        waiting.cancel()
        return time.time() - start

    assert SHORTEST <= asyncio.run(run()) < 1.5 * SHORTEST


def test_a_retry_after_holds_for_those_who_come_later(connections, shelf, service_name: str) -> None:
    id_ = moving(shelf, DONE[service_name], 0)
    refusal = {"status": 429, "body": b'{"message": "Too Many Requests"}', "headers": {"Retry-After": "100"}}
    connections.wire.order(Fault(service_name, times=1, **refusal))

    async def run() -> float:
        start = time.time()
        waiting = asyncio.create_task(fired(trigger(service_name, prediction_ids=[id_])))
        await asyncio.sleep(2 * INTERVAL)
        await asyncio.wait_for(fired(trigger(service_name, prediction_ids=[id_])), 3600)
        await waiting
        return time.time() - start

    assert asyncio.run(run()) > 100 + INTERVAL


def test_a_token_that_expires_again_and_again_is_renewed(connections: Sandbox) -> None:
    id_ = moving(connections.cradl, "succeeded", 3600)

    async def run() -> dict[str, Any]:
        waiting = asyncio.create_task(fired(trigger("cradl", prediction_ids=[id_])))
        for tokens in range(1, 4):
            # The token is good for a poll: its refusal, another token's first answer, and the next poll.
            await asked(connections, "cradl", connections.wire.requests("cradl") + 3)
            assert connections.wire.requests("token") <= tokens
            connections.tokens.revoke()
        connections.cradl.rows[0].work = 0
        return await asyncio.wait_for(waiting, 3600)

    assert asyncio.run(run())["state"] == "done"
    assert connections.wire.requests("token") >= 3


def test_who_is_slow_is_told_the_newest_and_nothing_piles_up(connections, shelf, service_name: str) -> None:
    id_ = moving(shelf, DONE[service_name], 3600)
    ends_with(connections, service_name, request=4)

    async def run() -> tuple[str, int]:
        poller = Poller.of(TRIGGERS[service_name].hook_class, f"{service_name}_default")
        async with poller.subscribe(Wait(prediction_ids=[id_]), Tally, Pace(INTERVAL)) as subscription:
            await asked(connections, service_name, 8)
            before = connections.wire.requests(service_name)
            outcome = await subscription.outcome()
            assert isinstance(outcome, Tally)
            for _ in range(2):  # one may have been under way
                await subscription.outcome()
            return judge(outcome, 0).state, connections.wire.requests(service_name) - before

    state, more = asyncio.run(run())

    assert state == "done"
    assert more >= 1, "the third outcome is of a new poll"


def test_a_wait_that_asks_for_something_else_during_a_poll_makes_no_polls_closer(
    connections, shelf, service_name: str
) -> None:
    first, second = (Wait(prediction_ids=[moving(shelf, "failed", 3600)]) for _ in range(2))
    others = cycle([second, first])

    async def run() -> None:
        poller = Poller.of(TRIGGERS[service_name].hook_class, f"{service_name}_default")
        async with poller.subscribe(first, Tally, Pace(INTERVAL)) as subscription:

            def change(_: Seen) -> None:
                subscription.wait = next(others)

            connections.wire.rules.append(change)
            await asyncio.sleep(6.5 * INTERVAL)
            assert isinstance(await subscription.outcome(), Tally)

    asyncio.run(run())

    assert 5 <= connections.wire.requests(service_name) <= 6


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
    connections, shelf, service_name: str, fault
) -> None:
    connections.wire.order(Fault(service_name, path="odd", times=99, **fault))
    id_ = moving(shelf, DONE[service_name], 8 * INTERVAL)

    odd, later, unknown = together(
        trigger(service_name, prediction_ids=["odd"]),
        trigger(service_name, prediction_ids=[id_]),
        trigger(service_name, prediction_ids=["nobody"], missing_timeout=8 * INTERVAL),
    )

    assert odd["state"] == "error"
    assert odd["retryable"] is (fault.get("status") != 422)
    assert later["state"] == "done"
    assert unknown["state"] == "failed"


def test_a_service_that_fails_for_several_is_asked_for_no_more_in_a_poll(
    connections, shelf, service_name: str
) -> None:
    ids = [f"predictions/odd-{number}" for number in range(50)]
    for number in range(50):
        connections.wire.order(Fault(service_name, path=f"odd-{number}", times=99))

    payloads = together(*[trigger(service_name, prediction_ids=[id_], max_failures=2) for id_ in ids])

    assert {(payload["state"], payload["retryable"]) for payload in payloads} == {("error", True)}
    # Each of the two polls reads the list, which may take two requests, and fails for three predictions.
    assert connections.wire.requests(service_name) <= 2 * (2 + 3)


def test_a_retry_after_for_one_prediction_puts_all_off(connections, shelf, service_name: str) -> None:
    connections.wire.order(Fault(service_name, path="odd", status=503, headers={"Retry-After": "100"}))
    start = time.time()

    (payload,) = together(trigger(service_name, prediction_ids=["odd"], missing_timeout=0))

    assert payload["state"] == "failed"
    assert time.time() - start > 100 + INTERVAL


def test_a_connection_that_is_missing_for_a_while_ends_no_wait(
    connections, shelf, service_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secrets backend that does not answer looks like this."""
    name = f"AIRFLOW_CONN_{service_name.upper()}_DEFAULT"
    value = os.environ[name]
    monkeypatch.delenv(name)
    id_ = moving(shelf, DONE[service_name], 0)

    async def run() -> dict[str, Any]:
        asyncio.get_running_loop().call_later(2.5 * INTERVAL, monkeypatch.setenv, name, value)
        return await asyncio.wait_for(fired(trigger(service_name, prediction_ids=[id_])), 3600)

    assert asyncio.run(run())["state"] == "done"


def test_a_connection_that_stays_missing_ends_the_wait_as_one_that_a_retry_may_cure(
    connections, shelf, service_name: str
) -> None:
    (payload,) = together(trigger(service_name, conn_id="nobody", prediction_ids=["a"], max_failures=2))

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
def test_a_connection_whose_reading_goes_wrong_ends_no_wait(connections: Sandbox, mood: str) -> None:
    id_ = moving(connections.vlmrun, "completed", 0)
    MoodyHook.moods[:] = [mood] * 3

    wait = {"prediction_ids": [id_]}
    (payload,) = together(MoodyTrigger(conn_id="vlmrun_default", poke_interval=INTERVAL, wait=wait))

    assert payload["state"] == "done"
    assert not MoodyHook.moods


def test_a_connection_that_is_never_read_ends_the_wait_and_is_named(connections: Sandbox) -> None:
    MoodyHook.moods[:] = ["hangs"] * 2

    wait = {"prediction_ids": ["a"]}
    (payload,) = together(
        MoodyTrigger(conn_id="vlmrun_default", poke_interval=INTERVAL, wait=wait, max_failures=2)
    )

    assert payload == {
        "state": "error",
        "message": "vlmrun_conn_id: connection 'vlmrun_default' was not read within 60 s",
        "retryable": True,
    }


def test_a_loop_that_was_closed_in_the_middle_leaves_no_poller_to_the_next(connections, service_name) -> None:
    async def begin() -> Poller:
        poller = Poller.of(TRIGGERS[service_name].hook_class, f"{service_name}_default")
        kept.append(poller.subscribe(Wait(prediction_ids=["a"]), Tally, Pace(60)))
        await kept[-1].__aenter__()
        return poller

    kept: list[Any] = []
    loop = asyncio.new_event_loop()
    old = loop.run_until_complete(begin())
    loop.close()

    async def again() -> Poller:
        return Poller.of(TRIGGERS[service_name].hook_class, f"{service_name}_default")

    new = asyncio.run(again())

    assert new is not old
    assert [*Poller._of_loops.values()] == [new]
    Poller._of_loops.clear()


def test_a_trigger_sleeps_before_its_first_poll(connections, shelf, service_name: str) -> None:
    id_ = moving(shelf, DONE[service_name], 0)

    async def run() -> int:
        waiting = asyncio.create_task(fired(trigger(service_name, prediction_ids=[id_])))
        await asyncio.sleep(0.9 * INTERVAL)
        asked = connections.wire.requests(service_name)
        assert (await waiting)["state"] == "done"
        return asked

    assert asyncio.run(run()) == 0


def test_an_old_wait_asks_less_often_where_it_may(connections, shelf, service_name: str) -> None:
    id_ = moving(shelf, "failed", 3600)

    async def run() -> None:
        old = trigger(service_name, prediction_ids=[id_], max_interval=100, started=time.time() - 10_000)
        waiting = asyncio.create_task(fired(old))
        await asked(connections, service_name, 1)
        await asyncio.sleep(4.5 * INTERVAL)
        waiting.cancel()

    asyncio.run(run())

    assert connections.wire.requests(service_name) == 1


def test_a_wait_that_another_triggerer_takes_over_ends_when_it_would_have(
    connections, shelf, service_name: str
) -> None:
    id_ = moving(shelf, "failed", 3600)
    start = time.time()
    first = trigger(service_name, prediction_ids=[id_], started=start - 100, deadline=start + 150)

    async def killed() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fired(first), 80)

    asyncio.run(killed())
    _, arguments = first.serialize()
    (payload,) = together(type(first)(**arguments))

    assert payload["state"] == "timeout"
    assert 150 <= time.time() - start < 160


def test_a_wait_that_a_person_ends_touches_nothing_remote(connections, shelf, service_name: str) -> None:
    id_ = moving(shelf, "failed", 3600)
    other = moving(shelf, "failed", 3600)

    async def run() -> None:
        waits = [trigger(service_name, prediction_ids=[given]) for given in (id_, other)]
        waiting, staying = (asyncio.create_task(fired(wait)) for wait in waits)
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
