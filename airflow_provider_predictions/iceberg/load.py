"""Add a landing to a table: check it on this machine, write data files, commit."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from pyiceberg.catalog import Catalog, MetastoreCatalog, load_catalog

from airflow_provider_predictions.api.coercion import short_conn_id
from airflow_provider_predictions.api.errors import ConfigurationError, DamagedLandingError
from airflow_provider_predictions.iceberg.commit import commit, holds, remove, snapshot_of
from airflow_provider_predictions.iceberg.errors import catalog_errors
from airflow_provider_predictions.iceberg.files import Days, batches, schema_of, write
from airflow_provider_predictions.iceberg.landing import CommittedLanding, committed
from airflow_provider_predictions.iceberg.table import check_fits, existing, find_table, make, widened
from airflow_provider_predictions.storage.errors import extra, worker_disk

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import Table

log = logging.getLogger(__name__)


def add(
    manifest: object, name: str, catalog: str | Mapping[str, Any]
) -> tuple[dict[str, Any], CommittedLanding | None, Table | None]:
    """Add the landing of a manifest to a table, exactly once.

    :param manifest: the manifest, or the URL of one.
    :param name: of the table, with its namespace.
    :param catalog: the id of an Iceberg connection, or pyiceberg's properties.
    :return: an ``IcebergCommit``; the landing, None if it holds no rows; and the table, None if there is
        none.
    :raises ConfigurationError: if the table cannot take the landing; nothing is written.
    :raises DamagedLandingError: if the landing is not what its manifest says; nothing is written.
    :raises ConflictError: if others commit all the time.
    """
    landing, opened, added = committed(manifest), _opened(catalog), False
    if landing is None:
        log.info("The landing holds no rows; there is nothing to add to %s", name)
        table = existing(opened, name)
    else:
        if not landing.manifest["consistent"]:
            log.warning(
                "It cannot be proven that no record is missing: %s", landing.manifest["inconsistency"]
            )
        with tempfile.TemporaryDirectory(prefix="predictions-iceberg-") as workspace:
            table, added = _load(opened, name, landing, Path(workspace))
    snapshot = snapshot_of(table, landing.mark) if table and landing else None
    facts = {
        "table": name,
        "location": table.location() if table else None,
        "metadata_location": table.metadata_location if table else None,
        "snapshot_id": snapshot.snapshot_id if snapshot else None,
        "landing": landing.mark if landing else None,
        "path": landing.manifest["path"] if landing else None,
        "service": landing.manifest["service"] if landing else None,
        "count": landing.manifest["count"] if landing else 0,
        "added": added,
    }
    return facts, landing, table


def _opened(catalog: str | Mapping[str, Any]) -> Catalog:
    with catalog_errors("be opened"):
        if isinstance(catalog, str):
            with extra("iceberg"):
                from airflow.providers.apache.iceberg.hooks.iceberg import IcebergHook
            try:
                hook = IcebergHook(catalog)
                found = hook.get_connection(catalog).conn_type
                if found and found != hook.conn_type:  # its credentials would go to a catalog
                    raise ConfigurationError(
                        f"catalog: {short_conn_id(catalog)} is a connection of the type {found}; give one of "
                        f"the type {hook.conn_type}"
                    )
                return _checked(hook.catalog)
            except AirflowNotFoundException:
                raise ConfigurationError(
                    f"catalog: there is no connection {short_conn_id(catalog)}"
                ) from None
        properties = {key: str(value) for key, value in catalog.items()}
        return _checked(load_catalog(properties.pop("name", "default"), **properties))


def _checked(catalog: Catalog) -> Catalog:
    """Refuse a warehouse that no other reader finds, nor this task from another directory."""
    warehouse = str(catalog.properties.get("warehouse") or "")
    where = urlsplit(warehouse)
    if where.scheme in ("s3", "s3a", "gs") and "@" in where.netloc:
        raise ConfigurationError(
            f"catalog: its warehouse names a connection before {where.hostname}. Give {where.scheme}://bucket/"
            "path. Credentials are properties of the catalog"
        )
    # A REST catalog takes a name.
    is_path = isinstance(catalog, MetastoreCatalog) and where.scheme in ("", "file")
    if is_path and warehouse and (where.netloc or not where.path.startswith("/")):
        raise ConfigurationError(
            f"catalog: its warehouse {warehouse} is relative. Give file:///absolute/path"
        )
    return catalog


def _load(catalog: Catalog, name: str, landing: CommittedLanding, workspace: Path) -> tuple[Table, bool]:
    """Add a landing, unless the table has it.

    :param workspace: an empty directory. It takes the landing's parts and as much again.
    :return: the table, and whether this call has added the landing.
    """
    with catalog_errors(f"read the table {name}"):
        table = find_table(catalog, name, landing)
        if table and holds(table, landing.mark):
            log.info("The table %s already has this landing", name)
            return table, False
    with worker_disk():
        days, schema = _spooled(landing, table, name, workspace)
    with catalog_errors(f"make or widen the table {name}"):
        table = table or make(catalog, name, landing, schema)
        table = widened(catalog, table, name, schema)
    return _written(catalog, table, name, landing, days)


def _spooled(
    landing: CommittedLanding, table: Table | None, name: str, workspace: Path
) -> tuple[Days, pa.Schema]:
    """Copy all rows of a landing to this machine, by day, and check them against the manifest."""
    directories = [workspace / each for each in ("parts", "days")]
    for directory in directories:
        directory.mkdir()
    parts = [landing.fetch(part, directories[0], "manifest") for part in landing.manifest["parts"]]
    schema = schema_of(landing, parts)
    if table:
        check_fits(table, name, schema)
    days = Days(directories[1], landing.form.created)
    for part in parts:
        for batch in batches(landing, part, workspace):
            days.add(batch)
        part.unlink()
    _compare(sum(days.rows.values()), landing)
    return days, schema


def _written(
    catalog: Catalog, table: Table, name: str, landing: CommittedLanding, days: Days
) -> tuple[Table, bool]:
    """Write the data files under names of this attempt alone, and commit them."""
    attempt, mark = uuid4().hex, landing.mark
    files: list[str] = []
    with catalog_errors(f"write to {table.location()}"):
        try:
            _compare(write(table, days, f"{mark[:16]}/{attempt}", mark, files), landing)
        except Exception:
            remove(table, files)
            raise
    facts = {
        "predictions.rows": str(landing.rows),
        "predictions.path": landing.manifest["path"],
        "predictions.generation": str(landing.manifest["generation"]),
    }
    with catalog_errors(f"commit to {name}"):
        return commit(catalog, name, table, files, mark, attempt, facts)


def _compare(rows: int, landing: CommittedLanding) -> None:
    """Refuse fewer or more rows than the manifest says."""
    if rows != landing.rows:
        raise DamagedLandingError(
            f"manifest: its parts hold {rows} rows, and it says {landing.rows}. Nothing is committed; land "
            "these records again"
        )
