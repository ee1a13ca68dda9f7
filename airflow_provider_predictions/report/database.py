"""Landed records in a database of this machine, which lives as long as a report is being written."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Self

import duckdb

from airflow_provider_predictions.api.errors import ConfigurationError, DamagedLandingError
from airflow_provider_predictions.report.engine import connect, exactly, quoted, text
from airflow_provider_predictions.report.source import Landed
from airflow_provider_predictions.report.tables import MOST, TOTALS, Measure, Subject, Table
from airflow_provider_predictions.report.window import Window, days_of

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
LONGEST_RECORDS = (16 << 20, 256 << 20)
"""Bytes, tried one after the other: DuckDB reserves several times as many."""


class Database:
    """The records of a report, and questions to them. A context manager.

    :param directory: for its files.
    :param missing: states of which not all predictions were to land.
    """

    def __init__(
        self, subject: Subject, window: Window, directory: Path, missing: Collection[str] = ()
    ) -> None:
        self.subject = subject
        self.window = window
        self.directory = directory
        self._db = connect(directory, missing)
        self._db.executemany(
            "INSERT INTO bucket VALUES (?, ?, ?)",
            [(number, bucket.label, bucket.start) for number, bucket in enumerate(window.buckets)],
        )
        # Tables to add to, whether or not there is anything in the sources.
        members = ", ".join(f"{quoted(name)} {kind}" for name, kind in subject.members.items())
        self._db.execute(f"CREATE TEMP TABLE raw (row BIGINT, {members})")
        self._take("")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def leave_out(self, reason: str, count: int, detail: str = "") -> None:
        """Note what is not counted."""
        self._db.execute("INSERT INTO left_out VALUES (?, ?, ?)", [reason, count, detail])

    def load(self, landed: Landed) -> None:
        """Read the parts of a landing.

        :raises DamagedLandingError: where one is not what the manifest says.
        """
        for facts in landed.manifest["parts"]:
            with landed.part(facts, self.directory) as file:
                count = self._read(file)
            if count != facts["count"]:
                raise DamagedLandingError(
                    f"source: {landed.path} holds {count} records in {file.name}, and its manifest says "
                    f"{facts['count']}. Land it again"
                )
            self._take(f"{landed.path}/{file.name}")
        for reason, count in landed.manifest["rejected_reasons"].items():
            self.leave_out(f"rows that are no records: {reason}", count, str(landed.path))

    def keep(self) -> None:
        """Count each prediction once, in its latest shape, and place all in time."""
        window, terminal = self.window, sorted(self.subject.service.terminal_statuses)
        waiting = f"status NOT IN ({str(terminal)[1:-1]})"
        self._db.execute(f"""CREATE TABLE record AS
            WITH latest AS (
                SELECT * FROM staged QUALIFY row_number() OVER (
                    PARTITION BY id, CASE WHEN id IS NULL THEN row END ORDER BY {waiting}, row DESC) = 1
            )
            SELECT latest.*, CASE WHEN created >= {_at(window.end)} THEN NULL
                WHEN created >= {_at(window.start)} THEN 'now'
                WHEN created >= {_at(window.before)} THEN 'before' END AS period,
                CASE WHEN status = 'failed' THEN 'failed' WHEN {waiting} THEN 'waiting'
                WHEN status = 'cancelled' THEN 'cancelled' ELSE 'succeeded' END AS state,
                bucket.bucket
            FROM latest ASOF LEFT JOIN bucket ON latest.created >= bucket.start""")
        for name in self.subject.details:
            self._db.execute(f"""CREATE TABLE {name} AS SELECT detail.*, period, bucket, "group"
                FROM staged_{name} AS detail JOIN record USING (row) WHERE period IS NOT NULL""")
        self._note_others()
        self._name_days()

    def totals(self) -> dict[str, tuple[Any, Any]]:
        """Each number of the head: of the period, and of the one before."""
        found: dict[str, tuple[Any, Any]] = {}
        for table, columns in self.subject.totals.items():
            query = f"SELECT {', '.join(columns.values())} FROM {table} WHERE period = ?"
            now, before = (self._db.execute(query, [period]).fetchone() or () for period in ("now", "before"))
            found |= dict(zip(columns, zip(now, before, strict=True), strict=True))
        return found

    def define(self, table: Table) -> int:
        """Make a table of the report; answer how many rows it has."""
        window, subject = self.window, self.subject
        query = table.query.format(
            unit=window.unit,
            group=subject.group,
            start=_at(window.start),
            end=_at(window.end),
            measures=_measures(subject.measures),
            **TOTALS,
        )
        self._db.execute(
            f"CREATE TABLE {_shown(table)} AS SELECT row_number() OVER () AS row, * FROM ({query})"
        )
        (count,) = self._db.execute(f"SELECT count(*) FROM {_shown(table)}").fetchone() or (0,)
        return int(count)

    def rows(self, table: Table, most: int) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The names of the columns, and the first rows."""
        found = self._db.execute(f"SELECT * EXCLUDE (row) FROM {_shown(table)} ORDER BY row LIMIT {most}")
        return [column[0] for column in found.description], found.fetchall()

    def pairs(self, query: str) -> dict[str, int]:
        """The answer to a question of two columns: names and counts."""
        return {name: int(count) for name, count in self._db.execute(query).fetchall()}

    def drawn(self, table: Table) -> list[tuple[Any, ...]]:
        """What the chart of a table is drawn of: its first names, and of a stack the others together."""
        shown, most = _shown(table), MOST[table.chart or ""]
        names = [quoted(name.format(unit=self.window.unit)) for name in table.drawn]
        if table.chart == "range":
            return self._db.execute(
                f"SELECT {', '.join(names)} FROM {shown} ORDER BY row LIMIT {most}"
            ).fetchall()
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
        """All of a table. Text that a spreadsheet would take for a formula gets an apostrophe before it."""
        described = self._db.execute(f"DESCRIBE {_shown(table)}").fetchall()
        columns = [(quoted(name), kind) for name, kind, *_ in described if name != "row"]
        safe = ", ".join(f"plain({name}) AS {name}" if kind == "VARCHAR" else name for name, kind in columns)
        query = f"SELECT {safe} FROM {_shown(table)} ORDER BY row"
        self._db.execute(f"COPY ({query}) TO {text(file)} (FORMAT csv, HEADER)")

    def _read(self, file: Path) -> int:
        """Make a part the table ``raw``; answer how many records it holds."""
        source = self._parquet(file) if file.suffix == ".parquet" else None
        for size in LONGEST_RECORDS:
            try:
                self._db.execute(f"""CREATE OR REPLACE TEMP TABLE raw AS
                    SELECT nextval('row_number') AS row, * FROM {source or self._json(file, size)}""")
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

    def _json(self, file: Path, longest: int) -> str:
        members = ", ".join(f"{quoted(name)}: '{kind}'" for name, kind in self.subject.members.items())
        return (
            f"read_json({exactly(file)}, hive_partitioning = false, format = 'newline_delimited', "
            f"compression = '{COMPRESSIONS.get(file.suffix, 'uncompressed')}', ignore_errors = true, "
            f"maximum_object_size = {longest}, columns = {{{members}}})"
        )

    def _parquet(self, file: Path) -> str:
        """A part with the columns of JSON Lines; what has or fits no column of its own is in ``other``."""
        columns = {column.name: column.kind for column in self.subject.service.columns}
        texts = [name for name, kind in columns.items() if kind == "json" and name in self.subject.members]
        whole = " AND ".join(
            f"({quoted(name)} IS NULL OR json_valid({quoted(name)}))" for name in [*texts, "other"]
        )
        members = []
        for name, kind in self.subject.members.items():
            other = f"other->{'>' if kind == 'VARCHAR' else ''}'$.{name}'"
            own = f"to_json({quoted(name)})" if columns.get(name) == "text" and kind == "JSON" else ""
            own = own or f"{quoted(name)}::{kind}"
            given = f"coalesce({own}, {other})" if name in columns else other
            members.append(f"CASE WHEN {whole} THEN {given} END AS {quoted(name)}")
        return f"(SELECT {', '.join(members)} FROM read_parquet({exactly(file)}, hive_partitioning = false))"

    def _take(self, where: str) -> None:
        """Keep of ``raw`` what the report needs."""
        subject, db = self.subject, self._db
        empty = " AND ".join(f"{quoted(name)} IS NULL" for name in subject.members)
        (unread,) = db.execute(f"SELECT count(*) FROM raw WHERE {empty}").fetchone() or (0,)
        self.leave_out(
            "records that are no JSON that DuckDB reads, or have none of the fields", unread, where
        )
        db.execute(f"DELETE FROM raw WHERE {empty}")
        self._stage("staged", f"SELECT row, {subject.record} FROM raw")
        db.execute(f"CREATE OR REPLACE TEMP TABLE items AS {subject.items}")
        for name, query in subject.details.items():
            self._stage(f"staged_{name}", query)
        for reason, query in subject.odd.items():
            (count,) = db.execute(query).fetchone() or (0,)
            self.leave_out(reason, count, where)
        db.execute("DROP TABLE raw; DROP TABLE items")

    def _stage(self, table: str, query: str) -> None:
        self._db.execute(f"CREATE TABLE IF NOT EXISTS {table} AS {query} WITH NO DATA")
        self._db.execute(f"INSERT INTO {table} {query}")

    def _name_days(self) -> None:
        """The days from which something arrived late, by the time zones that Python knows."""
        start, end = _at(self.window.start), _at(self.window.end)
        found = self._db.execute(
            f"""SELECT DISTINCT date_trunc('day', created) FROM record
                WHERE created < {start} AND finished >= {start} AND finished < {end}"""
        ).fetchall()
        days = days_of([day for (day,) in found], self.window.zone)
        self._db.execute("CREATE TABLE late_day (label VARCHAR, start TIMESTAMPTZ)")
        if days:
            self._db.executemany("INSERT INTO late_day VALUES (?, ?)", days)

    def _note_others(self) -> None:
        window = self.window
        counts = {
            "the same prediction in an earlier landing, or unfinished in a later one": """SELECT
                (SELECT count(*) FROM staged) - (SELECT count(*) FROM record)""",
            "no creation time that can be read": "SELECT count(*) FROM record WHERE created IS NULL",
            "created after the period": f"SELECT count(*) FROM record WHERE created >= {_at(window.end)}",
            "created before the period before": f"""SELECT count(*) FROM record
                WHERE created < {_at(window.before)}""",
        }
        for reason, query in counts.items():
            (count,) = self._db.execute(query).fetchone() or (0,)
            self.leave_out(reason, count)


def _measures(measures: tuple[Measure, ...]) -> str:
    """How many there are of each measure, group and period, their sum, and the sum of their squares."""
    return " UNION ALL ".join(
        f"""SELECT '{measure.name}' AS measure, '{measure.kind}' AS kind, "group", period,
            count(x) AS n, coalesce(sum(x), 0) AS s, coalesce(sum(x * x), 0) AS q
            FROM (SELECT {measure.group} AS "group", period, ({measure.value})::DOUBLE AS x
                FROM {measure.table} WHERE period IS NOT NULL) GROUP BY ALL"""
        for measure in measures
    )


def _at(moment: Any) -> str:
    return f"TIMESTAMPTZ '{moment.isoformat()}'"


def _shown(table: Table) -> str:
    return f"shown_{table.name}"
