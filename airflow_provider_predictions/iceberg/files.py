"""Write records as data files of one day each, as the table is partitioned, in constant memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from airflow_provider_predictions.api.errors import DamagedLandingError
from airflow_provider_predictions.api.limits import FILE_BYTES, GROUP_BYTES, MAX_GROUP_ROWS
from airflow_provider_predictions.iceberg.landing import CommittedLanding

if TYPE_CHECKING:
    from pyiceberg.table import Table

MARK = "landing"
"""The column that holds the mark of the landing."""
WRITTEN = (pa.string(), pa.float64(), pa.int32(), pa.timestamp("us", tz="UTC"))
"""The types of a landing's columns."""


def schema_of(landing: CommittedLanding, parts: list[Path]) -> pa.Schema:
    """The columns of a landing, the same in all of its parts.

    :param parts: its parts, in their order.
    :raises DamagedLandingError: if a column has a type that differs between parts or that landings do not
        have, if the creation time is missing, or if a part holds more or fewer rows than its manifest says.
    """
    if landing.manifest["format"] == "jsonl":
        return landing.form.schema
    fields: dict[str, tuple[pa.DataType, str]] = {
        field.name: (field.type, "landings") for field in landing.form.schema
    }
    found = {}
    for file, facts in zip(parts, landing.manifest["parts"], strict=True):
        footer = pq.read_metadata(file)
        rows = facts.get("rows", facts["count"])
        if footer.num_rows != rows:
            raise DamagedLandingError(
                f"manifest: {file.name} holds {footer.num_rows} rows, and the manifest says {rows}"
            )
        for field in footer.schema.to_arrow_schema():
            kind, where = fields.setdefault(field.name, (field.type, file.name))
            if field.type != kind or field.type not in WRITTEN:
                raise DamagedLandingError(
                    f"manifest: column {field.name} of {file.name} is {field.type}; in {where} it is {kind}. "
                    "A table has one type for a column. Land these records again"
                )
            found[field.name] = kind
    if (created := landing.form.created) not in found:
        raise DamagedLandingError(f"manifest: its parts have no column {created}. Land it again")
    return pa.schema(list(found.items()))


def batches(landing: CommittedLanding, part: Path, workspace: Path) -> Iterator[pa.RecordBatch]:
    """The rows of a part.

    :param workspace: a directory for temporary files.
    """
    made: list[Path] = []
    if landing.manifest["format"] == "jsonl":
        lines, rows = workspace / "lines", workspace / "rows.parquet"
        made = [lines, rows]
        _decompress(part, lines, landing.manifest["compression"])
        part = landing.form.convert(lines, rows)
    try:
        with pq.ParquetFile(part) as file:
            yield from file.iter_batches(MAX_GROUP_ROWS)
    finally:
        for file in made:
            file.unlink(missing_ok=True)


class Days:
    """Rows, each day in a file of this machine.

    The files are opened for each batch anew, so any number of days in any order costs no memory.

    :param created: the column whose day in UTC decides.
    """

    def __init__(self, directory: Path, created: str) -> None:
        self._directory = directory
        self._created = created
        self.rows: dict[date | None, int] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        created = batch.column(batch.schema.get_field_index(self._created))
        days = created.cast(pa.timestamp("us")).cast(pa.date32(), safe=False)
        for day in pc.unique(days):
            is_of_day = pc.equal(days, day) if day.is_valid else pc.is_null(days)
            self._append(day.as_py(), batch.filter(is_of_day))

    def read(self, day: date | None) -> Iterator[pa.RecordBatch]:
        """The rows of a day, in the order in which they were added. Removes its file."""
        path = self._file(day)
        with pa.OSFile(str(path)) as file:
            while file.tell() < file.size():
                yield from pa.ipc.open_stream(file)
        path.unlink()

    def _append(self, day: date | None, rows: pa.RecordBatch) -> None:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with (
            self._file(day).open("ab") as file,
            pa.ipc.new_stream(file, rows.schema, options=options) as stream,
        ):
            stream.write_batch(rows)
        self.rows[day] = self.rows.get(day, 0) + rows.num_rows

    def _file(self, day: date | None) -> Path:
        return self._directory / f"{day or 'unknown'}.arrow"


def write(
    table: Table, days: Days, directory: str, mark: str, locations: list[str], *, file_bytes: int = FILE_BYTES
) -> int:
    """Write the data files of a landing. The table does not know them yet.

    :param directory: under the table's data, of this attempt alone.
    :param locations: gets the location of each file before it is written.
    :param file_bytes: bytes as stored after which a day gets another file.
    :return: the number of rows in the files.
    """
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    schema, places = schema_to_pyarrow(table.schema()), table.location_provider()
    rows = 0
    for day in sorted(days.rows, key=str):
        groups = _groups(days.read(day))
        group = next(groups, None)
        while group is not None:
            name = f"{directory}/{day or 'unknown'}-{len(locations):05}.parquet"
            locations.append(places.new_data_location(name))
            with (
                table.io.new_output(locations[-1]).create() as out,
                pq.ParquetWriter(out, _columns(schema, group), compression="zstd") as writer,
            ):
                while group is not None:
                    writer.write_table(_fitted(group, mark, writer.schema))
                    rows += group.num_rows
                    group = next(groups, None)
                    if out.tell() >= file_bytes:
                        break
    return rows


def _groups(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Join small batches to row groups."""
    held: list[pa.RecordBatch] = []
    for batch in rows:
        held.append(batch)
        if sum(each.nbytes for each in held) >= GROUP_BYTES:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


def _columns(schema: pa.Schema, rows: pa.Table) -> pa.Schema:
    """The columns of the table that the rows have, with the ids that the table gives them."""
    return pa.schema([field for field in schema if field.name in (*rows.column_names, MARK)])


def _fitted(rows: pa.Table, mark: str, schema: pa.Schema) -> pa.Table:
    columns: list[Any] = [
        pa.repeat(pa.scalar(mark, field.type), rows.num_rows)
        if field.name == MARK
        else rows.column(field.name).cast(field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _decompress(part: Path, lines: Path, compression: str | None) -> None:
    with pa.input_stream(str(part), compression=compression) as plain, lines.open("wb") as out:
        shutil.copyfileobj(plain, out, 1 << 20)
