"""The page: one HTML file that asks nobody for anything."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

import jinja2

from airflow_provider_predictions.report.charts import DRAW, PALETTE, Rows
from airflow_provider_predictions.report.tables import Table
from airflow_provider_predictions.report.window import Window

MAX_ROWS = 20
MAX_COLUMNS = 12
MAX_CELL_LENGTH = 120
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class Shown:
    """A table as the page shows it: text only.

    :param is_number: which columns hold numbers.
    :param left: how many rows only the CSV holds.
    """

    name: str
    title: str
    meaning: str
    heads: Sequence[str]
    is_number: Sequence[bool]
    rows: Sequence[Sequence[str]]
    left: int = 0
    chart: str = ""


def show(table: Table, window: Window, names: Sequence[str], rows: Rows, count: int) -> Shown:
    """The first rows of a table.

    :param names: of the columns.
    :param count: of all rows.
    """
    heads = [name.replace("_", " ") for name in names]
    return _shown(table, window, heads, names, rows, count - len(rows))


def show_drawn(table: Table, window: Window, drawn: Rows) -> Shown:
    """A table with its chart, and with the numbers of the chart.

    :param drawn: the columns that the chart is of.
    """
    drawn = [tuple(clean(cell) for cell in row) for row in drawn]
    amount = table.drawn[-1]
    times = [bucket.label for bucket in window.buckets]
    chart = ""
    if table.chart and drawn:
        chart = DRAW[table.chart](drawn, times, amount.rpartition("_")[2], table.name)
    if table.chart == "range":
        names = [name.replace("_", " ") for name in table.drawn]
        return replace(_shown(table, window, names, table.drawn, drawn), chart=chart)
    of = list(dict.fromkeys(row[1] for row in drawn))[:MAX_COLUMNS]
    found = {(row[0], row[1]): row[2] for row in drawn}
    crossed = [(time, *(found.get((time, name)) for name in of)) for time in times if drawn]
    kinds = ["", *(amount for _ in of)]
    return replace(_shown(table, window, [window.unit, *of], kinds, crossed), chart=chart)


def _shown(
    table: Table, window: Window, heads: Sequence[str], kinds: Sequence[str], rows: Rows, left: int = 0
) -> Shown:
    cells = [tuple(clean(cell) for cell in row) for row in rows]
    return Shown(
        table.name,
        table.title.format(unit=window.unit),
        table.meaning.format(unit=window.unit),
        heads,
        [any(isinstance(row[place], int | float) for row in cells) for place in range(len(heads))],
        [[cell_text(kind, cell) for kind, cell in zip(kinds, row, strict=True)] for row in cells],
        left,
    )


def clean(cell: Any) -> Any:
    """Text without what changes the text around it: control characters and marks of direction."""
    return _CONTROL.sub("\ufffd", cell) if isinstance(cell, str) else cell


def cell_text(kind: str, cell: Any) -> str:
    """A cell in words: shares as per cent, seconds as a duration.

    :param kind: the name of its column or number, which says what it is.
    """
    if cell is None:
        return "-"
    if isinstance(cell, str):
        text = cell if len(cell) <= MAX_CELL_LENGTH else f"{cell[: MAX_CELL_LENGTH - 1]}…"
        return text or "none"
    if not math.isfinite(cell):
        return "-"
    if _is_share(kind):
        return f"{cell:.1%}".replace("%", "\u202f%")
    if "seconds" in kind:
        return duration(cell)
    return (
        f"{cell:,.0f}" if float(cell).is_integer() else f"{cell:,.3g}" if abs(cell) < 1000 else f"{cell:,.1f}"
    )


def duration(seconds: float) -> str:
    """Seconds in the two largest units that matter."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 60:
        return f"{seconds:.3g} s"
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    left, parts = round(seconds), list[str]()
    for unit, size in units:
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size} {unit}")
            left %= size
        elif parts:
            break
    return " ".join(parts)


def change(kind: str, now: Any, before: Any) -> str:
    """How a number differs from the one before, shares in percentage points; empty where that is not known.

    :param kind: the name of the number, which says what it is.
    """
    if now is None or before is None or not (math.isfinite(now) and math.isfinite(before)):
        return ""
    if now == before:
        return "unchanged"
    if _is_share(kind):
        return f"{100 * (now - before):+.1f} points"
    return f"{(now - before) / abs(before):+,.0%}".replace("%", "\u202f%") if before else "new"


def _is_share(kind: str) -> bool:
    return "share" in kind or "confidence" in kind


def render(**content: Any) -> str:
    """The page, with every text escaped."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = files(__package__).joinpath("page.html.j2").read_text("utf-8")
    return environment.from_string(template).render(palette=PALETTE, **content)
