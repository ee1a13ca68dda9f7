"""Which landings have committed under a path: in the state, and, of older ones, in one more object.

A reader finds the landings of a window in three reads, however many have committed.
"""

from __future__ import annotations

import gzip
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.storage.attempt import TaskRun
from airflow_provider_predictions.storage.manifest import Manifest, Part, parts_of
from airflow_provider_predictions.storage.objects import put, read
from airflow_provider_predictions.storage.stored import Stored, decode, encode

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

INDEX = "_index"
RECENT = 256
"""So many commits are in the state itself."""
PARTS = 4
"""A commit of more parts is listed without them; its manifest has them."""


class Committed(msgspec.Struct, kw_only=True, frozen=True):
    """A landing in the index: who has committed it, and what a report needs of its manifest.

    :param directory: where it lies, relative to the path; empty where it has written nothing.
    :param parts: None where there are more than ``PARTS``.
    """

    generation: int
    run: str
    ti: str | None
    attempt: int
    committed_at: datetime
    directory: str
    service: str
    count: int
    rejected_reasons: dict[str, int]
    inconsistency: str | None
    created_min: str | None
    created_max: str | None
    parts: list[Part] | None

    @classmethod
    def of(cls, content: Manifest, task: TaskRun, directory: str, at: datetime) -> Committed:
        """What the index says of a manifest."""
        return cls(
            generation=content["generation"],
            run=task.run,
            ti=task.ti,
            attempt=task.number,
            committed_at=at,
            directory=directory,
            service=content["service"],
            count=content["count"],
            rejected_reasons=content["rejected_reasons"],
            inconsistency=content["inconsistency"],
            created_min=content["created_min"],
            created_max=content["created_max"],
            parts=parts_of(content) if len(content["parts"]) <= PARTS else None,
        )


class IndexName(msgspec.Struct, frozen=True):
    """Where the commits are that are not in the state.

    :param name: under ``_index``.
    :param through: the newest of them.
    """

    name: str
    through: int


class Index(Stored):
    """Commits that are not in the state any more."""

    commits: list[Committed]


def read_index(root: ObjectStoragePath, name: IndexName | None) -> list[Committed]:
    """The commits that are not in the state any more, oldest first.

    :raises ConfigurationError: where they are missing or cannot be read.
    """
    if name is None:
        return []
    target = root / INDEX / name.name
    try:
        return decode(gzip.decompress(read(target)), Index).commits
    except (FileNotFoundError, ValueError, EOFError, OSError) as error:
        raise ConfigurationError(
            f"path: {target} is missing or damaged: {error}. Restore it from a backup"
        ) from None


def compacted(
    root: ObjectStoragePath, name: IndexName | None, recent: list[Committed], nonce: str
) -> tuple[IndexName | None, list[Committed]]:
    """The index and the recent commits, moved into a new index object where these are many.

    :param nonce: of the attempt, whose names are its own.
    """
    if len(recent) < RECENT:
        return name, recent
    through = recent[-1].generation
    new = IndexName(f"{through:08}-{nonce}.gz", through)
    content = encode(Index(commits=read_index(root, name) + recent))
    put(root / INDEX / new.name, gzip.compress(content, mtime=0))
    return new, []
