"""Read the parts of landings into the table ``record``."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.report.source import Landed, Part
from airflow_provider_predictions.report.sql import (
    json_source,
    moment,
    parquet_source,
    place,
    quoted,
    statements,
    text,
)
from airflow_provider_predictions.report.subjects import SUBJECTS, Subject
from airflow_provider_predictions.report.window import Window

LONGEST_RECORDS = (16 << 20, 256 << 20)
"""Bytes, tried one after the other: DuckDB reserves several times as many."""
_ROWS, _BYTES = 300_000, 512 << 20
"""No part is added to parts of so many records or bytes that are read together."""
_ODD = {
    "is_unread": "records that are no JSON that DuckDB reads, or have none of the fields",
    "has_no_list": "records whose predictions are no list; their fields are not counted",
    "blanks": "fields without a label, a value and a confidence",
    "odd_rows": "line items that are no rows of fields",
    "nested": "line items within line items",
}
"""The columns that say what is not counted because of its shape, and the reasons."""


class Loader:
    """Reads parts, several at once.

    :param directory: where the parts lie while they are read.
    :param group_by: the path of a member to group by; None for the domain or the model.
    """

    def __init__(
        self, db: duckdb.DuckDBPyConnection, window: Window, directory: Path, group_by: str | None
    ) -> None:
        self.directory = directory / "parts"
        self.group_by = group_by.split(".") if group_by else []
        self._db = db
        self._read = 0  # parts, so far
        starts, count = window.starts, len(window.starts)
        self._age = f"""CASE WHEN created >= {moment(starts[-1])} AND created < {moment(window.end)}
            THEN {count - 1} - ({place(starts[::-1])}) END"""
        self._bucket = f"""CASE WHEN created >= {moment(window.start)} AND created < {moment(window.end)}
            THEN {place([bucket.start for bucket in window.buckets])} END"""

    def load(self, landings: Iterable[Landed]) -> None:
        """Read the parts of landings, those of each service in their order.

        :raises DamagedLandingError: if a part is not what the manifest says.
        """
        parts: list[Part] = []
        rows = size = 0
        for landed in sorted(landings, key=lambda landed: landed.manifest["service"]):
            for reason, count in landed.manifest["rejected_reasons"].items():
                leave_out(self._db, f"rows that are no records: {reason}", count, str(landed.path))
            for part in (Part(landed, facts) for facts in landed.manifest["parts"]):
                if parts and (rows >= _ROWS or size >= _BYTES or part.kind != parts[0].kind):
                    self._load(parts)
                    parts, rows, size = [], 0, 0
                parts.append(part)
                rows, size = rows + part.count, size + part.size
        if parts:
            self._load(parts)

    def _load(self, parts: Sequence[Part]) -> None:
        """Read parts of one service and one format together."""
        service, suffix = parts[0].kind
        subject, places = SUBJECTS[service], [self.directory / str(number) for number in range(len(parts))]
        with ThreadPoolExecutor(2) as pool:
            files = list(pool.map(Part.fetch, parts, places))
        first, self._read = self._read, self._read + len(parts)
        is_typed = suffix != ".parquet" and self._root(subject) not in _nested(subject)
        self._insert(files, first, subject, is_typed=is_typed)
        if is_typed and _lists(subject) and self._is_doubtful(first):
            self._db.execute(f"DELETE FROM record WHERE part >= {first}")
            self._insert(files, first, subject, is_typed=False)
        shutil.rmtree(self.directory)
        odd = ", ".join(f"sum({name}::INTEGER)" for name in _ODD)
        found = self._db.execute(
            f"SELECT part, count(*), {odd} FROM record WHERE part >= {first} GROUP BY part"
        ).fetchall()
        counts = {part: numbers for part, *numbers in found}
        for number, part in enumerate(parts, first):
            count, *numbers = counts.get(number, [0])
            part.check(count)
            for reason, left_out in zip(_ODD.values(), numbers, strict=False):
                if left_out:
                    leave_out(self._db, reason, left_out, part.where)
        self._db.execute(f"DELETE FROM record WHERE is_unread AND part >= {first}")

    def _is_doubtful(self, first: int) -> bool:
        """Whether records must be read as JSON to know their shape: typed, what is odd is NULL."""
        (found,) = self._db.execute(
            f"""SELECT count(*) FROM record WHERE part >= {first}
            AND (fields IS NULL AND state = 'succeeded' OR blanks > 0)"""
        ).fetchone() or (0,)
        return bool(found)

    def _insert(self, files: Sequence[Path], first: int, subject: Subject, *, is_typed: bool) -> None:
        """Read files into the table ``record``.

        :param first: the number of the first one.
        :param is_typed: whether members that have members are read as such, and not as JSON.
        """
        nested, service = _nested(subject), subject.service.name
        members = {
            name: kind if is_typed or name not in nested else "JSON" for name, kind in subject.members.items()
        }
        group = self._group(subject, members)
        columns = [
            f"{service}_{name}({name}) AS {name}" if name in nested and not is_typed else quoted(name)
            for name in subject.members
        ]
        lists = () if is_typed else _lists(subject)
        has_no_list = " OR ".join(f"NOT starts_with({name}, '[')" for name in lists) or "NULL"
        empty = " AND ".join(f"{quoted(name)} IS NULL" for name in subject.members)
        terminal = str(sorted(subject.service.terminal_statuses))[1:-1]
        for size in LONGEST_RECORDS:
            source = (
                parquet_source(files, subject, members)
                if files[0].suffix == ".parquet"
                else json_source(files, members, size)
            )
            try:
                self._db.execute(f"""CREATE OR REPLACE TEMP VIEW raw AS SELECT file_index + {first} AS part,
                    {", ".join(columns)}, {group} AS "group", {empty} AS is_unread,
                    {has_no_list} AS has_no_list FROM {source}""")
                self._db.execute(statements(service))
                self._db.execute(f"""INSERT INTO record BY NAME SELECT *, '{service}' AS service,
                    CASE WHEN status IN ('failed', 'cancelled') THEN status
                    WHEN status IN ({terminal}) THEN 'succeeded' ELSE 'waiting' END AS state,
                    {self._age} AS age, {self._bucket} AS bucket FROM {service}_record()""")
                return
            except duckdb.InvalidInputException as error:
                if "maximum_object_size" not in str(error):
                    raise
        raise ConfigurationError(
            f"source: {files[0].name} or a part that was read with it holds a record of more than "
            f"{LONGEST_RECORDS[-1] >> 20} MiB, which is the longest that a report reads"
        )

    def _root(self, subject: Subject) -> str:
        return self.group_by[0] if self.group_by else subject.member

    def _group(self, subject: Subject, members: dict[str, str]) -> str:
        """SQL for the group of a record. Its member is added to the members that are read."""
        root, below = self._root(subject), self.group_by[1:]
        times = {column.name for column in subject.service.columns if column.kind == "time"}
        if other := next((name for name in members if name != root and name.lower() == root.lower()), ""):
            raise ConfigurationError(f"group_by: records have {other}, not {root}")
        if members.setdefault(root, "JSON") == "VARCHAR":
            return "NULL" if below else f"moment_of({quoted(root)})" if root in times else quoted(root)
        pointer = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in below)
        return f"json_extract_string({quoted(root)}, {text(pointer)})"


def leave_out(db: duckdb.DuckDBPyConnection, reason: str, count: int, detail: str) -> None:
    """Add to what the report leaves out."""
    db.execute("INSERT INTO left_out_of VALUES (?, ?, ?)", [reason, count, detail])


def _nested(subject: Subject) -> set[str]:
    """The members that have members of their own."""
    return {name for name, kind in subject.members.items() if "(" in kind}


def _lists(subject: Subject) -> list[str]:
    """The members that are lists."""
    return [name for name, kind in subject.members.items() if kind.endswith("[]")]
