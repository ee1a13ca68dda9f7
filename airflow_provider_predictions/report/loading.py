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
from airflow_provider_predictions.report.sql import quoted, set_variables, statements
from airflow_provider_predictions.report.subjects import SUBJECTS, Subject
from airflow_provider_predictions.storage.landed import Landed
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
        if wrong := self._db.execute("FROM miscounted").fetchone():
            place, count, found = wrong
            directory, _, name = place.rpartition("/")
            raise DamagedLandingError(
                f"source: {directory} holds {found} records in {name}, and its manifest says {count}. "
                "Land it again"
            )

    def _load(self, parts: Sequence[Part]) -> None:
        """Read parts of one service and one format together."""
        first, self._read = self._read, self._read + len(parts)
        with ThreadPoolExecutor(2) as pool:
            files = list(pool.map(self._fetch, range(first, self._read), parts))
        self._db.executemany(
            "INSERT INTO part VALUES (?, ?, ?, ?)",
            [
                (first + at, f"{landed.path}/{file.name}", facts["count"], landed.committed)
                for at, (file, (landed, facts)) in enumerate(zip(files, parts, strict=True))
            ],
        )
        subject = SUBJECTS[parts[0][0].manifest["service"]]
        # DuckDB is to read no character of a path as a pattern.
        paths = [re.sub(r"[*?\[]", r"[\g<0>]", str(file)) for file in files]
        states = {state: sorted(statuses) for state, statuses in subject.states.items()}
        set_variables(self._db, files=paths, **states)
        root = self.group_by[0] if self.group_by else subject.member
        is_typed = files[0].suffix != ".parquet" and root not in subject.nested
        longest = self._insert(files, first, subject, root, is_typed=is_typed)
        if is_typed and self._is_odd(first, subject, longest):
            self._db.execute(f"DELETE FROM record WHERE part >= {first}")
            self._insert(files, first, subject, root, is_typed=False)
        shutil.rmtree(self.directory)

    def _is_odd(self, first: int, subject: Subject, longest: int) -> bool:
        """Whether records must be read as JSON to know their shape: typed, what is odd is NULL.

        :param longest: bytes of the longest record.
        """
        if not subject.lists:
            return False
        query = f"""SELECT bool_or(blanks > 0), bool_or(fields IS NULL AND state = 'succeeded')
            FROM record WHERE part >= {first}"""
        has_blanks, has_none = self._db.execute(query).fetchone() or (False, False)
        if has_blanks or not has_none:
            return bool(has_blanks)
        # Without values, NULL is what was sent. To read all as JSON would take several times as long.
        source = _json_source(dict.fromkeys(subject.lists, "JSON"), longest)
        odd = " OR ".join(f"json_type({quoted(name)}) NOT IN ('ARRAY', 'NULL')" for name in subject.lists)
        return self._db.execute(f"FROM {source} WHERE {odd} LIMIT 1").fetchone() is not None

    def _fetch(self, number: int, part: Part) -> Path:
        landed, facts = part
        directory = self.directory / str(number)
        directory.mkdir(parents=True)
        return landed.fetch(facts, directory, "source")

    def _insert(
        self, files: Sequence[Path], first: int, subject: Subject, root: str, *, is_typed: bool
    ) -> int:
        """Read files into the table ``record``.

        :param first: the number of the first one.
        :param root: the member that holds the group.
        :param is_typed: whether members with members of their own are read as such, and not as JSON.
        :return: bytes that no record of JSON Lines is longer than.
        """
        service, as_json = subject.service.name, [] if is_typed else subject.nested
        read = {root: "JSON", **subject.members, **dict.fromkeys(as_json, "JSON")}
        made = [f"{service}_{name}({name}) AS {name}" for name in as_json]
        columns = [*made, *(quoted(name) for name in subject.members if name not in as_json)]
        no_list = [f"NOT starts_with({name}, '[')" for name in as_json if name in subject.lists]
        empty = " AND ".join(f"{quoted(name)} IS NULL" for name in subject.members)
        for size in LONGEST_RECORDS:
            is_parquet = files[0].suffix == ".parquet"
            source = _parquet_source(subject, read) if is_parquet else _json_source(read, size)
            try:
                self._db.execute(f"""CREATE OR REPLACE TEMP VIEW raw AS SELECT file_index + {first} AS part,
                    {", ".join(columns)}, {self._group(root, read, subject)} AS "group", {empty} AS is_unread,
                    {" OR ".join(no_list) or "NULL"} AS has_no_list FROM {source}""")
                self._db.execute(statements(service))
                self._db.execute(f"""INSERT INTO record BY NAME SELECT
                    * REPLACE (spelled(status) AS status, spelled("group") AS "group"),
                    '{service}' AS service, state_of(status) AS state, age_of(created) AS age,
                    bucket_of(created) AS bucket FROM {service}_record()""")
                return size
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
    pointer = "".join(f"/{name.replace('~', '~0').replace('/', '~1')}" for name in names)
    return "'" + pointer.replace("'", "''") + "'"


def _json_source(members: Mapping[str, str], longest: int) -> str:
    """Select the members of records from parts in JSON Lines.

    :param longest: bytes of the longest record.
    """
    columns = ", ".join(f"{quoted(name)}: '{kind}'" for name, kind in members.items())
    return (
        "read_json(getvariable('files'), hive_partitioning = false, format = 'newline_delimited', "
        f"ignore_errors = true, maximum_object_size = {longest}, columns = {{{columns}}})"
    )


def _parquet_source(subject: Subject, members: Mapping[str, str]) -> str:
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
    return f"(SELECT {', '.join(found)} FROM read_parquet(getvariable('files'), hive_partitioning = false))"
