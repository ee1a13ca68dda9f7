"""Land every prediction once, when it is finished: what one run leaves for the next to know.

Everything older than the watermark is settled: it has landed, or is not waited for any more. Of what is
newer, the ids that have landed are remembered. A creation time is only what the service says: one that is
ahead of the service's clock moves nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

from airflow_provider_predictions.api.clock import ServiceClock, earlier
from airflow_provider_predictions.api.filters import utc
from airflow_provider_predictions.api.limits import MAX_CLOCK_SKEW as TOLERANCE
from airflow_provider_predictions.api.limits import MAX_NAMED as NAMED
from airflow_provider_predictions.api.models import Page, Prediction, as_time

LOOKBACK = timedelta(hours=1)
"""By default a prediction may be listed so long after its creation."""
STEP = timedelta(hours=1)
"""A run that lands nothing commits a watermark that has moved so far."""


@dataclass
class IncrementalCursor:
    """Which rows land in this run, and what is known when it ends.

    :param terminal: statuses that a prediction does not leave.
    :param statuses: only these land; None for all terminal ones.
    :param watermark: what the run before has left; None for the first run.
    :param landed: when those were created that have landed and are not older.
    :param rejected: when rows were met that are no records and were told of by earlier runs, by their ids.
    :param max_age: what is older and unfinished is not waited for; None to wait for ever.
    :param lookback: the watermark stays so far behind the newest one, and behind the service's clock.
    :param clock: of the service.
    :param created_after: nothing older is wanted.
    :param unmet: of ``landed``, those whose creation time does not tell when they can be forgotten and that
        were not met lately, with since when.
    """

    terminal: Collection[str]
    statuses: Collection[str] | None
    watermark: datetime | None
    landed: dict[str, datetime | None]
    max_age: timedelta | None = None
    rejected: Mapping[str, datetime] = field(default_factory=dict)
    lookback: timedelta = LOOKBACK
    clock: ServiceClock = field(default_factory=ServiceClock)
    created_after: datetime | None = None
    unmet: Mapping[str, datetime] = field(default_factory=dict)
    newest: datetime | None = None
    oldest_unfinished: datetime | None = None
    unfinished: int = 0
    ahead: int = 0
    ahead_ids: list[str] = field(default_factory=list)
    given_up: int = 0
    given_up_ids: list[str] = field(default_factory=list)
    _observed: set[str] = field(default_factory=set, compare=False)
    _meets_undated: bool = field(default=False, compare=False)
    _saw_all: bool = field(default=True, compare=False)

    @property
    def start(self) -> datetime | None:
        """Nothing older is looked at."""
        return max((time for time in (self.watermark, self.created_after) if time), default=None)

    def keep(self, page: Page) -> Page:
        """The page with what lands in this run, and the rows that are no records and not known yet."""
        fresh = tuple(row for row in page.rejected if row.id not in self.rejected)
        now = self.clock.latest + TOLERANCE
        give_up_before = earlier(self.clock.earliest, self.max_age) if self.max_age else None
        records = tuple(row for row in page.predictions if self._lands(row, now, give_up_before))
        return replace(page, predictions=records, rejected=fresh)

    def _lands(self, row: Prediction, now: datetime, give_up_before: datetime | None) -> bool:
        created = row.created_at
        is_ahead = created is not None and created > now
        if created is None:
            self._meets_undated = True
        elif not is_ahead:
            self.newest = max(self.newest or created, created)
        if row.status in self.terminal:
            if row.id in self.landed:
                self._observed.add(row.id)
                return False
            lands = self.statuses is None or row.status in self.statuses
            if lands and is_ahead:
                self.ahead += 1
                self.ahead_ids = [*self.ahead_ids, row.id][:NAMED]
            return lands
        if give_up_before and created and created < give_up_before:
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
        reached = self.start
        if self.newest:
            settled = earlier(self.newest, self.lookback)
            settled = min(settled, self.oldest_unfinished or settled)
            reached = max(reached or settled, settled)
        if reached is None:
            return None
        reached = min(reached, earlier(self.clock.earliest, self.lookback))
        return max(self.watermark or reached, reached)

    @property
    def has_moved(self) -> bool:
        """Whether the watermark has moved so far that the next run reads much less."""
        start, reached = self.start, self.next_watermark
        return reached is not None and (start is None or reached - start >= STEP)

    def next_landed(
        self, keys: Iterable[tuple[str, datetime | None]], *, complete: bool = True
    ) -> dict[str, datetime | None]:
        """What the next run must not land again.

        :param keys: id and creation time of what this run landed.
        :param complete: whether the run has missed no row, as far as is known.
        """
        watermark, now, found = self.next_watermark, self.clock.earliest, self.landed | dict(keys)
        if watermark is None:
            return found
        gone = self._gone(complete=complete)
        return {
            id_: created
            for id_, created in found.items()
            if (created if self._tells(created, now) else gone.get(id_, watermark)) >= watermark
        }

    def next_rejected(self, ids: Iterable[str]) -> dict[str, datetime]:
        """Which rows that are no records the next run must not tell of again.

        :param ids: of those that this run told of.
        """
        now = datetime.now(UTC)
        return {**self.rejected, **dict.fromkeys(ids, now)}

    def next_unmet(self, *, complete: bool = True) -> dict[str, datetime]:
        """Since when those are not met any more that are remembered until they have left the list.

        :param complete: whether the run has missed no row, as far as is known.
        """
        before = {
            id_: since
            for id_, since in self.unmet.items()
            if id_ in self.landed and id_ not in self._observed
        }
        return before | self._gone(complete=complete)

    @staticmethod
    def _tells(created: datetime | None, now: datetime) -> TypeGuard[datetime]:
        """Whether a creation time says until when a row can be met: not one that is ahead of the clock."""
        return created is not None and created <= now

    def _gone(self, *, complete: bool) -> dict[str, datetime]:
        """Since when the list holds those no more whose creation time does not tell.

        A list in which a row without a creation time is met has no order and is read to its end; in another,
        one may lie where nothing was read.
        """
        if not (complete and self._saw_all):
            return {}
        now, start = self.clock.earliest, self.start
        return {
            id_: self.unmet.get(id_, now)
            for id_, created in self.landed.items()
            if id_ not in self._observed and not self._tells(created, now)
            and (self._meets_undated if created is None else start is None or created >= start)
        }  # fmt: skip

    def facts(self) -> dict[str, Any]:
        """What the manifest says of the run."""
        watermark = self.next_watermark
        return {"watermark": watermark and utc(watermark), **self._counts()}

    def state(self) -> dict[str, Any]:
        """What was noted so far, as JSON."""
        return {
            "newest": self.newest and utc(self.newest),
            "oldest_unfinished": self.oldest_unfinished and utc(self.oldest_unfinished),
            "now": utc(self.clock.earliest),
            **self._counts(),
        }

    _COUNTS = ("unfinished", "ahead", "ahead_ids", "given_up", "given_up_ids")

    def _counts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._COUNTS}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what an earlier attempt noted, which had read the newest rows by its time."""
        self.newest = as_time(state["newest"])
        self.oldest_unfinished = as_time(state["oldest_unfinished"])
        if now := as_time(state["now"]):
            self.clock.note(now)
        for name in self._COUNTS:
            setattr(self, name, state[name])
        self._saw_all = False

    def warning(self) -> str | None:
        """What to say of rows that are dated ahead."""
        if not self.ahead:
            return None
        names, now = ", ".join(map(repr, self.ahead_ids[:2])), utc(self.clock.latest)
        return (
            f"{self.ahead} predictions are dated ahead of the service's clock ({now}), such as {names}. "
            "They count now, once, and do not move the watermark"
        )
