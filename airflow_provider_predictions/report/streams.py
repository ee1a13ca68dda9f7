"""The creation times of which the landings of a report hold all predictions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain

from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.storage.landed import Landed, Span

TIMES = ("created_after", "created_before")
_TICK = timedelta(microseconds=1)
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
        spans = [_span(one) for one in self.landings]
        if self.path:
            # An incremental landing holds what has finished since the one before, whenever it was created.
            begin = self._first.committed if self.lacks_commits else _begin(self._first)
            spans = [(begin or _LAST, self.newest or _FIRST)]
        return _joined(spans)

    @cached_property
    def _read(self) -> list[Span]:
        """The creation times in which the list was read, however many predictions were to land."""
        return self.spans if self.path else _joined(map(_span_read, self.landings))

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
        return _cover(self.spans, start, end)

    def gaps(self, start: datetime, end: datetime) -> list[Span]:
        """The creation times, in part of a period, in which no landing has read the list."""
        edges = [_FIRST, *chain.from_iterable(self._read), _LAST]
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return [(first, last) for first, last in pairs if first < end and start < last]

    def cuts(self, landed: Landed, gaps: Sequence[Span]) -> list[str]:
        """The filters of a landing at which gaps begin or end."""
        if self.path and landed.manifest["generation"] > 1:
            return []  # it began at the watermark, which nobody has set
        found = {
            "created_after": any(_begin(landed) == last for _, last in gaps),
            "created_before": any(_end(landed) == first for first, _ in gaps),
        }
        return [name for name, is_cut in found.items() if is_cut]

    def holds_all(self, start: datetime, end: datetime) -> bool:
        """Whether landings without a filter cover a period."""
        return self._unfiltered.covers(start, end)

    @cached_property
    def _unfiltered(self) -> Stream:
        return Stream(self.service, "", [landed for landed in self.landings if not narrowing(landed)])

    def differing(self, periods: Sequence[Span]) -> list[str]:
        """The filters of landings in these periods that did not all cover the same ones of them."""
        if all(self.holds_all(*period) for period in periods):
            return []
        by_filters = defaultdict[tuple[tuple[str, str], ...], list[Landed]](list)
        for landed in self.landings:
            values = landed.manifest["filters"]
            by_filters[tuple((name, str(values[name])) for name in narrowing(landed))].append(landed)
        parts = {given: Stream(self.service, "", landings) for given, landings in by_filters.items()}
        found = {given for given, part in parts.items() if any(part.touches(*period) for period in periods)}
        if len(found) < 2 or all(parts[given].covers(*period) for given in found for period in periods):
            return []
        common = set.intersection(*map(set, found))
        return [name for given in found for name, _ in {*given} - common]

    def touches(self, start: datetime, end: datetime) -> bool:
        return any(first < end and start < last for first, last in self._read)


def may_hold(landed: Landed, start: datetime, end: datetime) -> bool:
    """Whether the time window of a landing has a part of a period."""
    return _begin(landed) < end and start < _end(landed)


def _joined(spans: Iterable[Span]) -> list[Span]:
    """The oldest first, without overlaps."""
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            start, end = found[-1][0], max(found.pop()[1], end)
        found.append((start, end))
    return found


def _cover(spans: Iterable[Span], start: datetime, end: datetime) -> bool:
    return any(first <= start and end <= last for first, last in spans)


def narrowing(landed: Landed) -> list[str]:
    """The filters that a landing has applied, besides those on creation times."""
    values = landed.manifest["filters"] | {"max_predictions": _is_limited(landed)}
    given = sorted(name for name in values if name not in TIMES)
    return [name for name in given if values[name] or (name == "statuses" and values[name] is not None)]


def _is_limited(landed: Landed) -> bool:
    """Whether a landing ended at ``max_predictions``. It holds the newest or the oldest ones then."""
    most = landed.manifest["filters"].get("max_predictions")
    return isinstance(most, int) and landed.manifest["count"] >= most


def _span(landed: Landed) -> Span:
    """The creation times of which a landing holds all that its other filters match."""
    start, end = _span_read(landed)
    if _is_limited(landed):
        oldest, newest = as_time(landed.manifest["created_min"]), as_time(landed.manifest["created_max"])
        if not (oldest and newest and landed.manifest["ordered"]):
            return _LAST, _FIRST
        # Others may have the creation time of the last one.
        return max(start, oldest + _TICK), min(end, newest)
    return start, end


def _span_read(landed: Landed) -> Span:
    return _begin(landed), min(_end(landed), landed.started or _LAST)


def _begin(landed: Landed) -> datetime:
    return as_time(landed.manifest["filters"].get("created_after")) or _FIRST


def _end(landed: Landed) -> datetime:
    return as_time(landed.manifest["filters"].get("created_before")) or _LAST
