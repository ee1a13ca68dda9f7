"""Which attempts have committed under a path: the newest in the state, the others in one more object.

A reader finds the landings of a window in three reads, however many have committed.
"""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

from msgspec.structs import replace

from airflow_provider_predictions.api.errors import ConfigurationError, ConflictError
from airflow_provider_predictions.storage.log import Entry
from airflow_provider_predictions.storage.objects import names, read
from airflow_provider_predictions.storage.stored import Stored, decode, encode

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

INDEX = "_index"
RECENT = 64
"""So many commits are in the state itself."""
PARTS = 4
"""A commit of more parts is listed without them; the log has them."""


class Index(Stored):
    """Commits that are not in the state any more, oldest first."""

    commits: list[Entry]


def listed(entry: Entry) -> Entry:
    """A commit as the state and the index have it."""
    manifest = entry.manifest
    if len(manifest["parts"]) <= PARTS:
        return entry
    return replace(entry, manifest={name: fact for name, fact in manifest.items() if name != "parts"})


def read_index(root: ObjectStoragePath, name: str | None) -> list[Entry]:
    """The commits that are not in the state any more, oldest first.

    :param name: of the index.
    :raises ConfigurationError: where it is missing or cannot be read.
    """
    if name is None:
        return []
    target = root / INDEX / name
    try:
        content = read(target)
    except FileNotFoundError:
        if any(other > name for other in names(root / INDEX)):
            raise ConflictError(f"path: a newer index has replaced {target}; a retry reads that") from None
        raise ConfigurationError(f"path: {target} is missing. Restore it from a backup") from None
    try:
        return decode(gzip.decompress(content), Index).commits
    except (ValueError, EOFError, OSError, zlib.error) as error:
        raise ConfigurationError(f"path: {target} is damaged: {error}. Restore it from a backup") from None


def packed(commits: list[Entry]) -> bytes:
    """An index of commits, as it is stored."""
    return gzip.compress(encode(Index(commits=commits)), mtime=0)
