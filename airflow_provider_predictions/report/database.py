"""A temporary DuckDB database of the landed records, in which a report is computed."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from string import Template
from typing import Any

import duckdb

from airflow_provider_predictions.api.limits import MAX_MESSAGE_LENGTH
from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.report.coverage import Sources
from airflow_provider_predictions.report.loading import Loader
from airflow_provider_predictions.report.measures import MEASURES, Measure
from airflow_provider_predictions.report.sql import moments, quoted, statements, text
from airflow_provider_predictions.report.summary import Change, Table
from airflow_provider_predictions.report.window import in_zone

MEMORY = "600MB"
"""What DuckDB keeps in memory; what is more goes to files."""
MAX_ROWS = 50
"""Rows of a table that the page gets."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GETS_NULL: Any = "special"


class Database:
    """The records of a report in DuckDB.

    :param directory: an empty one for its files.
    :param price: of a credit; None if none is given.
    """

    def __init__(self, sources: Sources, directory: Path, price: float | None) -> None:
        self.sources = sources
        self.window = window = sources.window
        self.directory = directory
        self._db = duckdb.connect()
        self._db.create_function(
            "as_microseconds", _microseconds, ["VARCHAR"], "BIGINT", null_handling=_GETS_NULL
        )
        self._db.create_function("day_of", self._day, ["BIGINT"], "VARCHAR")
        self._db.execute(f"""
            SET autoinstall_known_extensions = false; SET autoload_known_extensions = false;
            SET threads = 2; SET memory_limit = '{MEMORY}'; SET TimeZone = 'UTC';
            SET temp_directory = {text(directory / "spilled")};
            SET VARIABLE price = {"NULL" if price is None else price}::DOUBLE;
            SET VARIABLE longest_message = {MAX_MESSAGE_LENGTH};
            SET VARIABLE starts = {moments(window.starts)};
            SET VARIABLE buckets = {moments(bucket.start for bucket in window.buckets)};
            SET VARIABLE "end" = {moments([window.end])}[1];
        """)
        self._db.execute(statements("engine"))
        self._fill("bucket", [(number, bucket.label) for number, bucket in enumerate(window.buckets)])

    def close(self) -> None:
        self._db.close()

    def load(self, group_by: str | None) -> None:
        """Read the parts of the landings, in their order, and keep the latest record of each prediction.

        :param group_by: the path of a member to group by; None for the domain or the model.
        :raises DamagedLandingError: if a part is not what the manifest says.
        """
        self._fill("left_out_of", self.sources.left_out)
        Loader(self._db, self.directory, group_by).load(self.sources.read)
        self._db.execute(statements("keep"))

    def measured(
        self, measures: Iterable[Measure], groups: Collection[str] | None = None
    ) -> dict[tuple[str | None, int, str], float | None]:
        """The measures by group, age and name. Those of no rows are not in it.

        :param groups: the groups to compute; None for all predictions together, under the group None.
        """
        found: dict[tuple[str | None, int, str], float | None] = {}
        by, wanted = "NULL::VARCHAR", ""
        if groups is not None:
            by, wanted = '"group"', 'AND age <= 1 AND "group" IN (FROM wanted)'
        for table, found_there in groupby(measures, attrgetter("table")):
            of_table = list(found_there)
            rows = self._db.execute(
                f"""WITH wanted AS (SELECT unnest($1::VARCHAR[]))
                SELECT {by}, age, {", ".join(measure.aggregate for measure in of_table)}
                FROM {table} WHERE age IS NOT NULL {wanted} GROUP BY ALL""",
                [sorted(groups or ())],
            ).fetchall()
            for group, age, *numbers in rows:
                # More than a double holds is infinite, for which JSON has no word.
                finite = [x if x is None or math.isfinite(x) else None for x in numbers]
                found |= {(group, age, one.name): x for one, x in zip(of_table, finite, strict=True)}
        return found

    def largest(self) -> list[str]:
        """The groups and the fields with most rows in the period and in the one before."""
        return [name for (name,) in self._db.execute("FROM largest").fetchall()]

    def changes(self, view: str) -> list[Change]:
        """The rows of ``changes``, of groups, or of ``overall``, of all predictions together."""
        return [
            {"measure": measure, "group": group, "now": now, "before": before, "score": score}
            for measure, group, now, before, score in self._db.execute(f"FROM {view}").fetchall()
        ]

    def tables(self, measures: Sequence[Measure], directory: Path) -> list[Table]:
        """Create the tables of the report, and write each as CSV to a directory."""
        missing = self.sources.missing
        columns = {
            table: ", ".join(
                f"{measure.aggregate if measure.is_known(missing[0]) else 'NULL::DOUBLE'} AS {measure.name}"
                for measure in (measures if table == "record" else MEASURES.values())
                if measure.table == table
            )
            for table in ("record", "field")
        }
        either = {*missing[0], *missing[1]}
        amounts = _amounts([one for one in measures if one.kind and one.is_known(either)])
        self._db.execute(Template(statements("tables")).substitute(columns, amounts=amounts))
        views = self._db.execute(
            "SELECT view_name, comment FROM duckdb_views() WHERE comment IS NOT NULL ORDER BY view_oid"
        ).fetchall()
        found = []
        for name, comment in views:
            given = {"services": self.sources.services, "state": None, **json.loads(comment)}
            is_known = given.pop("state") not in missing[0]
            if {*given.pop("services")} & {*self.sources.services}:
                found.append(self._table(name, directory, is_known=is_known, **given))
        return found

    def _table(self, name: str, directory: Path, *, amount: str = "", **given: Any) -> Table:
        shown = f"shown_{name}"
        described = self._db.execute(f"DESCRIBE {name}").fetchall()
        columns = [column for column, *_ in described]
        created = self._db.execute(
            f"CREATE TABLE {shown} AS SELECT row_number() OVER () AS row, * FROM {name}"
        )
        (count,) = created.fetchone() or (0,)
        # A spreadsheet executes some texts, and splits those without quotes where it separates by semicolons.
        texts = [quoted(column) for column, kind, *_ in described if kind == "VARCHAR"]
        safe = ", ".join(f"plain({column}) AS {column}" for column in texts)
        self._db.execute(
            f"""COPY (SELECT * EXCLUDE (row) REPLACE ({safe}) FROM {shown} ORDER BY row)
            TO {text(directory / f"{name}.csv")} (FORMAT csv, HEADER, FORCE_QUOTE ({", ".join(texts)}))"""
        )
        first = f"SELECT * EXCLUDE (row) FROM {shown} ORDER BY row LIMIT {MAX_ROWS}"
        rows = self._db.execute(first).fetchall()
        points = self._points(shown, columns[1], amount) if amount else {}
        return Table(name, columns=columns, rows=rows, count=count, amount=amount, points=points, **given)

    def _points(self, table: str, by: str, amount: str) -> dict[str, list[float | None]]:
        """The points of a chart: those of the largest names and, of sums, of all others together."""
        most, others = (20, "NULL") if MEASURES[amount].format == "share" else (7, "'others'")
        rows = self._db.execute(f"""WITH top AS (
                SELECT "{by}" AS name, row_number() OVER (ORDER BY sum({amount}) DESC, "{by}") AS place
                FROM {table} GROUP BY "{by}" ORDER BY place LIMIT {most}
            ), named AS (
                SELECT bucket, CASE WHEN place IS NULL THEN {others} ELSE name END AS name,
                {amount}::DOUBLE AS amount, coalesce(place, {most + 1}) AS place
                FROM {table} JOIN bucket ON time = label LEFT JOIN top ON name = "{by}"
            )
            SELECT name, bucket, CASE WHEN isfinite(sum(amount)) THEN greatest(sum(amount), 0) END
            FROM named WHERE name IS NOT NULL GROUP BY name, bucket ORDER BY min(place), bucket""").fetchall()
        points: dict[str, list[float | None]] = {}
        for name, bucket, point in rows:
            points.setdefault(name, [None] * len(self.window.buckets))[bucket] = point
        return points

    def pairs(self, table: str) -> dict[str, int]:
        """The rows of a table with two columns: names and counts."""
        return {name: int(count) for name, count in self._db.execute(f"FROM {table}").fetchall()}

    def _day(self, microseconds: int) -> str:
        """The day of a moment, by the same time zones as the window's."""
        moment = _EPOCH + timedelta(microseconds=microseconds)
        return in_zone(moment, self.window.zone).date().isoformat()

    def _fill(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self._db.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


def _microseconds(given: str | None) -> int | None:
    time = as_time(given)
    return None if time is None else (time - _EPOCH) // timedelta(microseconds=1)


def _amounts(measures: Iterable[Measure]) -> str:
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
