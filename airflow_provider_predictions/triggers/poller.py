"""One poll for all: the waits of a triggerer process that share a connection ask together."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from airflow_provider_predictions.api.errors import PredictionsError
from airflow_provider_predictions.api.poll import Poll
from airflow_provider_predictions.api.waiting import Pace, Tally, Wait
from airflow_provider_predictions.hooks.base import PredictionsHook

CHUNK = 50
"""So many waits are counted before the event loop has a turn."""


@dataclass(eq=False)
class Subscription:
    """One wait among those of a connection.

    :param age: seconds that it had waited when it joined.
    :param joined: when that was, on the loop's clock.
    :param due: when it wants to know next.
    """

    wait: Wait
    pace: Pace
    age: float
    joined: float
    due: float
    outcomes: asyncio.Queue[Tally | Exception] = field(default_factory=asyncio.Queue)

    @property
    def key(self) -> str:
        """Equal for waits that ask the same."""
        return self.wait.model_dump_json()

    def tell(self, outcome: Tally | Exception, now: float) -> None:
        """Pass on what a poll has found, and be patient until the next."""
        error = outcome if isinstance(outcome, PredictionsError) else None
        self.due = now + self.pace.seconds(self.age + now - self.joined, error)
        self.outcomes.put_nowait(outcome)


class Poller:
    """Polls a connection for all who have subscribed, at the pace of the most impatient of them.

    :param hook_class: of the service.
    :param conn_id: the Airflow connection; it is read anew for each poll.
    """

    shortest_interval: ClassVar[float] = 5.0
    """Seconds. A trigger that fires before the scheduler has seen the task defer can fail it (apache/airflow
    #71580, #72716)."""
    _of_loops: ClassVar[dict[tuple[int, type[PredictionsHook[Any]], str], Poller]] = {}

    def __init__(self, hook_class: type[PredictionsHook[Any]], conn_id: str) -> None:
        self.hook_class = hook_class
        self.conn_id = conn_id
        self._loop = asyncio.get_running_loop()
        self._subscriptions: set[Subscription] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._list_end = ""

    @classmethod
    def of(cls, hook_class: type[PredictionsHook[Any]], conn_id: str) -> Poller:
        """The one of this event loop."""
        key = (id(asyncio.get_running_loop()), hook_class, conn_id)
        if key not in cls._of_loops:
            cls._of_loops[key] = cls(hook_class, conn_id)
        return cls._of_loops[key]

    @asynccontextmanager
    async def subscribe(
        self, wait: Wait, pace: Pace, age: float
    ) -> AsyncIterator[asyncio.Queue[Tally | Exception]]:
        """What each poll finds for a wait, from now on; the first one comes after an interval.

        :param age: seconds since the wait began.
        """
        now = self._loop.time()
        pace = replace(pace, interval=max(pace.interval, self.shortest_interval))
        subscription = Subscription(wait, pace, age, now, now + pace.seconds(0))
        self._subscriptions.add(subscription)
        self._changed.set()
        if self._task is None:
            # In a context of its own: what it logs belongs to none of the tasks that wait.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        try:
            yield subscription.outcomes
        finally:
            self._subscriptions.discard(subscription)
            if not self._subscriptions:
                self._close()

    def _close(self) -> None:
        if self._task:
            self._task.cancel()
        self._of_loops.pop((id(self._loop), self.hook_class, self.conn_id), None)

    async def _run(self) -> None:
        while True:
            await self._until_due()
            waits = {one.key: one.wait for one in self._subscriptions}
            try:
                outcomes: dict[str, Any] = await self._poll(waits)
            except Exception as error:  # of whatever kind: each wait decides what it means
                outcomes = dict.fromkeys(waits, error)
            now = self._loop.time()
            for subscription in list(self._subscriptions):
                outcome = outcomes.get(subscription.key)
                # Who has come only now waits for the next poll.
                if outcome is not None and now - subscription.joined >= self.shortest_interval:
                    subscription.tell(outcome, now)

    async def _until_due(self) -> None:
        while True:
            self._changed.clear()
            seconds = min(one.due for one in self._subscriptions) - self._loop.time()
            if seconds <= 0:
                return
            try:
                await asyncio.wait_for(self._changed.wait(), seconds)
            except TimeoutError:
                return

    async def _poll(self, waits: dict[str, Wait]) -> dict[str, Tally]:
        """Ask once: a failed poll is not repeated before the next interval."""
        hook = self.hook_class(self.conn_id, attempts=1)
        async with await hook.aget_conn() as client:
            tallies = {key: Tally(wait, client.service) for key, wait in waits.items()}
            poll = Poll(client.service, list(waits.values()), list_end=self._list_end)
            async for page in client.pages(poll):
                for number, tally in enumerate(tallies.values()):
                    tally.add(page)
                    if number % CHUNK == CHUNK - 1:
                        await asyncio.sleep(0)
            self._list_end = poll.list_end
        return tallies
