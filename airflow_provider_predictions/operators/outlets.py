"""What the events of a task's outlets carry, whatever kind of outlet it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import Asset, AssetAlias, Context

from airflow_provider_predictions._compat import AIRFLOW_V_3_3_PLUS, AssetRef
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.wording import shown
from airflow_provider_predictions.storage.manifest import Manifest
from airflow_provider_predictions.tasks.airflow_arguments import items

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
MAX_KEY_LENGTH = 250
"""Characters of a partition key that Airflow's database holds."""


def require_partitioned(outlets: object) -> None:
    """Refuse outlets that have no partitions.

    :raises ConfigurationError: naming the argument that is wrong.
    """
    if not AIRFLOW_V_3_3_PLUS:
        raise ConfigurationError("partition_keys: needs Airflow 3.3 or newer")
    found = items(outlets)
    for outlet in found:
        if isinstance(outlet, AssetAlias):
            raise ConfigurationError(
                f"partition_keys: Airflow gives the events of an alias no partitions, and outlets holds the "
                f"alias '{shown(outlet.name)}'. Give an Asset or Asset.ref(...) instead"
            )
    if not any(isinstance(outlet, Asset | AssetRef) for outlet in found):
        raise ConfigurationError("partition_keys: needs an asset in outlets, whose partitions they are")


def check_partition_keys(keys: Iterable[str]) -> None:
    """Refuse keys that Airflow would refuse after the commit.

    :raises ConfigurationError: for one that is too long.
    """
    for key in keys:
        if len(key) > MAX_KEY_LENGTH:
            raise ConfigurationError(
                f"partition_keys: '{shown(key)}' has {len(key)} characters; Airflow takes {MAX_KEY_LENGTH}"
            )


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
        elif isinstance(outlet, Asset | AssetRef):
            event = context["outlet_events"][outlet]
            event.extra = facts
            if partition_keys:
                event.add_partitions(list(partition_keys))


def identity(path: str) -> str:
    """The URL of what lies under a path, without the connection through which it is reached."""
    parts = urlsplit(path)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
