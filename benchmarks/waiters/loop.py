"""What a triggerer does with triggers, for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any


def run_all(triggers: Iterable[Any], seconds: float) -> None:
    """Run triggers in one event loop until the time is up."""

    async def run() -> None:
        waits = [asyncio.create_task(anext(trigger.run())) for trigger in triggers]
        await asyncio.wait(waits, timeout=seconds)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    asyncio.run(run())
