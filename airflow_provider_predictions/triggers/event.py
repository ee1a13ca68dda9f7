"""Start DAGs when predictions are finished: the same for every service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from airflow.providers.common.compat.triggers import BaseEventTrigger
from airflow.triggers.base import TriggerEvent

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.feed import Feed, Rows, events
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.waiting import Pace, Wait
from airflow_provider_predictions.hooks.base import PredictionsHook
from airflow_provider_predictions.triggers.poller import Poller

STATE = "predictions"
"""The key in the asset's state store."""
PERSISTED_AFTER = 3.0
"""Seconds after which the triggerer has handed an event on; only then it counts as told."""
DAY = 86_400.0


class PredictionsEventTrigger(BaseEventTrigger):
    """Fire for each batch of predictions that have finished since the last one; runs for ever.

    For an ``AssetWatcher``. An event holds ``service``, ``ids``, ``count``, ``statuses`` (status -> count),
    and ``batch``, which is equal for an event that comes again since a triggerer was killed while it handed
    the event on. Where Airflow keeps a state for the asset (3.3), events go on after a restart where they
    were; before that version, what finishes while no triggerer runs is not told of.

    :param statuses: tell only of these; by default of all finished ones.
    :param poke_interval: seconds between polls; at least 5.
    :param max_age: seconds for which an unfinished prediction is waited for.
    """

    hook_class: ClassVar[type[PredictionsHook[Any]]]

    def __init__(
        self,
        *,
        statuses: Collection[str] | str | None = None,
        poke_interval: float = 60,
        max_age: float = DAY,
        **arguments: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.statuses = statuses
        self.poke_interval = poke_interval
        self.max_age = max_age
        self.conn_id: str = arguments.pop(self.hook_class.conn_name_attr)
        self._saved: dict[str, Any] | None = None
        for name in ("poke_interval", "max_age"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name}: must be longer than 0; found {getattr(self, name)}")
        self._filters = self.hook_class.filters(statuses=statuses, **arguments)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, as the metadata database keeps them; equal ones share a trigger."""
        filters = self._filters.model_dump(mode="json", exclude_none=True)
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            self.hook_class.conn_name_attr: self.conn_id,
            "poke_interval": self.poke_interval,
            "max_age": self.max_age,
            **filters,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for ever, and fire for what has finished."""
        feed, pending = await self._load()
        async for event in self._fire(feed, pending):
            yield event
        begins = feed is None
        feed = feed or Feed(datetime.now(UTC) - timedelta(seconds=self.max_age))
        poller, pace = Poller.of(self.hook_class, self.conn_id), Pace(self.poke_interval)
        async with poller.subscribe(self._wait(feed), Rows, pace) as subscription:
            while True:
                outcome = await subscription.outcome()
                if isinstance(outcome, Rows):
                    fresh, feed = self._news(feed, outcome)
                    # What was finished before anybody watched is no news.
                    news = [] if begins else list(events(self.hook_class.service_class.name, fresh))
                    await self._save(feed, news)
                    async for event in self._fire(feed, news):
                        yield event
                    begins = False
                    subscription.wait = self._wait(feed)
                else:
                    # Of whatever kind: Airflow does not start a watcher again that has ended.
                    self.log.warning("%s: %s. The watch goes on.", type(outcome).__name__, outcome)

    def _news(self, feed: Feed, rows: Rows) -> tuple[list[Prediction], Feed]:
        return feed.news(
            rows.predictions,
            terminal=self.hook_class.service_class.terminal_statuses,
            statuses=self._filters.statuses,
            give_up_before=datetime.now(UTC) - timedelta(seconds=self.max_age),
        )

    async def _fire(self, feed: Feed | None, news: list[dict[str, Any]]) -> AsyncIterator[TriggerEvent]:
        """Tell, and note that it was told of when that must have reached the database."""
        for event in news:
            self.log.info("%d predictions have finished: %s", event["count"], event["statuses"])
            yield TriggerEvent(event)
        if feed and news:
            await asyncio.sleep(PERSISTED_AFTER)
            await self._save(feed, [])

    def _wait(self, feed: Feed) -> Wait:
        """All of the list that is not settled, whatever its status."""
        seen = self._filters.model_copy(update={"statuses": None, "created_after": feed.watermark})
        return Wait(filters=seen.model_dump(mode="json", exclude_none=True))

    async def _load(self) -> tuple[Feed | None, list[dict[str, Any]]]:
        """What was told of, and what may not have been handed on when the triggerer stopped."""
        store = getattr(self, "asset_state_store", None)
        facts = await store.aget(STATE) if store else None
        return (Feed.of(facts["feed"]), facts["pending"]) if facts else (None, [])

    async def _save(self, feed: Feed, pending: list[dict[str, Any]]) -> None:
        store = getattr(self, "asset_state_store", None)
        facts = {"feed": feed.facts(), "pending": pending}
        if store and facts != self._saved:
            await store.aset(STATE, facts)
            self._saved = facts
