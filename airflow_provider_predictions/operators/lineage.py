"""What others learn of a landing: asset events, OpenLineage, and the link to the manifest."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import (
    Asset,
    AssetAlias,
    BaseOperatorLink,
    Context,
    ObjectStoragePath,
    XCom,
)

from airflow_provider_predictions.storage.console import bucket_of, console_url
from airflow_provider_predictions.storage.manifest import Manifest

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

SMALL = (
    "path",
    "service",
    "format",
    "compression",
    "count",
    "statuses",
    "created_min",
    "created_max",
    "complete",
)
CONSOLE = "console_url"
"""The key in XCom."""


class ConsoleLink(BaseOperatorLink):
    """A link from the task to what it has written, where the storage has a console."""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """What ``tell_link`` has pushed; empty where the storage has no console.

        :param operator: the task.
        :param ti_key: which run of it.
        """
        return str(XCom.get_value(key=CONSOLE, ti_key=ti_key) or "")


class ManifestLink(ConsoleLink):
    """A link to the manifest of a landing."""

    name = "Manifest"


class ReportLink(ConsoleLink):
    """A link to the page of a report."""

    name = "Report"


def tell_link(context: Context, target: ObjectStoragePath) -> None:
    """Push where a person can look at an object."""
    url, ti = console_url(target), context.get("ti")
    if url and ti:
        ti.xcom_push(CONSOLE, url)


def tell_assets(
    context: Context, outlets: Iterable[object], manifest: Manifest, partition_keys: Collection[str]
) -> None:
    """Give the events of a task's outlets the small facts of a manifest.

    :param partition_keys: an event of each of these partitions; none for one event of the whole asset.
    """
    facts = {name: manifest[name] for name in SMALL}  # type: ignore[literal-required]
    tell_outlets(context, outlets, manifest["path"], facts, partition_keys)


def tell_outlets(
    context: Context,
    outlets: Iterable[object],
    path: str,
    facts: dict[str, Any],
    partition_keys: Collection[str] = (),
) -> None:
    """Give the events of a task's outlets what it has to say.

    :param path: what was written; of an alias, the event is of that.
    """
    for outlet in outlets:
        if isinstance(outlet, AssetAlias):
            context["outlet_events"][outlet].add(Asset(uri=identity(path)), extra=facts)
        elif isinstance(outlet, Asset):
            event = context["outlet_events"][outlet]
            event.extra = facts
            if partition_keys:
                event.add_partitions(list(partition_keys))


def identity(path: str) -> str:
    """The URL of what lies under a path, without the connection through which it is reached."""
    parts = urlsplit(path)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


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
