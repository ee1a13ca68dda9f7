"""One poll for all: the waits of a triggerer process that share a connection ask together."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from airflow_provider_predictions.api.clock import ServiceClock
from airflow_provider_predictions.api.errors import PredictionsError, TransientError
from airflow_provider_predictions.api.http.client import AsyncClient
from airflow_provider_predictions.api.limits import MAX_RETRY_AFTER
from airflow_provider_predictions.api.models import Page
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.waiting.decide import Pace, Wait
from airflow_provider_predictions.api.waiting.status_query import (
    ListKey,
    QueryHistory,
    StatusQuery,
    is_of_connection,
    list_of,
)
from airflow_provider_predictions.hooks.base import PredictionsHook

CHUNK = 50
"""So many waits are counted, or told, before the event loop has a turn."""


class Counting(Protocol):
    """Something that sees the pages of a poll.

    :ivar clock: of the service, as the poll has found it.
    """

    clock: ServiceClock

    def add(self, page: Page) -> None:
        """Look at a page.

        :param page: of the list, or one prediction that was asked for.
        """


T = TypeVar("T")
C = TypeVar("C", bound=Counting)
Key = tuple[object, str]


@dataclass(eq=False)
class Subscription(Generic[C]):
    """One wait among those of a connection.

    :param wait: what is asked for; it may change between two polls.
    :param count: makes what sees the pages of a poll.
    :param age: seconds that it had waited when it joined.
    :param joined: when that was, on the loop's clock.
    :param soonest: when it may be told first.
    :param due: when it wants to know next.
    """

    wait: Wait
    count: Callable[[Wait, Service[Any]], C]
    pace: Pace
    age: float
    joined: float
    soonest: float
    due: float
    _newest: asyncio.Queue[C | PredictionsError] = field(default_factory=lambda: asyncio.Queue(1))

    @property
    def key(self) -> Key:
        """Equal for those that ask the same."""
        return self.count, self.wait.model_dump_json()

    async def outcome(self) -> C | PredictionsError:
        """What the newest poll has found; who is slow misses those before it."""
        await asyncio.sleep(self.soonest - asyncio.get_running_loop().time())
        return await self._newest.get()

    def tell(self, outcome: C | PredictionsError) -> None:
        """Pass on what a poll has found.

        :param outcome: what has seen its pages, or why it has failed.
        """
        with suppress(asyncio.QueueEmpty):
            self._newest.get_nowait()
        self._newest.put_nowait(outcome)

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
    longest_read: ClassVar[float] = 60.0
    """Seconds that reading the connection may take."""
    _of_loops: ClassVar[dict[tuple[asyncio.AbstractEventLoop, type[PredictionsHook[Any]], str], Poller]] = {}

    def __init__(self, hook_class: type[PredictionsHook[Any]], conn_id: str) -> None:
        self.hook_class = hook_class
        self.conn_id = conn_id
        self._loop = asyncio.get_running_loop()
        self._subscriptions: set[Subscription[Any]] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._history: dict[ListKey, QueryHistory] = {}
        self._last: ListKey | None = None
        self._not_before = 0.0

    @classmethod
    def of(cls, hook_class: type[PredictionsHook[Any]], conn_id: str) -> Poller:
        """The one of this event loop.

        :param hook_class: of the service.
        :param conn_id: the Airflow connection.
        """
        for key in [key for key in cls._of_loops if key[0].is_closed()]:
            del cls._of_loops[key]
        key = (asyncio.get_running_loop(), hook_class, conn_id)
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
        soonest, due = now + self.shortest_interval, now + pace.seconds(0)
        subscription = Subscription(wait, count, pace, age, now, soonest, due)
        self._subscriptions.add(subscription)
        self._changed.set()
        if self._task is None or self._task.done():
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
        self._of_loops.pop((self._loop, self.hook_class, self.conn_id), None)

    async def _run(self) -> None:
        while True:
            await self._until_due()
            asked = {one: one.key for one in self._subscriptions}
            outcomes: Mapping[Key, Counting | PredictionsError]
            try:
                outcomes = await self._poll({key: one for one, key in asked.items()})
            # Of whatever kind, and also if something that was waited for is cancelled, not this task: each
            # wait decides what it means.
            except (Exception, asyncio.CancelledError) as error:
                if self._task and self._task.cancelling():
                    raise
                outcomes = dict.fromkeys(asked.values(), self._failure(error))
            await self._tell(asked, outcomes)

    def _failure(self, error: BaseException) -> PredictionsError:
        """What to tell of a poll that has failed."""
        if not isinstance(error, PredictionsError):
            return TransientError(f"{self.conn_id}: {type(error).__name__}: {error}")
        self.put_off(error.retry_after or 0)
        return error

    def put_off(self, seconds: float) -> None:
        """Obey a service that asks for time, also for those who subscribe later.

        :param seconds: from now.
        """
        until = self._loop.time() + min(seconds, MAX_RETRY_AFTER)
        self._not_before = max(self._not_before, until)

    async def _tell(
        self, asked: Mapping[Subscription[Any], Key], outcomes: Mapping[Key, Counting | PredictionsError]
    ) -> None:
        """Pass on what a poll has found. All wait for an interval from here, so nobody makes polls closer."""
        now = self._loop.time()
        for subscription in asked:
            subscription.be_patient(now)
        async for subscription in _in_turns(asked):
            subscription.tell(outcomes[asked[subscription]])

    async def _until_due(self) -> None:
        while True:
            self._changed.clear()
            due = min(one.due for one in self._subscriptions)
            seconds = max(due, self._not_before) - self._loop.time()
            if seconds <= 0:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()

    async def _poll(self, asked: Mapping[Key, Subscription[Any]]) -> dict[Key, Counting | PredictionsError]:
        """Ask once: a failed poll is not repeated before the next interval."""
        outcomes: dict[Key, Counting | PredictionsError] = {}
        async with await self._client() as client:
            counts = {key: one.count(one.wait, client.service) for key, one in asked.items()}
            lists = self._lists(client.service, {key: one.wait for key, one in asked.items()})
            has_answered = False
            for one, waits in lists.items():
                poll, error = StatusQuery(client.service, [*waits.values()], self._history[one]), None
                try:
                    await _count(_pages(client, poll), [counts[key] for key in waits])
                except PredictionsError as failure:
                    error = failure
                outcomes |= {key: error or poll.error_of(wait) or counts[key] for key, wait in waits.items()}
                stopped = poll.put_off_by or (error if error and is_of_connection(error) else None)
                if not (stopped and has_answered):
                    self._last = one
                if stopped:
                    self.put_off(stopped.retry_after or 0)
                    outcomes |= dict.fromkeys(asked.keys() - outcomes.keys(), stopped)
                    break
                has_answered = True
        for count in counts.values():
            count.clock = client.service_clock
        return outcomes

    def _lists(self, service: Service[Any], waits: Mapping[Key, Wait]) -> dict[ListKey, dict[Key, Wait]]:
        """The waits by the list that answers them; first the one behind that which had the last turn.

        So each has its turn where the rate limit lets fewer pass than there are.
        """
        lists: dict[ListKey, dict[Key, Wait]] = {}
        for key, wait in waits.items():
            lists.setdefault(list_of(service, wait), {})[key] = wait
        self._history = {one: self._history.get(one) or QueryHistory() for one in lists}
        turns = sorted(lists, key=repr)
        first = turns.index(self._last) + 1 if self._last in lists else 0
        return {one: lists[one] for one in turns[first:] + turns[:first]}

    async def _client(self) -> AsyncClient:
        hook = self.hook_class(self.conn_id, attempts=1)
        try:
            async with asyncio.timeout(self.longest_read) as bound:
                return await hook.aget_conn()
        except TimeoutError:
            if not bound.expired():
                raise
            text = f"connection {self.conn_id!r} was not read within {self.longest_read:g} s"
            raise TransientError(f"{hook.conn_name_attr}: {text}") from None


async def _count(pages: AsyncIterator[Page], counts: list[Counting]) -> None:
    async for page in pages:
        async for count in _in_turns(counts):
            count.add(page)


async def _in_turns(waits: Iterable[T]) -> AsyncIterator[T]:
    """Those that wait; the event loop has a turn now and then."""
    for number, wait in enumerate(waits):
        yield wait
        if number % CHUNK == CHUNK - 1:
            await asyncio.sleep(0)


async def _pages(client: AsyncClient, poll: StatusQuery) -> AsyncIterator[Page]:
    yield poll.known
    async for page in client.pages(poll):
        yield page
