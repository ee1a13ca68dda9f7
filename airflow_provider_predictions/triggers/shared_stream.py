"""The list as a stream of polls that all its watchers share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from airflow_provider_predictions._compat import SharedStreamProducer
from airflow_provider_predictions.api.filters import Filters
from airflow_provider_predictions.api.waiting.decide import Wait
from airflow_provider_predictions.api.waiting.finished_events import EventTally
from airflow_provider_predictions.api.waiting.pace import Pace
from airflow_provider_predictions.hooks.base import PredictionsHook
from airflow_provider_predictions.triggers.poller import Poller
from airflow_provider_predictions.triggers.subscriptions import Subscription

if TYPE_CHECKING:
    from airflow.triggers.shared_stream import AdvanceItem

log = logging.getLogger(__name__)


class StreamItem:
    """One poll of a list.

    :param look_back_to: a watcher calls it with the creation time at which the next poll must begin.
    :param rows: those that the poll read; None for the item before the first poll.
    """

    def __init__(self, look_back_to: Callable[[datetime], None], rows: EventTally | None = None) -> None:
        self.look_back_to = look_back_to
        self._rows = rows
        self._callbacks: list[Callable[[], Awaitable[None]]] = []

    def rows(self, since: datetime) -> EventTally | None:
        """The rows, if the poll went back far enough.

        :param since: the creation time from which on all rows are needed.
        """
        return self._rows if self._rows and self._rows.since <= since else None

    def on_stored(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Call back once, when the metadata database has stored all events of this item."""
        self._callbacks.append(callback)

    async def stored(self) -> None:
        """Say that the metadata database has stored all events of this item."""
        for callback in self._callbacks:
            await callback()


class SharedStream(SharedStreamProducer):
    """Polls a list for all its watchers, without end.

    :param filters: their statuses are ignored, so that watchers of other statuses share the stream.
    :param poke_interval: seconds between polls.
    """

    def __init__(
        self, hook_class: type[PredictionsHook[Any]], conn_id: str, filters: Filters, poke_interval: float
    ) -> None:
        self._hook_class = hook_class
        self._conn_id = conn_id
        self._filters = filters.model_copy(update={"statuses": None})
        self._pace = Pace(poke_interval)
        self._subscription: Subscription[EventTally] | None = None
        self._since: datetime | None = None
        self._has_watcher = asyncio.Event()

    @override
    async def open_stream(self) -> AsyncGenerator[tuple[StreamItem, StreamItem], None]:
        """Each item twice: for the watchers, and for ``advance``."""
        item = StreamItem(self._look_back_to)
        yield item, item
        await self._has_watcher.wait()
        poller = Poller.of(self._hook_class, self._conn_id)
        async with poller.subscribe(self._wait(), EventTally, self._pace) as self._subscription:
            while True:
                outcome = await self._subscription.outcome()
                if isinstance(outcome, EventTally):
                    self._since = None
                    item = StreamItem(self._look_back_to, outcome)
                    yield item, item
                else:
                    # Any error: Airflow does not restart a watcher that has ended.
                    log.warning("%s: %s. The watcher continues.", type(outcome).__name__, outcome)

    @override
    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        for item, outcome in batch:
            if outcome.is_clean:
                await item.stored()

    def _look_back_to(self, since: datetime) -> None:
        """Begin the next poll at the earliest time that a watcher needs."""
        self._since = min(self._since or since, since)
        self._has_watcher.set()
        if self._subscription:
            self._subscription.wait = self._wait()

    def _wait(self) -> Wait:
        filters = self._filters.model_copy(update={"created_after": self._since})
        return Wait(filters=filters.model_dump(mode="json", exclude_none=True), fail_on=())
