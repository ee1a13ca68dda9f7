"""Tell of every prediction once, when it is finished; what was told of fits into a few kilobytes of JSON."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from airflow_provider_predictions.api.clock import ServiceClock, earlier
from airflow_provider_predictions.api.filters import utc
from airflow_provider_predictions.api.incremental import LOOKBACK, IncrementalCursor
from airflow_provider_predictions.api.limits import MAX_EVENT_BYTES
from airflow_provider_predictions.api.models import Page, Prediction, as_time
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.waiting.decide import Tally, Wait

log = logging.getLogger(__name__)


class Rows(Tally):
    """All that one poll has shown of a part of the list: what is to be judged, and the envelopes."""

    def __init__(self, wait: Wait, service: Service[Any]) -> None:
        super().__init__(wait, service)
        self.predictions: list[Prediction] = []

    @property
    def since(self) -> datetime:
        """How far the poll went back."""
        return (self._filters and self._filters.created_after) or datetime.min.replace(tzinfo=UTC)

    def _chosen(self, page: Page) -> list[Prediction]:
        chosen = list(super()._chosen(page))
        self.predictions += [msgspec.structs.replace(row, raw=b"") for row in chosen]
        return chosen


@dataclass(frozen=True)
class FinishedEvents:
    """What was told of a list.

    :param watermark: nothing older is looked at.
    :param told: when those were created that were told of and are not older.
    :param unmet: of ``told``, since when those were not met whose creation time does not tell when they can
        be forgotten.
    """

    watermark: datetime
    told: dict[str, datetime | None] = field(default_factory=dict)
    unmet: dict[str, datetime] = field(default_factory=dict)

    def news(
        self,
        rows: Sequence[Prediction],
        *,
        terminal: Collection[str],
        statuses: Collection[str] | None,
        max_age: timedelta,
        lookback: timedelta = LOOKBACK,
        clock: ServiceClock,
    ) -> tuple[list[Prediction], FinishedEvents]:
        """What is finished and was not told of, and the feed with that told.

        :param terminal: statuses that a prediction does not leave.
        :param statuses: only these are told of; None for all terminal ones.
        :param max_age: what is older and unfinished is not waited for.
        :param lookback: how long after its creation a prediction may be listed for the first time.
        :param clock: of the service, when it was asked for the rows.
        """
        if clock.is_to_come(self.watermark):
            feed = replace(self, watermark=earlier(clock.earliest, lookback))
            log.warning(
                "What was told of is known up to %s, which is still to come. The watch goes on from %s, and "
                "may tell again of what has finished since", utc(self.watermark), utc(feed.watermark),
            )  # fmt: skip
            return [], feed
        cursor = IncrementalCursor(
            terminal, statuses, self.watermark, self.told, max_age, unmet=self.unmet, lookback=lookback,
            clock=clock,
        )  # fmt: skip
        fresh = list(cursor.keep(Page(tuple(rows))).predictions)
        if warning := cursor.warning():
            log.warning("%s", warning)
        told = cursor.next_landed((row.id, row.created_at) for row in fresh)
        return fresh, FinishedEvents(cursor.next_watermark or self.watermark, told, cursor.next_unmet())

    def facts(self) -> dict[str, Any]:
        """The feed as JSON."""
        told = {id_: created and utc(created) for id_, created in self.told.items()}
        unmet = {id_: utc(since) for id_, since in self.unmet.items()}
        return {"watermark": utc(self.watermark), "told": told, "unmet": unmet}

    @classmethod
    def of(cls, facts: dict[str, Any]) -> FinishedEvents:
        """Go on from what ``facts`` gave."""
        told = {id_: as_time(created) for id_, created in facts["told"].items()}
        unmet = {id_: datetime.fromisoformat(since) for id_, since in facts.get("unmet", {}).items()}
        return cls(datetime.fromisoformat(facts["watermark"]), told, unmet)


def events(service: str, rows: Sequence[Prediction]) -> Iterator[dict[str, Any]]:
    """What to say of predictions, in events that are not too large."""
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
        # Equal for an event that comes again, as one may after a kill.
        "batch": hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:16],
    }
