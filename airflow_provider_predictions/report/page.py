"""The page: one HTML file that asks nobody for anything."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import jinja2

from airflow_provider_predictions.report.measures import MEASURES
from airflow_provider_predictions.report.summary import Content
from airflow_provider_predictions.report.words import change, clean, number

MAX_CELL_LENGTH = 120
PALETTE = {"ink": ("#1c2733", "#e3e9f0")}


def cell_text(name: str, cell: Any) -> str:
    """A cell in words.

    :param name: of its column, which says what it is.
    """
    if cell is None:
        return "-"
    if isinstance(cell, str):
        text = clean(cell)
        return (text if len(text) <= MAX_CELL_LENGTH else f"{text[: MAX_CELL_LENGTH - 1]}…") or "none"
    form: Any = "count"
    if name in MEASURES:
        form = MEASURES[name].format
    elif "share" in name or "confidence" in name:
        form = "share"
    elif "seconds" in name:
        form = "seconds"
    return number(form, cell)


def render(content: Content) -> str:
    """The page, with every text escaped."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = files(__package__).joinpath("page.html.j2").read_text("utf-8")
    return environment.from_string(template).render(
        palette=PALETTE,
        content=content,
        summary=content.summary,
        MEASURES=MEASURES,
        cell_text=cell_text,
        change=change,
        number=number,
    )
