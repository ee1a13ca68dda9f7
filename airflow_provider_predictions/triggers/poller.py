"""All waits of a triggerer process that share a connection share its polls."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

from airflow_provider_predictions.api.errors import PredictionsError, TransientError
from airflow_provider_predictions.api.http.client import AsyncClient
from airflow_provider_predictions.api.limits import MAX_WAITS_AT_ONCE, MIN_POLL_SECONDS
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.waiting.decide import Tally, Wait
from airflow_provider_predictions.api.waiting.hidden_rows import SavedRow
from airflow_provider_predictions.api.waiting.pace import Pace
from airflow_provider_predictions.api.waiting.query_history import QueryHistory
from airflow_provider_predictions.api.waiting.status_query import (
    ListKey,
    StatusQuery,
    is_of_connection,
    list_of,
)
from airflow_provider_predictions.api.waiting.tallies import Key, Outcomes, Tallies
from airflow_provider_predictions.hooks.base import PredictionsHook

Item = TypeVar("Item")
T = TypeVar("T", bound=Tally)


@dataclass(eq=False)
class Subscription(Generic[T]):
    """One wait of a connection. Times are on the event loop's clock.

    :param began: when the wait began.
    :param earliest: when it may receive its first outcome.
    :param due: when it needs the next poll.
    :param unfinished: what its first poll must know of polls before the deferral.
    """

    wait: Wait
    """It may change between two polls."""
    tally_class: type[T]
    pace: Pace
    began: float
    earliest: float
    due: float
    unfinished: Iterable[SavedRow] = ()
    last: T | None = None
    """The tally that was delivered last. If the next poll finds it again, nothing changed."""
    _newest: asyncio.Queue[T | PredictionsError] = field(default_factory=lambda: asyncio.Queue(1))

    @property
    def key(self) -> Key:
        """Equal for subscriptions that share their outcomes."""
        return self.tally_class, self.wait.text

    async def outcome(self) -> T | PredictionsError:
        """The newest outcome that differs from the last one. A slow subscriber misses the ones before it."""
        await asyncio.sleep(self.earliest - asyncio.get_running_loop().time())
        return await self._newest.get()

    def deliver(self, outcome: T | PredictionsError) -> None:
        """Replace the newest outcome, and wake the subscriber."""
        self.last = None if isinstance(outcome, PredictionsError) else outcome
        with suppress(asyncio.QueueEmpty):
            self._newest.get_nowait()
        self._newest.put_nowait(outcome)

    def reschedule(self, now: float) -> None:
        """Make the next poll due an interval from now."""
        self.due = now + self.pace.seconds(now - self.began)


class Grouping:
    """The waits of subscriptions, by their keys and lists. It holds for later polls while no wait changes.

    :param apart: whether waits by ids share no pass over the list with waits by filters.
    """

    def __init__(
        self, waits: Mapping[Subscription[Any], Wait], service: type[Service[Any]], *, apart: bool = False
    ) -> None:
        self.waits = waits
        self._service = service
        self.apart = apart
        self.keys = {subscription: subscription.key for subscription in waits}
        self._subscribers: dict[Key, list[Subscription[Any]]] = {}
        for subscription, key in self.keys.items():
            self._subscribers.setdefault(key, []).append(subscription)

    async def deliver(self, outcomes: Mapping[Key, Tally | PredictionsError]) -> None:
        """Wake the subscribers of what is new for them."""
        news = (
            (one, outcome)
            for key, outcome in outcomes.items()
            for one in self._subscribers[key]
            if one.last is not outcome
        )
        async for subscription, outcome in _in_batches(news):
            subscription.deliver(outcome)

    @cached_property
    def lists(self) -> dict[ListKey, dict[Key, Wait]]:
        """The waits for each list."""
        lists: dict[ListKey, dict[Key, Wait]] = {}
        for subscription, wait in self.waits.items():
            name = list_of(self._service, wait, apart=self.apart)
            lists.setdefault(name, {})[self.keys[subscription]] = wait
        return lists


class Rotation:
    """Which list a poll reads first. If the rate limit stops a poll, the other lists come first next time."""

    def __init__(self) -> None:
        self.histories: dict[ListKey, QueryHistory] = {}
        self.last: ListKey | None = None
        """The list that had the last turn."""

    def history_of(self, name: ListKey) -> QueryHistory:
        """What polls have learned about a list."""
        return self.histories.setdefault(name, QueryHistory())

    def order(self, lists: Collection[ListKey]) -> list[ListKey]:
        """The lists, starting after the one that had the last turn. Histories of other lists are dropped."""
        self.histories = {key: self.history_of(key) for key in lists}
        turns = sorted(lists, key=repr)
        first = turns.index(self.last) + 1 if self.last is not None and self.last in lists else 0
        return turns[first:] + turns[:first]


class Poller:
    """Polls a connection for all its subscribers, at the pace of the fastest one.

    Each poll reads the connection anew.
    """

    shortest_interval: ClassVar[float] = MIN_POLL_SECONDS
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
        self._rotation = Rotation()
        self._grouping = Grouping({}, hook_class.service_class)
        self._apart = False
        """Whether the rate limit has stopped a pass that waits by ids shared with waits by filters."""
        self._tallies: dict[ListKey, Tallies] = {}
        """Of the last poll, of each list that it could read."""
        self._not_before = 0.0

    @classmethod
    def of(cls, hook_class: type[PredictionsHook[Any]], conn_id: str) -> Poller:
        """The poller that this event loop shares."""
        for key in [key for key in cls._of_loops if key[0].is_closed()]:
            del cls._of_loops[key]
        key = (asyncio.get_running_loop(), hook_class, conn_id)
        if key not in cls._of_loops:
            cls._of_loops[key] = cls(hook_class, conn_id)
        return cls._of_loops[key]

    @asynccontextmanager
    async def subscribe(
        self,
        wait: Wait,
        tally_class: type[T],
        pace: Pace,
        age: float = 0,
        unfinished: Iterable[SavedRow] = (),
    ) -> AsyncIterator[Subscription[T]]:
        """Receive the outcome of each poll for a wait. The first poll comes after an interval.

        :param tally_class: what each poll makes for the wait.
        :param age: seconds since the wait began.
        :param unfinished: what polls before the deferral found unfinished.
        """
        now = self._loop.time()
        pace = replace(pace, interval=max(pace.interval, self.shortest_interval))
        earliest, due = now + self.shortest_interval, now + pace.seconds(0)
        subscription = Subscription(wait, tally_class, pace, now - age, earliest, due, unfinished)
        self._subscriptions.add(subscription)
        self._changed.set()
        if self._task is None or self._task.done():
            # In its own context: what it logs belongs to none of the waiting tasks.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            if not self._subscriptions:
                self._task.cancel()
                self._of_loops.pop((self._loop, self.hook_class, self.conn_id), None)

    def delay(self, seconds: float) -> None:
        """Delay the next poll because the service asked for it, also for later subscribers."""
        self._not_before = max(self._not_before, self._loop.time() + seconds)

    async def _run(self) -> None:
        while True:
            await self._until_due()
            waits = {one: one.wait for one in self._subscriptions}
            if waits != self._grouping.waits or self._apart != self._grouping.apart:
                self._grouping = Grouping(waits, self.hook_class.service_class, apart=self._apart)
            keys = self._grouping.keys
            try:
                self._remember(keys)
                outcomes = await self._poll(self._grouping)
            # Any error, also if something that the poll awaits was cancelled, but not this task. Each wait
            # decides what it means.
            except (Exception, asyncio.CancelledError) as error:
                if self._task and self._task.cancelling():
                    raise
                outcomes = dict.fromkeys(keys.values(), self._failure(error))
            # All subscriptions wait for an interval from here, so none brings polls closer together.
            now = self._loop.time()
            for subscription in keys:
                subscription.reschedule(now)
            await self._grouping.deliver(outcomes)

    def _remember(self, subscriptions: Iterable[Subscription[Any]]) -> None:
        """Let the polls of each list know what its new subscribers have seen."""
        for one in subscriptions:
            if one.unfinished:
                rows, one.unfinished = one.unfinished, ()
                name = list_of(self.hook_class.service_class, one.wait)
                self._rotation.history_of(name).hidden.remember(rows)

    def _failure(self, error: BaseException) -> PredictionsError:
        if not isinstance(error, PredictionsError):
            return TransientError(f"{self.conn_id}: {type(error).__name__}: {error}")
        self.delay(error.retry_after or 0)
        return error

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

    async def _poll(self, grouping: Grouping) -> Outcomes:
        """Poll once. A failed poll is not repeated before the next interval."""
        outcomes: Outcomes = {}
        async with await self._client() as client:
            is_first, before, self._tallies = True, self._tallies, {}
            for name in self._rotation.order(grouping.lists):
                waits = grouping.lists[name]
                found, stopped = await self._read_list(client, name, waits, before.get(name))
                outcomes |= found
                # What is known need not wait for the other lists.
                await grouping.deliver({key: one for key, one in found.items() if isinstance(one, Tally)})
                if is_first or not stopped:
                    self._rotation.last = name
                if stopped:
                    # The pass may never come to its end. So each kind of wait gets its turn.
                    kinds = {wait.prediction_ids is None for wait in waits.values()}
                    self._apart = self._apart or len(kinds) > 1
                    self.delay(stopped.retry_after or 0)
                    return dict.fromkeys(grouping.keys.values(), stopped) | outcomes
                is_first = False
        return outcomes

    async def _read_list(
        self, client: AsyncClient, name: ListKey, waits: Mapping[Key, Wait], before: Tallies | None
    ) -> tuple[Outcomes, PredictionsError | None]:
        """The outcomes of the waits for one list, and the error that also stops the other lists."""
        query = StatusQuery(client.service, [*waits.values()], self._rotation.histories[name])
        tallies = Tallies(waits, client.service, before)
        try:
            await _count(query.known, tallies)
            async for page in client.pages(query):
                await _count(page, tallies)
                # Lookups that wait for the rate limit may take minutes.
                await self._grouping.deliver(tallies.completed(page))
        except PredictionsError as error:
            return dict.fromkeys(waits, error), query.stopped_by or (
                error if is_of_connection(error) else None
            )
        for tally in tallies.counted.values():
            tally.clock, tally.doubt = client.service_clock, query.doubt_of(tally.wait)
        self._tallies[name] = tallies
        return tallies.end(query.error_of if query.has_failed else None), query.stopped_by

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


async def _count(page: Page, tallies: Tallies) -> None:
    async for tally in _in_batches(tallies.begin(page)):
        tally.add(page)


async def _in_batches(items: Iterable[Item]) -> AsyncIterator[Item]:
    """The items; between batches, other tasks of the event loop run."""
    for number, item in enumerate(items):
        yield item
        if number % MAX_WAITS_AT_ONCE == MAX_WAITS_AT_ONCE - 1:
            await asyncio.sleep(0)
