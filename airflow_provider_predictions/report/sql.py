"""The parts of SQL that depend on a report: quoted names and texts, the sources of records, the measures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from airflow_provider_predictions.report.measures import Measure
from airflow_provider_predictions.report.subjects import Subject


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


def exactly(files: Sequence[Path]) -> str:
    """Quote paths for SQL so that DuckDB reads no character as a pattern."""
    return "[" + ", ".join(text(re.sub(r"[*?\[]", r"[\g<0>]", str(file))) for file in files) + "]"


def moments(times: Iterable[datetime]) -> str:
    """Write moments as a list of SQL."""
    return "[" + ", ".join(f"TIMESTAMPTZ '{time.isoformat()}'" for time in times) + "]"


def pointer(*names: str) -> str:
    """SQL for the place of a member in JSON."""
    return text("".join(f"/{name.replace('~', '~0').replace('/', '~1')}" for name in names))


def json_source(files: Sequence[Path], members: Mapping[str, str], longest: int) -> str:
    """Select the members of records from parts in JSON Lines.

    :param longest: bytes of the longest record.
    """
    columns = ", ".join(f"{quoted(name)}: '{kind}'" for name, kind in members.items())
    return (
        f"read_json({exactly(files)}, hive_partitioning = false, format = 'newline_delimited', "
        f"ignore_errors = true, maximum_object_size = {longest}, columns = {{{columns}}})"
    )


def parquet_source(files: Sequence[Path], subject: Subject, members: Mapping[str, str]) -> str:
    """Select the members of records from Parquet parts. Those without a column are in ``other``."""
    columns = {column.name: column.kind for column in subject.service.columns}
    texts = [name for name, kind in columns.items() if kind == "json" and name in members]
    whole = " AND ".join(
        f"({quoted(name)} IS NULL OR json_valid({quoted(name)}))" for name in [*texts, "other"]
    )
    found = ["file_index"]
    for name, kind in members.items():
        other = f"other->{'>' if kind == 'VARCHAR' else ''}{pointer(name)}"
        own = f"to_json({quoted(name)})" if columns.get(name) != "json" and kind == "JSON" else ""
        own = own or f"{quoted(name)}::{kind}"
        given = f"coalesce({own}, {other})" if name in columns else other
        found.append(f"CASE WHEN {whole} THEN {given} END AS {quoted(name)}")
    return f"(SELECT {', '.join(found)} FROM read_parquet({exactly(files)}, hive_partitioning = false))"


def amounts_of(measures: Iterable[Measure]) -> str:
    """Count, sum and sum of squares of each measure, by group and period."""
    found = []
    for table, of_table in groupby(measures, attrgetter("table")):
        amounts = ", ".join(
            f"{{measure: '{one.name}', kind: '{one.kind}', amounts: {one.amounts}}}" for one in of_table
        )
        found.append(
            f"""SELECT unnest([{amounts}], recursive := true), "group", age FROM {table}
            WHERE age <= 1 GROUP BY "group", age"""
        )
    return " UNION ALL ".join(found)
