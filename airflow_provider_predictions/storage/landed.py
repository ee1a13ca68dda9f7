"""A landing that is read again: its manifest, checked, and its parts as files of this machine."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast

import msgspec
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.errors import ConfigurationError, DamagedLandingError, StorageError
from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.storage.attempt import DIRECTORY
from airflow_provider_predictions.storage.formats.base import RECORDS
from airflow_provider_predictions.storage.local import sha256_of
from airflow_provider_predictions.storage.log import Log
from airflow_provider_predictions.storage.manifest import Manifest, PartFacts, name_of, parts_of
from airflow_provider_predictions.storage.objects import get_file, is_local

Span = tuple[datetime, datetime]
"""A start, and the first moment after the end."""


def as_manifest(content: object, where: object, argument: str) -> Manifest:
    """Check that a value is the manifest of a landing.

    :param where: the directory it was read from, for the message.
    :param argument: that named the landing, for the message.
    :raises ConfigurationError: if it is no manifest of this version.
    :raises DamagedLandingError: if its parts are not those of a landing.
    """
    try:
        msgspec.convert(content, Manifest)
    except msgspec.ValidationError:
        raise ConfigurationError(f"{argument}: {where} is not a manifest of a landing") from None
    manifest = cast("Manifest", content)
    try:
        parts = parts_of(manifest)
        counts = sum(part.count for part in parts), sum(part.rows or 0 for part in parts)
    except ValueError:
        counts = -1, 0
    if counts != (manifest["count"], manifest.get("rows", 0)):
        raise DamagedLandingError(
            f"{argument}: its parts are not those of a landing, so it was changed. Land these records again"
        )
    return manifest


@dataclass(frozen=True)
class Landed:
    """A landing, the directory where its parts lie now, and the path that it was landed under.

    :param is_given: whether the manifest itself was given, so that a retry reads this landing again.
    """

    path: ObjectStoragePath
    manifest: Manifest
    root: ObjectStoragePath
    is_given: bool = field(default=False, kw_only=True)

    @property
    def key(self) -> tuple[str, int, str | None]:
        """Identifies the landing: where it was landed, its generation, and when it was committed.

        A run that commits nothing returns the generation that the next commit has.
        """
        where = os.path.realpath(self.path.path) if is_local(self.path) else str(self.path)
        root = re.sub(rf"/{DIRECTORY}\Z", "", where)
        return root, self.manifest["generation"], self.manifest.get("committed_at")

    @property
    def committed(self) -> datetime | None:
        """When it was committed; None if the manifest does not say."""
        return as_time(self.manifest.get("committed_at"))

    @property
    def started(self) -> datetime | None:
        """When its list began to be read: it may lack what was created later. None if that is not known.

        A manifest without that time says the minute.
        """
        minute = self.committed and self.committed.replace(second=0, microsecond=0)
        return min(filter(None, (as_time(self.manifest.get("started_at")), minute)), default=None)

    def is_after(self, moment: datetime) -> bool:
        """Whether it was committed after a moment, as far as is known."""
        return self.committed is None or self.committed > moment

    @property
    def incremental_path(self) -> str:
        """The path that it was landed under; empty if the landing is not incremental."""
        return self.key[0] if "incremental" in self.manifest else ""

    @property
    def order(self) -> tuple[datetime, int, list[str]]:
        """Sorts landings by commit, and those of one moment by content, so that names do not matter.

        A run that found nothing to commit has its place by when it began.
        """
        sums = [part["sha256"] for part in self.manifest.get("parts", ())]
        moment = self.committed or self.started or datetime.min.replace(tzinfo=UTC)
        return moment, self.manifest["generation"], sums

    @property
    def shape(self) -> str:
        """What a row is."""
        return self.manifest.get("shape", RECORDS)

    @property
    def statuses(self) -> frozenset[str] | None:
        """The filter on statuses; None for all."""
        given = self.manifest["filters"]["statuses"]
        return None if given is None else frozenset(given)

    def outside(self, span: Span) -> Literal["older", "newer"] | None:
        """Whether all records were created before a span of time or after it."""
        oldest, newest = as_time(self.manifest["created_min"]), as_time(self.manifest["created_max"])
        if newest and newest < span[0]:
            return "older"
        return "newer" if oldest and oldest >= span[1] else None

    def check_shape(self, argument: str) -> None:
        """Refuse rows that are no records.

        :param argument: that named the landing, for the message.
        :raises ConfigurationError: if the landing has another shape.
        """
        if self.shape != RECORDS:
            raise ConfigurationError(
                f"{argument}: {self.path} holds rows of the shape '{self.shape}', which cannot be read here. "
                f'Give a landing with shape="{RECORDS}"'
            )

    def fetch(self, facts: PartFacts, directory: Path, argument: str) -> Path:
        """Copy a part to a directory of this machine, or link to it if it lies on this machine already.

        :param facts: what the manifest says about the part.
        :param argument: that named the landing, for the message.
        :raises ConfigurationError: if another landing has replaced it, and the manifest was given.
        :raises DamagedLandingError: if the part is missing, or not what the manifest says.
        :raises StorageError: if another landing has replaced it meanwhile. A retry reads that one.
        """
        target = self.path / name_of(facts["uri"], is_partitioned="partition_by" in self.manifest)
        file = directory / target.name
        try:
            if is_local(target):
                file.symlink_to(Path(target.path).absolute())
            else:
                get_file(target, file, facts["bytes"])
            found = sha256_of(file)
        except FileNotFoundError:
            newer = Log(self.root).read(self.manifest["generation"] + 1)
            if newer and newer.state is None:
                if self.is_given:
                    raise ConfigurationError(
                        f"{argument}: {target} is gone: another landing has replaced it ({newer.task.run}). "
                        "Land again, to a path of its own"
                    ) from None
                raise StorageError(
                    f"{argument}: {target} is gone: another landing has replaced it ({newer.task.run}). A "
                    "retry reads that one"
                ) from None
            raise DamagedLandingError(f"{argument}: {target} is missing, but the manifest names it") from None
        if found != facts["sha256"]:
            raise DamagedLandingError(
                f"{argument}: {target} is not what its manifest says: {file.stat().st_size} bytes with "
                f"sha256 {found[:12]}…, of {facts['bytes']} bytes with {facts['sha256'][:12]}…. "
                "Land it again"
            )
        return file
