"""Read the parts of landings into the table ``record``."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath

import duckdb

from airflow_provider_predictions.api.errors import ConfigurationError, DamagedLandingError
from airflow_provider_predictions.api.limits import MAX_RECORD_BYTES
from airflow_provider_predictions.report.source import Landed
from airflow_provider_predictions.report.sql import quoted, statements, text
from airflow_provider_predictions.report.subjects import SUBJECTS, Subject
from airflow_provider_predictions.storage.manifest import PartFacts

LONGEST_RECORDS = (16 << 20, MAX_RECORD_BYTES)
"""Bytes, tried one after the other: DuckDB reserves several times as many."""
_ROWS, _BYTES = 300_000, 512 << 20
"""No part is added to parts of so many records or bytes that are read together."""
Part = tuple[Landed, PartFacts]


class Loader:
    """Reads parts, several at once.

    :param directory: where the parts lie while they are read.
    :param group_by: the path of a member to group by; None for the domain or the model.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection, directory: Path, group_by: str | None) -> None:
        self.directory = directory / "parts"
        self.group_by = group_by.split(".") if group_by else []
        self._db = db
        self._read = 0  # parts, so far

    def load(self, landings: Iterable[Landed]) -> None:
        """Read the parts of landings, those of each service in their order.

        :raises DamagedLandingError: if a part is not what the manifest says.
        """
        for parts in _batches(sorted(landings, key=lambda landed: landed.manifest["service"])):
            self._load(parts)
        query = """SELECT place, part.count, count(record.part) AS found
            FROM part LEFT JOIN record USING (part)
            GROUP BY part, place, part.count HAVING found <> part.count ORDER BY part LIMIT 1"""
        if wrong := self._db.execute(query).fetchone():
            directory, _, name = wrong[0].rpartition("/")
            raise DamagedLandingError(
                f"source: {directory} holds {wrong[2]} records in {name}, and its manifest says {wrong[1]}. "
                "Land it again"
            )

    def _load(self, parts: Sequence[Part]) -> None:
        """Read parts of one service and one format together."""
        first, self._read = self._read, self._read + len(parts)
        with ThreadPoolExecutor(2) as pool:
            files = list(pool.map(self._fetch, range(first, self._read), parts))
        self._db.executemany(
            "INSERT INTO part VALUES (?, ?, ?)",
            [
                (first + at, f"{landed.path}/{file.name}", facts["count"])
                for at, (file, (landed, facts)) in enumerate(zip(files, parts, strict=True))
            ],
        )
        subject = SUBJECTS[parts[0][0].manifest["service"]]
        root = self.group_by[0] if self.group_by else subject.member
        texts = {**subject.members, **dict.fromkeys(subject.nested, "JSON")}
        is_typed = files[0].suffix != ".parquet" and root not in subject.nested
        self._insert(files, first, subject, root, subject.members if is_typed else texts)
        has_lists = any(kind.endswith("[]") for kind in subject.members.values())
        # Typed, what is odd is NULL: such records are read as JSON, to know their shape.
        odd = f"""FROM record WHERE part >= {first}
            AND (fields IS NULL AND state = 'succeeded' OR blanks > 0) LIMIT 1"""
        if is_typed and has_lists and self._db.execute(odd).fetchone():
            self._db.execute(f"DELETE FROM record WHERE part >= {first}")
            self._insert(files, first, subject, root, texts)
        shutil.rmtree(self.directory)

    def _fetch(self, number: int, part: Part) -> Path:
        landed, facts = part
        directory = self.directory / str(number)
        directory.mkdir(parents=True)
        return landed.fetch(facts, directory, "source")

    def _insert(
        self, files: Sequence[Path], first: int, subject: Subject, root: str, members: Mapping[str, str]
    ) -> None:
        """Read files into the table ``record``.

        :param first: the number of the first one.
        :param root: the member that holds the group.
        :param members: the type to read each as: its own, or JSON for what has members of its own.
        """
        service, read = subject.service.name, {root: "JSON", **members}
        columns, lists = [], []
        for name, kind in subject.members.items():
            is_text = kind != members[name]
            columns.append(f"{service}_{name}({name}) AS {name}" if is_text else quoted(name))
            if is_text and kind.endswith("[]"):
                lists.append(f"NOT starts_with({name}, '[')")
        empty = " AND ".join(f"{quoted(name)} IS NULL" for name in subject.members)
        states = " ".join(
            f"WHEN status IN ({', '.join(map(text, sorted(statuses)))}) THEN '{state}'"
            for state, statuses in subject.states.items()
            if statuses and state != "waiting"
        )
        for size in LONGEST_RECORDS:
            is_parquet = files[0].suffix == ".parquet"
            source = _parquet_source(files, subject, read) if is_parquet else _json_source(files, read, size)
            try:
                self._db.execute(f"""CREATE OR REPLACE TEMP VIEW raw AS SELECT file_index + {first} AS part,
                    {", ".join(columns)}, {self._group(root, read, subject)} AS "group", {empty} AS is_unread,
                    {" OR ".join(lists) or "NULL"} AS has_no_list FROM {source}""")
                self._db.execute(statements(service))
                self._db.execute(f"""INSERT INTO record BY NAME SELECT *, '{service}' AS service,
                    CASE {states} ELSE 'waiting' END AS state,
                    age_of(created) AS age, bucket_of(created) AS bucket FROM {service}_record()""")
                return
            except duckdb.InvalidInputException as error:
                if "maximum_object_size" not in str(error):
                    raise
        raise ConfigurationError(
            f"source: {files[0].name} or a part that was read with it holds a record of more than "
            f"{LONGEST_RECORDS[-1] >> 20} MiB, which is the longest that a report reads"
        )

    def _group(self, root: str, members: Mapping[str, str], subject: Subject) -> str:
        """SQL for the group of a record."""
        times = {column.name for column in subject.service.columns if column.kind == "time"}
        if other := next((name for name in members if name != root and name.lower() == root.lower()), ""):
            raise ConfigurationError(f"group_by: records have {other}, not {root}")
        below = self.group_by[1:]
        if members[root] == "VARCHAR":
            return "NULL" if below else f"moment_of({quoted(root)})" if root in times else quoted(root)
        return f"json_extract_string({quoted(root)}, {_pointer(*below)})"


def _batches(landings: Iterable[Landed]) -> Iterator[list[Part]]:
    """The parts of one service and one format that are read together."""
    parts: list[Part] = []
    kind, rows, size = ("", ""), 0, 0
    for landed in landings:
        for facts in landed.manifest["parts"]:
            last, kind = kind, (landed.manifest["service"], PurePath(facts["uri"]).suffix)
            if parts and (rows >= _ROWS or size >= _BYTES or kind != last):
                yield parts
                parts, rows, size = [], 0, 0
            parts.append((landed, facts))
            rows, size = rows + facts["count"], size + facts["bytes"]
    if parts:
        yield parts


def _pointer(*names: str) -> str:
    """SQL for the place of a member in JSON."""
    return text("".join(f"/{name.replace('~', '~0').replace('/', '~1')}" for name in names))


def _json_source(files: Sequence[Path], members: Mapping[str, str], longest: int) -> str:
    """Select the members of records from parts in JSON Lines.

    :param longest: bytes of the longest record.
    """
    columns = ", ".join(f"{quoted(name)}: '{kind}'" for name, kind in members.items())
    return (
        f"read_json({_exactly(files)}, hive_partitioning = false, format = 'newline_delimited', "
        f"ignore_errors = true, maximum_object_size = {longest}, columns = {{{columns}}})"
    )


def _parquet_source(files: Sequence[Path], subject: Subject, members: Mapping[str, str]) -> str:
    """Select the members of records from Parquet parts. Those without a column are in ``other``."""
    columns = {column.name: column.kind for column in subject.service.columns}
    texts = [name for name, kind in columns.items() if kind == "json" and name in members]
    whole = " AND ".join(
        f"({quoted(name)} IS NULL OR json_valid({quoted(name)}))" for name in [*texts, "other"]
    )
    found = ["file_index"]
    for name, kind in members.items():
        other = f"other->{'>' if kind == 'VARCHAR' else ''}{_pointer(name)}"
        own = f"to_json({quoted(name)})" if columns.get(name) != "json" and kind == "JSON" else ""
        own = own or f"{quoted(name)}::{kind}"
        given = f"coalesce({own}, {other})" if name in columns else other
        found.append(f"CASE WHEN {whole} THEN {given} END AS {quoted(name)}")
    return f"(SELECT {', '.join(found)} FROM read_parquet({_exactly(files)}, hive_partitioning = false))"


def _exactly(files: Sequence[Path]) -> str:
    """Quote paths for SQL so that DuckDB reads no character as a pattern."""
    return "[" + ", ".join(text(re.sub(r"[*?\[]", r"[\g<0>]", str(file))) for file in files) + "]"
