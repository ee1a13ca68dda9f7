"""What a triggerer does with triggers, until all have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any


def run_all(triggers: Iterable[Any]) -> None:
    """Run triggers in one event loop. Each ends when it has its answer or is refused."""

    async def run() -> None:
        await asyncio.gather(*(anext(trigger.run()) for trigger in triggers), return_exceptions=True)

    asyncio.run(run())
