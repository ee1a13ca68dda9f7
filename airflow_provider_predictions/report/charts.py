"""The columns of a chart, the ticks of its axis and its labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_predictions.report.window import Window, in_zone

MAX_TIMES = 120
"""Charts of more columns are not drawn."""
MAX_LABELS = 16
SERIES = 8
STATUSES = {"completed": "ok", "succeeded": "ok", "failed": "bad", "cancelled": "s6"}
"""The colours of statuses, from the bottom up; those of waiting ones are grey."""


@dataclass(frozen=True)
class Label:
    """A label of the time axis.

    :param short: what is below the axis; empty if there is no room.
    :param is_odd: whether only a wide screen has room for it.
    """

    full: str
    short: str
    is_odd: bool


@dataclass(frozen=True)
class Series:
    """A name, its colour, and an amount for each label."""

    name: str
    colour: str
    points: Sequence[float]


@dataclass(frozen=True)
class Columns:
    """Stacks of amounts across time, with the ticks of the axis."""

    labels: Sequence[Label]
    series: Sequence[Series]
    ticks: Sequence[float]


def columns(window: Window, drawn: Sequence[tuple[Any, ...]], *, whole: bool) -> Columns | None:
    """Make columns of rows with a time, a name and an amount.

    :param whole: whether amounts are counts.
    :return: None if there are too many times to draw.
    """
    if len(window.buckets) > MAX_TIMES:
        return None
    amounts: dict[str, dict[str, float]] = {}
    for time, name, amount in drawn:
        amounts.setdefault(name, {})[time] = amount if amount and math.isfinite(amount) else 0
    names = list(amounts)
    if known := [name for name in STATUSES if name in amounts]:
        names = [*known, *(name for name in names if name not in STATUSES)]
    series = [
        Series(name, _colour(at, name, len(known)), _points(window, amounts[name]))
        for at, name in enumerate(names)
    ]
    highest = max(
        [sum(map(abs, points)) for points in zip(*(one.points for one in series), strict=True)] or [0]
    )
    return Columns(labels(window), series, ticks(highest, whole=whole))


def _colour(at: int, name: str, known: int) -> str:
    if name in STATUSES and known:
        return STATUSES[name]
    return ("idle", "s7", "s1", "s5")[(at - known) % 4] if known else f"s{at % SERIES}"


def _points(window: Window, amounts: Mapping[str, float]) -> list[float]:
    return [max(0, amounts.get(bucket.label, 0)) for bucket in window.buckets]


def ticks(highest: float, *, whole: bool = False) -> list[float]:
    """At most six ticks in steps of 1, 2 or 5, from zero to at least the highest amount."""
    if highest <= 0:
        return [0, 1]
    power = 10.0 ** math.floor(math.log10(highest / 4))
    step = next(power * times for times in (1, 2, 5, 10) if highest <= 4.5 * power * times)
    step = max(step, 1) if whole else step
    return [step * count for count in range(math.ceil(round(highest / step, 6)) + 1)]


def labels(window: Window) -> list[Label]:
    """The labels of a window. The first one, and the first of each month or day, is in full."""
    every = -(-len(window.buckets) // MAX_LABELS)
    found, last = [], ""
    for at, bucket in enumerate(window.buckets):
        start = in_zone(bucket.start, window.zone)
        day, month = f"{start.day} {start:%b}", f"{start:%b}"
        full, short, outer = {
            "hour": (f"{day} {start:%H:%M}", f"{start:%H:%M}", day),
            "day": (f"{start:%a} {day}", str(start.day), month),
            "week": (f"Week of {day} {start.year}", day, ""),
            "month": (f"{start:%B %Y}", month, str(start.year)),
        }[window.unit]
        if at % every == 0 and outer != last:
            short = day if window.unit in ("hour", "day") else f"{month} {start.year}" if outer else short
            last = outer
        found.append(Label(full, short if at % every == 0 else "", at // every % 2 == 1))
    return found
