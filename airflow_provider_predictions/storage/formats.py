"""The formats of parts. Records are collected as JSON Lines on this machine and converted in one step."""

from __future__ import annotations

import gzip
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, cast

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.storage.errors import extra

RECORDS, VALUES = "records", "values"
"""What a row of a part is."""
SUFFIXES = {None: "", "gzip": ".gz", "zstd": ".zst"}
GZIP_LEVEL = 6
JSON_TYPES = {"text": "string", "time": "string", "number": "number", "json": "json"}


@dataclass(frozen=True)
class Format(ABC):
    """One way to write records.

    :param compression: None, ``gzip`` or ``zstd``.
    :param paths: with the shape ``values``, the labels of the values that land. None for all.
    """

    name: ClassVar[str]
    shape: ClassVar[str] = RECORDS

    service: Service[Any]
    compression: str | None = None
    paths: tuple[str, ...] | None = None

    @property
    @abstractmethod
    def suffix(self) -> str: ...

    @property
    def columns(self) -> list[tuple[str, str]]:
        """The names and types of what every record has."""
        return [(column.name, JSON_TYPES[column.kind]) for column in self.service.columns]

    @abstractmethod
    def convert(self, lines: Path, target: Path) -> Path:
        """Convert JSON Lines to a part. Equal lines give equal bytes.

        :return: the target, or the lines themselves if there is nothing to convert.
        """

    def rows(self, part: Path) -> int | None:
        """The rows in a part. None if each record is a row."""
        return None

    def unmatched(self) -> list[str]:
        """The ``paths`` that nothing has matched so far."""
        return []


class JsonLines(Format):
    """One record per line, byte for byte as the service sent it."""

    name = "jsonl"

    @property
    def suffix(self) -> str:
        return f".jsonl{SUFFIXES[self.compression]}"

    def convert(self, lines: Path, target: Path) -> Path:
        if self.compression is None:
            return lines
        with lines.open("rb") as source, _compressing(target, self.compression) as out:
            shutil.copyfileobj(source, out, 1 << 20)
        return target


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
            from airflow_provider_predictions.storage.values import ParquetValues

            return ParquetValues(service, compression, paths)
        from airflow_provider_predictions.storage.parquet import Parquet

        return Parquet(service, compression)


@contextmanager
def _compressing(target: Path, compression: str) -> Iterator[BinaryIO]:
    with target.open("wb") as raw:
        if compression == "gzip":
            # Neither name nor time in the header: equal records make equal objects.
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0, compresslevel=GZIP_LEVEL) as out:
                yield cast("BinaryIO", out)
        else:
            import zstandard

            with zstandard.ZstdCompressor().stream_writer(raw, closefd=False) as out:
                yield cast("BinaryIO", out)
