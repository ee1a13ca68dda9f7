"""The creation times of which the landings of a report hold all predictions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.storage.landed import Landed, Span

TIMES = ("created_after", "created_before")
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Stream:
    """The landings of an incremental path, or all others of a service: a backfill has a path for each day.

    :param path: the incremental path; empty for the others.
    :param landings: in the order of their commits, at least one.
    """

    service: str
    path: str
    landings: Sequence[Landed]

    @cached_property
    def newest(self) -> datetime | None:
        """When the newest landing began to read the list. None if no landing says so."""
        return max((landed.started for landed in self.landings if landed.started), default=None)

    @cached_property
    def _first(self) -> Landed:
        """The first of the commits up to the newest between which none is lacking."""
        commits = {landed.manifest["generation"]: landed for landed in self.landings}
        number = max(commits)
        while number - 1 in commits:
            number -= 1
        return commits[number]

    @property
    def lacks_commits(self) -> bool:
        """Whether earlier commits of an incremental path were not given."""
        return bool(self.path) and self._first.manifest["generation"] > 1

    @cached_property
    def spans(self) -> list[Span]:
        """The creation times that are covered, the oldest first, without overlaps."""
        spans = [(_begin(one), min(_end(one), one.started or _LAST)) for one in self.landings]
        if self.path:
            # An incremental landing holds what has finished since the one before, whenever it was created.
            begin = self._first.committed if self.lacks_commits else _begin(self._first)
            spans = [(begin or _LAST, self.newest or _FIRST)]
        found: list[Span] = []
        for start, end in sorted(span for span in spans if span[0] < span[1]):
            if found and start <= found[-1][1]:
                start, end = found[-1][0], max(found.pop()[1], end)
            found.append((start, end))
        return found

    @cached_property
    def since(self) -> datetime | None:
        """Where the first span begins. If nothing limits it, the creation of the first prediction."""
        begin = self.spans[0][0] if self.spans else None
        if begin != _FIRST:
            return begin
        times = [as_time(landed.manifest["created_min"]) for landed in self.landings]
        return min(filter(None, [*times, self._first.started if self.path else None]), default=None)

    @property
    def end(self) -> datetime:
        """Nothing is known of predictions that were created from then on."""
        return self.spans[-1][1] if self.spans else self.newest or _LAST

    def first_after(self, moment: datetime) -> Landed | None:
        """The first landing that began after a moment, and was to hold what was created before it, too."""
        began = (one for one in self.landings if one.started and one.started >= moment > _begin(one))
        return next(began, None)

    def covers(self, start: datetime, end: datetime) -> bool:
        return any(first <= start and end <= last for first, last in self.spans)

    def cuts(self, landed: Landed, start: datetime, end: datetime) -> list[str]:
        """The filters by which a landing leaves out creation times that no other covers."""
        is_watermark = self.path and landed.manifest["generation"] > 1  # nobody has set it
        if is_watermark or self.covers(start, end):
            return []
        found = {"created_after": _begin(landed) > start, "created_before": _end(landed) < end}
        return [name for name, is_cut in found.items() if is_cut]

    def differing(self, periods: Sequence[Span]) -> list[str]:
        """The filters that had several values in these periods, each of which did not cover all of them."""
        names = {name for landed in self.landings for name in narrowing(landed)} - {"statuses"}
        return [name for name in names if self._differs(name, periods)]

    def _differs(self, name: str, periods: Sequence[Span]) -> bool:
        by_value = defaultdict[str, list[Landed]](list)
        for landed in self.landings:
            by_value[str(landed.manifest["filters"].get(name) or None)].append(landed)
        parts = [Stream(self.service, "", landings) for landings in by_value.values()]
        found = [part for part in parts if any(part.touches(*period) for period in periods)]
        return len(found) > 1 and not all(part.covers(*period) for part in found for period in periods)

    def touches(self, start: datetime, end: datetime) -> bool:
        return any(first < end and start < last for first, last in self.spans)


def narrowing(landed: Landed) -> list[str]:
    """The filters of a landing, besides those on creation times."""
    given = {name: value for name, value in landed.manifest["filters"].items() if name not in TIMES}
    return [name for name, value in given.items() if value or (name == "statuses" and value is not None)]


def _begin(landed: Landed) -> datetime:
    return as_time(landed.manifest["filters"].get("created_after")) or _FIRST


def _end(landed: Landed) -> datetime:
    return as_time(landed.manifest["filters"].get("created_before")) or _LAST
