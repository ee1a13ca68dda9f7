"""The tables of a report. Their queries are the views of ``tables.sql``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

Chart = Literal["stack", "range", "heat"]
MOST = {"stack": 7, "range": 20, "heat": 20}
"""The most names in a chart. A stack has one more, for all others together."""


@dataclass(frozen=True)
class Table:
    """A table of the report, read from the comment of its view.

    :param name: of the view, and of the CSV without its suffix.
    :param meaning: what a row is and what its numbers mean.
    :param chart: the kind of its chart; None if it has none.
    :param drawn: the columns of the chart: time, name and amount; for a range, the name and the points.
    :param state: it is shown only if all predictions of this state have landed.
    :param services: the services that have it; empty for all.
    """

    name: str
    title: str
    meaning: str
    chart: Chart | None = None
    drawn: tuple[str, ...] = ()
    state: str | None = None
    services: tuple[str, ...] = ()


def csv_names() -> frozenset[str]:
    """The names of all CSV files that a report may write."""
    queries = files(__package__).joinpath("tables.sql").read_text("utf-8")
    return frozenset(f"{name}.csv" for name in re.findall(r"^COMMENT ON VIEW (\w+)", queries, re.MULTILINE))
