"""A part as a file of this machine, checked against its manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.errors import DamagedLandingError, StorageError
from airflow_provider_predictions.storage.log import Log
from airflow_provider_predictions.storage.manifest import PartFacts
from airflow_provider_predictions.storage.objects import get_file, is_local


def fetch(
    target: ObjectStoragePath, facts: PartFacts, file: Path, argument: str, log: Log, generation: int
) -> None:
    """Copy a part to a file of this machine, or link to it where it lies there.

    :param target: the part.
    :param facts: what the manifest says of it.
    :param file: where to put it.
    :param argument: that named the landing, for the message.
    :param log: that holds the landing, under this generation.
    :raises DamagedLandingError: where the part is missing, or not what the manifest says.
    :raises StorageError: where another landing has replaced it meanwhile.
    """
    try:
        if is_local(target):
            file.symlink_to(Path(target.path).absolute())
        else:
            get_file(target, file, facts["bytes"])
        with file.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        newer = log.read(generation + 1)
        if newer and newer.state is None:
            raise StorageError(
                f"{argument}: {target} is gone: another landing has replaced it meanwhile "
                f"({newer.task.run}). Where {argument} is a path, a retry reads that one; else give its "
                "manifest"
            ) from None
        raise DamagedLandingError(f"{argument}: {target} is missing, which the manifest names") from None
    if found != facts["sha256"]:
        raise DamagedLandingError(
            f"{argument}: {target} is not what its manifest says: {file.stat().st_size} bytes with "
            f"sha256 {found[:12]}…, of {facts['bytes']} bytes with {facts['sha256'][:12]}…. "
            "Land it again"
        )
