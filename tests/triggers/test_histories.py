"""Waits and watchers of what the model of a server lists, in simulated time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.clock import SimulatedTime
from tests.given import WAIT, WATCH
from tests.modelled import modelled
from tests.server_model import DONE, Habits, ServerModel
from tests.triggers.watching import INTERVAL, ids_of

HISTORIES = pytest.mark.parametrize(
    "seeds",
    [pytest.param(range(10), id="few"), pytest.param(range(10, 150), id="many", marks=pytest.mark.slow)],
)
HABITS = Habits(inserts=False, least=2)
"""Nothing is added behind the end of a list, which a poll does not look for when it knows where that is."""
MOST_POKES = 100


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


def a_server(service: str, seed: int, habits: Habits, changes: int) -> ServerModel:
    return ServerModel(service, seed, habits, changes=changes, now=lambda: datetime.now(UTC))


@HISTORIES
def test_a_wait_ends_only_after_all_its_predictions_have_finished(
    service_name: str, seeds: range, simulated_time: SimulatedTime
) -> None:
    for seed in seeds:
        server = a_server(service_name, seed, HABITS, 40)
        sensor = modelled(WAIT[service_name], server)(task_id="wait", page_size=3, fail_on=())
        for _ in range(MOST_POKES):
            server.began()
            unfinished = {row.id for row in server.rows if row.status != DONE[service_name]}
            if sensor.poke({}).is_done:
                break
            simulated_time.skip(INTERVAL)
            if not server.changes:
                server.finish()
        else:
            pytest.fail(f"seed {seed}: the wait does not end")

        left = {row.id for row in server.rows if row.status != DONE[service_name]}
        assert not left & unfinished & server.lasts(), f"seed {seed}"
        assert not left & server.told, f"seed {seed}: a replica that lags hid what another one had shown"


@HISTORIES
@pytest.mark.parametrize("share", [0.2, 1.0], ids=["few ids", "all ids"])
def test_a_wait_for_ids_ends_only_after_each_has_finished(
    service_name: str, share: float, seeds: range
) -> None:
    ended = 0
    for seed in seeds:
        server = a_server(service_name, seed, Habits(), 40)
        ids = [row.id for row in server.rows[: 1 + int(share * len(server.rows))]]
        if not ids:
            continue
        sensor = modelled(WAIT[service_name], server)(task_id="wait", prediction_ids=ids, fail_on=())
        is_done = False
        for _ in range(MOST_POKES):
            server.began()
            was_finished = not server.changes
            if (is_done := sensor.poke({}).is_done) or was_finished:
                break
            if not server.changes:
                server.finish()
        left = {row.id: row.status for row in server.rows if row.id in ids}
        assert not is_done or {*left.values()} <= {DONE[service_name]}, f"seed {seed}"
        assert is_done or left.keys() < {*ids}, f"seed {seed}: the wait does not end"  # one was removed
        ended += is_done
    assert ended


@HISTORIES
@pytest.mark.usefixtures("simulated_time", "has_watchers")
def test_a_watcher_reports_each_finished_prediction_once(service_name: str, seeds: range) -> None:
    for seed in seeds:
        server = a_server(service_name, seed, HABITS, 0)

        told, expected = asyncio.run(watch(server))

        assert len(set(told)) == len(told), f"seed {seed}"
        assert expected <= set(told), f"seed {seed}"


async def watch(server: ServerModel) -> tuple[list[str], set[str]]:
    """What was told, and what must have been."""
    trigger = modelled(WATCH[server.service], server)(page_size=3, poke_interval=INTERVAL)
    events: list[dict[str, Any]] = []

    async def run() -> None:
        async for event in trigger.run():
            events.append(event.payload)  # noqa: PERF401  (it is cancelled)

    watching = asyncio.create_task(run())
    await asyncio.sleep(1.5 * INTERVAL)
    finished = {row.id for row in server.rows if row.status == DONE[server.service]}
    server.changes = 40
    while server.changes:
        server.began()
        await asyncio.sleep(INTERVAL)
    server.finish()
    await asyncio.sleep(3 * INTERVAL)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return ids_of(events), {row.id for row in server.rows} - finished
