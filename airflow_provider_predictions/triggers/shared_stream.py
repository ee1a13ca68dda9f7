"""A list as a stream of looks at it, which all who watch it share: the same for every service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_predictions._compat import SharedStreamProducer
from airflow_provider_predictions.api.filters import Filters
from airflow_provider_predictions.api.waiting.decide import Pace, Wait
from airflow_provider_predictions.api.waiting.finished_events import Rows
from airflow_provider_predictions.hooks.base import PredictionsHook
from airflow_provider_predictions.triggers.poller import Poller, Subscription

if TYPE_CHECKING:
    from airflow.triggers.shared_stream import AdvanceItem

log = logging.getLogger(__name__)


class StreamItem:
    """One look at a list, on its way to those who watch it.

    :param ask: each who watches says here since when the next look is to be.
    :param rows: what was seen; None for the look before the first, which only asks.
    """

    def __init__(self, ask: Callable[[datetime], None], rows: Rows | None = None) -> None:
        self.ask = ask
        self._rows = rows
        self._when_told: list[Callable[[], Awaitable[None]]] = []

    def rows(self, since: datetime) -> Rows | None:
        """What was seen, if the look went back that far.

        :param since: the creation time from which on all must have been looked at.
        """
        return self._rows if self._rows and self._rows.since <= since else None

    def when_told(self, do: Callable[[], Awaitable[None]]) -> None:
        """Do something when all events that come of this look are in the metadata database.

        :param do: called once.
        """
        self._when_told.append(do)

    async def is_told(self) -> None:
        """All events that come of this look are in the metadata database."""
        for do in self._when_told:
            await do()


class SharedStream(SharedStreamProducer):
    """Looks at a list for ever, for those who watch it.

    :param hook_class: of the service.
    :param conn_id: the Airflow connection.
    :param filters: which predictions; they are looked at whatever their status.
    :param poke_interval: seconds between two looks.
    """

    def __init__(
        self, hook_class: type[PredictionsHook[Any]], conn_id: str, filters: Filters, poke_interval: float
    ) -> None:
        self._hook_class = hook_class
        self._conn_id = conn_id
        self._filters = filters.model_copy(update={"statuses": None})
        self._pace = Pace(poke_interval)
        self._subscription: Subscription[Rows] | None = None
        self._since: datetime | None = None
        self._asked = asyncio.Event()

    async def open_stream(self) -> AsyncGenerator[tuple[StreamItem, StreamItem], None]:
        """Each look twice: for those who watch, and for ``advance``."""
        look = StreamItem(self._ask)
        yield look, look
        await self._asked.wait()
        poller = Poller.of(self._hook_class, self._conn_id)
        async with poller.subscribe(self._wait(), Rows, self._pace) as self._subscription:
            while True:
                outcome = await self._subscription.outcome()
                if isinstance(outcome, Rows):
                    self._since = None
                    look = StreamItem(self._ask, outcome)
                    yield look, look
                else:
                    # Of whatever kind: Airflow starts no watcher again that has ended.
                    log.warning("%s: %s. The watch goes on.", type(outcome).__name__, outcome)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Airflow has stored the events that came of these looks, or has failed to.

        :param batch: the looks, each with what became of it.
        """
        for look, outcome in batch:
            if outcome.is_clean:
                await look.is_told()

    def _ask(self, since: datetime) -> None:
        """Look back as far as the one who asks for the most."""
        self._since = min(self._since or since, since)
        self._asked.set()
        if self._subscription:
            self._subscription.wait = self._wait()

    def _wait(self) -> Wait:
        looked_at = self._filters.model_copy(update={"created_after": self._since})
        return Wait(filters=looked_at.model_dump(mode="json", exclude_none=True), fail_on=())
