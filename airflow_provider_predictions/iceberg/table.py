"""Make and check the table of a service's predictions, and add columns that a landing has and it lacks."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import pyarrow as pa
import pyiceberg
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
    ValidationError,
)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import SUPPORTED_TABLE_FORMAT_VERSION
from pyiceberg.transforms import DayTransform, MonthTransform, VoidTransform, YearTransform
from pyiceberg.types import DoubleType, IntegerType, NestedField, PrimitiveType, StringType, TimestamptzType
from sqlalchemy.exc import IntegrityError

from airflow_provider_predictions.api.errors import ConfigurationError, ConflictError
from airflow_provider_predictions.api.limits import MAX_TABLE_COMMITS
from airflow_provider_predictions.iceberg.files import MARK
from airflow_provider_predictions.storage.formats.base import RECORDS

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

    from airflow_provider_predictions.iceberg.landing import CommittedLanding

log = logging.getLogger(__name__)

SERVICE = "predictions.service"
"""The property of a table that says whose predictions it holds."""
SHAPE = "predictions.shape"
"""The property of a table that says what its rows are. One without it holds records."""
_TYPES: dict[pa.DataType, PrimitiveType] = {
    pa.string(): StringType(),
    pa.float64(): DoubleType(),
    pa.int32(): IntegerType(),
    pa.timestamp("us", tz="UTC"): TimestamptzType(),
}
_COARSE = (DayTransform, MonthTransform, YearTransform, VoidTransform)
"""Partitions that each hold whole days."""


def existing(catalog: Catalog, name: str) -> Table | None:
    """The table, whatever it holds. None if there is none."""
    # Not `create_table_if_not_exists`: it writes metadata for a table that exists.
    with suppress(NoSuchTableError, NoSuchNamespaceError):
        return catalog.load_table(name)
    return None


def find_table(catalog: Catalog, name: str, landing: CommittedLanding) -> Table | None:
    """The table for a landing. None if there is none.

    :raises ConfigurationError: if it has another owner, holds rows of another shape, has a format that
        pyiceberg does not write, or is not partitioned by time.
    """
    service, shape = landing.manifest["service"], landing.shape
    table = existing(catalog, name)
    if table is None:
        return None
    owner = table.properties.get(SERVICE)
    if owner != service:
        whose = f"holds predictions of {owner}" if owner else "was not made for predictions"
        raise ConfigurationError(
            f"table: {name} {whose}. Name another table for {service}, or, if this one is meant, set its "
            f"property {SERVICE} to {service}"
        )
    if (held := table.properties.get(SHAPE, RECORDS)) != shape:
        raise ConfigurationError(f"table: {name} holds {held}, and the landing {shape}. Name another table")
    if (version := table.metadata.format_version) > SUPPORTED_TABLE_FORMAT_VERSION:
        raise ConfigurationError(
            f"table: {name} has the format version {version}, and pyiceberg {pyiceberg.__version__} writes "
            f"up to {SUPPORTED_TABLE_FORMAT_VERSION}. Name another table, or install one that writes it"
        )
    _check_partitions(table, name, landing.form.created)
    return table


def check_fits(table: Table, name: str, schema: pa.Schema) -> None:
    """Refuse a landing whose columns the table cannot take.

    :raises ConfigurationError: naming the first column of another type.
    """
    held = {field.name: field for field in table.schema().fields}
    by_lower = {column.lower(): column for column in held}
    for field in _with_mark(schema):
        if field.name not in held and (other := by_lower.get(field.name.lower())):
            raise ConfigurationError(
                f"table: column {other} of {name} differs from {field.name} of the landing only in case. "
                "Most engines treat these as one column; name another table, or rename the column"
            )
        found = held.pop(field.name, None)
        if found and found.field_type != _TYPES[field.type]:
            raise ConfigurationError(
                f"table: column {field.name} of {name} is {found.field_type}, and the landing has "
                f"{_TYPES[field.type]}. A table keeps the type of a column; name another table"
            )
        if found and found.required:
            raise ConfigurationError(
                f"table: column {field.name} of {name} is required, and a record may lack it. "
                "Make the column optional"
            )
    required = [field.name for field in held.values() if field.required]
    if required:
        raise ConfigurationError(
            f"table: {name} requires column {required[0]}, which the landing lacks. Make it optional"
        )


def make(catalog: Catalog, name: str, landing: CommittedLanding, schema: pa.Schema) -> Table:
    """Make the table for a landing, or find the one that another attempt has just made.

    :raises ConfigurationError: if somebody else has made another table.
    """
    columns, created = _iceberg(_with_mark(schema)), landing.form.created
    day = PartitionField(columns.find_field(created).field_id, 1000, DayTransform(), f"{created}_day")
    # If two attempts make the namespace at once, one meets an error of the catalog's database.
    with suppress(NamespaceAlreadyExistsError, IntegrityError):
        catalog.create_namespace_if_not_exists(name.rpartition(".")[0])
    with suppress(TableAlreadyExistsError, IntegrityError):
        # Without merging, a manifest for each run of some years makes every plan slow.
        properties = {"commit.manifest-merge.enabled": "true", SERVICE: landing.manifest["service"]}
        if landing.shape != RECORDS:
            properties[SHAPE] = landing.shape
        table = catalog.create_table(name, columns, partition_spec=PartitionSpec(day), properties=properties)
        log.info("Created the table %s in %s", name, table.location())
        return table
    table_of_other = find_table(catalog, name, landing)
    if table_of_other is None:
        raise ConflictError(f"table: {name} was removed while it was created; a retry creates it")
    check_fits(table_of_other, name, schema)
    return table_of_other


def widened(catalog: Catalog, table: Table, name: str, schema: pa.Schema) -> Table:
    """Add the columns of a landing that the table lacks. No column is removed, renamed or retyped.

    :raises ConflictError: if others change the schema all the time.
    """
    for _ in range(MAX_TABLE_COMMITS):
        missing = [
            field.name for field in _with_mark(schema) if field.name not in table.schema().column_names
        ]
        if not missing:
            return table
        # Before the files are written: they hold the ids that the columns get here.
        with suppress(CommitFailedException), table.update_schema() as update:
            update.union_by_name(_iceberg(_with_mark(schema)))
            log.info("The table %s gets the columns %s", name, ", ".join(missing))
        table = catalog.load_table(name)
        check_fits(table, name, schema)
    raise ConflictError(f"table: others keep changing the schema of {name}; a retry may succeed")


def _with_mark(schema: pa.Schema) -> pa.Schema:
    return schema.append(pa.field(MARK, pa.string()))


def _iceberg(schema: pa.Schema) -> Schema:
    """The columns as an Iceberg schema. The numbers hold for a new table only."""
    return Schema(
        *(
            NestedField(number, field.name, _TYPES[field.type], required=False)
            for number, field in enumerate(schema, 1)
        )
    )


def _check_partitions(table: Table, name: str, created: str) -> None:
    with suppress(ValueError, ValidationError):
        own = table.schema().find_field(created).field_id
        if all(f.source_id == own and isinstance(f.transform, _COARSE) for f in table.spec().fields):
            return
    raise ConfigurationError(
        f"table: {name} is partitioned by something other than the day, month or year of {created}. "
        "Name another table"
    )
