"""The commit: each landing once, whoever tries, however often, and whatever the catalog responds.

pyiceberg's own commit retries by itself when it is refused, so two attempts that both looked first commit
twice. If its last retry is refused, it deletes files that the commit may have made current. So pyiceberg
stages the updates, and this module commits them and looks for the landing after each failure. The commit
requires that the table's branch has not moved since that look.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyiceberg.exceptions import CommitFailedException, ForbiddenError, RESTError, UnauthorizedError
from pyiceberg.table.update import AssertTableUUID
from sqlalchemy.exc import DBAPIError

from airflow_provider_predictions.api.errors import ConflictError
from airflow_provider_predictions.api.limits import MAX_TABLE_COMMITS
from airflow_provider_predictions.iceberg.files import MARK

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
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
    if snapshot_of(table, mark):
        return True
    if MARK not in table.schema().column_names or not table.current_snapshot():
        return False
    # If it is not there, no file's statistics match, and none is read.
    found = table.scan(row_filter=f"{MARK} == '{mark}'", selected_fields=(MARK,), limit=1).to_arrow()
    return bool(found.num_rows)


def commit(
    catalog: Catalog, name: str, files: Sequence[str], mark: str, attempt: str, facts: dict[str, str]
) -> tuple[Table, bool]:
    """Add the data files of a landing to the table, unless it has the landing already.

    :param attempt: that wrote the files.
    :param facts: more properties of the snapshot.
    :return: the table afterwards, and whether this attempt has added the files.
    :raises ConflictError: if the outcome is unknown, or others commit all the time.
    """
    failure: Exception | None = None
    for turn in range(MAX_TABLE_COMMITS + 1):
        table = catalog.load_table(name)
        snapshot = snapshot_of(table, mark)
        if snapshot and snapshot.summary and snapshot.summary.additional_properties.get(ATTEMPT) == attempt:
            return table, True
        if snapshot or holds(table, mark):
            remove(table, files)
            return table, False
        if turn == MAX_TABLE_COMMITS:
            break
        try:
            _try(catalog, table, files, {LANDING: mark, ATTEMPT: attempt, **facts})
        except (UnauthorizedError, ForbiddenError):
            raise
        except (CommitFailedException, RESTError, OSError, DBAPIError) as error:
            failure = error
            log.info("The commit to %s failed (%s); checking in the table whether it was applied", name,
                     type(error).__name__)  # fmt: skip
            time.sleep(FIRST_WAIT * 2**turn * random.uniform(0.5, 1))
    raise ConflictError(
        f"table: {name} accepted no commit in {MAX_TABLE_COMMITS} attempts ({type(failure).__name__}). "
        "A retry checks whether one of them succeeded, and adds the landing once"
    )


def _try(catalog: Catalog, table: Table, files: Sequence[str], properties: dict[str, str]) -> None:
    """Stage a commit, and hand it to the catalog once."""
    transaction = table.transaction()
    # The files are of this attempt alone, so no manifest needs to be searched for them.
    transaction.add_files(list(files), snapshot_properties=properties, check_duplicate_files=False)
    is_same = AssertTableUUID(uuid=table.metadata.table_uuid)
    catalog.commit_table(table, (is_same, *transaction._requirements), transaction._updates)


def remove(table: Table, files: Sequence[str]) -> None:
    """Remove data files of this attempt that no commit can name."""
    for file in files:
        try:
            table.io.delete(file)
        except Exception as error:
            log.warning("Cannot remove %s, which no table needs: %s", file, type(error).__name__)
