"""What others learn of a landing: OpenLineage, and the link to the manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import (
    BaseOperatorLink,
    Context,
    ObjectStoragePath,
    XCom,
)

from airflow_provider_predictions._compat import AIRFLOW_V_3_0_PLUS
from airflow_provider_predictions.storage.console import bucket_of, console_url
from airflow_provider_predictions.storage.manifest import Manifest

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

CONSOLE = "console_url"
"""The attribute of the task, and the key in XCom, which Airflow 2 reads."""


class ConsoleLink(BaseOperatorLink):
    """A link from the task to what it has written, where the storage has a console."""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """What ``tell_link`` has noted; empty where the storage has no console.

        :param operator: the task.
        :param ti_key: which run of it.
        """
        # Airflow 3 asks in the process of the task, where reading an XCom that is missing logs an error.
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


def tell_link(task: Any, context: Context, target: ObjectStoragePath) -> None:
    """Note where a person can look at an object.

    :param task: the operator.
    """
    url, ti = console_url(target), context.get("ti")
    setattr(task, CONSOLE, url)
    if url and ti and not AIRFLOW_V_3_0_PLUS:
        ti.xcom_push(CONSOLE, url)


def facets(base_url: str, manifest: Manifest) -> OperatorLineage[Any, Any]:
    """A landing in OpenLineage's terms: the service's list is read, a dataset is written.

    :param base_url: of the service.
    """
    from airflow.providers.common.compat.openlineage.facet import (
        InputDataset,
        OutputDataset,
        OutputStatisticsOutputDatasetFacet,
    )
    from airflow.providers.openlineage.extractors import OperatorLineage

    service = urlsplit(base_url)
    statistics = OutputStatisticsOutputDatasetFacet(
        rowCount=manifest["count"],
        size=sum(part["bytes"] for part in manifest["parts"]),
        fileCount=len(manifest["parts"]),
    )
    namespace, name = dataset(ObjectStoragePath(manifest["path"]))
    return OperatorLineage(
        inputs=[InputDataset(f"{service.scheme}://{service.netloc}", f"{service.path}/predictions")],
        outputs=[OutputDataset(namespace, name, outputFacets={"outputStatistics": statistics})],
    )


def dataset(path: ObjectStoragePath) -> tuple[str, str]:
    """How OpenLineage names a directory: https://openlineage.io/docs/spec/naming."""
    if path.protocol in ("", "file", "local"):
        return "file", path.path
    host = bucket_of(path)
    if path.protocol in ("abfs", "abfss", "adl"):
        host = f"{host}@{path.fs.account_name}.dfs.core.windows.net"
    scheme = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfs": "abfss", "adl": "abfss"}.get(
        path.protocol, path.protocol
    )
    return f"{scheme}://{host}", path.key
