"""What a report must say, computed once more in plain Python.

Nothing of the package's report is used here; what is said twice is said independently.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Any
from zoneinfo import ZoneInfo

LONGEST = 300
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Times:
    """Periods of one length, the newest first, and how a moment of the newest is labelled."""

    end: datetime
    starts: Sequence[datetime]
    zone: ZoneInfo
    label: str

    @property
    def start(self) -> datetime:
        return self.starts[0]

    @property
    def before(self) -> datetime:
        return self.starts[1]

    def end_of(self, age: int) -> datetime:
        return self.starts[age - 1] if age else self.end

    def age(self, moment: datetime | None) -> int | None:
        """How many periods before the newest one a moment lies."""
        ages = (age for age, start in enumerate(self.starts) if moment and start <= moment < self.end_of(age))
        return next(ages, None)


@dataclass
class Problem:
    """What Cradl says of a prediction or of a field."""

    kind: str
    field: str
    message: str | None


@dataclass
class Seen:
    """A record, understood."""

    id: str | None
    status: str
    group: str | None
    created: datetime | None
    finished: datetime | None
    message: str | None
    terminal: frozenset[str]
    service: str = ""
    credits: float | None = None
    elements: float | None = None
    element_type: str | None = None
    document: str | None = None
    inference: float | None = None
    has_unread_values: bool = False
    fields: list[tuple[str, float | None]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def state(self) -> str:
        if self.status in ("failed", "cancelled"):
            return self.status
        return "succeeded" if self.status in self.terminal else "waiting"

    @property
    def seconds(self) -> float | None:
        if self.service == "cradl":
            return self.inference
        return (self.finished - self.created).total_seconds() if self.finished and self.created else None


def percentile(values: Iterable[float], share: float) -> float | None:
    """With linear interpolation between the two nearest."""
    ordered = sorted(values)
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def most(values: Sequence[float]) -> float | None:
    return max(values, default=None)


def when(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))


def words(value: object) -> str | None:
    if value is None or value == {}:
        return None
    whole = "; ".join(text(each) or "" for each in value) if isinstance(value, list) else text(value) or ""
    return " ".join(whole.split())[:LONGEST] or None


def as_vlmrun(raw: bytes) -> Seen:
    """A record of VLM Run."""
    given = json.loads(raw)
    usage = given.get("usage") if isinstance(given.get("usage"), dict) else {}
    return Seen(
        id=given.get("id") or None,
        status=text(given.get("status")) or "pending",
        group=text(given.get("domain")),
        created=when(given.get("created_at")),
        finished=when(given.get("completed_at")),
        message=words(given.get("message")) or words(given.get("error")) or words(usage.get("message")),
        terminal=frozenset({"completed", "failed", "cancelled"}),
        credits=number(usage.get("credits_used")),
        elements=number(usage.get("elements_processed")),
        element_type=usage.get("element_type"),
    )


def as_cradl(raw: bytes) -> Seen:
    """A record of Cradl."""
    given = json.loads(raw)
    inference = number(given.get("inferenceTime"))
    has_results = given.get("fileUrl") or given.get("predictions") is not None or inference is not None
    created, updated = when(given.get("createdTime")), when(given.get("updatedTime"))
    if updated is None and created and inference is not None:
        updated = created + timedelta(seconds=inference)
    seen = Seen(
        id=given.get("predictionId") or None,
        status=text(given.get("status")) or ("succeeded" if has_results else "pending"),
        group=text(given.get("modelId")),
        created=created,
        finished=updated,
        message=words(given.get("error")) or words(given.get("errors")),
        terminal=frozenset({"succeeded", "failed", "cancelled"}),
        document=given.get("documentId"),
        inference=inference,
    )
    has_file = bool(given.get("fileUrl"))
    seen.has_unread_values = given.get("predictions") is None and (has_file or seen.state == "succeeded")
    if words(given.get("error")):
        seen.problems.append(Problem("error", "", words(given["error"])))
    _complain(seen, given, "")
    for value in given.get("predictions") or []:
        _extract(seen, value)
    return seen


def _extract(seen: Seen, value: Any) -> None:
    label = str(value.get("label") or "")
    _complain(seen, value, label)
    if not isinstance(value.get("value"), list):
        seen.fields.append((label, number(value.get("confidence"))))
        return
    for cell in (cell for row in value["value"] for cell in row):
        below = ".".join(part for part in (label, cell.get("label")) if part)
        _complain(seen, cell, below)
        seen.fields.append((below, number(cell.get("confidence"))))


def _complain(seen: Seen, given: Any, label: str) -> None:
    for kind in ("error", "warning"):
        said = given.get(f"{kind}s")
        each = said if isinstance(said, list) else [said]
        seen.problems += [Problem(kind, label, words(one)) for one in each if words(one)]


def least(count: int, rows: Sequence[Seen]) -> int | None:
    """What is known to be in values. None of it is not known, if some values were not read."""
    return None if not count and any(seen.has_unread_values for seen in rows) else count


CONFIDENCES = ("fields", "mean_confidence", "share_under_70", "share_under_90")
READ: dict[str, Callable[[bytes], Seen]] = {"vlmrun": as_vlmrun, "cradl": as_cradl}


def understood(service: str, raw: bytes, group_by: str | None) -> Seen:
    """A record of a service, in its group."""
    seen = READ[service](raw)
    seen.service = service
    if group_by:
        found = json.loads(raw)
        for name in group_by.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        seen.group = text(found)
    return seen


def latest(landings: Sequence[Sequence[Seen]]) -> list[Seen]:
    """Each prediction once: a finished one before an unfinished one, then the later one."""
    kept: dict[object, Seen] = {}
    for seen in (seen for landing in landings for seen in landing):
        key = (seen.service, seen.id) if seen.id is not None else id(seen)
        other = kept.get(key)
        if other is None or seen.status in seen.terminal or other.status not in other.terminal:
            kept[key] = seen
    return list(kept.values())


def nulls_last(key: Any) -> tuple[bool, Any]:
    return (key is None, key)


def descending(key: float | None) -> tuple[bool, float]:
    return (key is None, -(key or 0))


class Oracle:
    """What a report must say.

    :param landings: of each, the service and the records.
    """

    def __init__(
        self,
        landings: Sequence[tuple[str, Sequence[bytes]]],
        times: Times,
        *,
        price: float | None = None,
        group_by: str | None = None,
    ) -> None:
        self.services = sorted({service for service, _ in landings})
        self.times = times
        self.price = price
        self.all = latest(
            [[understood(service, raw, group_by) for raw in records] for service, records in landings]
        )
        self.landed = sum(len(records) for _, records in landings)
        self.of = [[seen for seen in self.all if times.age(seen.created) == age] for age in range(8)]
        self.now, self.before = self.of[:2]

    # --- the head --------------------------------------------------------------------------------

    def measures(self) -> dict[str, dict[str, Any]]:
        oldest = min(seen.created for seen in self.all if seen.created)
        ages = [age for age in range(8) if age <= 1 or oldest <= self.times.starts[age]]
        found = [self._totals(self.of[age], self.times.end_of(age)) for age in ages]
        return {
            name: {
                "now": found[0][name],
                "before": found[1][name],
                "history": [totals[name] for totals in reversed(found)],
            }
            for name in found[0]
        }

    def groups(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Each measure of each group; those of fields by their label, those of problems by the message."""
        found: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
        for when, rows, age in (("now", self.now, 0), ("before", self.before, 1)):
            groups = {seen.group for seen in (*self.now, *self.before)} - {None}
            for group in groups:
                of_group = [seen for seen in rows if seen.group == group]
                for name, value in self._totals(of_group, self.times.end_of(age)).items():
                    if name not in (*CONFIDENCES, "errors", "warnings"):
                        found[str(group)][name][when] = value
            for label in {label for seen in (*self.now, *self.before) for label, _ in seen.fields}:
                values = [known for seen in rows for name, known in seen.fields if name == label]
                for name, value in zip(CONFIDENCES, self._confidences(values), strict=True):
                    found[label][name][when] = least(value, rows) if name == "fields" else value
            for message in {each.message for seen in (*self.now, *self.before) for each in seen.problems}:
                kinds = Counter(p.kind for seen in rows for p in seen.problems if p.message == message)
                for kind in ("error", "warning"):
                    found[str(message)][f"{kind}s"][when] = least(kinds[kind], rows)
        return found

    def _totals(self, rows: Sequence[Seen], end: datetime) -> dict[str, Any]:
        states = Counter(seen.state for seen in rows)
        found: dict[str, Any] = {
            "predictions": len(rows),
            "succeeded": states["succeeded"],
            "failed": states["failed"],
            "waiting": states["waiting"],
            "failed_share": share(states["failed"], states["failed"] + states["succeeded"]),
        }
        if "vlmrun" in self.services:
            used = math.fsum(seen.credits or 0 for seen in rows)
            found["credits"] = used
            if self.price is not None:
                found["cost"] = used * self.price
            found["pages"] = math.fsum(seen.elements or 0 for seen in rows if seen.element_type == "page")
        seconds = [seen.seconds for seen in rows if seen.seconds is not None]
        found |= {
            "mean_seconds": mean(seconds),
            "median_seconds": percentile(seconds, 0.5),
            "p95_seconds": percentile(seconds, 0.95),
            "longest_seconds": most(seconds),
            "oldest_waiting_seconds": most(
                [
                    (end - seen.created).total_seconds()
                    for seen in rows
                    if seen.state == "waiting" and seen.created
                ]
            ),
        }
        if "cradl" in self.services:
            kinds = Counter(problem.kind for seen in rows for problem in seen.problems)
            fields = [confidence for seen in rows for _, confidence in seen.fields]
            found |= dict(zip(CONFIDENCES, self._confidences(fields), strict=True))
            found |= {"errors": kinds["error"], "warnings": kinds["warning"]}
            found |= {name: least(found[name], rows) for name in ("errors", "warnings", "fields")}
        return found

    def statuses(self) -> dict[str, int]:
        return dict(Counter(seen.status for seen in self.now))

    def left_out(self) -> dict[str, int]:
        """What every report may leave out."""
        created = [seen.created for seen in self.all]
        counts = {
            "the same prediction in an earlier landing, or unfinished in a later one": self.landed
            - len(self.all),
            "no creation time that can be read": sum(1 for moment in created if moment is None),
            "created after the period": sum(1 for moment in created if moment and moment >= self.times.end),
            "created before the oldest period": sum(
                1 for moment in created if moment and moment < self.times.starts[-1]
            ),
        }
        return {reason: count for reason, count in counts.items() if count}

    # --- the tables ------------------------------------------------------------------------------

    def tables(self) -> dict[str, list[Row]]:
        found = {
            "by_time": self.by_time(),
            "by_group": self.by_group(),
            "time_to_complete": self.time_to_complete(),
            "failure_reasons": self.failure_reasons(),
            "failures": self.failures(),
            "waiting": self.waiting(),
            "late": self.late(),
            "changes": self.changes(),
        }
        if "vlmrun" in self.services:
            found |= {"credits_by_time": self.credits_by_time(), "processed": self.processed()}
        if "cradl" in self.services:
            found |= {
                "confidence": self.confidence(),
                "confidence_by_time": self.confidence_by_time(),
                "least_confident": self.least_confident(),
                "problems": self.problems(),
            }
        return found

    def _label(self, moment: datetime) -> str:
        """Of the hour or the day in which a moment lies, on the wall of the zone."""
        local = moment.astimezone(self.times.zone)
        floor = local.replace(minute=0) if "%H" in self.times.label else local
        return max(floor, self.times.start.astimezone(self.times.zone)).strftime(self.times.label)

    def _in_time(self, keys: Iterable[tuple[Seen, Any]]) -> dict[tuple[str, Any], list[Seen]]:
        """Records by the label of their time and something else, in the order of time."""
        found: dict[tuple[str, Any], list[Seen]] = defaultdict(list)
        for seen, key in sorted(keys, key=lambda pair: (pair[0].created, nulls_last(pair[1]))):
            assert seen.created
            found[self._label(seen.created), key].append(seen)
        order = list(dict.fromkeys(label for label, _ in found))
        return dict(sorted(found.items(), key=lambda item: (order.index(item[0][0]), nulls_last(item[0][1]))))

    def by_time(self) -> list[Row]:
        found = self._in_time((seen, seen.status) for seen in self.now)
        return [(label, status, len(rows)) for (label, status), rows in found.items()]

    def _by_group(self) -> list[tuple[str | None, list[Seen]]]:
        found: dict[str | None, list[Seen]] = defaultdict(list)
        for seen in self.now:
            found[seen.group].append(seen)
        return sorted(found.items(), key=lambda item: (-len(item[1]), nulls_last(item[0])))

    def by_group(self) -> list[Row]:
        return [
            (
                group,
                *(
                    value
                    for name, value in self._totals(rows, self.times.end).items()
                    if name not in (*CONFIDENCES, "errors", "warnings")
                ),
            )
            for group, rows in self._by_group()
        ]

    def credits_by_time(self) -> list[Row]:
        found = self._in_time((seen, seen.group) for seen in self.now if seen.service == "vlmrun")
        return [
            (label, group or "", math.fsum(seen.credits or 0 for seen in rows))
            for (label, group), rows in sorted(
                found.items(), key=lambda item: (self._moment(item[1]), item[0][1] or "")
            )
        ]

    def _moment(self, rows: Sequence[Seen]) -> datetime:
        """By which rows of one label sort together."""
        moment = min(seen.created for seen in rows if seen.created)
        return min(
            seen.created
            for seen in self.now
            if seen.created and self._label(seen.created) == self._label(moment)
        )

    def processed(self) -> list[Row]:
        found: dict[str | None, list[float]] = defaultdict(list)
        for seen in self.now:
            if seen.elements is not None:
                found[seen.element_type].append(seen.elements)
        rows = [(kind, math.fsum(values), len(values)) for kind, values in found.items()]
        return sorted(rows, key=lambda row: (-row[1], nulls_last(row[0])))

    def time_to_complete(self) -> list[Row]:
        found: dict[str | None, list[float]] = defaultdict(list)
        for seen in self.now:
            if seen.seconds is not None:
                found[seen.group].append(seen.seconds)
        rows = [
            (group, len(values), percentile(values, 0.5), percentile(values, 0.95), max(values))
            for group, values in found.items()
        ]
        return sorted(rows, key=lambda row: (descending(row[3]), nulls_last(row[0])))

    def failure_reasons(self) -> list[Row]:
        found: dict[str | None, list[Seen]] = defaultdict(list)
        for seen in self.now:
            if seen.state == "failed":
                found[seen.message].append(seen)
        rows = [
            (message or "", len(rows), len({seen.group for seen in rows if seen.group is not None}))
            for message, rows in found.items()
        ]
        return sorted(rows, key=lambda row: (-row[1], row[0]))

    def failures(self) -> list[Row]:
        failed = [seen for seen in self.now if seen.state == "failed" and seen.created]
        failed.sort(key=lambda seen: (nulls_last(seen.id), seen.service))
        failed.sort(key=lambda seen: seen.created, reverse=True)  # type: ignore[arg-type, return-value]
        return [(s.id, s.group, _iso(s.created), s.message, s.document) for s in failed]

    def waiting(self) -> list[Row]:
        waiting = [seen for seen in self.now if seen.state == "waiting"]
        waiting.sort(key=lambda seen: (seen.created, nulls_last(seen.id), seen.service))
        return [
            (s.id, s.group, s.status, _iso(s.created), (self.times.end - s.created).total_seconds())
            for s in waiting
            if s.created
        ]

    def late(self) -> list[Row]:
        times = self.times
        found = Counter(
            (f"{seen.created.astimezone(times.zone):%Y-%m-%d}", seen.group, seen.status)
            for seen in self.all
            if seen.created and times.starts[-1] <= seen.created < times.start
            if seen.status in seen.terminal
            if seen.finished and times.start <= seen.finished < times.end
        )
        rows = [(*key, count) for key, count in found.items()]
        return sorted(rows, key=lambda row: (row[0], nulls_last(row[1]), row[2]))

    # --- Cradl's ---------------------------------------------------------------------------------

    @staticmethod
    def _confidences(fields: Sequence[float | None]) -> Row:
        known = [confidence for confidence in fields if confidence is not None]
        under = [sum(1 for confidence in known if confidence < limit) for limit in (0.7, 0.9)]
        return (len(fields), mean(known), *(share(count, len(known)) for count in under))

    def confidence(self) -> list[Row]:
        found: dict[str, list[float | None]] = defaultdict(list)
        for seen in self.now:
            for label, confidence in seen.fields:
                found[label].append(confidence)
        rows = [(label, *self._confidences(values)) for label, values in found.items()]
        return sorted(rows, key=lambda row: (descending(row[3]), -row[1], row[0]))

    def confidence_by_time(self) -> list[Row]:
        found = self._in_time(
            (seen, label) for seen in self.now for label in {name for name, _ in seen.fields}
        )
        return [
            (label, name, *self._confidences([c for seen in rows for of, c in seen.fields if of == name]))
            for (label, name), rows in found.items()
        ]

    def least_confident(self) -> list[Row]:
        rows = []
        for seen in self.now:
            known = [(confidence, label) for label, confidence in seen.fields if confidence is not None]
            if known:
                under = sum(1 for confidence, _ in known if confidence < 0.7)
                rows.append((seen.document, seen.id, min(known)[1], min(known)[0], under))
        rows.sort(key=lambda row: (row[3], nulls_last(row[0]), nulls_last(row[1])))
        return rows[:1000]

    def problems(self) -> list[Row]:
        found: dict[tuple[str, str, str | None], list[int]] = defaultdict(list)
        for place, seen in enumerate(self.now):
            for problem in seen.problems:
                found[problem.kind, problem.field, problem.message].append(place)
        rows = [(*key, len(places), len(set(places))) for key, places in found.items()]
        return sorted(rows, key=lambda row: (-row[4], row[0], row[1], nulls_last(row[2])))

    # --- what changed ----------------------------------------------------------------------------

    def changes(self) -> list[Row]:
        """What differs by two standard deviations or more, were the amounts independent."""
        if not self.before:
            return []
        found = []
        for name, kind, measure in self._measures():
            now, before = (self._values(rows, measure) for rows in (self.now, self.before))
            for group in now.keys() | before.keys():
                score = (_of_sums if kind == "sum" else _of_means)(now.get(group, []), before.get(group, []))
                if score is not None and abs(score[2]) >= 2:
                    found.append((name, group, *score[:2], round(score[2], 6)))
        return sorted(found, key=lambda row: (-abs(row[4]), row[0], nulls_last(row[1])))

    @staticmethod
    def _values(rows: Sequence[Seen], measure: Callable[[Seen], Any]) -> dict[Any, list[float]]:
        found: dict[Any, list[float]] = defaultdict(list)
        for seen in rows:
            for group, value in measure(seen):
                found[group] += [] if value is None else [float(value)]
        return found

    def _measures(self) -> list[tuple[str, str, Callable[[Seen], Any]]]:
        ended = {"failed": 1, "succeeded": 0}
        found: list[tuple[str, str, Callable[[Seen], Any]]] = [
            ("predictions", "sum", lambda s: [(s.group, 1)]),
            ("failed", "sum", lambda s: [(s.group, 1 if s.state == "failed" else None)]),
            ("failed_share", "mean", lambda s: [(s.group, ended.get(s.state))]),
            ("mean_seconds", "mean", lambda s: [(s.group, s.seconds)]),
        ]
        if "vlmrun" in self.services:
            found += [
                ("credits", "sum", lambda s: [(s.group, s.credits)]),
                ("pages", "sum", lambda s: [(s.group, s.elements if s.element_type == "page" else None)]),
            ]
        if "cradl" in self.services:
            found += [
                ("mean_confidence", "mean", lambda s: s.fields),
            ]
        if "cradl" in self.services and not any(s.has_unread_values for s in (*self.now, *self.before)):
            found += [
                ("errors", "sum", lambda s: [(p.message, 1) for p in s.problems if p.kind == "error"]),
                ("warnings", "sum", lambda s: [(p.message, 1) for p in s.problems if p.kind == "warning"]),
            ]
        return found


def _of_sums(now: Sequence[float], before: Sequence[float]) -> tuple[float, float, float] | None:
    spread = math.sqrt(math.fsum(value * value for value in (*now, *before)))
    if not spread:
        return None
    return math.fsum(now), math.fsum(before), (math.fsum(now) - math.fsum(before)) / spread


def _of_means(now: Sequence[float], before: Sequence[float]) -> tuple[float, float, float] | None:
    if min(len(now), len(before)) < 5:
        return None
    both = [*now, *before]
    middle = fmean(both)
    variance = fmean([(value - middle) ** 2 for value in both])
    spread = math.sqrt(variance * (1 / len(now) + 1 / len(before)))
    return (fmean(now), fmean(before), (fmean(now) - fmean(before)) / spread) if spread else None


def _iso(moment: datetime | None) -> str:
    assert moment
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
