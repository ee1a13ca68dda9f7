"""Add a landing to an Iceberg table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict, cast
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

from airflow_provider_predictions.api.wording import counted
from airflow_provider_predictions.operators.arguments import (
    IcebergCatalog,
    IcebergManifest,
    IcebergTable,
    doubt_of_table,
    storage_path,
)
from airflow_provider_predictions.operators.lineage import dataset
from airflow_provider_predictions.operators.outlets import tell_outlets
from airflow_provider_predictions.storage.errors import extra
from airflow_provider_predictions.tasks.arguments import REQUIRED, ArgumentsTask, Templated, declare
from airflow_provider_predictions.tasks.retry import airflow_errors

if TYPE_CHECKING:
    from typing import Unpack

    from airflow.providers.openlineage.extractors import OperatorLineage
    from pyiceberg.table import Table

    from airflow_provider_predictions._compat import Ref
    from airflow_provider_predictions.iceberg.landing import CommittedLanding
    from airflow_provider_predictions.tasks.airflow_arguments import OtherArgs


class IcebergCommit(TypedDict):
    """Where a landing is in the table.

    DuckDB, Polars, BigQuery and Snowflake can read the table by its ``metadata_location``. This, ``location``
    and ``snapshot_id`` are None if the landing holds no rows and there is no table. ``count`` is the number
    of records in the landing, 0 if it holds no rows, and ``path`` its directory. ``added`` is False if the
    table had the landing before, or if the landing holds no rows.
    """

    table: str
    location: str | None
    metadata_location: str | None
    snapshot_id: int | None
    landing: str | None
    path: str | None
    service: str | None
    count: int
    added: bool


class PredictionsToIcebergOperator(ArgumentsTask):
    """Add a committed landing to an Iceberg table, exactly once.

    Makes the table if it is missing, partitioned by the day of creation in UTC, and adds columns that the
    landing has and the table lacks. The table has the columns of a landing in Parquet, whatever the format of
    the landing, and the column ``landing``, which is the same for all rows of a landing. A landing with
    ``shape="values"`` needs a table of its own. Needs the extra ``iceberg``.
    """

    arguments = declare(
        Templated(
            "manifest",
            "str | ObjectStoragePath | Mapping[str, Any] | Ref",
            IcebergManifest,
            "the output of a landing task, or the URL of a ``_manifest.json``",
            default=REQUIRED,
            needed="give the output of a landing task",
            example='"s3://aws_default@bucket/predictions/_manifest.json"',
        ),
        Templated(
            "table",
            "str | Ref",
            IcebergTable,
            "the table with its namespace. One table holds the predictions of one service",
            default=REQUIRED,
            needed="give a namespace and a name",
            example='"documents.invoices"',
        ),
        Templated(
            "catalog",
            "str | Mapping[str, Any] | Ref",
            IcebergCatalog,
            "the id of an Iceberg connection, or pyiceberg's own properties of a catalog. ``name`` among "
            "these is the name of the catalog, by default ``default``. Credentials belong into a connection",
            default=REQUIRED,
            needed="give the id of an Iceberg connection",
            example='{"type": "rest", "uri": "https://catalog.example.com"}',
            private=True,
        ),
    )
    _loaded: tuple[str, CommittedLanding, Table] | None = None

    def execute(self, context: Context) -> IcebergCommit:
        """Add the landing to the table, and return where the table is.

        :raises AirflowFailException: for what a retry cannot cure: a manifest that is not committed, a part
            that is not what its manifest says, a table that cannot take the landing, no such catalog.
        :raises TransientError: for what a retry may cure. It adds the landing once in any case.
        """
        with airflow_errors():
            given = self.rendered()
            if doubt := doubt_of_table(given.table):
                self.log.warning("table: %s holds %s", given.table, doubt)
            if isinstance(location := given.manifest, str):
                storage_path(location, "manifest")
            with extra("iceberg"):
                from airflow_provider_predictions.iceberg.load import add
            added, landing, table = add(given.manifest, given.table, given.catalog)
            facts = cast("IcebergCommit", added)
            if landing is None or table is None:
                return facts
            self._loaded = given.table, landing, table
            tell_outlets(context, self.outlets, table.location(), added)
        number = counted(facts["count"], "prediction")
        verb = "added to" if facts["added"] else "already in"
        self.log.info("%s of %s %s %s, snapshot %s", number, facts["path"], verb, given.table,
                      facts["snapshot_id"])  # fmt: skip
        return facts

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """What was read and written, for OpenLineage. None if nothing was."""
        return _facets(*self._loaded) if self._loaded else None

    if TYPE_CHECKING:  # written by scripts/signatures.py

        def __init__(
            self,
            *,
            manifest: str | ObjectStoragePath | Mapping[str, Any] | Ref,
            table: str | Ref,
            catalog: str | Mapping[str, Any] | Ref,
            **kwargs: Unpack[OtherArgs],
        ) -> None: ...


def _facets(name: str, landing: CommittedLanding, table: Table) -> OperatorLineage[Any, Any]:
    """The landing is read, the table written; a table is named by where it is, as by OpenLineage's Spark."""
    from airflow.providers.common.compat.openlineage import facet
    from airflow.providers.openlineage.extractors import OperatorLineage

    where = urlsplit(table.location())
    namespace = f"{where.scheme}://{where.netloc}" if where.netloc else where.scheme or "file"
    symlink = facet.Identifier(namespace=namespace, name=name, type="TABLE")
    statistics = facet.OutputStatisticsOutputDatasetFacet(rowCount=landing.rows)
    return OperatorLineage(
        inputs=[facet.InputDataset(*dataset(landing.root))],
        outputs=[
            facet.OutputDataset(
                namespace,
                where.path.lstrip("/") if where.netloc else where.path,
                facets={"symlinks": facet.SymlinksDatasetFacet(identifiers=[symlink])},
                outputFacets={"outputStatistics": statistics},
            )
        ],
    )
