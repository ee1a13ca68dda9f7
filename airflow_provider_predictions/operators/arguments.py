"""What a landing can be told, checked while the DAG is parsed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions._compat import AIRFLOW_V_3_3_PLUS
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.storage.formats import SUFFIXES
from airflow_provider_predictions.tasks.base import is_template

FORMATS = ("jsonl", "parquet")
MOST_PREFETCH = 32
NOT_INCREMENTAL = ("created_before", "max_predictions")


def check(task: Any) -> None:
    """Refuse what no landing can be told.

    :param task: the operator.
    :raises ConfigurationError: naming the argument that is wrong.
    """
    if task.file_format not in FORMATS:
        raise ConfigurationError(f"file_format: must be one of {FORMATS}; found {task.file_format!r}")
    if task.compression not in SUFFIXES:
        known = ", ".join(map(repr, SUFFIXES))
        raise ConfigurationError(f"compression: must be one of {known}; found {task.compression!r}")
    if task.records_per_part < 1:
        raise ConfigurationError(f"records_per_part: must be at least 1; found {task.records_per_part}")
    if not 0 <= task.prefetch <= MOST_PREFETCH:
        raise ConfigurationError(f"prefetch: must be 0 to {MOST_PREFETCH}; found {task.prefetch}")
    if task.max_rejected is not None and task.max_rejected < 0:
        raise ConfigurationError(f"max_rejected: must be 0 or more, or None; found {task.max_rejected}")
    if task.max_age is not None and not task.incremental:
        raise ConfigurationError("max_age: goes with incremental=True only")
    age = task.max_age.total_seconds() if isinstance(task.max_age, timedelta) else task.max_age
    if age is not None and age <= 0:
        raise ConfigurationError(f"max_age: must be longer than 0; found {task.max_age}")
    for name in NOT_INCREMENTAL:
        if task.incremental and getattr(task, name) is not None:
            raise ConfigurationError(f"{name}: does not go with incremental, which keeps its own window")
    if task.partition_keys and not AIRFLOW_V_3_3_PLUS:
        raise ConfigurationError("partition_keys: needs Airflow 3.3 or newer")
    if task.partition_keys and not task.outlets:
        raise ConfigurationError("partition_keys: needs an asset in outlets, whose partitions they are")
    if not is_template(task.path):
        path_of(task.path)


def path_of(path: str | ObjectStoragePath) -> ObjectStoragePath:
    """Where to land.

    :raises ConfigurationError: where nothing is given.
    """
    if not str(path).strip():
        raise ConfigurationError("path: is empty; give a URL such as s3://aws_default@bucket/predictions")
    return ObjectStoragePath(str(path))


def require_filesystem(path: ObjectStoragePath) -> None:
    """Refuse a path whose storage cannot be reached from here."""
    try:
        _ = path.fs
    except (ValueError, ImportError) as error:
        raise ConfigurationError(
            f"path: {path.protocol}:// cannot be opened here: {error}. "
            "Install the extra s3, gcs or azure of airflow-provider-predictions"
        ) from error
