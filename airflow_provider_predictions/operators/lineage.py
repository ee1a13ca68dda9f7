"""Landings and reports in OpenLineage, and the links from a task to what it wrote."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import BaseHook, BaseOperatorLink, Context, ObjectStoragePath, XCom

from airflow_provider_predictions._compat import AIRFLOW_V_3_0_PLUS
from airflow_provider_predictions.storage.console import console_url, plain_url
from airflow_provider_predictions.storage.formats.base import Format
from airflow_provider_predictions.storage.manifest import Manifest, rows_of

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

CONSOLE = "console_url"
"""The attribute of the task, and the XCom key that Airflow 2 reads."""


class ConsoleLink(BaseOperatorLink):
    """A link from the task to what it wrote, if the storage has a console."""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The URL that ``store_console_link`` stored; empty if the storage has no console."""
        # Airflow 3 asks in the task's process, where reading a missing XCom logs an error.
        if AIRFLOW_V_3_0_PLUS:
            return str(getattr(operator, CONSOLE, None) or "")
        try:
            return str(XCom.get_value(key=CONSOLE, ti_key=ti_key) or "")
        except Exception:
            return ""


class ManifestLink(ConsoleLink):
    """A link to the manifest of a landing."""

    name = "Manifest"


class ReportLink(ConsoleLink):
    """A link to the page of a report."""

    name = "Report"


def store_console_link(task: Any, context: Context, target: ObjectStoragePath) -> None:
    """Store the URL at which a person can look at an object."""
    url, ti = console_link(target), context.get("ti")
    setattr(task, CONSOLE, url)
    if url and ti and not AIRFLOW_V_3_0_PLUS:
        ti.xcom_push(CONSOLE, url)


def console_link(target: ObjectStoragePath) -> str | None:
    """The page of an object in its storage's console, as the extra ``console_url`` of the connection says."""
    template = ""
    if conn_id := urlsplit(str(target)).username:
        # A file system that is attached needs no connection, and a link fails no task.
        with suppress(Exception):
            template = str(BaseHook.get_connection(conn_id).extra_dejson.get("console_url") or "")
    return console_url(target, template)


def landing_facets(form: Format, path: ObjectStoragePath, manifest: Manifest) -> OperatorLineage[Any, Any]:
    """A landing: it reads the service's list and writes the dataset at ``path``.

    :param form: of the parts.
    :param path: what the landing task was given. All incremental landings under it are one dataset.
    """
    from airflow.providers.common.compat.openlineage import facet
    from airflow.providers.openlineage.extractors import OperatorLineage

    source = urlsplit(form.service.base_url)
    statistics = facet.OutputStatisticsOutputDatasetFacet(
        rowCount=rows_of(manifest),
        size=sum(part["bytes"] for part in manifest["parts"]),
        fileCount=len(manifest["parts"]),
    )
    columns = [facet.SchemaDatasetFacetFields(name, kind) for name, kind in form.columns]
    schema = facet.SchemaDatasetFacet(fields=columns)
    return OperatorLineage(
        inputs=[facet.InputDataset(f"{source.scheme}://{source.netloc}", f"{source.path}/predictions")],
        outputs=[
            facet.OutputDataset(
                *dataset(path), facets={"schema": schema}, outputFacets={"outputStatistics": statistics}
            )
        ],
    )


def report_facets(
    read: Iterable[ObjectStoragePath], page: ObjectStoragePath, size: int
) -> OperatorLineage[Any, Any]:
    """A report: it reads datasets that landing tasks wrote and writes a page.

    :param read: the paths of the landings.
    :param size: bytes of the page.
    """
    from airflow.providers.common.compat.openlineage import facet
    from airflow.providers.openlineage.extractors import OperatorLineage

    statistics = facet.OutputStatisticsOutputDatasetFacet(size=size, fileCount=1)
    return OperatorLineage(
        inputs=[facet.InputDataset(*found) for found in sorted(set(map(dataset, read)))],
        outputs=[facet.OutputDataset(*dataset(page), outputFacets={"outputStatistics": statistics})],
    )


def dataset(path: ObjectStoragePath) -> tuple[str, str]:
    """How OpenLineage names a directory: https://openlineage.io/docs/spec/naming."""
    url = plain_url(path)
    if url.startswith("/"):
        return "file", url
    scheme, _, rest = url.partition("://")
    host, _, key = rest.partition("/")
    return f"{scheme}://{host}", key
