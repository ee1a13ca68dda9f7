"""What a watcher keeps in the state of its assets, so that a restart continues where it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from airflow_provider_predictions.api.waiting.finished_events import FinishedEvents

STATE = "predictions"
"""The key in the asset's state store."""
LONGEST_CALL = 60.0
"""Seconds that the asset's state store may take."""

Event = dict[str, Any]


class AssetState:
    """The events of a watcher, and which of them the metadata database has stored.

    :param since: the creation time at which the first poll begins.
    """

    def __init__(self, since: datetime) -> None:
        self.finished = FinishedEvents(since)
        self.is_new = True
        """Whether no poll has been evaluated, in this process or one before."""
        self._unsent: list[Event] = []
        self._unconfirmed: list[Event] = []
        self._saved: dict[str, Any] | None = None

    async def load(self, stores: Sequence[Any]) -> None:
        """Continue where another triggerer stopped.

        :param stores: of the assets, as Airflow provides them.
        :raises Exception: of any kind, from Airflow's API.
        """
        if not self.is_new:
            return
        async with _timeout():
            states = [await store.aget(STATE) for store in stores]
        for state in filter(None, states):
            self.finished, self.is_new = FinishedEvents.of(state["feed"]), False
            self._unsent = state["pending"]

    async def save(self, stores: Sequence[Any]) -> None:
        """Store the state, if it has changed.

        :param stores: of the assets, as Airflow provides them.
        :raises Exception: of any kind, from Airflow's API.
        """
        state = {"feed": self.finished.facts(), "pending": self._unconfirmed + self._unsent}
        if self.is_new or state == self._saved:
            return
        async with _timeout():
            for store in stores:
                await store.aset(STATE, state)
        self._saved = state

    def add(self, events: Sequence[Event]) -> None:
        """Send these events, too."""
        self._unsent += events

    def send(self) -> Event | None:
        """The next event; from now on it waits for its confirmation."""
        if not self._unsent:
            return None
        event = self._unsent.pop(0)
        self._unconfirmed.append(event)
        return event

    @property
    def unconfirmed(self) -> list[Event]:
        """Events that were sent, but perhaps not stored."""
        return [*self._unconfirmed]

    def confirm(self, events: Sequence[Event]) -> None:
        """The metadata database has stored these events; a restart does not repeat them."""
        self._unconfirmed = [event for event in self._unconfirmed if event not in events]


@asynccontextmanager
async def _timeout() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(LONGEST_CALL):
            yield
    except TimeoutError:
        text = f"The asset's state store did not answer within {LONGEST_CALL:g} s"
        raise TimeoutError(text) from None
