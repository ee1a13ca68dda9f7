"""The commit: each landing once, whoever tries, however often, and whatever the catalog responds.

pyiceberg's own commit retries by itself when it is refused, so two attempts that both looked first commit
twice. If its last retry is refused, it deletes files that the commit may have made current. So pyiceberg
stages the updates, and this module commits them and looks for the landing after each failure. The commit
requires that the table's branch, columns and partitions are still those of that look.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pyiceberg.exceptions import (
    CommitFailedException,
    ForbiddenError,
    NoSuchTableError,
    RESTError,
    UnauthorizedError,
)
from pyiceberg.expressions import EqualTo, Reference
from pyiceberg.expressions.literals import literal
from pyiceberg.table.update import AssertCurrentSchemaId, AssertDefaultSpecId, AssertTableUUID
from pyiceberg.types import StringType
from sqlalchemy.exc import DBAPIError

from airflow_provider_predictions.api.errors import ConflictError
from airflow_provider_predictions.api.limits import MAX_TABLE_COMMITS
from airflow_provider_predictions.iceberg.files import MARK
from airflow_provider_predictions.iceberg.table import existing

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import DataScan, Table
    from pyiceberg.table.snapshots import Snapshot

log = logging.getLogger(__name__)

LANDING = "predictions.landing"
ATTEMPT = "predictions.attempt"
"""Properties of a snapshot: the landing that it has added, and the attempt that did so."""
FIRST_WAIT = 0.1
"""Seconds after the first failure, doubled after each."""


def snapshot_of(table: Table, mark: str) -> Snapshot | None:
    """The snapshot that added a landing to the current table. One that was rolled back does not count."""
    snapshot = table.current_snapshot()
    while snapshot and (not snapshot.summary or snapshot.summary.additional_properties.get(LANDING) != mark):
        parent = snapshot.parent_snapshot_id
        snapshot = table.metadata.snapshot_by_id(parent) if parent else None
    return snapshot


def holds(table: Table, mark: str) -> bool:
    """Whether the table has a landing, even if the snapshot that added it has expired."""
    # If it is not there, no file's statistics match, and none is read.
    return bool(snapshot_of(table, mark)) or any(
        scan.to_arrow().num_rows for scan in _scans(table, mark, limit=1)
    )


def _scans(table: Table, mark: str, limit: int | None = None) -> Iterator[DataScan]:
    """Look for the rows of a landing in each column that was made for marks, whatever its name is now."""
    if table.current_snapshot() is None:
        return
    made = {
        field.field_id
        for schema in table.schemas().values()
        for field in schema.fields
        if field.name == MARK and field.field_type == StringType()
    }
    for field in table.schema().fields:
        if field.field_id in made:
            filtered = EqualTo(term=Reference(field.name), value=literal(mark))
            yield table.scan(row_filter=filtered, selected_fields=(field.name,), limit=limit)


def commit(
    catalog: Catalog,
    name: str,
    written: Table,
    files: Sequence[str],
    mark: str,
    attempt: str,
    facts: dict[str, str],
) -> tuple[Table, bool]:
    """Add the data files of a landing to the table, unless it has the landing already.

    :param written: the table as it was when the files were written.
    :param attempt: that wrote the files.
    :param facts: more properties of the snapshot.
    :return: the table afterwards, and whether this attempt has added the files.
    :raises ConflictError: if the outcome is unknown, others commit all the time, or the table is not the one
        that the files were written for.
    """
    failure: Exception | None = None
    for turn in range(MAX_TABLE_COMMITS + 1):
        table = existing(catalog, name)
        if table is None or not _suits(table, written):
            if not turn:
                remove(written, files)
            raise ConflictError(
                f"table: {name} was dropped or changed while the landing was written for it. A retry adds "
                "the landing to the table as it is then"
            )
        snapshot = snapshot_of(table, mark)
        if snapshot and snapshot.summary and snapshot.summary.additional_properties.get(ATTEMPT) == attempt:
            return table, True
        if snapshot or holds(table, mark):
            # The snapshot of an earlier try may have expired since.
            is_own = bool(turn) and not snapshot and _names_any(table, mark, files)
            # What a try may have committed stays: others may have rewritten it, and older snapshots name it.
            if snapshot or not turn:
                remove(table, files)
            return table, is_own
        if turn == MAX_TABLE_COMMITS:
            break
        try:
            _try(catalog, table, files, {LANDING: mark, ATTEMPT: attempt, **facts})
        except (UnauthorizedError, ForbiddenError):
            raise
        except (CommitFailedException, NoSuchTableError, RESTError, OSError, DBAPIError) as error:
            failure = error
            log.info("The commit to %s failed (%s); checking in the table whether it was applied", name,
                     type(error).__name__)  # fmt: skip
            time.sleep(FIRST_WAIT * 2**turn * random.uniform(0.5, 1))
    raise ConflictError(
        f"table: {name} accepted no commit in {MAX_TABLE_COMMITS} attempts ({type(failure).__name__}). "
        "A retry checks whether one of them succeeded, and adds the landing once"
    )


def _suits(table: Table, written: Table) -> bool:
    """Whether files that were written for a table still fit: it has the same columns and partitions."""
    columns = {(field.name, field.field_id) for field in table.schema().fields}
    return (
        table.metadata.table_uuid == written.metadata.table_uuid
        and table.metadata.default_spec_id == written.metadata.default_spec_id
        and columns >= {(field.name, field.field_id) for field in written.schema().fields}
    )


def _names_any(table: Table, mark: str, files: Sequence[str]) -> bool:
    """Whether the current table names one of the data files of this attempt."""
    found = {task.file.file_path for scan in _scans(table, mark) for task in scan.plan_files()}
    return not found.isdisjoint(files)


def _try(catalog: Catalog, table: Table, files: Sequence[str], properties: dict[str, str]) -> None:
    """Stage a commit, and hand it to the catalog once."""
    transaction = table.transaction()
    # The files are of this attempt alone, so no manifest needs to be searched for them.
    transaction.add_files(list(files), snapshot_properties=properties, check_duplicate_files=False)
    metadata = table.metadata
    is_same = (
        AssertTableUUID(uuid=metadata.table_uuid),
        AssertCurrentSchemaId.model_validate({"current-schema-id": metadata.current_schema_id}),
        AssertDefaultSpecId.model_validate({"default-spec-id": metadata.default_spec_id}),
    )
    catalog.commit_table(table, (*is_same, *transaction._requirements), transaction._updates)


def remove(table: Table, files: Sequence[str]) -> None:
    """Remove data files of this attempt that no commit can name."""
    for file in files:
        try:
            table.io.delete(file)
        except Exception as error:
            log.warning("Cannot remove %s, which no table needs: %s", file, type(error).__name__)
