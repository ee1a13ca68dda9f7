"""Tell of every prediction once, when it is finished; what was told of fits into a few kilobytes of JSON."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from airflow_provider_predictions.api.arguments import utc
from airflow_provider_predictions.api.incremental import Ledger
from airflow_provider_predictions.api.models import Page, Prediction, as_time
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.waiting import Tally, Wait

LARGEST_EVENT = 60_000
"""Bytes of JSON. Airflow keeps what a trigger says in its metadata database."""


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
class Feed:
    """What was told of a list.

    :param watermark: nothing older is looked at.
    :param told: when those were created that were told of and are not older.
    """

    watermark: datetime
    told: dict[str, datetime | None] = field(default_factory=dict)

    def news(
        self,
        rows: Sequence[Prediction],
        *,
        terminal: Collection[str],
        statuses: Collection[str] | None,
        give_up_before: datetime,
    ) -> tuple[list[Prediction], Feed]:
        """What is finished and was not told of, and the feed with that told.

        :param terminal: statuses that a prediction does not leave.
        :param statuses: only these are told of; None for all terminal ones.
        :param give_up_before: what was created before and is unfinished is not waited for.
        """
        ledger = Ledger(terminal, statuses, self.watermark, self.told, give_up_before)
        fresh = list(ledger.keep(Page(tuple(rows))).predictions)
        told = ledger.next_landed((row.id, row.created_at) for row in fresh)
        return fresh, Feed(ledger.next_watermark or self.watermark, told)

    def facts(self) -> dict[str, Any]:
        """The feed as JSON."""
        told = {id_: created and utc(created) for id_, created in self.told.items()}
        return {"watermark": utc(self.watermark), "told": told}

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Feed:
        """Go on from what ``facts`` gave."""
        told = {id_: as_time(created) for id_, created in facts["told"].items()}
        return cls(datetime.fromisoformat(facts["watermark"]), told)


def events(service: str, rows: Sequence[Prediction]) -> Iterator[dict[str, Any]]:
    """What to say of predictions, in events that are not too large."""
    batch: list[Prediction] = []
    size = 0
    for row in rows:
        length = len(json.dumps(row.id)) + 2
        if batch and size + length > LARGEST_EVENT:
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
