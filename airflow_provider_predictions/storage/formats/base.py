"""The formats of parts. Records are collected as JSON Lines on this machine and converted in one step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from airflow_provider_predictions.api.service import Service

RECORDS, VALUES = "records", "values"
"""What a row of a part is."""
SUFFIXES = {None: "", "gzip": ".gz", "zstd": ".zst"}
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
