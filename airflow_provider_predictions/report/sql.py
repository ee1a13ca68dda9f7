"""The files of SQL, and what is written into SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from importlib.resources import files
from pathlib import Path


def statements(name: str) -> str:
    """Read a file of SQL of this package."""
    return files(__package__).joinpath(f"{name}.sql").read_text("utf-8")


def csv_names() -> frozenset[str]:
    """The names of all CSV files that a report may write."""
    views = re.findall(r"^COMMENT ON VIEW (\w+)", statements("tables"), re.MULTILINE)
    return frozenset(f"{name}.csv" for name in views)


def quoted(name: str) -> str:
    """Quote an identifier for SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(path: Path | str) -> str:
    """Quote a text for SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def moments(times: Iterable[datetime]) -> str:
    """Write moments as a list of SQL."""
    return "[" + ", ".join(f"TIMESTAMPTZ '{time.isoformat()}'" for time in times) + "]"
