"""Waits that share a connection, in one process, against a service on a real socket, in simulated time."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import cycle, pairwise
from typing import Any

import pytest

from airflow_provider_predictions.api.http.client import AsyncClient
from airflow_provider_predictions.api.waiting.decide import Tally, Wait, decide
from airflow_provider_predictions.api.waiting.pace import Pace
from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.sandbox.data import Record
from airflow_provider_predictions.sandbox.store import RecordStore
from airflow_provider_predictions.triggers.cradl import CradlPredictionsTrigger
from airflow_provider_predictions.triggers.poller import Poller
from tests.clock import SimulatedTime
from tests.conftest import asked, ends_with, moving
from tests.faults import Fault, FaultySandbox, RateLimitRule, Seen
from tests.given import DONE, TRIGGER
from tests.triggers.waits import INTERVAL, SHORTEST, fire, run_all, trigger

pytestmark = pytest.mark.usefixtures("simulated_time")


def between_requests(
    connections: FaultySandbox, service_name: str, waits: int, **arguments: Any
) -> list[float]:
    """The seconds between the requests of equal waits that do not end, in eight intervals."""

    async def run() -> None:
        running = [asyncio.create_task(fire(trigger(service_name, **arguments))) for _ in range(waits)]
        await asyncio.sleep(8 * INTERVAL)
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    asyncio.run(run())
    times = [seen.at for seen in connections.wire.seen if seen.part == service_name]
    return [after - before for before, after in pairwise(times)]


def test_a_thousand_waits_for_ids_cost_the_requests_of_one(
    connections: FaultySandbox, record_store: RecordStore, service_name: str
) -> None:
    ids = [moving(record_store, DONE[service_name], 3600) for _ in range(90)]
    ends_with(connections, service_name, request=6)
    run_all(trigger(service_name, prediction_ids=ids))
    alone = connections.wire.requests(service_name)
    ids = [moving(record_store, DONE[service_name], 3600) for _ in range(90)]
    connections.wire.seen.clear()

    payloads = run_all(*[trigger(service_name, prediction_ids=[ids[n % 90]]) for n in range(1000)])

    assert all(payload["state"] == "done" for payload in payloads)
    assert 6 <= connections.wire.requests(service_name) <= 1.2 * alone


def test_waits_for_parts_of_the_list_are_answered_by_one_pass(
    connections: FaultySandbox, record_store: RecordStore, service_name: str
) -> None:
    start = record_store.add().created
    ids = [moving(record_store, DONE[service_name], n * INTERVAL) for n in range(1, 5)]
    windows = [{"created_after": start.isoformat(), "statuses": status} for status in ("pending", "running")]

    payloads = run_all(
        *[trigger(service_name, filters=window) for window in windows],
        *[trigger(service_name, prediction_ids=[id_]) for id_ in ids],
        trigger(service_name, filters={"created_after": start.isoformat()}, fail_on=()),
    )

    assert {payload["state"] for payload in payloads} == {"done"}
    assert payloads[-1]["statuses"][DONE[service_name]] >= 4
    # One pass of at most two pages in each interval, by the most impatient.
    assert connections.wire.requests(service_name) <= 2 * (4 + 1)


def test_waits_for_other_models_count_no_prediction_of_each_other(connections: FaultySandbox) -> None:
    """Cradl applies this filter itself, so one pass cannot be read for both."""
    record_store, since = connections.cradl, {"created_after": datetime.now(UTC).isoformat()}
    rows = [record_store.add(work=1.5 * INTERVAL) for _ in range(8)]
    model, other = {row.group for row in rows}
    for row in rows:
        row.outcome = "failed" if row.group == other else "succeeded"

    good, bad, both = run_all(
        trigger("cradl", filters=since | {"model_id": model}),
        trigger("cradl", filters=since | {"model_id": other}),
        trigger("cradl", filters=since, fail_on=()),
    )

    assert (good["state"], good["statuses"]) == ("done", Counter(s.outcome for s in rows if s.group == model))
    assert (bad["state"], bad["statuses"]) == ("failed", Counter(s.outcome for s in rows if s.group == other))
    assert sum(both["statuses"].values()) == len(rows)


def drawn(draw: random.Random, service_name: str, rows: list[Record]) -> dict[str, Any]:
    """What a wait is told: filters of every kind, or ids."""
    given: dict[str, Any] = {"fail_on": draw.choice([(), ("failed",)])}
    if draw.random() < 0.3:
        return given | {"prediction_ids": [row.id for row in draw.sample(rows, draw.randint(1, 8))]}
    group, moment = draw.choice(rows).group, draw.choice(rows).created.isoformat()
    filters = {
        "created_after": moment,
        "created_before": moment,
        "statuses": [draw.choice(["failed", DONE[service_name]])],
        "max_predictions": draw.randint(1, 5),
        "page_size": draw.randint(1, 8),
        **({"domains": [group]} if service_name == "vlmrun" else {"model_id": group}),
        **({} if service_name == "vlmrun" else {"order": draw.choice(["ascending", "descending"])}),
    }
    few = draw.sample(sorted(filters), draw.randint(0, 2))
    return given | {"filters": {name: filters[name] for name in few}}


@pytest.mark.parametrize("seed", range(8))
def test_other_waits_do_not_change_how_a_wait_ends(
    connections: FaultySandbox, record_store: RecordStore, service_name: str, seed: int
) -> None:
    draw, now = random.Random(seed), datetime.now(UTC)
    rows = [record_store.add(created=now - timedelta(days=12 - n)) for n in range(12)]
    for row in rows:
        row.outcome = draw.choice(["failed", DONE[service_name]])
    waits = [drawn(draw, service_name, rows) for _ in range(5)]

    alone = [run_all(trigger(service_name, **wait))[0] for wait in waits]
    beside = run_all(*[trigger(service_name, **wait) for wait in waits])

    for wait, one, other in zip(waits, alone, beside, strict=True):
        names = ("state", "statuses")
        assert [one[name] for name in names] == [other[name] for name in names], (wait, waits)


def test_a_known_finished_prediction_counts_once(
    connections: FaultySandbox, record_store: RecordStore, service_name: str
) -> None:
    ids = [record_store.add().id, moving(record_store, DONE[service_name], 1.5 * INTERVAL)]

    by_ids, three = run_all(
        trigger(service_name, prediction_ids=ids),
        trigger(service_name, filters={}, min_predictions=3, fail_on=(), deadline=time.time() + 4 * INTERVAL),
    )

    assert (by_ids["state"], three["state"]) == ("done", "timeout")


def test_a_model_that_the_service_does_not_know_ends_no_other_wait(connections: FaultySandbox) -> None:
    row = connections.cradl.add()

    def refuse(seen: Seen) -> Fault | None:
        return Fault("cradl", status=404, body=b"{}") if "nobody" in seen.query else None

    connections.wire.rules.append(refuse)
    unknown, known, by_id = run_all(
        trigger("cradl", filters={"model_id": "nobody"}),
        trigger("cradl", filters={"model_id": row.group}, fail_on=()),
        trigger("cradl", prediction_ids=[row.id], fail_on=()),
    )

    assert unknown["state"] == "error"
    assert (known["state"], by_id["state"]) == ("done", "done")


def test_lists_take_turns_when_the_rate_limit_does_not_allow_all(connections: FaultySandbox) -> None:
    for _ in range(8):
        connections.cradl.add()
    connections.wire.rules.append(RateLimitRule("cradl", 1, 0.8 * INTERVAL))
    end = time.time() + 30 * INTERVAL

    payloads = run_all(*[trigger("cradl", filters={"model_id": f"m{n}"}, deadline=end) for n in range(4)])

    assert {payload["state"] for payload in payloads} == {"done"}


def test_a_wrong_wait_ends_no_other(connections, record_store: RecordStore, service_name: str) -> None:
    id_ = moving(record_store, DONE[service_name], 1.5 * INTERVAL)

    wrong, unknown, good = run_all(
        trigger(service_name, filters={"colour": "red"}),
        trigger(service_name, prediction_ids=["nobody"], missing_timeout=0),
        trigger(service_name, prediction_ids=[id_]),
    )

    assert (wrong["state"], wrong["retryable"]) == ("error", False)
    assert "colour" in wrong["message"]
    assert unknown["state"] == "failed"
    assert good["state"] == "done"


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
def test_a_failure_brings_no_poll_forward(connections, record_store, service_name: str, fault) -> None:
    id_ = moving(record_store, "failed", 3600)
    connections.wire.order(Fault(service_name, times=99, **fault))

    gaps = between_requests(connections, service_name, waits=20, prediction_ids=[id_], max_failures=99)

    assert len(gaps) >= 6
    assert min(gaps) >= INTERVAL


def test_a_slow_response_brings_no_poll_forward(
    connections, record_store, service_name: str, simulated_time: SimulatedTime
) -> None:
    id_ = moving(record_store, "failed", 3600)
    connections.wire.rules.append(lambda _: simulated_time.skip(1.5 * INTERVAL))

    gaps = between_requests(connections, service_name, waits=20, prediction_ids=[id_])

    assert len(gaps) >= 2
    assert min(gaps) >= 2.5 * INTERVAL


def test_no_wait_polls_more_often_than_every_five_seconds(
    connections, record_store: RecordStore, service_name: str
) -> None:
    id_ = moving(record_store, "failed", 3600)

    gaps = between_requests(connections, service_name, waits=1, interval=1, prediction_ids=[id_])

    assert len(gaps) >= 8
    assert min(gaps) >= SHORTEST


def test_one_short_page_is_one_request(connections, record_store: RecordStore, service_name: str) -> None:
    """But for the first poll, which makes sure that the list ends there."""
    record_store.fill(20)
    moving(record_store, "failed", 3600)

    gaps = between_requests(connections, service_name, waits=1, filters={}, fail_on=())

    assert len(gaps) >= 6
    assert min(gaps[2:]) >= INTERVAL


def test_polls_stop_with_the_last_wait(connections, record_store, service_name: str) -> None:
    id_ = moving(record_store, "failed", 3600)

    async def run() -> None:
        waits = [asyncio.create_task(fire(trigger(service_name, prediction_ids=[id_]))) for _ in range(3)]
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


def test_a_later_wait_shares_the_polls_of_the_others(connections, record_store, service_name: str) -> None:
    first = moving(record_store, "failed", 3600)
    done = moving(record_store, DONE[service_name], 0)

    async def run() -> float:
        waiting = asyncio.create_task(fire(trigger(service_name, prediction_ids=[first])))
        await asked(connections, service_name, 1)
        start = time.time()
        payload = await asyncio.wait_for(fire(trigger(service_name, 3600, prediction_ids=[done])), 3600)
        assert payload["state"] == "done"
        waiting.cancel()
        return time.time() - start

    assert asyncio.run(run()) < 2 * INTERVAL


def test_a_series_of_new_waits_brings_no_poll_forward(connections, record_store, service_name: str) -> None:
    """Nobody is told sooner than the shortest interval after coming, and no poll is made for that."""
    id_ = moving(record_store, "failed", 3600)

    async def run() -> float:
        start, waits = time.time(), []
        for _ in range(60):
            waits.append(asyncio.create_task(fire(trigger(service_name, SHORTEST, prediction_ids=[id_]))))
            await asyncio.sleep(SHORTEST / 8)
        seconds = time.time() - start
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        return seconds

    seconds = asyncio.run(run())

    assert 6 <= connections.wire.requests(service_name) <= seconds / SHORTEST + 1


def test_a_new_wait_receives_its_first_outcome_after_the_shortest_interval(
    connections, record_store, service_name: str
) -> None:
    first = moving(record_store, "failed", 3600)
    done = moving(record_store, DONE[service_name], 0)

    async def run() -> float:
        waiting = asyncio.create_task(fire(trigger(service_name, SHORTEST, prediction_ids=[first])))
        await asyncio.sleep(0.8 * SHORTEST)
        start = time.time()
        await asyncio.wait_for(fire(trigger(service_name, 3600, prediction_ids=[done])), 3600)
        waiting.cancel()
        return time.time() - start

    assert SHORTEST <= asyncio.run(run()) < 1.5 * SHORTEST


class SlowHook(CradlHook):
    """A secrets backend that takes half an interval."""

    async def aget_conn(self) -> AsyncClient:
        await asyncio.sleep(INTERVAL / 2)
        return await super().aget_conn()


class SlowTrigger(CradlPredictionsTrigger):
    """Waits with it."""

    hook_class = SlowHook


def test_a_wait_that_begins_during_a_poll_remembers_what_its_worker_saw(
    connections: FaultySandbox,
) -> None:
    row = connections.cradl.add(work=1e6)
    row.outcome = "succeeded"
    seen = [[row.id, "pending", row.created.isoformat(), None]]
    connections.cradl.remove([row.id])

    def wait(order: str, **arguments: Any) -> CradlPredictionsTrigger:
        filters = {"filters": {"order": order}, "min_predictions": arguments.pop("least", 0)}
        return SlowTrigger(conn_id="cradl_default", poke_interval=INTERVAL, wait=filters, **arguments)

    async def run() -> dict[str, Any]:
        other = asyncio.create_task(fire(wait("descending", least=9)))
        await asyncio.sleep(1.3 * INTERVAL)
        waiting = asyncio.create_task(fire(wait("ascending", unfinished=seen)))
        await asyncio.sleep(5 * INTERVAL)
        row.work = 0
        connections.cradl.rows.append(row)
        payload = await waiting
        other.cancel()
        return payload

    assert asyncio.run(run())["statuses"] == {"succeeded": 1}


def test_a_slow_subscriber_receives_only_the_newest_outcome(
    connections, record_store, service_name: str
) -> None:
    id_ = moving(record_store, DONE[service_name], 3600)
    ends_with(connections, service_name, request=4)

    async def run() -> str:
        poller = Poller.of(TRIGGER[service_name].hook_class, f"{service_name}_default")
        async with poller.subscribe(Wait(prediction_ids=[id_]), Tally, Pace(INTERVAL)) as subscription:
            await asyncio.sleep(8 * INTERVAL)
            outcome = await subscription.outcome()
            assert isinstance(outcome, Tally)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(subscription.outcome(), 3 * INTERVAL)
            return decide(outcome, 0).state

    assert asyncio.run(run()) == "done"


def test_a_poll_counts_and_wakes_only_the_waits_for_what_changed(
    connections, record_store, service_name: str
) -> None:
    ids = [moving(record_store, DONE[service_name], 3600) for _ in range(60)]
    counted: Counter[str] = Counter()
    woken: Counter[str] = Counter()

    class CountedTally(Tally):
        def __init__(self, wait: Wait, service: Any) -> None:
            super().__init__(wait, service)
            counted.update(wait.prediction_ids or ["by filters"])

    async def follow(poller: Poller, wait: Wait) -> None:
        async with poller.subscribe(wait, CountedTally, Pace(INTERVAL)) as subscription:
            while True:
                await subscription.outcome()
                woken.update(wait.prediction_ids or ["by filters"])

    async def run() -> None:
        poller = Poller.of(TRIGGER[service_name].hook_class, f"{service_name}_default")
        waits = [Wait(prediction_ids=[id_]) for id_ in ids] + [Wait(fail_on=())]
        following = [asyncio.create_task(follow(poller, wait)) for wait in waits]
        await asyncio.sleep(4 * INTERVAL)
        assert {*counted.values()} - {counted["by filters"]} == {*woken.values()} == {1}
        record_store.find(ids[7]).work = 0
        await asyncio.sleep(4 * INTERVAL)
        for one in following:
            one.cancel()
        await asyncio.gather(*following, return_exceptions=True)

    asyncio.run(run())

    twice = {ids[7]: 2, "by filters": 2}
    assert woken == dict.fromkeys(ids, 1) | twice
    assert counted == dict.fromkeys(ids, 1) | twice | {"by filters": counted["by filters"]}


def test_a_wait_that_changes_during_a_poll_brings_no_poll_forward(
    connections, record_store, service_name: str
) -> None:
    first, second = (Wait(prediction_ids=[moving(record_store, "failed", 3600)]) for _ in range(2))
    others = cycle([second, first])

    async def run() -> None:
        poller = Poller.of(TRIGGER[service_name].hook_class, f"{service_name}_default")
        async with poller.subscribe(first, Tally, Pace(INTERVAL)) as subscription:

            def change(_: Seen) -> None:
                subscription.wait = next(others)

            connections.wire.rules.append(change)
            await asyncio.sleep(6.5 * INTERVAL)
            assert isinstance(await subscription.outcome(), Tally)

    asyncio.run(run())

    assert 5 <= connections.wire.requests(service_name) <= 6


def test_a_closed_event_loop_leaves_no_poller_behind(connections, service_name) -> None:
    async def begin() -> Poller:
        poller = Poller.of(TRIGGER[service_name].hook_class, f"{service_name}_default")
        kept.append(poller.subscribe(Wait(prediction_ids=["a"]), Tally, Pace(60)))
        await kept[-1].__aenter__()
        return poller

    kept: list[Any] = []
    loop = asyncio.new_event_loop()
    old = loop.run_until_complete(begin())
    loop.close()

    async def again() -> Poller:
        return Poller.of(TRIGGER[service_name].hook_class, f"{service_name}_default")

    new = asyncio.run(again())

    assert new is not old
    assert [*Poller._of_loops.values()] == [new]
    Poller._of_loops.clear()
