"""What the asset events of a task carry, for every kind of outlet."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import Asset, AssetAlias, Context

from airflow_provider_predictions._compat import AIRFLOW_V_3_3_PLUS, AssetRef
from airflow_provider_predictions.api.coercion import words
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.limits import MAX_KEY_LENGTH
from airflow_provider_predictions.api.wording import printable
from airflow_provider_predictions.tasks.airflow_arguments import items
from airflow_provider_predictions.tasks.references import is_reference


def check_partitions(keys: Any, outlets: Any) -> None:
    """Refuse partition keys that no asset event can have. References are checked when the task runs.

    :raises ConfigurationError: naming the argument that is wrong.
    """
    found_keys = () if is_reference(keys) else words(keys) or ()
    if (found_keys or is_reference(keys)) and not is_reference(outlets):
        if not AIRFLOW_V_3_3_PLUS:
            raise ConfigurationError("partition_keys: needs Airflow 3.3 or newer")
        found = items(outlets)
        if alias := next((outlet for outlet in found if isinstance(outlet, AssetAlias)), None):
            raise ConfigurationError(
                f"partition_keys: Airflow gives the events of an alias no partitions, and outlets holds the "
                f"alias '{printable(alias.name)}'. Give an Asset or Asset.ref(...) instead"
            )
        if not any(isinstance(outlet, Asset | AssetRef) for outlet in found):
            raise ConfigurationError("partition_keys: needs an asset in outlets, whose partitions they are")
    for key in found_keys:
        if len(key) > MAX_KEY_LENGTH:  # Airflow would refuse it only after the commit
            raise ConfigurationError(
                f"partition_keys: '{printable(key)}' has {len(key)} characters; "
                f"Airflow takes {MAX_KEY_LENGTH}"
            )


def tell_outlets(
    context: Context,
    outlets: Iterable[object],
    path: str,
    facts: dict[str, Any],
    partition_keys: Collection[str] = (),
) -> None:
    """Put facts into the events of a task's outlets.

    :param path: what was written. An alias gets an event for this asset.
    :param partition_keys: one event for each of these partitions; empty for one event of the whole asset.
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
    """The URL of a path, without the Airflow connection in it."""
    parts = urlsplit(path)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
