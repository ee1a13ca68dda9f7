"""The commit of a landing: ``_manifest.json``, written last, names what belongs to it."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, cast

from airflow_provider_predictions.api.arguments import utc
from airflow_provider_predictions.api.models import Page, as_time
from airflow_provider_predictions.storage.objects import UNFINISHED, put, remove, sizes

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

MANIFEST = "_manifest.json"
REJECTED = "rejected.jsonl"
CHECKPOINT = "_checkpoint.jsonl"
_OURS = re.compile(
    rf"part-\d{{5,}}\.(jsonl(\.gz|\.zst)?|parquet)|{re.escape(REJECTED)}|{re.escape(CHECKPOINT)}"
)


class PartFacts(TypedDict):
    """An object of records, as a manifest names it; see ``Part``."""

    uri: str
    count: int
    bytes: int
    sha256: str


class Manifest(TypedDict):
    """What a landing returns, and commits as ``_manifest.json``.

    Times are ISO 8601 in UTC. ``created_min`` and ``created_max`` are of the records; None where no record
    has a creation time. ``consistent`` is False where it cannot be proven that no record is missing, and
    ``inconsistency`` says why.
    """

    path: str
    parts: list[PartFacts]
    count: int
    duplicates: int
    rejected: int
    rejected_reasons: dict[str, int]
    statuses: dict[str, int]
    created_min: str | None
    created_max: str | None
    requests: int
    service: str
    format: str
    compression: str | None
    ordered: bool
    consistent: bool
    inconsistency: str | None
    incremental: NotRequired[dict[str, Any]]
    complete: bool


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

    @property
    def name(self) -> str:
        """The name of the object under the landing's path."""
        return PurePosixPath(self.uri).name


@dataclass
class Totals:
    """What a landing holds, counted while it is written."""

    count: int = 0
    duplicates: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    created_min: datetime | None = None
    created_max: datetime | None = None

    def add(self, page: Page) -> None:
        """Count a page."""
        self.count += len(page.predictions)
        self.duplicates += page.duplicates
        self.rejected.update(row.fault or "" for row in page.rejected)
        self.statuses.update([prediction.status for prediction in page.predictions])
        if page.span:
            oldest, newest = page.span
            self.created_min = min(self.created_min or oldest, oldest)
            self.created_max = max(self.created_max or newest, newest)

    def facts(self) -> dict[str, Any]:
        """The counts as JSON."""
        return {
            "count": self.count,
            "duplicates": self.duplicates,
            "rejected": sum(self.rejected.values()),
            "rejected_reasons": dict(sorted(self.rejected.items())),
            "statuses": dict(sorted(self.statuses.items())),
            "created_min": self.created_min and utc(self.created_min),
            "created_max": self.created_max and utc(self.created_max),
        }

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> Totals:
        """Read what ``facts`` gave."""
        return cls(
            facts["count"],
            facts["duplicates"],
            Counter(facts["rejected_reasons"]),
            Counter(facts["statuses"]),
            as_time(facts["created_min"]),
            as_time(facts["created_max"]),
        )


def part_name(number: int, suffix: str) -> str:
    """The name of a part, which ``commit`` knows again; equal landings give equal names."""
    return f"part-{number:05}{suffix}"


def manifest(path: ObjectStoragePath, parts: list[Part], totals: Totals, **facts: Any) -> Manifest:
    """What a landing returns and commits."""
    content: Any = {
        "path": str(path),
        "parts": [asdict(part) for part in parts],
        **totals.facts(),
        **facts,
        "complete": True,
    }
    return cast("Manifest", content)


def take_back(path: ObjectStoragePath) -> None:
    """Remove an earlier commit, so that no reader trusts parts that are being replaced."""
    remove(path / MANIFEST)


def commit(path: ObjectStoragePath, content: Manifest) -> None:
    """Write the manifest in one put, then remove what attempts have left and it does not name."""
    put(path / MANIFEST, json.dumps(content, indent=2).encode())
    named = {PurePosixPath(part["uri"]).name for part in content["parts"]}
    if content["rejected"]:
        named.add(REJECTED)
    for name in sizes(path):
        is_left = _OURS.fullmatch(name) and name not in named
        if is_left or name.endswith(UNFINISHED):
            remove(path / name)
