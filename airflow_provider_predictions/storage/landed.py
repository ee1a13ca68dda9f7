"""A landing that is read again: its manifest, checked, and its parts as files of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

import msgspec
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.coercion import short
from airflow_provider_predictions.api.errors import ConfigurationError, DamagedLandingError, StorageError
from airflow_provider_predictions.api.state import VERSION
from airflow_provider_predictions.storage.formats.base import RECORDS
from airflow_provider_predictions.storage.local import sha256_of
from airflow_provider_predictions.storage.log import Log
from airflow_provider_predictions.storage.manifest import Manifest, PartFacts, name_of, parts_of, shape_of
from airflow_provider_predictions.storage.objects import get_file, is_local


def as_manifest(content: object, where: object, argument: str) -> Manifest:
    """Check that a value is the manifest of a landing.

    :param where: the directory it was read from, for the message.
    :param argument: that named the landing, for the message.
    :raises ConfigurationError: if it is no manifest of this version.
    :raises DamagedLandingError: if its parts are not those of a landing.
    """
    try:
        version = msgspec.convert(content, Manifest)["version"]
    except msgspec.ValidationError:
        version = None
    if version != VERSION or not isinstance(content, Mapping):
        raise ConfigurationError(f"{argument}: {where} is not a manifest of a landing")
    manifest = cast("Manifest", dict(content))
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
    """A landing, the directory where its parts lie now, and the path that it was landed under."""

    path: ObjectStoragePath
    manifest: Manifest
    root: ObjectStoragePath
    shapes: ClassVar[frozenset[str]] = frozenset({RECORDS})
    """What a row of a part may be, for whoever reads it."""

    def check_shape(self, argument: str) -> None:
        """Refuse rows that the reader does not read.

        :param argument: that named the landing, for the message.
        :raises ConfigurationError: if the landing has another shape.
        """
        if (shape := shape_of(self.manifest)) not in self.shapes:
            raise ConfigurationError(
                f"{argument}: {self.path} holds rows of the shape {short(shape)}, which cannot be read here. "
                f'Give a landing with shape="{RECORDS}"'
            )

    def fetch(self, facts: PartFacts, directory: Path, argument: str) -> Path:
        """Copy a part to a directory of this machine, or link to it if it lies on this machine already.

        :param facts: what the manifest says about the part.
        :param argument: that named the landing, for the message.
        :raises ConfigurationError: if its rows are not what the reader reads.
        :raises DamagedLandingError: if the part is missing, or not what the manifest says.
        :raises StorageError: if another landing has replaced it meanwhile.
        """
        self.check_shape(argument)
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
                raise StorageError(
                    f"{argument}: {target} is gone: another landing has replaced it meanwhile "
                    f"({newer.task.run}). If {argument} is a path, a retry reads that one; else give its "
                    "manifest"
                ) from None
            raise DamagedLandingError(f"{argument}: {target} is missing, but the manifest names it") from None
        if found != facts["sha256"]:
            raise DamagedLandingError(
                f"{argument}: {target} is not what its manifest says: {file.stat().st_size} bytes with "
                f"sha256 {found[:12]}…, of {facts['bytes']} bytes with {facts['sha256'][:12]}…. "
                "Land it again"
            )
        return file
