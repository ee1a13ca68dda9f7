"""A temporary DuckDB database of the landed records, in which a report is computed."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template
from typing import Any, Self

import duckdb

from airflow_provider_predictions.api.limits import MAX_MESSAGE_LENGTH
from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.report.loading import Loader, leave_out
from airflow_provider_predictions.report.measures import Measure
from airflow_provider_predictions.report.source import Landed
from airflow_provider_predictions.report.sql import amounts_of, moment, quoted, statements, text
from airflow_provider_predictions.report.summary import Filled
from airflow_provider_predictions.report.tables import MOST, Table
from airflow_provider_predictions.report.window import Window, days_of

MEMORY = "600MB"
"""What DuckDB keeps in memory; what is more goes to files."""
_SETTINGS = """
    SET threads = 2; SET memory_limit = '{memory}'; SET temp_directory = {spilled}; SET TimeZone = 'UTC';
    SET autoinstall_known_extensions = false; SET autoload_known_extensions = false;
    SET VARIABLE longest_message = {longest}; SET VARIABLE price = {price}::DOUBLE;
    SET VARIABLE start = {start}; SET VARIABLE "end" = {end}; SET VARIABLE ends = [{ends}];
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GETS_NULL: Any = "special"


class Database:
    """The records of a report in DuckDB. A context manager.

    :param services: the services of the landings.
    :param directory: where its files are.
    :param price: of a credit; None if none is given.
    """

    def __init__(
        self,
        services: Collection[str],
        window: Window,
        directory: Path,
        price: float | None = None,
    ) -> None:
        self.services = services
        self.window = window
        self.directory = directory
        self._db = duckdb.connect()
        self._db.create_function(
            "as_microseconds", _microseconds, ["VARCHAR"], "BIGINT", null_handling=_GETS_NULL
        )
        spans = [moment(start) for start in window.starts]
        settings = {
            "memory": MEMORY,
            "spilled": text(directory / "spilled"),
            "longest": MAX_MESSAGE_LENGTH,
            "price": "NULL" if price is None else price,
            "start": spans[0],
            "end": moment(window.end),
            "ends": ", ".join([moment(window.end), *spans[:-1]]),
        }
        self._db.execute(_SETTINGS.format_map(settings))
        self._db.execute(statements("engine"))
        self._fill("bucket", [(number, bucket.label) for number, bucket in enumerate(window.buckets)])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def load(self, landings: Iterable[Landed], group_by: str | None = None) -> None:
        """Read the parts of landings, in their order.

        :param group_by: the path of a member to group by; None for the domain or the model.
        :raises DamagedLandingError: if a part is not what the manifest says.
        """
        Loader(self._db, self.window, self.directory, group_by).load(landings)

    def leave_out(self, reason: str, count: int, detail: str = "") -> None:
        """Add to what the report leaves out."""
        leave_out(self._db, reason, count, detail)

    def keep(self) -> None:
        """Keep the latest record of each prediction."""
        self._db.execute(statements("keep"))
        self._name_days()

    def measured(
        self, measures: Sequence[Measure], groups: Collection[str] | None = None
    ) -> dict[tuple[str | None, int], list[float | None]]:
        """The measures of one table by group and age. The key (None, -1) has the measures of no rows.

        :param groups: the groups to compute; None for all predictions together, under the group None.
        """
        table, by = measures[0].table, "NULL" if groups is None else measures[0].by
        columns = ", ".join(measure.aggregate for measure in measures)
        wanted = "" if groups is None else f" AND age <= 1 AND {by} IN (SELECT unnest(?))"
        found = self._db.execute(
            f"""SELECT {by}::VARCHAR, age, {columns} FROM {table} WHERE age IS NOT NULL{wanted} GROUP BY ALL
            UNION ALL SELECT NULL, -1, {columns} FROM {table} WHERE FALSE""",
            [] if groups is None else [sorted(groups)],
        ).fetchall()
        return {(group, age): [_finite(x) for x in numbers] for group, age, *numbers in found}

    def largest(self, measure: Measure, most: int) -> list[str]:
        """The groups with most rows in the period and in the one before."""
        found = self._db.execute(
            f"""SELECT {measure.by} FROM {measure.table} WHERE age <= 1 AND {measure.by} IS NOT NULL
            GROUP BY ALL ORDER BY count(*) DESC, {measure.by} LIMIT {most}"""
        ).fetchall()
        return [name for (name,) in found]

    def overall(self) -> list[tuple[Any, ...]]:
        """Each measure of all predictions together that can be compared: now, before and the score."""
        query = "SELECT measure, now, before, coalesce(score, 0) FROM compared WHERE is_total ORDER BY ALL"
        return self._db.execute(query).fetchall()

    def define(self, measures: Sequence[Measure], missing: Sequence[Collection[str]]) -> list[Table]:
        """Create the tables of the report.

        :param missing: for each age, the states that the landings left out in whole or in part.
        """
        columns = {
            table: ", ".join(
                f"{measure.aggregate if measure.is_known(missing[0]) else 'NULL::DOUBLE'} AS {measure.name}"
                for measure in measures
                if measure.table == table
            )
            for table in ("record", "field")
        }
        either = {*missing[0], *missing[1]}
        amounts = amounts_of([one for one in measures if one.kind and one.is_known(either)])
        columns["field"] = columns["field"] or "sum(fields) AS fields, NULL::DOUBLE AS share_under_70"
        self._db.execute(Template(statements("tables")).substitute(columns, amounts=amounts))
        views = self._db.execute(
            "SELECT view_name, comment FROM duckdb_views() WHERE comment IS NOT NULL ORDER BY view_oid"
        ).fetchall()
        found = []
        for name, comment in views:
            table = Table(name, **{key: _frozen(value) for key, value in json.loads(comment).items()})
            if not table.services or {*table.services} & {*self.services}:
                self._db.execute(
                    f"CREATE TABLE shown_{name} AS SELECT row_number() OVER () AS row, * FROM {name}"
                )
                found.append(table)
        return found

    def filled(self, table: Table, most: int, missing: Collection[str]) -> Filled:
        """A table with its first rows.

        :param missing: the states that the landings left out in whole or in part.
        """
        (count,) = self._db.execute(f"SELECT count(*) FROM shown_{table.name}").fetchone() or (0,)
        names, rows = self.rows(table.name, most)
        drawn = self._drawn(table) if table.chart else []
        return Filled(table, names, rows, count, drawn, table.state not in missing)

    def rows(self, name: str, most: int) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The columns of a table, and its first rows."""
        found = self._db.execute(f"SELECT * EXCLUDE (row) FROM shown_{name} ORDER BY row LIMIT {most}")
        return [column[0] for column in found.description], found.fetchall()

    def pairs(self, query: str) -> dict[str, int]:
        """The result of a query with two columns: names and counts."""
        return {name: int(count) for name, count in self._db.execute(query).fetchall()}

    def _drawn(self, table: Table) -> list[tuple[Any, ...]]:
        """The rows of a chart: the largest names and, in a stack, all others together."""
        shown, most = f"shown_{table.name}", MOST[table.chart or ""]
        names = [quoted(name) for name in table.drawn]
        if table.chart == "range":
            query = f"SELECT {', '.join(names)} FROM {shown} ORDER BY row LIMIT {most}"
            return self._db.execute(query).fetchall()
        time, of, amount = names
        others = "'others'" if table.chart == "stack" else "NULL"
        return self._db.execute(f"""WITH top AS (
                SELECT {of} AS name, row_number() OVER (ORDER BY sum({amount}) DESC, {of}) AS place
                FROM {shown} GROUP BY {of} ORDER BY place LIMIT {most}
            ), named AS (
                SELECT row, {time} AS time, CASE WHEN place IS NULL THEN {others} ELSE {of} END AS name,
                {amount} AS amount, coalesce(place, {most + 1}) AS place
                FROM {shown} LEFT JOIN top ON name = {of}
            )
            SELECT time, name, sum(amount) FROM named WHERE name IS NOT NULL
            GROUP BY time, name ORDER BY min(place), min(row)""").fetchall()

    def write_csv(self, table: Table, file: Path) -> None:
        """Write all rows of a table. An apostrophe precedes text that a spreadsheet would execute."""
        described = self._db.execute(f"DESCRIBE shown_{table.name}").fetchall()
        columns = [(quoted(name), kind) for name, kind, *_ in described if name != "row"]
        safe = ", ".join(f"plain({name}) AS {name}" if kind == "VARCHAR" else name for name, kind in columns)
        query = f"SELECT {safe} FROM shown_{table.name} ORDER BY row"
        # A spreadsheet that separates by semicolons would split a text without quotes there.
        texts = ", ".join(name for name, kind in columns if kind == "VARCHAR")
        quote = f", FORCE_QUOTE ({texts})" if texts else ""
        self._db.execute(f"COPY ({query}) TO {text(file)} (FORMAT csv, HEADER{quote})")

    def _fill(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self._db.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)

    def _name_days(self) -> None:
        """Create the table of days on which late predictions were created, in Python's time zones."""
        found = self._db.execute(
            """SELECT DISTINCT date_trunc('day', created) FROM record WHERE created < getvariable('start')
                AND finished >= getvariable('start') AND finished < getvariable('end')"""
        ).fetchall()
        self._db.execute("CREATE TABLE late_day (label VARCHAR, start TIMESTAMPTZ)")
        self._fill("late_day", days_of([day for (day,) in found], self.window.zone))


def _finite(x: float | None) -> float | None:
    """A number, or None if it is more than a double holds, which JSON has no word for."""
    return x if x is None or math.isfinite(x) else None


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _microseconds(given: str | None) -> int | None:
    time = as_time(given)
    return None if time is None else (time - _EPOCH) // timedelta(microseconds=1)
