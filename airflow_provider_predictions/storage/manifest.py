"""The commit of a landing: ``_manifest.json``, written last, names what belongs to it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_predictions.api.arguments import utc
from airflow_provider_predictions.api.models import Prediction

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

MANIFEST = "_manifest.json"
_PART_NAME = re.compile(r"part-\d{5,}\.jsonl(\.gz)?")


@dataclass(frozen=True)
class Part:
    """One object of records.

    :param uri: for ``ObjectStoragePath``, with its connection id.
    :param count: of records.
    :param bytes: of the object as stored.
    :param sha256: of the object as stored, in hex.
    """

    uri: str
    count: int
    bytes: int
    sha256: str


@dataclass
class Totals:
    """What the parts hold, counted while they are written."""

    count: int = 0
    duplicates: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    created_min: datetime | None = None
    created_max: datetime | None = None

    def add(self, prediction: Prediction) -> None:
        """Count a record."""
        self.count += 1
        self.statuses[prediction.status] += 1
        if created := prediction.created_at:
            self.created_min = min(self.created_min or created, created)
            self.created_max = max(self.created_max or created, created)

    def facts(self) -> dict[str, Any]:
        """The counts as JSON."""
        return {
            "count": self.count,
            "duplicates": self.duplicates,
            "statuses": dict(sorted(self.statuses.items())),
            "created_min": self.created_min and utc(self.created_min),
            "created_max": self.created_max and utc(self.created_max),
        }


def part_name(number: int, suffix: str) -> str:
    """The name of a part, which ``commit`` knows again; equal landings give equal names."""
    return f"part-{number:05}.jsonl{suffix}"


def manifest(path: ObjectStoragePath, parts: list[Part], totals: Totals, **facts: Any) -> dict[str, Any]:
    """What a landing returns and commits."""
    return {
        "path": str(path),
        "parts": [asdict(part) for part in parts],
        **totals.facts(),
        **facts,
        "complete": True,
    }


def prepare(path: ObjectStoragePath) -> None:
    """Make the directory, where the storage has such a thing."""
    # On an object store, mkdir would create a missing bucket.
    if path.protocol in ("", "file", "local"):
        path.mkdir(parents=True, exist_ok=True)


def take_back(path: ObjectStoragePath) -> None:
    """Remove an earlier commit, so that no reader trusts parts that are being replaced."""
    _remove(path / MANIFEST)


def commit(path: ObjectStoragePath, content: dict[str, Any]) -> None:
    """Write the manifest in one put, then remove the parts of earlier attempts that it does not name."""
    target = path / MANIFEST
    path.fs.pipe_file(target.path, msgspec.json.format(msgspec.json.encode(content), indent=2))
    named = {PurePosixPath(part["uri"]).name for part in content["parts"]}
    for name in _part_names(path):
        if name not in named:
            _remove(path / name)


def _part_names(path: ObjectStoragePath) -> Iterator[str]:
    path.fs.invalidate_cache()
    for key in path.fs.ls(path.path, detail=False):
        name = PurePosixPath(key).name
        if _PART_NAME.fullmatch(name):
            yield name


def _remove(target: ObjectStoragePath) -> None:
    with suppress(FileNotFoundError):
        target.fs.rm_file(target.path)
