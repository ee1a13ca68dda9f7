"""The tables of a report. Their queries are the views of ``tables.sql``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Table:
    """A table with its first rows.

    :param name: of its view, and of the CSV without its suffix.
    :param title: has the placeholders ``{unit}`` and ``{group}``, as ``meaning`` has.
    :param meaning: what a row is and what its numbers mean.
    :param rows: the first ones. The CSV has all.
    :param count: of all rows.
    :param is_known: whether all predictions that belong to it have landed.
    :param amount: the column that its chart shows; empty if it has none.
    :param points: of its chart: by name, the largest first, the amount in each bucket.
    """

    name: str
    title: str
    meaning: str
    columns: Sequence[str]
    rows: Sequence[tuple[Any, ...]]
    count: int
    is_known: bool = True
    amount: str = ""
    points: Mapping[str, Sequence[float | None]] = field(default_factory=dict)


def csv_names() -> frozenset[str]:
    """The names of all CSV files that a report may write."""
    queries = files(__package__).joinpath("tables.sql").read_text("utf-8")
    return frozenset(f"{name}.csv" for name in re.findall(r"^COMMENT ON VIEW (\w+)", queries, re.MULTILINE))
