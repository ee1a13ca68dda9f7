"""Watchers in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.compat import needs
from tests.given import WATCH
from tests.triggers.watching import INTERVAL, Store, restored, watch_alone, watch_shared


@pytest.fixture
def has_watchers() -> None:
    """Skip where Airflow has none."""
    needs(3, 0, "asset watchers")


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture(params=["alone", "shared"])
def shared(request: pytest.FixtureRequest) -> bool:
    """Both ways to run: alone, as before Airflow 3.3, and with a shared stream."""
    if request.param == "shared":
        needs(3, 3, "watchers that share their polls")
    return bool(request.param == "shared")


@pytest.fixture
def watched(shared: bool, service_name: str) -> Callable[..., list[dict[str, Any]]]:
    """The events of a watcher until its triggerer is killed, in the middle between two polls.

    ``between`` runs between the second poll and the third.
    """

    def watched(
        polls: int,
        store: Store | None,
        *,
        stores: bool = True,
        between: Callable[[], object] = lambda: None,
        **arguments: Any,
    ) -> list[dict[str, Any]]:
        trigger = restored(WATCH[service_name](**arguments))
        trigger.asset_state_store = store  # type: ignore[assignment]
        told: list[dict[str, Any]] = []
        watch = watch_shared if shared else watch_alone

        async def until() -> None:
            asyncio.get_running_loop().call_later(2.5 * INTERVAL, between)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(watch(trigger, told, stores), (polls + 0.5) * INTERVAL)

        asyncio.run(until())
        return told

    return watched
