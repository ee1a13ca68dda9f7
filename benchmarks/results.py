"""Rounds of measurements, the tables that show them, and the bars that they are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from environments import measured
from tables import markdown


@dataclass
class Row:
    """One row of a table.

    :param order: the arguments of ``measured``.
    :param once: in the first round only, where it takes long and no bar is near.
    :param runs: what ``measure.py`` found, one of each round.
    """

    label: str
    order: Sequence[object]
    peers: bool = False
    once: bool = False
    runs: list[dict[str, Any]] = field(default_factory=list)

    def found(self, name: str) -> list[float]:
        return [run[name] for run in self.runs]


class Bar(NamedTuple):
    """What has to hold, and what was found."""

    wanted: str
    found: str
    holds: bool


class Part(NamedTuple):
    """What a part of the benchmarks writes into a page, and what it has to hold."""

    tables: str
    bars: Sequence[Bar]

    @property
    def text(self) -> str:
        lines = [(bar.wanted, bar.found, "holds" if bar.holds else "**missed**") for bar in self.bars]
        return f"{self.tables}\n{markdown(('bar', 'found', ''), lines, figures=True)}".lstrip()


def run_all(rows: Sequence[Row], rounds: int) -> None:
    """Round by round, so that a slow minute of the machine does not fall on one row only."""
    for number in range(rounds):
        for row in rows:
            if number and row.once:
                continue
            row.runs.append(measured(*row.order, peers=row.peers))
            numbers = {name: round(value, 3) for name, value in row.runs[-1].items() if name != "totals"}
            print(f"round {number + 1}/{rounds}  {row.label}  {numbers}", flush=True)


def ratios(name: str, over: Row, under: Row) -> list[float]:
    """What one row found as a multiple of what the other found, in each round that measured both."""
    return [mine / other for mine, other in zip(over.found(name), under.found(name), strict=False)]


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """The median, with the lowest and the highest value where they differ.

    :param form: of a number, as ``format`` takes it.
    """
    middle, low, high = (format(number, form) for number in (median(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low} - {high})"


def at_least(about: str, least: float, unit: str, values: Sequence[float], form: str = ".2f") -> Bar:
    """The median has to be at least this.

    :param about: what is measured.
    """
    return Bar(f"{about}: at least {least:,g} {unit}", spread(values, form), median(values) >= least)


def at_most(about: str, most: float, unit: str, values: Sequence[float], form: str = ".2f") -> Bar:
    return Bar(f"{about}: at most {most:,g} {unit}", spread(values, form), median(values) <= most)
