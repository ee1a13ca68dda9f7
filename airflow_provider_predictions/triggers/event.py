"""Start DAGs when predictions finish: the same for every service."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Hashable, Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar, TypedDict

from airflow.triggers.base import TriggerEvent
from pydantic import BaseModel
from typing_extensions import override

from airflow_provider_predictions._compat import BaseEventTrigger
from airflow_provider_predictions.api.clock import time_before
from airflow_provider_predictions.api.coercion import is_template, short
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.filters import (
    Filters,
    Lookback,
    Seconds,
    checked,
    checked_conn_id,
    timedelta_of,
)
from airflow_provider_predictions.api.limits import MAX_AGE_SECONDS, MAX_CLOCK_SKEW, MAX_LISTING_DELAY
from airflow_provider_predictions.api.observed import unmatched_words
from airflow_provider_predictions.api.page import Observed
from airflow_provider_predictions.api.waiting.decide import decide
from airflow_provider_predictions.api.waiting.finished_events import FinishedEvents, events
from airflow_provider_predictions.api.waiting.pace import FailureCounter
from airflow_provider_predictions.api.wording import counted, counts
from airflow_provider_predictions.hooks.base import PredictionsHook
from airflow_provider_predictions.triggers.asset_state import AssetState
from airflow_provider_predictions.triggers.shared_stream import SharedStream, StreamItem

OF_A_LIST = ("created_after", "created_before", "max_predictions")
"""Filters of one pass over a list, which a watcher chooses itself."""


OF_A_REPORT = ("statuses", "max_age", "lookback")
"""Arguments in which watchers that share their polls may differ."""
OF_A_POLL = ("poke_interval", "max_age", "lookback", "page_size", "order")
"""Arguments that do not choose the predictions to report."""


class WatchArgs(TypedDict, total=False):
    """The arguments that the watchers of both services take."""

    statuses: Collection[str] | str | None
    page_size: int | None
    poke_interval: timedelta | float
    max_age: timedelta | float
    lookback: timedelta | float


class WatcherArgumentError(ConfigurationError, TypeError):
    """An argument of a watcher is wrong. Any other error than a ``TypeError`` ends Airflow's triggerer."""


@contextmanager
def _type_errors() -> Iterator[None]:
    """Let no watcher end the triggerer, where another version of the package may have parsed the DAG."""
    try:
        yield
    except ConfigurationError as error:
        raise WatcherArgumentError(str(error)) from None


class _Spans(BaseModel, strict=True):
    poke_interval: Seconds
    max_age: Seconds
    lookback: Lookback


class PredictionsEventTrigger(BaseEventTrigger):
    """Fire for each batch of predictions that have finished since the last one. Never ends.

    For an ``AssetWatcher``, which needs Airflow 3.0. An event holds ``service``, ``ids``, ``count``,
    ``statuses`` (status -> count) and ``batch``. If a triggerer is killed just after Airflow has stored an
    event, the event comes again with the same ``batch``. From Airflow 3.3 on, a watcher keeps its state with
    the asset and continues after a restart. In earlier versions, it misses what finishes while no triggerer
    runs.

    :param statuses: report only predictions with these statuses; by default all finished ones.
    :param page_size: rows per request, 1 to 1000.
    :param poke_interval: time between polls, a timedelta or seconds; at least 5 seconds.
    :param max_age: how long to wait for an unfinished prediction, a timedelta or seconds; by default a day.
    :param lookback: how long after its creation a prediction may first appear in the list, a timedelta or
        seconds; by default an hour.
    :raises ConfigurationError: naming the argument that is wrong.
    """

    hook_class: ClassVar[type[PredictionsHook[Any]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Show the shared arguments in the signature and the docstring of a class that adds ``WatchArgs``."""
        super().__init_subclass__(**kwargs)
        own = inspect.signature(cls.__init__).parameters
        if "watch" in own:
            shared = inspect.signature(PredictionsEventTrigger.__init__).parameters
            given = {**own, **{name: shared[name] for name in WatchArgs.__annotations__}}
            del given["watch"]
            cls.__init__.__signature__ = inspect.Signature([*given.values()])  # type: ignore[attr-defined]
            # After the first ":param", each of which the docstring of a service's class has, too.
            _, _, parameters = inspect.cleandoc(PredictionsEventTrigger.__doc__ or "").partition("\n:param")
            cls.__doc__ = f"{inspect.cleandoc(cls.__doc__ or cls.__name__)}\n:param{parameters}"

    def __init__(
        self,
        *,
        statuses: Collection[str] | str | None = None,
        page_size: int | None = None,
        poke_interval: timedelta | float = 60,
        max_age: timedelta | float = MAX_AGE_SECONDS,
        lookback: timedelta | float = MAX_LISTING_DELAY,
        **arguments: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        with _type_errors():
            given = {"poke_interval": poke_interval, "max_age": max_age, "lookback": lookback}
            for name, value in {"statuses": statuses, "page_size": page_size, **given, **arguments}.items():
                if is_template(value) or hasattr(value, "iter_references"):
                    raise ConfigurationError(f"{name}: is not templated in a watcher; found {short(value)}")
            known = inspect.signature(type(self)).parameters
            if unknown := arguments.keys() - {*known, *OF_A_LIST}:
                raise ConfigurationError(f"{min(unknown)}: unknown; known are {', '.join(sorted(known))}")
            self.conn_id: str = arguments.pop(self.hook_class.conn_name_attr)
            checked_conn_id(self.hook_class.conn_name_attr, self.conn_id)
            spans = checked(_Spans, given)
            self.poke_interval = spans.poke_interval
            self.max_age, self.lookback = timedelta_of(spans.max_age), timedelta_of(spans.lookback)
            self._filters = self._checked_filters(statuses=statuses, page_size=page_size, **arguments)
            self._failures = FailureCounter(self.log)
            self._state = AssetState(
                self._state_key(), time_before(datetime.now(UTC), self.max_age), self._warn
            )
            self._has_warned = False
            self._open: AsyncGenerator[Any, None] | None = None

    def _checked_filters(self, **filters: Any) -> Filters:
        found = self.hook_class.filters(**filters)
        for name, value in found:
            if name in OF_A_LIST and value is not None:
                raise ConfigurationError(
                    f"{name}: does not go with a watcher, which reads everything that is new"
                )
            if value == ():
                raise ConfigurationError(f"{name}: is an empty list, so the watcher would never fire")
        waiting = self.hook_class.service_class.unfinished_statuses
        if found.statuses and waiting.issuperset(found.statuses):
            raise ConfigurationError(
                "statuses: a watcher reports finished predictions only, and these are not: "
                f"{', '.join(found.statuses)}"
            )
        return found

    @override
    def serialize(self) -> tuple[str, dict[str, Any]]:
        filters = self._filters.model_dump(mode="json", exclude_none=True)
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            self.hook_class.conn_name_attr: self.conn_id,
            "poke_interval": self.poke_interval,
            "max_age": self.max_age.total_seconds(),
            "lookback": self.lookback.total_seconds(),
            **filters,
        }

    def _state_key(self) -> str:
        """The key of the state. Different watchers of one asset have states of their own."""
        _, arguments = self.serialize()
        chosen = sorted((name, value) for name, value in arguments.items() if name not in OF_A_POLL)
        return f"predictions-{hashlib.sha256(json.dumps(chosen).encode()).hexdigest()[:16]}"

    @override
    def shared_stream_key(self) -> Hashable | None:
        """Watchers with equal keys share their polls, whatever statuses they report."""
        path, arguments = self.serialize()
        names = sorted(arguments.keys() - {*OF_A_REPORT})
        return path, *(f"{name}={arguments[name]!r}" for name in names)

    @classmethod
    @override
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStream:
        return cls(**kwargs)._stream()

    def _stream(self) -> SharedStream:
        return SharedStream(self.hook_class, self.conn_id, self._filters, self.poke_interval)

    @override
    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[StreamItem]
    ) -> AsyncIterator[TriggerEvent]:
        """Fire for what each item of the stream adds. If Airflow ends the stream, poll alone."""
        try:
            async for event in self._watch(shared_stream):
                yield event
        except Exception as error:
            self._warn(error)
        async for event in self.run():
            yield event

    @override
    async def run(self) -> AsyncIterator[TriggerEvent]:
        while True:
            try:
                async for event in self._watch(self._unshared_stream()):
                    yield event
            except Exception as error:
                self._warn(error)
            await asyncio.sleep(self.poke_interval)

    @override
    async def cleanup(self) -> None:
        """Stop polling. Airflow leaves what ``run`` has opened to the garbage collector."""
        if self._open:
            await self._open.aclose()

    def _warn(self, error: Exception) -> None:
        # Any error: Airflow does not restart a watcher that has ended.
        self.log.warning("%s: %s. The watcher continues.", type(error).__name__, error)

    async def _unshared_stream(self) -> AsyncIterator[StreamItem]:
        """A stream of its own. Airflow confirms none of its events, so the next item confirms them."""
        last = None
        self._open = self._stream().open_stream()
        async with aclosing(self._open) as stream:
            async for item, _ in stream:
                if last:
                    await last.stored()
                yield item
                last = item

    async def _watch(self, stream: AsyncIterator[StreamItem]) -> AsyncIterator[TriggerEvent]:
        state = self._state
        while not await state.load(self._stores()):  # noqa: ASYNC110  (Airflow does not say when its API is back)
            await asyncio.sleep(self.poke_interval)
        async for item in stream:
            state.unsent += self._events(item)
            item.look_back_to(state.finished.watermark)
            await state.save(self._stores())
            # Items are confirmed in order, so this one also confirms what was sent before it.
            sent = [*state.unconfirmed]
            item.on_stored(partial(self._confirm, sent))
            while state.unsent:
                event = state.unsent.pop(0)
                sent.append(event)
                state.unconfirmed.append(event)
                self.log.info(
                    "%s finished: %s", counted(event["count"], "prediction"), counts(event["statuses"])
                )
                yield TriggerEvent(event)

    def _events(self, item: StreamItem) -> list[dict[str, Any]]:
        state, service = self._state, self.hook_class.service_class
        rows = item.rows(state.finished.watermark)
        if rows is None:
            return []
        self._failures.record_success(decide(rows, age=0))
        self._warn_of_words(rows.observed)
        beginning = time_before(rows.clock.earliest, self.max_age)
        if state.is_new and beginning < state.finished.watermark - MAX_CLOCK_SKEW:
            # This machine's clock is ahead of the service's, so the next poll goes back further.
            state.finished = FinishedEvents(beginning)
            return []
        fresh, state.finished = state.finished.news(
            rows.predictions,
            terminal=service.terminal_statuses,
            statuses=self._filters.statuses,
            max_age=self.max_age,
            lookback=self.lookback,
            clock=rows.clock,
        )
        # Predictions that finished before the watcher started are ignored.
        is_first, state.is_new = state.is_new, False
        return [] if is_first else list(events(service.name, fresh))

    def _warn_of_words(self, observed: Observed) -> None:
        """Warn once about statuses that look like typos, because the watcher would never fire for them."""
        if self._has_warned or not observed.looked_at:
            return
        self._has_warned, service = True, self.hook_class.service_class
        known = service.terminal_statuses | service.unfinished_statuses
        statuses, looked_at = self._filters.statuses, observed.looked_at
        if text := unmatched_words("statuses", statuses, observed.statuses, looked_at, known=known):
            self.log.warning("%s", text)

    async def _confirm(self, stored: list[dict[str, Any]]) -> None:
        self._state.unconfirmed = [event for event in self._state.unconfirmed if event not in stored]
        await self._state.save(self._stores())

    def _stores(self) -> list[Any]:
        """The state store of each asset that this trigger watches."""
        accessors = getattr(self, "asset_state_store", None)
        # Equal watchers of several assets share one trigger, and then the accessors refuse to choose.
        return list(accessors._by_name.values()) if accessors else []
