"""Start DAGs when predictions are finished: the same for every service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Hashable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from airflow.triggers.base import TriggerEvent

from airflow_provider_predictions._compat import BaseEventTrigger
from airflow_provider_predictions.api.clock import earlier
from airflow_provider_predictions.api.coercion import is_template, short
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.filters import (
    Arguments,
    Filters,
    Lookback,
    Seconds,
    checked,
    checked_conn_id,
    timedelta_of,
)
from airflow_provider_predictions.api.incremental import LOOKBACK
from airflow_provider_predictions.api.limits import MAX_CLOCK_SKEW
from airflow_provider_predictions.api.waiting.decide import FailureCounter, decide
from airflow_provider_predictions.api.waiting.finished_events import FinishedEvents, events
from airflow_provider_predictions.api.wording import counted, counts
from airflow_provider_predictions.hooks.base import PredictionsHook
from airflow_provider_predictions.triggers.shared_stream import SharedStream, StreamItem

STATE = "predictions"
"""The key in the asset's state store."""
DAY = 86_400.0
OF_A_LIST = ("created_after", "created_before", "max_predictions")
"""Filters of one pass over a list, which a watcher chooses itself."""


class WatchArguments(Arguments):
    """What a watcher takes beside its filters."""

    poke_interval: Seconds
    max_age: Seconds
    lookback: Lookback


class PredictionsEventTrigger(BaseEventTrigger):
    """Fire for each batch of predictions that have finished since the last one; runs for ever.

    For an ``AssetWatcher``, so it needs Airflow 3.0. An event holds ``service``, ``ids``, ``count``,
    ``statuses`` (status -> count), and ``batch``, by which an event can be known that comes again, since a
    triggerer was killed after Airflow had stored the event and before that was noted. Where Airflow keeps a
    state for the asset (3.3), events go on after a restart where they were; before that version, what
    finishes while no triggerer runs is not told of.

    :param statuses: tell only of these; by default of all finished ones.
    :param poke_interval: between polls, a timedelta or seconds; at least 5 seconds.
    :param max_age: how long an unfinished prediction is waited for, a timedelta or seconds; by default a day.
    :param lookback: how long after its creation a prediction may be listed for the first time, a timedelta or
        seconds; by default an hour.
    :raises ConfigurationError: naming the argument that is wrong.
    """

    hook_class: ClassVar[type[PredictionsHook[Any]]]
    longest_call: ClassVar[float] = 60.0
    """Seconds that the asset's state store may take."""

    def __init__(
        self,
        *,
        statuses: Collection[str] | str | None = None,
        poke_interval: timedelta | float = 60,
        max_age: timedelta | float = DAY,
        lookback: timedelta | float = LOOKBACK,
        **arguments: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        given = {"poke_interval": poke_interval, "max_age": max_age, "lookback": lookback}
        for name, value in {"statuses": statuses, **given, **arguments}.items():
            if is_template(value) or hasattr(value, "iter_references"):
                raise ConfigurationError(f"{name}: is not templated in a watcher; found {short(value)}")
        self.statuses = statuses
        self.conn_id: str = arguments.pop(self.hook_class.conn_name_attr)
        checked_conn_id(self.hook_class.conn_name_attr, self.conn_id)
        self.poke_interval = checked(WatchArguments, given).poke_interval
        self.max_age, self.lookback = timedelta_of(max_age), timedelta_of(lookback)
        self._filters = self._checked_filters(statuses=statuses, **arguments)
        self._patience = FailureCounter(self.log)
        self._feed = FinishedEvents(self._beginning(datetime.now(UTC)))
        self._begins = True
        self._unsent: list[dict[str, Any]] = []
        self._unconfirmed: list[dict[str, Any]] = []
        self._saved: dict[str, Any] | None = None
        self._open: AsyncGenerator[Any, None] | None = None

    def _checked_filters(self, **filters: Any) -> Filters:
        found = self.hook_class.filters(**filters)
        for name, value in found:
            if name in OF_A_LIST and value is not None:
                raise ConfigurationError(
                    f"{name}: does not go with a watcher, which looks at all that is new"
                )
            if value == ():
                raise ConfigurationError(f"{name}: is an empty list, so the watcher would never fire")
        return found

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, as the metadata database keeps them; equal ones share a trigger."""
        filters = self._filters.model_dump(mode="json", exclude_none=True)
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            self.hook_class.conn_name_attr: self.conn_id,
            "poke_interval": self.poke_interval,
            "max_age": self.max_age.total_seconds(),
            "lookback": self.lookback.total_seconds(),
            **filters,
        }

    def shared_stream_key(self) -> Hashable | None:
        """Watchers with equal keys share their looks at the list, whatever statuses they tell of."""
        path, arguments = self.serialize()
        names = sorted(arguments.keys() - {"statuses", "max_age", "lookback"})
        return path, *(f"{name}={arguments[name]!r}" for name in names)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStream:
        """What the triggerer shares between watchers, from Airflow 3.3 on; it is told what was stored.

        :param kwargs: the arguments of a watcher's trigger.
        """
        return cls(**kwargs)._looks()

    def _looks(self) -> SharedStream:
        return SharedStream(self.hook_class, self.conn_id, self._filters, self.poke_interval)

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[StreamItem]
    ) -> AsyncIterator[TriggerEvent]:
        """Fire for what is news in each look, and go on alone if Airflow ends the stream.

        :param shared_stream: of looks at the list.
        """
        try:
            async for event in self._watch(shared_stream):
                yield event
        except Exception as error:
            self._warn(error)
        async for event in self.run():
            yield event

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for ever, and fire for what has finished."""
        while True:
            try:
                async for event in self._watch(self._alone()):
                    yield event
            except Exception as error:
                self._warn(error)
            await asyncio.sleep(self.poke_interval)

    async def cleanup(self) -> None:
        """Stop looking. Airflow leaves what ``run`` has opened to the garbage collector."""
        if self._open:
            await self._open.aclose()

    def _warn(self, error: Exception) -> None:
        # Of whatever kind: Airflow starts no watcher again that has ended.
        self.log.warning("%s: %s. The watch goes on.", type(error).__name__, error)

    async def _alone(self) -> AsyncIterator[StreamItem]:
        """Looks of which nobody says when their events are stored; an interval is taken for enough."""
        last = None
        self._open = self._looks().open_stream()
        async with aclosing(self._open) as looks:
            async for look, _ in looks:
                if last:
                    await last.is_told()
                yield look
                last = look

    async def _watch(self, looks: AsyncIterator[StreamItem]) -> AsyncIterator[TriggerEvent]:
        while not await self._is_loaded():  # noqa: ASYNC110  (Airflow does not say when its API is back)
            await asyncio.sleep(self.poke_interval)
        async for look in looks:
            self._unsent += self._news(look)
            look.ask(self._feed.watermark)
            await self._save()
            # Looks are confirmed in their order, so this one confirms what was sent before it, too.
            sent = [*self._unconfirmed]
            look.when_told(partial(self._forget, sent))
            while self._unsent:
                event = self._unsent.pop(0)
                sent.append(event)
                self._unconfirmed.append(event)
                self.log.info(
                    "%s finished: %s", counted(event["count"], "prediction"), counts(event["statuses"])
                )
                yield TriggerEvent(event)

    def _news(self, look: StreamItem) -> list[dict[str, Any]]:
        rows = look.rows(self._feed.watermark)
        if rows is None:
            return []
        self._patience.record_success(decide(rows, age=0))
        beginning = self._beginning(rows.clock.earliest)
        if self._begins and beginning < self._feed.watermark - MAX_CLOCK_SKEW:
            # This machine's clock is ahead of the service's: the next look goes back further.
            self._feed = FinishedEvents(beginning)
            return []
        fresh, self._feed = self._feed.news(
            rows.predictions,
            terminal=self.hook_class.service_class.terminal_statuses,
            statuses=self._filters.statuses,
            max_age=self.max_age,
            lookback=self.lookback,
            clock=rows.clock,
        )
        # What was finished before anybody watched is no news.
        begins, self._begins = self._begins, False
        return [] if begins else list(events(self.hook_class.service_class.name, fresh))

    def _beginning(self, now: datetime) -> datetime:
        """How far back a watcher looks at first."""
        return earlier(now, self.max_age)

    async def _forget(self, told: list[dict[str, Any]]) -> None:
        """These are stored: they need not be told of again after a restart."""
        self._unconfirmed = [event for event in self._unconfirmed if event not in told]
        await self._save()

    async def _is_loaded(self) -> bool:
        """Go on where a triggerer that stopped has been, if that can be known now."""
        try:
            async with self._in_time():
                states = [await store.aget(STATE) for store in self._stores() if self._begins]
        except Exception as error:
            self._warn(error)
            return False
        for facts in filter(None, states):
            self._feed, self._unsent, self._begins = FinishedEvents.of(facts["feed"]), facts["pending"], False
        return True

    async def _save(self) -> None:
        facts = {"feed": self._feed.facts(), "pending": self._unconfirmed + self._unsent}
        if self._begins or facts == self._saved:
            return
        try:
            async with self._in_time():
                for store in self._stores():
                    await store.aset(STATE, facts)
            self._saved = facts
        except Exception as error:  # the next look saves this, too
            self._warn(error)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.longest_call):
                yield
        except TimeoutError:
            text = f"The asset's state store did not answer within {self.longest_call:g} s"
            raise TimeoutError(text) from None

    def _stores(self) -> list[Any]:
        """A state for each asset that is watched by this trigger."""
        accessors = getattr(self, "asset_state_store", None)
        # Equal watchers of several assets are one trigger, and then the accessors refuse to choose.
        return list(accessors._by_name.values()) if accessors else []
