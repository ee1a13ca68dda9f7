"""Which format a landing writes. Libraries load when their format is first used."""

from __future__ import annotations

from typing import Any

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.storage.errors import extra
from airflow_provider_predictions.storage.formats.base import RECORDS, VALUES, Format
from airflow_provider_predictions.storage.formats.jsonl import JsonLines


def make_format(
    name: str,
    compression: str | None,
    service: Service[Any],
    shape: str = RECORDS,
    paths: tuple[str, ...] | None = None,
) -> Format:
    """The format of a landing.

    :param shape: what a row is.
    :param paths: which values land, with the shape ``values``. None for all.
    :raises ConfigurationError: if a library that it needs is not installed, or the service has no such shape.
    """
    if shape == VALUES and service.extracted is None:
        raise ConfigurationError(f"shape: it is not known where {service.title} puts the values of a record")
    with extra("parquet", "zstd", argument="file_format: "):
        if compression == "zstd":
            import zstandard  # noqa: F401  (a missing library is reported now, not after the first part)
        if name == "jsonl":
            return JsonLines(service, compression)
        if shape == VALUES:
            from airflow_provider_predictions.storage.formats.parquet_values import ParquetValues

            return ParquetValues(service, compression, paths)
        from airflow_provider_predictions.storage.formats.parquet import Parquet

        return Parquet(service, compression)
