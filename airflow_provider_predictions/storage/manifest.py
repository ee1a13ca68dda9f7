"""The manifest that a landing returns: which parts it has written, and what they hold."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, NotRequired, TypedDict, cast

import msgspec
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.filters import utc
from airflow_provider_predictions.api.limits import MAX_NAMED
from airflow_provider_predictions.api.page import Observed, Page, count
from airflow_provider_predictions.api.state import VERSION
from airflow_provider_predictions.storage.attempt import Generation
from airflow_provider_predictions.storage.console import plain_url
from airflow_provider_predictions.storage.objects import read
from airflow_provider_predictions.storage.partitions import FOLDER

MANIFEST = "_manifest.json"
REJECTED = "_rejected"
"""Rows that are no records, one a line. Not ``.jsonl``: a pattern for records must not match them."""
_PART = r"part-[0-9]{5,}(\.(day-)?[0-9]{8,}(-[0-9a-f]{8}){2})?\.(jsonl(\.gz|\.zst)?|parquet)"


class PartFacts(TypedDict):
    """An object of records, as a manifest names it.

    ``uri`` is for ``ObjectStoragePath``, with its connection id. ``url`` is for engines without Airflow, such
    as DuckDB, pyarrow, Polars and Spark. ``bytes`` and ``sha256`` are of the object as stored.
    """

    uri: str
    url: str
    count: int
    bytes: int
    sha256: str
    rows: NotRequired[int]


class Manifest(TypedDict):
    """What a landing returns, and what lies beside its parts as ``_manifest.json``.

    ``version`` is of its form. Times are ISO 8601 in UTC. ``created_min`` and ``created_max`` are of the
    records; None where no record has a creation time. ``consistent`` is True where it was shown that no
    record is missing, False where something was seen to be wrong, and None where the service gives no way to
    know; ``inconsistency`` says why it is not True. ``looked_at`` counts the records that were read, before
    filters dropped some. ``filters`` are those that narrow what lands:
    ``statuses``, None for all, and of the others those that were given. ``shape`` is what a row of a part is,
    and ``rows`` their number. Both are missing where each row is a record, as are the ``rows`` of each part.
    ``partition_by`` is ``created_date`` where each part lies in the directory of a day, and else missing.
    ``requests`` counts those to the service, retries included, and ``duplicates`` the rows that came again.
    The landing may lack what was created after ``started_at``, when it began to read the list. It is missing
    where that was in the minute of ``committed_at``.
    ``generation`` is the number of the commit. ``incremental`` says what an incremental landing left for
    later. ``unsettled`` lists commits that readers may still see in the place of this one. ``complete`` is
    always True: it tells readers of the stored form that nothing is written behind it.
    """

    version: Literal[1]
    path: str
    parts: list[PartFacts]
    count: int
    looked_at: NotRequired[int]
    duplicates: int
    rejected: int
    rejected_reasons: dict[str, int]
    rejected_uri: str | None
    values_missing: int
    values_missing_reasons: NotRequired[dict[str, int]]
    values_missing_ids: NotRequired[list[str]]
    statuses: dict[str, int]
    created_min: str | None
    created_max: str | None
    requests: int
    service: str
    format: str
    shape: NotRequired[Literal["records", "values"]]
    rows: NotRequired[int]
    partition_by: NotRequired[str]
    compression: Literal["gzip", "zstd"] | None
    ordered: bool
    consistent: bool | None
    inconsistency: str | None
    generation: Generation
    filters: dict[str, Any]
    started_at: NotRequired[str]
    committed_at: NotRequired[str]
    incremental: NotRequired[dict[str, Any]]
    unsettled: NotRequired[list[Generation]]
    complete: bool


class Part(msgspec.Struct, frozen=True):
    """One object of records.

    :param name: relative to the landing's directory.
    :param bytes: of the object as stored.
    :param sha256: of the object as stored, in hex.
    :param rows: None where each record is a row.
    """

    name: Annotated[str, msgspec.Meta(pattern=rf"^({FOLDER}/)?{_PART}\Z")]
    count: int
    bytes: int
    sha256: str
    rows: int | None = None


class Totals(msgspec.Struct):
    """What a landing holds, counted while it is written."""

    count: int = 0
    duplicates: int = 0
    rejected: dict[str, int] = msgspec.field(default_factory=dict)
    statuses: dict[str, int] = msgspec.field(default_factory=dict)
    values_missing: dict[str, int] = msgspec.field(default_factory=dict)
    values_missing_ids: list[str] = msgspec.field(default_factory=list)
    created_min: datetime | None = None
    created_max: datetime | None = None
    observed: Observed = msgspec.field(default_factory=Observed)

    def add(self, page: Page, asked: Collection[str] = ()) -> None:
        """Count a page.

        :param asked: the words of the filters.
        """
        self.observed.add(page.observed, asked)
        self.count += len(page.predictions)
        self.duplicates += page.duplicates
        _count(self.rejected, [row.fault or "" for row in page.rejected])
        _count(self.statuses, page.records.statuses)
        lacking = page.records.without_values
        _count(self.values_missing, [row.lacks_values or "" for row in lacking])
        self.values_missing_ids = [*self.values_missing_ids, *(row.id for row in lacking)][:MAX_NAMED]
        if span := page.records.span:
            oldest, newest = span
            self.created_min = min(self.created_min or oldest, oldest)
            self.created_max = max(self.created_max or newest, newest)

    def facts(self) -> dict[str, Any]:
        """The counts as a manifest has them."""
        facts = {
            "count": self.count,
            "looked_at": self.observed.looked_at,
            "duplicates": self.duplicates,
            "rejected": sum(self.rejected.values()),
            "rejected_reasons": dict(sorted(self.rejected.items())),
            "values_missing": sum(self.values_missing.values()),
            "statuses": dict(sorted(self.statuses.items())),
            "created_min": self.created_min and utc(self.created_min),
            "created_max": self.created_max and utc(self.created_max),
        }
        if self.values_missing:
            facts["values_missing_reasons"] = dict(sorted(self.values_missing.items()))
            facts["values_missing_ids"] = self.values_missing_ids
        return facts


def _count(counts: dict[str, int], words: list[str]) -> None:
    for word, number in count(words).items():
        counts[word] = counts.get(word, 0) + number


def name_of(uri: str, *, is_partitioned: bool = False) -> str:
    """The name of a part, which lies beside its manifest or in a directory there, wherever the URL points.

    :param is_partitioned: whether it lies in the directory of a day.
    :raises ValueError: if landings give no such name. So no name leads out of the directory.
    """
    name = "/".join(PurePosixPath(uri).parts[-2 if is_partitioned else -1 :])
    if not re.fullmatch(f"{FOLDER}/{_PART}" if is_partitioned else _PART, name):
        raise ValueError("a part has another name than landings give")
    return name


def moved(content: Manifest, directory: ObjectStoragePath) -> Manifest:
    """A manifest with URLs of the directory where it lies now.

    :raises ValueError: if it names what is no part.
    """
    parts = [_facts(directory, part) for part in parts_of(content)]
    rejected = content["rejected_uri"] and str(directory / PurePosixPath(content["rejected_uri"]).name)
    return cast("Manifest", {**content, "path": str(directory), "parts": parts, "rejected_uri": rejected})


def parts_of(content: Manifest) -> list[Part]:
    """The parts that a manifest names.

    :raises ValueError: if it names what is no part.
    """
    names = [name_of(part["uri"], is_partitioned="partition_by" in content) for part in content["parts"]]
    return [
        msgspec.convert({**part, "name": name}, Part)
        for part, name in zip(content["parts"], names, strict=True)
    ]


def manifest(
    directory: ObjectStoragePath,
    parts: list[Part],
    totals: Totals,
    rejected: ObjectStoragePath | None = None,
    **facts: Any,
) -> Manifest:
    """Make the manifest of a landing.

    :param directory: of the parts.
    :param rejected: the object with the rows that are no records.
    """
    content: Any = {
        "version": VERSION,
        "path": str(directory),
        "parts": [_facts(directory, part) for part in parts],
        **totals.facts(),
        "rejected_uri": str(rejected) if rejected else None,
        **facts,
        "complete": True,
    }
    return cast("Manifest", content)


def _facts(directory: ObjectStoragePath, part: Part) -> PartFacts:
    """A part as a manifest names it."""
    target = directory / part.name
    facts: PartFacts = {"uri": str(target), "url": plain_url(target), "count": part.count,
                        "bytes": part.bytes, "sha256": part.sha256}  # fmt: skip
    return facts if part.rows is None else {**facts, "rows": part.rows}


def rows_of(content: Manifest) -> int:
    """The number of rows in all parts."""
    return content.get("rows", content["count"])


def as_json(content: Manifest) -> bytes:
    return json.dumps(content, indent=2).encode()


def is_written(content: Mapping[str, Any]) -> bool:
    """Whether a landing has written objects: parts, or rows that are no records."""
    return bool(content["count"] or content["rejected"])


def read_manifest(directory: ObjectStoragePath) -> Any:
    """Read the manifest in a directory, unchecked. None if it is no JSON.

    :raises ConfigurationError: if there is none.
    """
    target = directory / MANIFEST
    try:
        return json.loads(read(target))
    except FileNotFoundError:
        raise ConfigurationError(
            f"path: there is no {target}: nothing has landed there, or a landing was interrupted"
        ) from None
    except (ValueError, RecursionError):
        return None
