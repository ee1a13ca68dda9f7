"""A landing goes into a table: checked on this machine first, written then, committed last."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from airflow_provider_predictions.api.errors import DamagedLandingError
from airflow_provider_predictions.iceberg.commit import commit, holds, remove
from airflow_provider_predictions.iceberg.errors import explained
from airflow_provider_predictions.iceberg.files import Days, batches, schema_of, write
from airflow_provider_predictions.iceberg.landing import CommittedLanding
from airflow_provider_predictions.iceberg.table import check_fits, find, make, widened
from airflow_provider_predictions.storage.errors import worker_disk

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

log = logging.getLogger(__name__)


def load(catalog: Catalog, name: str, landing: CommittedLanding, workspace: Path) -> tuple[Table, bool]:
    """Add a landing to a table, unless the table has it.

    :param name: of the table, with its namespace.
    :param workspace: an empty directory; it takes the landing's parts and as much again.
    :return: the table, and whether this call has added the landing.
    :raises ConfigurationError: where the table cannot take the landing; nothing is written.
    :raises DamagedLandingError: where the landing is not what its manifest says; nothing is written.
    :raises ConflictError: where others commit all the time.
    """
    service, created = landing.manifest["service"], landing.created
    with explained(f"read the table {name}"):
        table = find(catalog, name, service, created)
        if table and holds(table, landing.mark):
            log.info("The table %s has this landing already", name)
            return table, False
    with worker_disk():
        days, schema = _spooled(landing, table, name, workspace)
    with explained(f"make or widen the table {name}"):
        table = table or make(catalog, name, service, created, schema)
        table = widened(catalog, table, name, schema)
    return _written(catalog, table, name, landing, days)


def _spooled(
    landing: CommittedLanding, table: Table | None, name: str, workspace: Path
) -> tuple[Days, pa.Schema]:
    """All rows of a landing on this machine, by day, once all parts are what the manifest says."""
    directories = [workspace / each for each in ("parts", "days")]
    for directory in directories:
        directory.mkdir()
    parts = landing.fetch(directories[0])
    schema = schema_of(landing, parts)
    if table:
        check_fits(table, name, schema)
    days = Days(directories[1], landing.created)
    for part in parts:
        for batch in batches(landing, part, workspace):
            days.add(batch)
        part.unlink()
    _compare(sum(days.rows.values()), landing)
    return days, schema


def _written(
    catalog: Catalog, table: Table, name: str, landing: CommittedLanding, days: Days
) -> tuple[Table, bool]:
    """Write the data files under names that no other attempt has, and commit them."""
    attempt, mark = uuid4().hex, landing.mark
    files: list[str] = []
    with explained(f"write to {table.location()}"):
        try:
            _compare(write(table, days, f"{mark[:16]}/{attempt}", mark, files), landing)
        except Exception:
            remove(table, files)
            raise
    facts = {
        "predictions.rows": str(landing.manifest["count"]),
        "predictions.path": landing.manifest["path"],
        "predictions.generation": str(landing.manifest["generation"]),
    }
    with explained(f"commit to {name}"):
        return commit(catalog, name, files, mark, attempt, facts)


def _compare(rows: int, landing: CommittedLanding) -> None:
    """Refuse rows that are fewer or more than the manifest says."""
    if rows != landing.manifest["count"]:
        raise DamagedLandingError(
            f"manifest: its parts hold {rows} rows, and it says {landing.manifest['count']}. Nothing is "
            "committed; land these records again"
        )
