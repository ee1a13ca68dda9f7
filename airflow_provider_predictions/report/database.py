"""A temporary DuckDB database of the landed records, in which a report is computed."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
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
from airflow_provider_predictions.report.measures import MEASURES, measures_of
from airflow_provider_predictions.report.sql import quoted, set_variables, statements
from airflow_provider_predictions.report.summary import Options, Table
from airflow_provider_predictions.report.window import in_zone

MAX_ROWS = 50
"""Rows of a table that the page gets."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GETS_NULL: Any = "special"


class Database:
    """The records of a report in DuckDB.

    :param directory: an empty one for its files.
    :ivar undated: records without a creation time that landed after the period began.
    :ivar without_values: by age, the predictions whose values were not read.
    """

    def __init__(self, sources: Sources, directory: Path, options: Options) -> None:
        self.sources = sources
        self.window = window = sources.window
        self.directory = directory
        self.measures = measures_of(sources.services, priced=options.price_per_credit is not None)
        self._group_by = options.group_by
        self._db = duckdb.connect(config={"temp_directory": str(directory / "spilled")})
        self._db.create_function(
            "as_microseconds", _microseconds, ["VARCHAR"], "BIGINT", null_handling=_GETS_NULL
        )
        self._db.create_function("day_of", self._day, ["BIGINT"], "VARCHAR")
        self._db.execute(statements("engine"))
        set_variables(
            self._db,
            price=options.price_per_credit,
            longest_message=MAX_MESSAGE_LENGTH,
            starts=list(window.starts),
            is_compared=sources.is_whole[1],
            buckets=[bucket.start for bucket in window.buckets],
            end=window.end,
        )
        self._fill("bucket", [(number, bucket.label) for number, bucket in enumerate(window.buckets)])

    def close(self) -> None:
        self._db.close()

    def load(self) -> None:
        """Read the parts of the landings, in their order, and keep the latest record of each prediction.

        :raises DamagedLandingError: if a part is not what the manifest says.
        """
        self._fill("left_out_of", self.sources.left_out)
        Loader(self._db, self.directory, self._group_by).load(self.sources.read)
        self._db.execute(statements("keep"))
        ((self.undated,),), self.without_values = self.rows("undated"), dict(self.rows("without_values"))

    def rows(self, view: str) -> list[tuple[Any, ...]]:
        """The rows of a view of ``tables.sql``."""
        return self._db.execute(f"FROM {view}").fetchall()

    def measured(self, groups: Collection[str]) -> dict[tuple[str | None, int, str], float | None]:
        """The measures by group, age and name. Those of no rows are not in it.

        They are those of these groups, and under the group None those of all predictions together.
        """
        found: dict[tuple[str | None, int, str], float | None] = {}
        for table, of_table in groupby(self.measures, attrgetter("table")):
            measures = list(of_table)
            numbers = ", ".join(measure.aggregate for measure in measures)
            rows = self._db.execute(
                f"""SELECT NULL, age, {numbers} FROM {table} WHERE age IS NOT NULL GROUP BY age
                UNION ALL SELECT "group", age, {numbers} FROM {table}
                WHERE age IS NOT NULL AND "group" IN (SELECT unnest($1::VARCHAR[])) GROUP BY "group", age""",
                [sorted(groups)],
            ).fetchall()
            for group, age, *values in rows:
                # More than a double holds is infinite, for which JSON has no word.
                finite = [x if x is None or math.isfinite(x) else None for x in values]
                found |= {(group, age, one.name): x for one, x in zip(measures, finite, strict=True)}
        return found

    def tables(self, directory: Path) -> list[Table]:
        """Create the tables of the report, and write each as CSV to a directory."""
        missing = self.sources.missing
        given: dict[str, str] = {}
        for table, of_table in groupby(MEASURES.values(), attrgetter("table")):
            # Tables of one service are empty in reports of the other, with the same columns.
            measures = [one for one in of_table if table != "record" or one in self.measures]
            given[table] = ", ".join(
                f"{one.aggregate if one.is_known(missing[0]) else 'NULL::DOUBLE'} AS {one.name}"
                for one in measures
            )
            given[f"{table}_amounts"] = ", ".join(
                f"{{measure: '{one.name}', is_sum: {one.is_sum}, amounts: {one.amounts}}}"
                for one in measures
                if one.amounts and one.is_known(missing[0] | missing[1])
            )
        self._db.execute(Template(statements("tables")).substitute(given))
        views = self._db.execute(
            "SELECT view_name, comment FROM duckdb_views() WHERE comment IS NOT NULL ORDER BY view_oid"
        ).fetchall()
        found = []
        for name, comment in views:
            about = {"services": self.sources.services, "state": None, **json.loads(comment)}
            is_known = about.pop("state") not in missing[0]
            if {*about.pop("services")} & {*self.sources.services}:
                found.append(self._table(name, directory, is_known=is_known, **about))
        return found

    def _table(self, name: str, directory: Path, *, amount: str = "", **about: Any) -> Table:
        shown = f"shown_{name}"
        (count,) = self._db.execute(f"CREATE TABLE {shown} AS FROM {name}").fetchone() or (0,)
        kinds = {column: kind for column, kind, *_ in self._db.execute(f"DESCRIBE {name}").fetchall()}
        # A spreadsheet executes some texts, and splits those without quotes where it separates by semicolons.
        texts = [quoted(column) for column, kind in kinds.items() if kind == "VARCHAR"]
        safe = ", ".join(f"plain({column}) AS {column}" for column in texts)
        self._db.execute(
            f"""COPY (SELECT * REPLACE ({safe}) FROM {shown})
            TO $1 (FORMAT csv, HEADER, FORCE_QUOTE ({", ".join(texts)}))""",
            [str(directory / f"{name}.csv")],
        )
        rows = self.rows(f"{shown} LIMIT {MAX_ROWS}")
        columns = list(kinds)
        points = self._points(shown, columns[1], amount) if amount else {}
        return Table(name, columns=columns, rows=rows, count=count, amount=amount, points=points, **about)

    def _points(self, table: str, by: str, amount: str) -> dict[str, list[float | None]]:
        most, others = (20, "NULL") if MEASURES[amount].format == "share" else (7, "'others'")
        chart = Template(statements("chart"))
        query = chart.substitute(table=table, by=by, amount=amount, most=most, others=others)
        points: dict[str, list[float | None]] = {}
        for name, bucket, point in self._db.execute(query).fetchall():
            points.setdefault(name, [None] * len(self.window.buckets))[bucket] = point
        return points

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
