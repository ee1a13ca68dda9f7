"""Write the table of bounds in docs/reliability.md from the texts of api/limits.py."""

from __future__ import annotations

import inspect
import re
from datetime import timedelta
from pathlib import Path

from tables import write_table

from airflow_provider_predictions.api import limits

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
COLUMNS = ("bound", "value", "why", "where to change it")
BOUND = re.compile(r'(?ms)^([A-Z_]+) = [^\n]+\n"""(.+?)\.\s(.+?\.)(?:\sChange: (.+?)\.)?"""$')
"""A constant, what it bounds, why, and perhaps where to change it."""


def bounds() -> dict[str, tuple[str, str, str, str]]:
    """The row of each constant."""
    found = BOUND.findall(inspect.getsource(limits))
    return {name: row(name, *map(plain, texts)) for name, *texts in found}


def plain(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")


def row(name: str, what: str, why: str, change: str) -> tuple[str, str, str, str]:
    value = getattr(limits, name)
    number = value.total_seconds() if isinstance(value, timedelta) else value
    return what, f"at {'least' if name.startswith('MIN_') else 'most'} {number:,.0f}", why, change


if __name__ == "__main__":
    write_table(PAGE, "scripts/bounds.py", COLUMNS, bounds().values())
