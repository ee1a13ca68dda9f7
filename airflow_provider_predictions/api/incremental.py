"""Land every prediction once, when it is finished: what one run leaves for the next to know.

Everything older than the watermark is settled: it has landed, or is not waited for any more. Of what is
newer, the ids that have landed are remembered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_predictions.api.arguments import utc
from airflow_provider_predictions.api.models import Page, Prediction, as_time

SETTLED_AFTER = timedelta(hours=1)
"""A prediction may be listed later than it was created; the watermark stays so far behind the newest one."""
STEP = timedelta(hours=1)
"""A run that lands nothing commits a watermark that has moved so far."""
NAMED = 10
"""How many predictions that are not waited for any more a message names."""


@dataclass
class Ledger:
    """Which rows land in this run, and what is known when it ends.

    :param terminal: statuses that a prediction does not leave.
    :param statuses: only these land; None for all terminal ones.
    :param watermark: nothing older is looked at; None for the first run.
    :param landed: when those were created that have landed and are not older.
    :param known_rejected: rows that are no records and were told of by earlier runs, by their hashes.
    :param give_up_before: what was created before and is unfinished is not waited for; None to wait for ever.
    """

    terminal: Collection[str]
    statuses: Collection[str] | None
    watermark: datetime | None
    landed: dict[str, datetime | None]
    give_up_before: datetime | None = None
    known_rejected: Mapping[str, datetime] = field(default_factory=dict)
    rejected: dict[str, datetime] = field(init=False)
    newest: datetime | None = None
    oldest_unfinished: datetime | None = None
    unfinished: int = 0
    given_up: int = 0
    given_up_ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rejected = dict(self.known_rejected)

    def keep(self, page: Page) -> Page:
        """The page with what lands in this run, and the rows that are no records and not known yet."""
        fresh = tuple(row for row in page.rejected if row.id not in self.known_rejected)
        for row in fresh:
            self.rejected.setdefault(row.id, datetime.now(UTC))
        records = tuple(row for row in page.predictions if self._lands(row))
        return replace(page, predictions=records, rejected=fresh)

    def _lands(self, row: Prediction) -> bool:
        created = row.created_at
        if created:
            self.newest = max(self.newest or created, created)
        if row.status in self.terminal:
            return row.id not in self.landed and (self.statuses is None or row.status in self.statuses)
        if self.give_up_before and created and created < self.give_up_before:
            self.given_up += 1
            self.given_up_ids = [*self.given_up_ids, row.id][:NAMED]
        else:
            self.unfinished += 1
            if created:
                self.oldest_unfinished = min(self.oldest_unfinished or created, created)
        return False

    @property
    def next_watermark(self) -> datetime | None:
        """What the next run starts from."""
        if self.newest is None:
            return self.watermark
        settled = self.newest - SETTLED_AFTER
        reached = min(settled, self.oldest_unfinished or settled)
        return max(self.watermark or reached, reached)

    @property
    def has_moved(self) -> bool:
        """Whether the watermark has moved so far that the next run reads much less."""
        reached = self.next_watermark
        return reached is not None and (self.watermark is None or reached - self.watermark >= STEP)

    def next_landed(self, keys: Iterable[tuple[str, datetime | None]]) -> dict[str, datetime | None]:
        """What the next run must not land again.

        :param keys: id and creation time of what this run landed.
        """
        watermark = self.next_watermark
        return {
            id_: created
            for id_, created in (*self.landed.items(), *keys)
            if created is None or watermark is None or created >= watermark
        }

    def facts(self) -> dict[str, Any]:
        """What the manifest says of the run."""
        watermark = self.next_watermark
        return {
            "watermark": watermark and utc(watermark),
            "unfinished": self.unfinished,
            "given_up": self.given_up,
            "given_up_ids": self.given_up_ids,
        }

    def position(self) -> dict[str, Any]:
        """What was noted so far, as JSON."""
        return {
            "newest": self.newest and utc(self.newest),
            "oldest_unfinished": self.oldest_unfinished and utc(self.oldest_unfinished),
            "unfinished": self.unfinished,
            "given_up": self.given_up,
            "given_up_ids": self.given_up_ids,
        }

    def go_on(self, position: dict[str, Any]) -> None:
        """Take up what an earlier attempt noted."""
        self.newest = as_time(position["newest"])
        self.oldest_unfinished = as_time(position["oldest_unfinished"])
        self.unfinished, self.given_up = position["unfinished"], position["given_up"]
        self.given_up_ids = position["given_up_ids"]
