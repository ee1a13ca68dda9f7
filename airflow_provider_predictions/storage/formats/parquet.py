"""Records as Parquet: typed columns of the envelope, the rest as JSON text, one schema for all parts."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_predictions.api.json_slices import joined, members, value_or_text
from airflow_provider_predictions.api.limits import MAX_GROUP_ROWS
from airflow_provider_predictions.api.models import Column, as_time
from airflow_provider_predictions.storage.formats.base import Format

OTHER = "other"
"""The column of what has none of its own: a JSON object of the remaining members."""
_TYPES = {
    "text": pa.string(),
    "time": pa.timestamp("us", tz="UTC"),
    "number": pa.float64(),
    "json": pa.string(),
}
_FINER = re.compile(rb"\.[0-9]{6}0*[1-9]")
"""A time with more digits than its column holds. Its text is kept, too."""


class ParquetFormat(Format):
    """Rows of one schema."""

    name = "parquet"

    @property
    def suffix(self) -> str:
        return ".parquet"

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """The columns, the same in every part."""

    @property
    @abstractmethod
    def created(self) -> str:
        """The column of the creation time."""

    @abstractmethod
    def groups(self, lines: BinaryIO) -> Iterator[pa.Table]:
        """The rows of these lines, in tables that each become a row group."""

    @property
    def columns(self) -> list[tuple[str, str]]:
        return [(field.name, str(field.type)) for field in self.schema]

    def convert(self, lines: Path, target: Path) -> Path:
        # In a thread, for a new stack. Records may be as deep as the stack on which they were split allowed.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(self._convert, lines, target).result()

    def _convert(self, lines: Path, target: Path) -> Path:
        codec = self.compression or "none"
        with lines.open("rb") as source, pq.ParquetWriter(target, self.schema, compression=codec) as writer:
            for group in self.groups(source):
                writer.write_table(group)
        return target


class Parquet(ParquetFormat):
    """One row a record."""

    @property
    def schema(self) -> pa.Schema:
        columns = [(column.name, _TYPES[column.kind]) for column in self.service.columns]
        return pa.schema([*columns, (OTHER, pa.string())])

    @property
    def created(self) -> str:
        return next(column.name for column in self.service.columns if column.envelope == "created_at")

    def groups(self, lines: BinaryIO) -> Iterator[pa.Table]:
        while group := list(islice(lines, MAX_GROUP_ROWS)):
            rows = [self._row(line.rstrip(b"\n")) for line in group]
            yield pa.Table.from_pylist(rows, self.schema)

    def _row(self, raw: bytes) -> dict[str, Any]:
        envelope = self.service.row(raw)
        given = members(raw)
        row: dict[str, Any] = {}
        for column in self.service.columns:
            text = given.get(column.name, b"null")
            found = getattr(envelope, column.envelope) if column.envelope else _typed(column, text)
            row[column.name] = as_utf8(found)
            is_finer = column.kind == "time" and _FINER.search(text)
            if text == b"null" or (found is not None and not is_finer):
                given.pop(column.name, None)
        row[OTHER] = _text(joined(given)) if given else None
        return row


def _typed(column: Column, text: bytes) -> Any:
    """A member as its column holds it. None if it does not fit."""
    if text == b"null":
        return None
    if column.kind == "json":
        return _text(text)
    found = value_or_text(text)
    if column.kind == "time":
        return as_time(found)
    if column.kind == "number":
        return _exactly(found)
    return found if isinstance(found, str) and text.startswith(b'"') else None


def _exactly(found: Any) -> float | None:
    """A number as a double. None if a double cannot hold it exactly."""
    if isinstance(found, float):
        return found if math.isfinite(found) else None
    is_small = isinstance(found, int) and not isinstance(found, bool) and abs(found) <= 2**53
    return float(found) if is_small else None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def as_utf8(found: Any) -> Any:
    """Text that UTF-8 can hold."""
    return found.encode("utf-8", "backslashreplace").decode() if isinstance(found, str) else found
