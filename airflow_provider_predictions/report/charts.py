"""The colours of a chart and the ticks of its axis."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

STATUSES = {"completed": "ok", "succeeded": "ok", "failed": "bad", "cancelled": "s6"}
"""The colours of statuses, from the bottom up; those of waiting ones are grey."""
WAITING = ("idle", "s7", "s1", "s5")
GROUPS = tuple(f"s{number}" for number in range(8))


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
