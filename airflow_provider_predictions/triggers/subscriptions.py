"""Who waits on a connection, for what, and which list a poll for them reads first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from airflow_provider_predictions.api.errors import PredictionsError
from airflow_provider_predictions.api.limits import MAX_WAITS_AT_ONCE
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.waiting.decide import Tally, Wait
from airflow_provider_predictions.api.waiting.hidden_rows import SavedRow
from airflow_provider_predictions.api.waiting.pace import Pace
from airflow_provider_predictions.api.waiting.query_history import QueryHistory
from airflow_provider_predictions.api.waiting.status_query import ListKey, list_of
from airflow_provider_predictions.api.waiting.tallies import Key

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
        async for subscription, outcome in in_batches(news):
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


async def in_batches(items: Iterable[Item]) -> AsyncIterator[Item]:
    """The items; between batches, other tasks of the event loop run."""
    for number, item in enumerate(items):
        yield item
        if number % MAX_WAITS_AT_ONCE == MAX_WAITS_AT_ONCE - 1:
            await asyncio.sleep(0)
