"""What a landing can be told, checked while the DAG is parsed."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePath
from typing import Any, Literal

from airflow.providers.common.compat.sdk import ObjectStoragePath
from pydantic import Field

from airflow_provider_predictions.api.arguments import Arguments, Filters, Lookback, Seconds, Words, words
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.incremental import Ledger
from airflow_provider_predictions.operators.outcome import OnEmpty
from airflow_provider_predictions.operators.outlets import check_outlets, check_partition_keys
from airflow_provider_predictions.storage.objects import is_local
from airflow_provider_predictions.tasks.base import check_arguments, is_template

MOST_PREFETCH = 32
NOT_INCREMENTAL = ("created_before", "max_predictions")


class LandingArguments(Arguments):
    """What a landing takes beside its path and its filters."""

    file_format: Literal["jsonl", "parquet"]
    compression: Literal[None, "gzip", "zstd"]
    records_per_part: int = Field(ge=1)
    prefetch: int = Field(ge=0, le=MOST_PREFETCH)
    incremental: bool
    max_age: Seconds | None
    lookback: Lookback
    max_rejected: int | None = Field(ge=0)
    partition_keys: Words | None
    on_empty: OnEmpty
    fetch_values: bool
    max_values_missing: int | None = Field(ge=0)


def check(task: Any) -> None:
    """Refuse what no landing can be told.

    :param task: the operator.
    :raises ConfigurationError: naming the argument that is wrong.
    """
    check_arguments(task, LandingArguments)
    if task.max_age is not None and not task.incremental:
        raise ConfigurationError("max_age: goes with incremental=True only")
    if task.max_values_missing is not None and not task.fetch_values:
        raise ConfigurationError("max_values_missing: goes with fetch_values=True only")
    for name in NOT_INCREMENTAL:
        if task.incremental and getattr(task, name) is not None:
            raise ConfigurationError(f"{name}: does not go with incremental, which keeps its own window")
    check_outlets(task.outlets, partitioned=bool(task.partition_keys))
    if not is_template(task.partition_keys):
        check_partition_keys(words(task.partition_keys) or ())
    if not is_template(task.path):
        path_of(task.path)


def narrowing(filters: Filters, ledger: Ledger | None) -> dict[str, Any]:
    """What narrows a landing, as its manifest says it; an incremental one takes finished predictions only."""
    given = filters.model_dump(mode="json", exclude={"page_size", "order"}, exclude_none=True)
    statuses: Collection[str] | None = filters.statuses
    if ledger:
        asked = ledger.terminal if ledger.statuses is None else ledger.statuses
        statuses = set(asked).intersection(ledger.terminal)
    return given | {"statuses": None if statuses is None else sorted(statuses)}


def path_of(path: object) -> ObjectStoragePath:
    """Where to land.

    :raises ConfigurationError: where nothing is given, or something that is no path.
    """
    if not (isinstance(path, str | PurePath) or hasattr(path, "fs")):
        raise ConfigurationError(f"path: must be a URL or a path; found {path!r}")
    if not str(path).strip():
        raise ConfigurationError("path: is empty; give a URL such as s3://aws_default@bucket/predictions")
    found = ObjectStoragePath(str(path))
    for mark, what in {"?": "parameters such as versionId", "#": "a fragment"}.items():
        if mark in found.path and not is_local(found):
            raise ConfigurationError(f"path: holds a {mark}, after which stores read {what}; leave it out")
    return found


def require_filesystem(path: ObjectStoragePath) -> None:
    """Refuse a path whose storage cannot be reached from here."""
    try:
        _ = path.fs
    except (ValueError, ImportError) as error:
        raise ConfigurationError(
            f"path: {path.protocol}:// cannot be opened here: {error}. "
            "Install the extra s3, gcs or azure of airflow-provider-predictions"
        ) from error
