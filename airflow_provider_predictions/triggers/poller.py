"""All waits of a triggerer process that share a connection share its polls."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

from airflow_provider_predictions.api.errors import PredictionsError, TransientError
from airflow_provider_predictions.api.http.client import AsyncClient
from airflow_provider_predictions.api.limits import MIN_POLL_SECONDS
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.waiting.decide import Tally, Wait
from airflow_provider_predictions.api.waiting.hidden_rows import SavedRow
from airflow_provider_predictions.api.waiting.pace import Pace
from airflow_provider_predictions.api.waiting.status_query import (
    ListKey,
    StatusQuery,
    is_of_connection,
    list_of,
)
from airflow_provider_predictions.api.waiting.tallies import Key, Outcomes, Tallies
from airflow_provider_predictions.hooks.base import PredictionsHook
from airflow_provider_predictions.triggers.subscriptions import Grouping, Rotation, Subscription, in_batches

T = TypeVar("T", bound=Tally)


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
    async for tally in in_batches(tallies.begin(page)):
        tally.add(page)
