"""The tables of a report; their queries are the views of ``tables.sql``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Chart = Literal["stack", "range", "heat"]
MOST = {"stack": 7, "range": 20, "heat": 20}
"""How many names a chart has room for; those of a stack are followed by the others together."""


@dataclass(frozen=True)
class Table:
    """A table of the report, and its CSV: the comment of its view.

    :param name: of the view, and of the CSV without its suffix.
    :param meaning: what a row is and what its numbers mean.
    :param chart: how it is drawn, if it is.
    :param drawn: the columns that are drawn: across, by, and how much; of a range, a name and the points.
    :param state: of which all predictions must have landed.
    :param services: whose predictions it is about, if not everybody's.
    """

    name: str
    title: str
    meaning: str
    chart: Chart | None = None
    drawn: tuple[str, ...] = ()
    state: str | None = None
    services: tuple[str, ...] = ()
