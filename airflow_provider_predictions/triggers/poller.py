"""One poll for all: the waits of a triggerer process that share a connection ask together."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from airflow_provider_predictions.api.errors import PredictionsError
from airflow_provider_predictions.api.models import Page
from airflow_provider_predictions.api.poll import Poll
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.waiting import LONGEST_RETRY_AFTER, Pace, Wait
from airflow_provider_predictions.hooks.base import PredictionsHook

CHUNK = 50
"""So many waits are counted before the event loop has a turn."""


class Counting(Protocol):
    """Something that sees the pages of a poll."""

    def add(self, page: Page) -> None:
        """Look at a page.

        :param page: of the list, or one prediction that was asked for.
        """


C = TypeVar("C", bound=Counting)


@dataclass(eq=False)
class Subscription(Generic[C]):
    """One wait among those of a connection.

    :param wait: what is asked for; it may change between two polls.
    :param count: makes what sees the pages of a poll.
    :param age: seconds that it had waited when it joined.
    :param joined: when that was, on the loop's clock.
    :param due: when it wants to know next.
    """

    wait: Wait
    count: Callable[[Wait, Service[Any]], C]
    pace: Pace
    age: float
    joined: float
    due: float
    outcomes: asyncio.Queue[C | Exception] = field(default_factory=asyncio.Queue)

    @property
    def key(self) -> tuple[object, str]:
        """Equal for those that ask the same."""
        return self.count, self.wait.model_dump_json()

    async def outcome(self) -> C | Exception:
        """What the next poll finds."""
        return await self.outcomes.get()

    def be_patient(self, now: float) -> None:
        """Wait for an interval from now.

        :param now: seconds, on the loop's clock.
        """
        self.due = now + self.pace.seconds(self.age + now - self.joined)


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
        self._subscriptions: set[Subscription[Any]] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._list_end = ""
        self._not_before = 0.0

    @classmethod
    def of(cls, hook_class: type[PredictionsHook[Any]], conn_id: str) -> Poller:
        """The one of this event loop.

        :param hook_class: of the service.
        :param conn_id: the Airflow connection.
        """
        key = (id(asyncio.get_running_loop()), hook_class, conn_id)
        if key not in cls._of_loops:
            cls._of_loops[key] = cls(hook_class, conn_id)
        return cls._of_loops[key]

    @asynccontextmanager
    async def subscribe(
        self, wait: Wait, count: Callable[[Wait, Service[Any]], C], pace: Pace, age: float = 0
    ) -> AsyncIterator[Subscription[C]]:
        """What each poll finds for a wait, from now on; the first one comes after an interval.

        :param wait: what is asked for.
        :param count: makes what sees the pages of a poll.
        :param pace: how often.
        :param age: seconds since the wait began.
        """
        now = self._loop.time()
        pace = replace(pace, interval=max(pace.interval, self.shortest_interval))
        subscription = Subscription(wait, count, pace, age, now, now + pace.seconds(0))
        self._subscriptions.add(subscription)
        self._changed.set()
        if self._task is None:
            # In a context of its own: what it logs belongs to none of the tasks that wait.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        try:
            yield subscription
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
            asked = {one.key: one for one in self._subscriptions}
            try:
                outcomes: dict[Any, Any] = await self._poll(asked)
            except Exception as error:  # of whatever kind: each wait decides what it means
                outcomes = dict.fromkeys(asked, error)
                self._put_off(error)
            self._tell(outcomes)

    def _put_off(self, error: Exception) -> None:
        """Obey a service that asks for time, also for those who subscribe meanwhile."""
        if isinstance(error, PredictionsError) and error.retry_after:
            self._not_before = self._loop.time() + min(error.retry_after, LONGEST_RETRY_AFTER)

    def _tell(self, outcomes: dict[Any, Any]) -> None:
        """Pass on what a poll has found. All wait for an interval from here, so nobody makes polls closer."""
        now = self._loop.time()
        for subscription in self._subscriptions:
            outcome = outcomes.get(subscription.key)
            if outcome is not None:
                subscription.be_patient(now)
                soonest = subscription.joined + self.shortest_interval
                self._loop.call_at(max(now, soonest), subscription.outcomes.put_nowait, outcome)

    async def _until_due(self) -> None:
        while True:
            self._changed.clear()
            due = min(one.due for one in self._subscriptions)
            seconds = max(due, self._not_before) - self._loop.time()
            if seconds <= 0:
                return
            try:
                await asyncio.wait_for(self._changed.wait(), seconds)
            except TimeoutError:
                return

    async def _poll(self, asked: dict[Any, Subscription[Any]]) -> dict[Any, Counting]:
        """Ask once: a failed poll is not repeated before the next interval."""
        hook = self.hook_class(self.conn_id, attempts=1)
        async with await hook.aget_conn() as client:
            counts = {key: one.count(one.wait, client.service) for key, one in asked.items()}
            poll = Poll(client.service, [one.wait for one in asked.values()], list_end=self._list_end)
            async for page in client.pages(poll):
                for number, count in enumerate(counts.values()):
                    count.add(page)
                    if number % CHUNK == CHUNK - 1:
                        await asyncio.sleep(0)
            self._list_end = poll.list_end
        return counts
