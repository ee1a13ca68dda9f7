"""A task that waits in the triggerer and looks at how the event loop fares meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

STEP = 0.02
"""Seconds between two looks."""


def resident_mb() -> float:
    """What this process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


class LagTrigger(BaseTrigger):
    """Measure until a file tells to stop; a file of another name begins the measurement anew.

    :param folder: where ``measure`` and ``stop`` come to lie.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "lag.LagTrigger", {"folder": self.folder}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        folder, loop = Path(self.folder), asyncio.get_running_loop()
        lags: list[float] = []
        alone, begun = resident_mb(), False
        folder.joinpath("running").touch()
        while not folder.joinpath("stop").exists():
            if not begun and folder.joinpath("measure").exists():
                lags, begun = [], True
            start = loop.time()
            await asyncio.sleep(STEP)
            lags.append(loop.time() - start - STEP)
        lags.sort()
        yield TriggerEvent(
            {
                "p99": lags[int(len(lags) * 0.99)],
                "max": lags[-1],
                "looks": len(lags),
                "alone_mb": alone,
                "crowded_mb": resident_mb(),
            }
        )


class LagOperator(BaseOperator):
    """Defer to the trigger, and push what it found.

    :param folder: see there.
    """

    template_fields = ("folder",)

    def __init__(self, *, folder: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folder = folder

    def execute(self, context: Any) -> None:
        self.defer(trigger=LagTrigger(self.folder), method_name="ended")

    def ended(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        return event
