"""Landings, catalogs on this machine, and tables to look into."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.table import Table

from airflow_provider_predictions.operators.iceberg import (
    IcebergCommit,
    PredictionsToIcebergOperator,
)
from tests.iceberg.rest import RestCatalog
from tests.report.landed import land

TABLE = "documents.predictions"
END = datetime(2026, 11, 5, tzinfo=UTC)


@dataclass
class Catalog:
    """A catalog, and what is done with its table."""

    properties: dict[str, str]

    def add(self, manifest: Any, table: str = TABLE, **arguments: Any) -> IcebergCommit:
        """Add a landing as a task does."""
        given = {"manifest": manifest, "table": table, "catalog": self.properties} | arguments
        return PredictionsToIcebergOperator(task_id="add", **given).execute({})

    def load(self, table: str = TABLE) -> Table:
        """The table as others see it."""
        return load_catalog("default", **self.properties).load_table(table)

    def rows(self, table: str = TABLE) -> list[dict[str, Any]]:
        """What the table holds."""
        found: list[dict[str, Any]] = self.load(table).scan().to_arrow().to_pylist()
        return found


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """A catalog in SQLite, and its warehouse, with nothing in them."""
    uri, warehouse = f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/warehouse"
    return Catalog({"type": "sql", "uri": uri, "warehouse": warehouse})


@pytest.fixture
def rest(tmp_path: Path) -> Iterator[RestCatalog]:
    """A REST catalog, to be told what to do with commits."""
    with RestCatalog(tmp_path) as server:
        yield server


@pytest.fixture
def remote(rest: RestCatalog) -> Catalog:
    """What is done with the table of the REST catalog."""
    return Catalog({"type": "rest", "uri": rest.url})


@pytest.fixture
def landed(tmp_path: Path) -> Callable[..., Any]:
    """Land records of VLM Run: by default forty, on each of four days, two in a part."""

    def landed(records: list[bytes] | None = None, name: str = "landed", **arguments: Any) -> Any:
        given = {"service_name": "vlmrun", "records_per_part": 12} | arguments
        return land(path=tmp_path / name, records=some() if records is None else records, **given)

    return landed


def some(count: int = 40, first: int = 0, **members: Any) -> list[bytes]:
    """Records of VLM Run, on four days in turn."""
    return [
        json.dumps(
            {
                "id": f"p-{first + number}",
                "status": "completed",
                "created_at": (END - timedelta(days=number % 4, hours=1)).replace(tzinfo=None).isoformat(),
                "domain": "document.invoice",
                "response": {"total": number},
            }
            | members
        ).encode()
        for number in range(count)
    ]
