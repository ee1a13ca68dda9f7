"""Time that does not pass while a busy machine holds up the tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

STEP = 0.01


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Seconds that a thread beside the test has slept: a machine that is busy or stops holds up both."""
    steps = 0
    over = threading.Event()

    def count() -> None:
        nonlocal steps
        while not over.wait(STEP):
            steps += 1

    beside = threading.Thread(target=count)
    beside.start()
    try:
        yield lambda: steps * STEP
    finally:
        over.set()
        beside.join()


@asynccontextmanager
async def event_loop_free(most: float) -> AsyncIterator[None]:
    """Fail if the event loop stands still for so many seconds."""
    longest = 0.0

    async def turn() -> None:
        nonlocal longest
        while True:
            before = seconds()
            await asyncio.sleep(STEP)
            longest = max(longest, seconds() - before)

    with stopwatch() as seconds:
        turning = asyncio.create_task(turn())
        await asyncio.sleep(0)  # the first turn begins before what is looked at
        yield
        await asyncio.sleep(2 * STEP)
        turning.cancel()
    assert longest < most, f"the event loop stood still for {longest:.2f} s"
