"""A temporary DuckDB database of the landed records, in which a report is computed."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template
from typing import Any, Self

import duckdb

from airflow_provider_predictions.api.errors import ConfigurationError, DamagedLandingError
from airflow_provider_predictions.api.limits import MAX_MESSAGE_LENGTH
from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.report.measures import Measure
from airflow_provider_predictions.report.source import Landed
from airflow_provider_predictions.report.sql import (
    amounts_of,
    json_source,
    moment,
    parquet_source,
    quoted,
    statements,
    text,
)
from airflow_provider_predictions.report.subjects import SUBJECTS, Subject
from airflow_provider_predictions.report.summary import Filled
from airflow_provider_predictions.report.tables import MOST, Table
from airflow_provider_predictions.report.window import Window, days_of

MEMORY = "400MB"
"""What DuckDB keeps in memory; what is more goes to files."""
LONGEST_RECORDS = (16 << 20, 256 << 20)
"""Bytes, tried one after the other: DuckDB reserves several times as many."""
_SETTINGS = """
    SET threads = 2; SET memory_limit = '{memory}'; SET temp_directory = {spilled};
    SET preserve_insertion_order = false; SET TimeZone = 'UTC';
    SET autoinstall_known_extensions = false; SET autoload_known_extensions = false;
    SET VARIABLE longest_message = {longest};
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GETS_NULL: Any = "special"


class Database:
    """The records of a report in DuckDB. A context manager.

    :param services: the services of the landings.
    :param directory: where its files are.
    :param group_by: the path of a member to group by; None for the domain or the model.
    :param price: of a credit; None if none is given.
    """

    def __init__(
        self,
        services: Collection[str],
        window: Window,
        directory: Path,
        group_by: str | None = None,
        price: float | None = None,
    ) -> None:
        self.services = services
        self.window = window
        self.directory = directory
        self.group_by = group_by.split(".") if group_by else []
        self._db = duckdb.connect(str(directory / "records.duckdb"))
        self._db.create_function(
            "as_microseconds", _microseconds, ["VARCHAR"], "BIGINT", null_handling=_GETS_NULL
        )
        spilled = text(directory / "spilled")
        self._db.execute(_SETTINGS.format(memory=MEMORY, spilled=spilled, longest=MAX_MESSAGE_LENGTH))
        self._db.execute(statements("engine"))
        self._db.execute(
            f"SET VARIABLE price = {'NULL' if price is None else price}::DOUBLE; "
            f'SET VARIABLE start = {moment(window.start)}; SET VARIABLE "end" = {moment(window.end)}'
        )
        starts = [*enumerate(window.buckets)]
        self._fill("bucket", [(number, bucket.label, bucket.start) for number, bucket in starts])
        ends = (window.end, *window.starts)
        self._fill("span", [(age, start, ends[age]) for age, start in enumerate(window.starts)])
        for service in services:
            columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in SUBJECTS[service].members.items())
            self._db.execute(f"CREATE OR REPLACE TEMP TABLE raw (row BIGINT, {columns}, grouped VARCHAR)")
            self._db.execute(statements(service))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def leave_out(self, reason: str, count: int, detail: str = "") -> None:
        """Add to what the report leaves out."""
        self._db.execute("INSERT INTO left_out_of VALUES (?, ?, ?)", [reason, count, detail])

    def load(self, landed: Landed) -> None:
        """Read the parts of a landing.

        :raises DamagedLandingError: if a part is not what the manifest says.
        """
        subject = SUBJECTS[landed.manifest["service"]]
        for facts in landed.manifest["parts"]:
            with landed.part(facts, self.directory) as file:
                count = self._read(file, subject)
            if count != facts["count"]:
                raise DamagedLandingError(
                    f"source: {landed.path} holds {count} records in {file.name}, and its manifest says "
                    f"{facts['count']}. Land it again"
                )
            self._take(subject, f"{landed.path}/{file.name}")
        for reason, count in landed.manifest["rejected_reasons"].items():
            self.leave_out(f"rows that are no records: {reason}", count, str(landed.path))

    def keep(self) -> None:
        """Keep the latest record of each prediction, and assign it to its period."""
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
        columns["field"] = columns["field"] or "count(*) AS fields, NULL::DOUBLE AS share_under_70"
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

    def _read(self, file: Path, subject: Subject) -> int:
        """Read a part into the table ``raw``, and return its number of records."""
        members = dict(subject.members)
        grouped = "NULL::VARCHAR"
        if self.group_by:
            root, *below = self.group_by
            if other := next((name for name in members if name != root and name.lower() == root.lower()), ""):
                raise ConfigurationError(f"group_by: records have {other}, not {root}")
            members.setdefault(root, "JSON")
            pointer = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in below)
            grouped = f"json_extract_string({quoted(root)}, {text(pointer)})"
            if members[root] == "VARCHAR":
                grouped = "NULL" if below else quoted(root)
        columns = ", ".join(map(quoted, subject.members))
        source = parquet_source(file, subject, members) if file.suffix == ".parquet" else None
        for size in LONGEST_RECORDS:
            try:
                self._db.execute(f"""CREATE OR REPLACE TEMP TABLE raw AS
                    SELECT nextval('row_number') AS row, {columns}, {grouped} AS grouped
                    FROM {source or json_source(file, members, size)}""")
                break
            except duckdb.InvalidInputException as error:
                if "maximum_object_size" not in str(error):
                    raise
        else:
            raise ConfigurationError(
                f"source: {file.name} holds a record of more than {LONGEST_RECORDS[-1] >> 20} MiB, which is "
                "the longest that a report reads"
            )
        (count,) = self._db.execute("SELECT count(*) FROM raw").fetchone() or (0,)
        return int(count)

    def _take(self, subject: Subject, where: str) -> None:
        """Copy what the report needs out of ``raw``."""
        service, db = subject.service.name, self._db
        empty = " AND ".join(f"{quoted(name)} IS NULL" for name in subject.members)
        (unread,) = db.execute(f"SELECT count(*) FROM raw WHERE {empty}").fetchone() or (0,)
        self.leave_out(
            "records that are no JSON that DuckDB reads, or have none of the fields", unread, where
        )
        db.execute(f"DELETE FROM raw WHERE {empty}")
        others = "'failed', 'cancelled'"
        terminal = str(sorted(subject.service.terminal_statuses))[1:-1]
        replaced = ' REPLACE (grouped AS "group")' if self.group_by else ""
        joined = " JOIN (SELECT row, grouped FROM raw) USING (row)" if self.group_by else ""
        db.execute(f"""INSERT INTO staged BY NAME SELECT * {"EXCLUDE (grouped)" if joined else ""}{replaced},
            '{service}' AS service, CASE WHEN status IN ({others}) THEN status
            WHEN status IN ({terminal}) THEN 'succeeded' ELSE 'waiting' END AS state
            FROM {service}_record(){joined}""")
        if subject.details:
            db.execute(f"CREATE OR REPLACE TEMP TABLE items AS FROM {service}_items()")
            for name in ("field", "problem"):
                db.execute(f"INSERT INTO staged_{name} BY NAME FROM {service}_{name}()")
            for reason, count in db.execute(f"FROM {service}_odd()").fetchall():
                self.leave_out(reason, count, where)

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
