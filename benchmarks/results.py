"""Turn measurements into tables, and compare them with the bars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from job import Job
from page import markdown

LIMIT = "limit"
MEMORY_BAR_MB = 64
TIME_BAR = 0.10
IMPORT_BAR_MS = 150


@dataclass
class Measured:
    """All runs of one job.

    :param label: how a table names it.
    :param runs: what ``measure`` left, one of each round.
    """

    label: str
    job: Job
    runs: list[dict[str, float]] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        """Records a second."""
        return [self.job.count / run["seconds"] for run in self.runs]

    @property
    def rate(self) -> float:
        return median(self.rates)

    @property
    def peak_mb(self) -> float:
        return median(run["peak_mb"] for run in self.runs)

    @property
    def before_mb(self) -> float:
        return median(run["before_mb"] for run in self.runs)

    @property
    def microseconds(self) -> float:
        """Of one record."""
        return 1e6 / self.rate

    @property
    def lost(self) -> str:
        """What is wrong with the rows that came; empty where nothing is."""
        for run in self.runs:
            if (run["rows"], run["distinct"]) != (self.job.count, self.job.count):
                return f"lost rows: {run['distinct']:,.0f} of {self.job.count:,} in {run['rows']:,.0f}"
        return ""


class Bar(NamedTuple):
    """What has to hold, and what was found."""

    wanted: str
    found: str
    holds: bool


def speed_table(rows: Sequence[Measured], ours: str) -> str:
    """One server, one service, one latency.

    :param ours: the label of the row that the last column compares with the others.
    """
    by_label = {row.label: row for row in rows}
    limit, best = by_label[LIMIT], by_label[ours]
    speeds = ("records/s, median (min - max)", "of the limit", f"`{ours}` is")
    columns = ("", *speeds, "peak RSS, MB", "of it before, MB")
    lines = []
    for row in rows:
        speed = row.lost or spread(row.rates, ",.0f")
        compared = "" if row is best else f"{best.rate / row.rate:.2f} x"
        share = f"{row.rate / limit.rate:.2f}"
        lines.append((row.label, speed, share, compared, f"{row.peak_mb:.0f}", f"{row.before_mb:.0f}"))
    return markdown(columns, lines, figures=True)


def memory_table(rows: Iterable[Measured]) -> str:
    columns = ("records", "peak RSS, MB, median (min - max)", "µs a record, median (min - max)")
    lines = []
    for row in rows:
        peak = row.lost or spread([run["peak_mb"] for run in row.runs], ".1f")
        lines.append((f"{row.job.count:,}", peak, spread([1e6 / rate for rate in row.rates], ".1f")))
    return markdown(columns, lines, figures=True)


def spread(values: Sequence[float], form: str) -> str:
    """Return the median of measurements, with the lowest and the highest.

    :param form: of a number, as ``format`` takes it.
    """
    return f"{median(values):{form}} ({min(values):{form}} - {max(values):{form}})"


def speed_bars(rows: Sequence[Measured], ours: str, least: Callable[[str], float | None]) -> list[Bar]:
    """How many times as fast as each other row ours has to be.

    :param least: the factor for a label; None where there is no bar.
    """
    by_label = {row.label: row for row in rows}
    latency = by_label[ours].job.latency
    bars = []
    for label, row in by_label.items():
        factor = least(label)
        if factor is not None and label != ours:
            ratio = by_label[ours].rate / row.rate
            wanted = f"{latency} ms: {ours} at least {factor:g} x {label}"
            bars.append(Bar(wanted, f"{ratio:.2f} x", ratio >= factor))
    return bars


def memory_bars(small: Measured, large: Measured) -> list[Bar]:
    more = large.peak_mb - small.peak_mb
    change = large.microseconds / small.microseconds - 1
    sizes = f"{large.job.count:,} records against {small.job.count:,}"
    return [
        Bar(f"{sizes}: at most {MEMORY_BAR_MB} MB more", f"{more:.1f} MB more", more <= MEMORY_BAR_MB),
        Bar(f"{sizes}: at most {TIME_BAR:.0%} more time a record", f"{change:+.1%}", change <= TIME_BAR),
    ]


def import_bar(seconds: Sequence[float]) -> Bar:
    found = [1000 * second for second in seconds]
    holds = median(found) <= IMPORT_BAR_MS
    return Bar(f"import of the operators: at most {IMPORT_BAR_MS} ms", f"{spread(found, '.0f')} ms", holds)


def lost_bars(rows: Iterable[Measured]) -> list[Bar]:
    return [Bar(f"{row.label}: every record, once", row.lost, False) for row in rows if row.lost]


def bars_table(bars: Iterable[Bar]) -> str:
    lines = [(bar.wanted, bar.found, "holds" if bar.holds else "**missed**") for bar in bars]
    return markdown(("bar", "found", ""), lines, figures=True)
