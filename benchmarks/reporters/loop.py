"""A loop over the lines, as people write it: the same numbers, without the page."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

WINDOWS = {
    "now": (datetime(2026, 11, 8, tzinfo=UTC), datetime(2026, 11, 15, tzinfo=UTC)),
    "before": (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC)),
}
Record = dict[str, Any]


def report(directory: Path) -> dict[str, dict[str, float]]:
    is_cradl = json.loads((directory / "_manifest.json").read_text())["service"] == "cradl"
    created = "createdTime" if is_cradl else "created_at"
    numbers: dict[str, dict[str, float]] = {}
    seen: set[str] = set()
    chosen: dict[str, Numbers] = {period: Numbers(is_cradl) for period in WINDOWS}
    for record in records(directory):
        id_ = record["predictionId" if is_cradl else "id"]
        if id_ in seen:
            continue
        seen.add(id_)
        time = datetime.fromisoformat(record[created])
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        for period, (start, end) in WINDOWS.items():
            if start <= time < end:
                chosen[period].add(record, time)
    for period, found in chosen.items():
        for name, number in found.totals().items():
            numbers.setdefault(name, {})[period] = number
    return numbers


def records(directory: Path) -> Iterator[Record]:
    for part in sorted(directory.glob("part-*")):
        with part.open() as lines:
            yield from map(json.loads, lines)


class Numbers:
    """What a period holds, by status, group, day and field."""

    def __init__(self, is_cradl: bool) -> None:
        self.statuses: Counter[str] = Counter()
        self.credits: Counter[tuple[str, str]] = Counter()
        self.pages = 0
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.confidences: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.messages: Counter[str] = Counter()
        self.add: Callable[[Record, datetime], None] = self.add_cradl if is_cradl else self.add_vlmrun

    def add_vlmrun(self, record: Record, time: datetime) -> None:
        group, day, usage = record["domain"], time.date().isoformat(), record["usage"]
        self.statuses[record["status"]] += 1
        self.credits[day, group] += usage["credits_used"] or 0
        if usage["element_type"] == "page":
            self.pages += usage["elements_processed"] or 0
        if record["completed_at"]:
            ended = datetime.fromisoformat(record["completed_at"])
            self.seconds[group].append((ended - time).total_seconds())
        if record["status"] == "failed":
            self.messages[usage["message"]] += 1

    def add_cradl(self, record: Record, time: datetime) -> None:
        group, day = record["modelId"], time.date().isoformat()
        self.statuses[record["status"]] += 1
        if record["inferenceTime"] is not None:
            self.seconds[group].append(record["inferenceTime"])
        if error := record.get("error"):
            self.messages[error] += 1
        for field in record["predictions"] or ():
            if isinstance(field["value"], list):
                for item in (item for row in field["value"] for item in row):
                    self.confidences[day, f"{field['label']}.{item['label']}"].append(item["confidence"])
            else:
                self.confidences[day, field["label"]].append(field["confidence"])

    def totals(self) -> dict[str, float]:
        seconds = sorted(second for found in self.seconds.values() for second in found)
        confidences = [one for found in self.confidences.values() for one in found]
        count = self.statuses.total()
        found = {
            "predictions": count,
            "failed": self.statuses["failed"],
            "failed_share": self.statuses["failed"] / count,
        }
        if confidences:
            return found | {
                "median_seconds": quantile(seconds, 0.5),
                "p95_seconds": quantile(seconds, 0.95),
                "fields": len(confidences),
                "mean_confidence": sum(confidences) / len(confidences),
                "share_under_70": sum(one < 0.7 for one in confidences) / len(confidences),
                "share_under_90": sum(one < 0.9 for one in confidences) / len(confidences),
                "errors": self.messages.total(),
            }
        return found | {
            "credits": self.credits.total(),
            "pages": self.pages,
            "median_seconds": quantile(seconds, 0.5),
            "p95_seconds": quantile(seconds, 0.95),
            "longest_seconds": seconds[-1],
        }


def quantile(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
