"""Report every prediction once, when it has finished. The state is a few kilobytes of JSON."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from typing_extensions import override

from airflow_provider_predictions.api.clock import ServiceClock, time_before
from airflow_provider_predictions.api.filters import utc
from airflow_provider_predictions.api.incremental import IncrementalCursor, Memory
from airflow_provider_predictions.api.limits import MAX_EVENT_BYTES, MAX_LISTING_DELAY
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.state import Versioned
from airflow_provider_predictions.api.waiting.decide import Tally, Wait
from airflow_provider_predictions.api.wording import encodable

log = logging.getLogger(__name__)


class EventTally(Tally):
    """What one poll has read of a part of the list: the tally, and the predictions without their bytes."""

    def __init__(self, wait: Wait, service: Service[Any]) -> None:
        super().__init__(wait, service)
        self.predictions: list[Prediction] = []

    @property
    def since(self) -> datetime:
        """The creation time up to which the poll read back."""
        return (self._filters and self._filters.created_after) or datetime.min.replace(tzinfo=UTC)

    @override
    def repeats(self, before: Tally) -> bool:
        """Never: a watcher needs the rows of each poll."""
        return False

    def _chosen(self, page: Page) -> list[Prediction]:
        chosen = list(super()._chosen(page))
        self.predictions += [msgspec.structs.replace(row, id=encodable(row.id), raw=b"") for row in chosen]
        return chosen


class FinishedEvents(Versioned):
    """The predictions of a list that a watcher has reported.

    :ivar watermark: older predictions are ignored.
    :ivar told: id -> creation time, of the reported predictions that are not older.
    :ivar unfinished: id -> creation time of predictions that may be reported later.
    :ivar unmet: id -> since when the list lacks it, for those in ``unfinished`` and those in ``told`` whose
        creation time does not tell when to forget them.
    """

    watermark: datetime
    told: dict[str, datetime | None] = msgspec.field(default_factory=dict)
    unfinished: dict[str, datetime] = msgspec.field(default_factory=dict)
    unmet: dict[str, datetime] = msgspec.field(default_factory=dict)

    def news(
        self,
        rows: Sequence[Prediction],
        *,
        terminal: Collection[str],
        statuses: Collection[str] | None,
        max_age: timedelta,
        lookback: timedelta = MAX_LISTING_DELAY,
        clock: ServiceClock,
    ) -> tuple[list[Prediction], FinishedEvents]:
        """Return the predictions to report now, and the state after that.

        :param statuses: only these are reported; None for all final ones.
        :param max_age: unfinished predictions older than this are given up.
        :param lookback: how long after its creation a prediction may appear in the list.
        """
        if clock.is_to_come(self.watermark):
            watermark = time_before(clock.earliest, lookback)
            log.warning(
                "The watcher's watermark %s lies in the future. The watcher resumes from %s and may report "
                "again what has finished since then", utc(self.watermark), utc(watermark),
            )  # fmt: skip
            return [], msgspec.structs.replace(self, watermark=watermark)
        memory = Memory(self.watermark, self.told, self.unfinished, self.unmet)
        cursor = IncrementalCursor(terminal, statuses, memory, max_age, lookback=lookback, clock=clock)
        fresh = list(cursor.keep(Page(tuple(rows))).predictions)
        if warning := cursor.warning():
            log.warning("%s", warning)
        memory = cursor.next_memory((row.id, row.created_at) for row in fresh)
        watermark = memory.watermark or self.watermark
        return fresh, FinishedEvents(watermark, memory.landed, memory.unfinished, memory.unmet)


def events(service: str, rows: Sequence[Prediction]) -> Iterator[dict[str, Any]]:
    """Report predictions in events of at most ``MAX_EVENT_BYTES``."""
    batch: list[Prediction] = []
    size = 0
    for row in rows:
        length = len(json.dumps(row.id)) + 2
        if batch and size + length > MAX_EVENT_BYTES:
            yield _event(service, batch)
            batch, size = [], 0
        batch.append(row)
        size += length
    if batch:
        yield _event(service, batch)


def _event(service: str, rows: list[Prediction]) -> dict[str, Any]:
    ids = [row.id for row in rows]
    return {
        "service": service,
        "ids": ids,
        "count": len(ids),
        "statuses": dict(sorted(Counter(row.status for row in rows).items())),
        # The same if the event is sent again, as it may be after a kill.
        "batch": hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:16],
    }
