"""The colours of a chart, the ticks of its axis and its labels."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from airflow_provider_predictions.report.window import Window, in_zone

MAX_LABELS = 16
STATUSES = {"completed": "ok", "succeeded": "ok", "failed": "bad", "cancelled": "s6"}
"""The colours of statuses, from the bottom up; those of waiting ones are grey."""
WAITING = ("idle", "s7", "s1", "s5")
GROUPS = tuple(f"s{number}" for number in range(8))


@dataclass(frozen=True)
class Label:
    """A label of the time axis.

    :param short: what is below the axis; empty if there is no room.
    :param is_odd: whether only a wide screen has room for it.
    """

    full: str
    short: str
    is_odd: bool


def colours(names: Collection[str]) -> dict[str, str]:
    """The colours of the parts of a stack, from the bottom up."""
    known = {name: colour for name, colour in STATUSES.items() if name in names}
    others = [name for name in names if name not in known]
    palette = WAITING if known else GROUPS
    return known | {name: palette[at % len(palette)] for at, name in enumerate(others)}


def ticks(stack: Iterable[Sequence[float | None]], *, whole: bool = False) -> list[float]:
    """At most six ticks in steps of 1, 2 or 5, from zero to at least the top of the highest column.

    :param stack: the amounts in each column, by part.
    :param whole: whether amounts are counts.
    """
    highest = max((sum(filter(None, column)) for column in zip(*stack, strict=True)), default=0)
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
