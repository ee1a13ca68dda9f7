"""What a watcher knows. From Airflow 3.3 on, the state of its assets keeps it over a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypedDict

import msgspec

from airflow_provider_predictions.api.limits import MAX_ASSET_STATE_SECONDS
from airflow_provider_predictions.api.state import StateError, dump, load
from airflow_provider_predictions.api.waiting.finished_events import FinishedEvents

Event = dict[str, Any]


class _Counts(TypedDict):
    """What a watcher reads of an event before it sends it."""

    count: int
    statuses: dict[str, int]


class AssetState:
    """What has finished, and which events the metadata database has stored.

    :param key: of the state in the store of each asset.
    :param since: the creation time at which the first poll begins.
    :param warn: logs any error of the state store. The next item tries again.
    """

    def __init__(self, key: str, since: datetime, warn: Callable[[Exception], None]) -> None:
        self.key = key
        self.finished = FinishedEvents(since)
        self.is_new = True
        """Whether no poll was evaluated yet, in this process or before."""
        self.unsent: list[Event] = []
        self.unconfirmed: list[Event] = []
        """Events that were sent, but perhaps not stored."""
        self._saved: dict[str, Any] | None = None
        self._warn = warn

    async def load(self, stores: Sequence[Any]) -> bool:
        """Continue where another triggerer stopped, and return whether the assets' state stores responded."""
        states = None
        async with self._warning():
            states = [await store.aget(self.key) for store in stores if self.is_new]
        for state in filter(None, states or ()):
            try:
                finished, unsent = load(state["feed"], FinishedEvents), [*state["pending"]]
                msgspec.convert(unsent, list[_Counts])
            except (StateError, msgspec.ValidationError, LookupError, TypeError) as error:
                text = f"The asset's state cannot be read, so the watcher starts anew: {error}"
                self._warn(StateError(text))
            else:
                self.finished, self.unsent, self.is_new = finished, unsent, False
        return states is not None

    async def save(self, stores: Sequence[Any]) -> None:
        """Store the state, if it has changed."""
        state = {"feed": dump(self.finished), "pending": self.unconfirmed + self.unsent}
        if self.is_new or state == self._saved:
            return
        async with self._warning():
            for store in stores:
                await store.aset(self.key, state)
            self._saved = state

    @asynccontextmanager
    async def _warning(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(MAX_ASSET_STATE_SECONDS) as bound:
                yield
        except Exception as error:
            text = f"The asset's state store did not respond within {MAX_ASSET_STATE_SECONDS:g} s"
            self._warn(TimeoutError(text) if bound.expired() else error)
