"""Land every prediction once, when it is finished.

Everything older than the watermark is settled: it has landed, or no run waits for it any more. The cursor
remembers the ids of newer predictions that have landed. A creation time ahead of the service's clock does not
move the watermark.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeGuard

import msgspec

from airflow_provider_predictions.api.clock import ServiceClock, time_before
from airflow_provider_predictions.api.filters import utc
from airflow_provider_predictions.api.limits import (
    MAX_CLOCK_SKEW,
    MAX_LISTING_DELAY,
    MAX_NAMED,
    MAX_SAVED_ROWS,
    MIN_STEP,
)
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.record_batch import RecordBatch
from airflow_provider_predictions.api.state import Versioned, dump, load


class Memory(Versioned):
    """What one run must know of those before it.

    :ivar watermark: all that is older is settled; None before the first run.
    :ivar landed: id -> creation time of landed predictions that are not older.
    :ivar unfinished: id -> creation time of predictions that a later run may land.
    :ivar unmet: id -> since when the list lacks it, for those in ``unfinished`` and those in ``landed`` whose
        creation time does not tell when to forget them.
    :ivar begin: the ``created_after`` of the first run. What is older never lands.
    """

    watermark: datetime | None = None
    landed: dict[str, datetime | None] = msgspec.field(default_factory=dict)
    unfinished: dict[str, datetime] = msgspec.field(default_factory=dict)
    unmet: dict[str, datetime] = msgspec.field(default_factory=dict)
    begin: datetime | None = None


class Counts(msgspec.Struct):
    """The counts of a run in its manifest.

    :ivar unfinished: predictions that a later run may land.
    :ivar ahead: landed predictions dated ahead of the service's clock.
    :ivar given_up: unfinished predictions that no run waits for any more.
    """

    unfinished: int = 0
    ahead: int = 0
    ahead_ids: list[str] = msgspec.field(default_factory=list)
    given_up: int = 0
    given_up_ids: list[str] = msgspec.field(default_factory=list)


class CursorState(Versioned):
    """What an attempt has noted about the rows it read.

    :ivar newest: creation time of the newest row that is not dated ahead.
    :ivar oldest_unfinished: creation time of the oldest row that a later run may land.
    :ivar unfinished: id -> creation time of these rows.
    :ivar met: ids of rows in ``Memory.unmet`` that the list has again.
    :ivar asked_at: the earliest time of the service's clock in this attempt.
    """

    newest: datetime | None = None
    oldest_unfinished: datetime | None = None
    unfinished: dict[str, datetime] = msgspec.field(default_factory=dict)
    met: set[str] = msgspec.field(default_factory=set)
    asked_at: datetime | None = None
    counts: Counts = msgspec.field(default_factory=Counts)


@dataclass
class IncrementalCursor:
    """Decides which rows land in this run, and what the next run must know.

    :param terminal: final statuses.
    :param statuses: only these land; None for all final ones.
    :param max_age: unfinished predictions older than this are given up; None to wait for ever.
    :param rejected: id -> time of the report, for rows that are not records and that earlier runs reported.
    :param lookback: how far the watermark stays behind the newest row and the service's clock.
    :param created_after: where the first run begins. Later runs continue from their memory: a template may
        move this past what is unfinished.
    """

    terminal: Collection[str]
    statuses: Collection[str] | None
    memory: Memory = field(default_factory=Memory)
    max_age: timedelta | None = None
    rejected: Mapping[str, datetime] = field(default_factory=dict)
    lookback: timedelta = MAX_LISTING_DELAY
    clock: ServiceClock = field(default_factory=ServiceClock)
    created_after: datetime | None = None
    is_complete: bool = True
    """False once it is known that the run may have missed a row. Then the watermark stays."""
    noted: CursorState = field(default_factory=CursorState)
    _observed: set[str] = field(default_factory=set, compare=False)
    _meets_undated: bool = field(default=False, compare=False)
    _saw_all: bool = field(default=True, compare=False)

    @property
    def begin(self) -> datetime | None:
        """Where the first run begins, or has begun."""
        return self.memory.begin if self.memory.watermark else self.created_after

    @property
    def _is_to_begin(self) -> bool:
        """Whether the landings begin in the future, so that a later run will be the first."""
        return self.begin is not None and self.clock.is_to_come(self.begin)

    @property
    def start(self) -> datetime | None:
        """Rows older than this are not read. None reads the whole list."""
        return max((time for time in (self.memory.watermark, self.begin) if time), default=None)

    def keep(self, page: Page) -> Page:
        """The page without rows that do not land now, and without rejected rows that were reported before."""
        now = self.clock.latest + MAX_CLOCK_SKEW
        give_up_before = time_before(self.clock.earliest, self.max_age) if self.max_age else None
        rows = page.records
        if not self._all_land(rows, now):
            rows = rows.select([self._lands(row, now, give_up_before) for row in rows])
        rejected = tuple(row for row in page.rejected if row.id not in self.rejected)
        return replace(page, predictions=rows, rejected=rejected)

    def _all_land(self, rows: RecordBatch, now: datetime) -> bool:
        """The common case, fast: all are finished, none has landed, and none is dated ahead."""
        landing = {*self.terminal} if self.statuses is None else {*self.terminal} & {*self.statuses}
        if not (rows.span and None not in rows.times and rows.span[1] <= now):
            return False
        if not landing >= {*rows.statuses}:
            return False
        if not all(
            known.isdisjoint(rows.ids) for known in (self.memory.landed.keys(), self.memory.unfinished.keys())
        ):
            return False
        self.noted.newest = max(self.noted.newest or rows.span[1], rows.span[1])
        return True

    def _lands(self, row: Prediction, now: datetime, give_up_before: datetime | None) -> bool:
        created, noted, counts = row.created_at, self.noted, self.noted.counts
        is_ahead = created is not None and created > now
        if created is None:
            self._meets_undated = True
        elif not is_ahead:
            noted.newest = max(noted.newest or created, created)
        is_landed = row.id in self.memory.landed
        if is_landed or row.id in self.memory.unfinished:
            self._observed.add(row.id)
            if row.id in self.memory.unmet:
                noted.met.add(row.id)
        if row.status in self.terminal:
            if is_landed:
                return False
            lands = self.statuses is None or row.status in self.statuses
            if lands and is_ahead:
                counts.ahead += 1
                counts.ahead_ids = [*counts.ahead_ids, row.id][:MAX_NAMED]
            return lands
        is_known = row.id in self.memory.unfinished
        if is_known:
            give_up_before = self._forget_before
        if give_up_before and created and created < give_up_before:
            counts.given_up += 1
            counts.given_up_ids = [*counts.given_up_ids, row.id][:MAX_NAMED]
        else:
            counts.unfinished += 1
            if created:
                if not is_ahead or is_known:
                    noted.unfinished[row.id] = created
                noted.oldest_unfinished = min(noted.oldest_unfinished or created, created)
        return False

    @property
    def _forget_before(self) -> datetime | None:
        """The creation time before which known unfinished rows are given up: too old by both clocks.

        For a while, a server may send a wrong time.
        """
        return time_before(self.clock.cautious, self.max_age) if self.max_age else None

    @property
    def next_watermark(self) -> datetime | None:
        """The watermark for the next run; None as long as no row sets one."""
        reached = self.start
        if self.noted.newest and self.is_complete:
            settled = time_before(self.noted.newest, self.lookback)
            settled = min(settled, self.noted.oldest_unfinished or settled)
            settled = min([settled, *(self.memory.unfinished[id_] for id_ in self._hidden())])
            reached = max(reached or settled, settled)
        if reached is None:
            return None
        reached = min(reached, time_before(self.clock.earliest, self.lookback))
        return max(self.memory.watermark or reached, reached)

    @property
    def has_moved(self) -> bool:
        """Whether the watermark has moved far enough to commit a run that lands nothing."""
        start, reached = self.start, self.next_watermark
        if reached is None or self._is_to_begin:
            return False
        # The second run must know where the first one began, and each run what the list may hide from it.
        memory, unfinished = self.memory, self.noted.unfinished.keys()
        is_news = self.noted.met or not unfinished <= memory.unfinished.keys()
        return bool(is_news) or memory.watermark is None or start is None or reached - start >= MIN_STEP

    def next_memory(self, keys: Iterable[tuple[str, datetime | None]]) -> Memory:
        """What the next run must know.

        :param keys: id and creation time of what this run landed.
        """
        before, watermark, now, new = self.memory, self.next_watermark, self.clock.earliest, dict(keys)
        gone, hidden = self._gone(), self._hidden()
        landed = {
            id_: created
            for id_, created in (before.landed | new).items()
            if watermark is None
            or (created if self._tells(created, now) else gone.get(id_, watermark)) >= watermark
        }
        unmet = {
            id_: since
            for id_, since in before.unmet.items()
            if id_ in before.landed and id_ not in self.noted.met
        }
        waiting = {id_: before.unfinished[id_] for id_ in hidden} | self.noted.unfinished
        unfinished = {id_: created for id_, created in waiting.items() if id_ not in new}
        begin = None if self._is_to_begin else self.begin
        return Memory(watermark, landed, unfinished, unmet | gone | hidden, begin)

    def next_rejected(self, ids: Iterable[str]) -> dict[str, datetime]:
        """Id -> time of the report, for rejected rows that the next run must not report again.

        :param ids: of the rows that this run reported.
        """
        return {**self.rejected, **dict.fromkeys(ids, datetime.now(UTC))}

    @staticmethod
    def _tells(created: datetime | None, now: datetime) -> TypeGuard[datetime]:
        """Whether a creation time tells when to forget a row. One ahead of the clock does not."""
        return created is not None and created <= now

    def _unmet_since(self, id_: str) -> datetime:
        now = self.clock.earliest
        return now if id_ in self.noted.met else self.memory.unmet.get(id_, now)

    def _hidden(self) -> dict[str, datetime]:
        """Id -> since when the list lacks it, for what was unfinished and may come back."""
        now, observed = self.clock.cautious, self._observed | self.noted.unfinished.keys()
        give_up_before = self._forget_before
        return {
            id_: since
            for id_, created in self.memory.unfinished.items()
            if id_ not in observed and not (give_up_before and created < give_up_before)
            and (since := self._unmet_since(id_)) >= time_before(now, self.lookback)
        }  # fmt: skip

    def _gone(self) -> dict[str, datetime]:
        """Id -> since when the list lacks it, for landed rows whose creation time does not tell.

        A list that shows a row without a creation time has no order and is read to its end. In other lists,
        such a row may lie in the part that was not read.
        """
        if not (self.is_complete and self._saw_all):
            return {}
        now, start = self.clock.earliest, self.start
        return {
            id_: self._unmet_since(id_)
            for id_, created in self.memory.landed.items()
            if id_ not in self._observed and not self._tells(created, now)
            and (self._meets_undated if created is None else start is None or created >= start)
        }  # fmt: skip

    def facts(self) -> dict[str, Any]:
        """What the manifest says about the run."""
        watermark = self.next_watermark
        return {"watermark": watermark and utc(watermark), **msgspec.structs.asdict(self.noted.counts)}

    def state(self) -> dict[str, Any]:
        """What the attempt has noted so far, as JSON values."""
        self.noted.asked_at = self.clock.earliest
        saved = dict(islice(self.noted.unfinished.items(), MAX_SAVED_ROWS))
        return dump(msgspec.structs.replace(self.noted, unfinished=saved))

    def restore(self, state: dict[str, Any] | None) -> None:
        """Continue from the state of an earlier attempt, which has read the newest rows.

        :raises StateError: if the state cannot be read.
        """
        self.noted = load(state, CursorState)
        if self.noted.asked_at:
            self.clock.note(self.noted.asked_at)
        self._saw_all = False

    def warning(self) -> str | None:
        """A warning about predictions dated ahead of the service's clock; None if there are none."""
        counts, now = self.noted.counts, utc(self.clock.latest)
        if not counts.ahead:
            return None
        names = ", ".join(map(repr, counts.ahead_ids[:2]))
        return (
            f"{counts.ahead} predictions are dated ahead of the service's clock ({now}), such as {names}. "
            "They count now, once, and do not move the watermark"
        )
