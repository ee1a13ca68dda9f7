"""Time in tests: simulated, so that no test waits; or counted without the stops of a busy machine."""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

STEP = 0.01
EXECUTORS = ("asyncio_", "ThreadPoolExecutor-")
"""How the threads of asyncio's executor begin, and of those that are given no name."""


class SimulatedTime:
    """The clocks of this process. Sleeping moves them; requests take the time that they take.

    :param traveller: moves ``time.time`` and ``datetime.now``.
    """

    def __init__(self, traveller: time_machine.Traveller) -> None:
        self._traveller = traveller
        self._skipped = 0.0
        self._lock = threading.Lock()
        self._servers = {*threading.enumerate()} - {threading.main_thread()}
        self._real_monotonic, self._real_sleep = time.monotonic, time.sleep
        self._real_wait, self._real_result = threading.Event.wait, Future.result

    def monotonic(self) -> float:
        """Stand in for ``time.monotonic``, by which event loops and the package measure."""
        return self._real_monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        """Stand in for ``time.sleep``; servers that were there before the test really sleep."""
        if threading.current_thread() in self._servers:
            self._real_sleep(seconds)
        else:
            self.skip(seconds)

    def wait(self, event: threading.Event, timeout: float | None = None) -> bool:
        """Stand in for ``threading.Event.wait``: it is over when other threads have let the time pass."""
        if timeout is None:
            return self._real_wait(event)
        end = self.monotonic() + timeout
        while not event.is_set() and (left := end - self.monotonic()) > 0:
            self._real_wait(event, min(left, STEP))
        return event.is_set()

    def result(self, future: Future[Any], timeout: float | None = None) -> Any:
        """Stand in for ``Future.result`` in the same way."""
        end = math.inf if timeout is None else self.monotonic() + timeout
        while not future.done() and (left := end - self.monotonic()) > 0:
            wait([future], min(left, STEP))
        return self._real_result(future, 0)

    def threads(self) -> set[threading.Thread]:
        """Those that work for the test, but for those of an executor, which live on without work."""
        beside = {*threading.enumerate()} - self._servers - {threading.main_thread()}
        return {thread for thread in beside if not thread.name.startswith(EXECUTORS)}

    def skip(self, seconds: float) -> None:
        """Let time pass.

        :param seconds: how much.
        """
        with self._lock:
            self._skipped += seconds
            self._traveller.shift(seconds)


class _SkippingSelector(selectors.DefaultSelector):
    """Skips the time in which its event loop has nothing to do but to wait for a timer."""

    def __init__(self, clock: SimulatedTime) -> None:
        super().__init__()
        self._clock = clock
        self.calls = 0
        """How many of the loop's executor are under way."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # Looked at first: a thread that has ended before has woken the loop.
        is_idle = self._is_idle()
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or not is_idle:
            # Not for longer: a thread that has woken the loop before may only now end.
            return super().select(STEP if timeout is None else min(timeout, STEP))
        self._clock.skip(timeout)
        return ready

    def _is_idle(self) -> bool:
        """No request is under way, and no thread works for the loop."""
        sockets = len(self.get_map()) - 1  # threads wake the loop by one of its own
        return not (sockets or self.calls or self._clock.threads())


class _SimulatedLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: SimulatedTime) -> None:
        self._skipping = _SkippingSelector(clock)
        super().__init__(self._skipping)

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        call = super().run_in_executor(executor, func, *args)
        self._skipping.calls += 1
        call.add_done_callback(self._is_done)
        return call

    def _is_done(self, _: object) -> None:
        self._skipping.calls -= 1


class _Policy(asyncio.DefaultEventLoopPolicy):
    """Lets ``asyncio.run`` of the test make loops of simulated time."""

    def __init__(self, clock: SimulatedTime) -> None:
        super().__init__()
        self._clock = clock

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        if threading.current_thread() is threading.main_thread():
            return _SimulatedLoop(self._clock)
        return super().new_event_loop()


@contextmanager
def simulated_time() -> Iterator[SimulatedTime]:
    """Let each sleep of the test, and of the event loops that it runs, end at once."""
    with time_machine.travel(datetime.now(UTC)) as traveller, pytest.MonkeyPatch.context() as patch:
        clock = SimulatedTime(traveller)
        patch.setattr(time, "monotonic", clock.monotonic)
        patch.setattr(time, "sleep", clock.sleep)
        patch.setattr(threading.Event, "wait", lambda *given, **named: clock.wait(*given, **named))
        patch.setattr(Future, "result", lambda *given, **named: clock.result(*given, **named))
        before = asyncio.get_event_loop_policy()
        asyncio.set_event_loop_policy(_Policy(clock))
        try:
            yield clock
        finally:
            asyncio.set_event_loop_policy(before)


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
