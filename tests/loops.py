"""Whether an event loop is left free."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

STEP = 0.01


@asynccontextmanager
async def left_free(most: float) -> AsyncIterator[None]:
    """Fail if the event loop stands still while a thread beside it sleeps so many seconds.

    A machine that is busy or stops holds up both, which says nothing of the loop.
    """
    ticks = longest = 0
    over = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not over.wait(STEP):
            ticks += 1

    async def turn() -> None:
        nonlocal longest
        while not over.is_set():
            before = ticks
            await asyncio.sleep(STEP)
            longest = max(longest, ticks - before)

    beside = threading.Thread(target=tick)
    beside.start()
    turning = asyncio.create_task(turn())
    try:
        await asyncio.sleep(0)  # the first turn begins before what is looked at
        yield
    finally:
        over.set()
        await turning
        beside.join()
    assert longest * STEP < most, f"the event loop stood still for {longest * STEP:.2f} s"
