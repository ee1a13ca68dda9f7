"""The files of SQL, and what is handed to SQL."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


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


def set_variables(db: DuckDBPyConnection, **values: Any) -> None:
    """Give values to the variables that the files of SQL read."""
    for name, value in values.items():
        db.execute(f"SET VARIABLE {quoted(name)} = $1", [value])
