"""The landing that a manifest names, checked before a table is touched."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, cast

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.cradl import Cradl
from airflow_provider_predictions.api.errors import ConfigurationError, DamagedLandingError
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.vlmrun import VlmRun
from airflow_provider_predictions.storage.attempt import DIRECTORY
from airflow_provider_predictions.storage.errors import named
from airflow_provider_predictions.storage.formats.base import VALUES
from airflow_provider_predictions.storage.formats.parquet import Parquet, ParquetFormat
from airflow_provider_predictions.storage.formats.parquet_values import ParquetValues
from airflow_provider_predictions.storage.landed import Landed, as_manifest
from airflow_provider_predictions.storage.log import Entry, Log
from airflow_provider_predictions.storage.manifest import MANIFEST, Manifest, parts_of, read_manifest, rows_of

SERVICES: dict[str, type[Service[Any]]] = {service.name: service for service in (VlmRun, Cradl)}
_INCREMENT = re.compile(rf"(?P<root>.+)/{DIRECTORY}/?")
"""The directory of one incremental landing, with the path that it is of."""


@dataclass(frozen=True)
class CommittedLanding(Landed):
    """A landing that the log of its path holds.

    :param mark: unique to the landing. A copy of the landing has the same.
    """

    mark: str

    @property
    def service(self) -> Service[Any]:
        """The service of the records. It sends no request."""
        return SERVICES[self.manifest["service"]](base_url="", auth=cast("Any", None))

    @property
    def rows(self) -> int:
        """The number of rows in all parts."""
        return rows_of(self.manifest)

    @property
    def form(self) -> ParquetFormat:
        """The columns of its rows, whatever the format of its parts."""
        return ParquetValues(self.service) if self.shape == VALUES else Parquet(self.service)


def committed(given: object) -> CommittedLanding | None:
    """The landing of a manifest. None if it holds no rows.

    :param given: the manifest, or the URL of one.
    :raises ConfigurationError: if it is no manifest, or was not committed.
    :raises DamagedLandingError: if it is not what was committed.
    """
    with named("manifest"):
        content, directory = _read(given)
        # An incremental landing that has found nothing commits nothing.
        if not content["count"] and "incremental" in content and "committed_at" not in content:
            return None
        if content.get("complete") is not True or not content.get("committed_at"):
            raise _uncommitted(directory)
        log, entry = _entry(content, directory)
        landed = log.manifest_of(entry)
        if entry.manifest.get("committed_at") != content["committed_at"]:
            raise _uncommitted(directory)
        facts = ("parts", "count", "service", "format", "compression", "shape", "rows")
        if _essence(content, facts) != _essence(landed, facts):
            raise DamagedLandingError(
                f"manifest: is not what was committed as {log.name(entry.generation)}. Give the manifest as "
                "the landing task returned it"
            )
        if not rows_of(landed):
            return None
        is_given = not isinstance(given, str)
        return CommittedLanding(log.directory(entry), landed, log.root, _mark(entry), is_given=is_given)


def _read(given: object) -> tuple[Manifest, ObjectStoragePath]:
    """A manifest, and the directory where it lies, or says that it lies."""
    directory = None
    if isinstance(given, str):
        directory = ObjectStoragePath(given.removesuffix(f"/{MANIFEST}"))
        given = read_manifest(directory)
    content = as_manifest(given, directory or "the value", "manifest")
    if content["service"] not in SERVICES:
        raise ConfigurationError(
            f"manifest: is of the service {content['service']}; there are tables of "
            f"{' and '.join(sorted(SERVICES))} only"
        )
    return content, directory or ObjectStoragePath(content["path"])


def _entry(content: Manifest, directory: ObjectStoragePath) -> tuple[Log, Entry]:
    """The commit of a manifest, with the log that holds it."""
    within = _INCREMENT.fullmatch(str(directory))
    for root in [ObjectStoragePath(within["root"]), directory] if within else [directory]:
        log = Log(root)
        if entry := log.read(content["generation"]):
            return log, entry
    raise _uncommitted(directory)


def _essence(content: Manifest, names: tuple[str, ...]) -> dict[str, Any]:
    """The facts that do not depend on where the landing lies."""
    return {name: content.get(name) for name in names if name != "parts"} | {"parts": parts_of(content)}


def _mark(entry: Entry) -> str:
    """A hash of when the landing was committed and of the attempt's random number; unique to the landing.

    It leaves out the path, so a copy, or the same landing over another connection, has the same mark. Marks
    differ in the first 16 characters, to which Iceberg cuts the bounds of a column.
    """
    facts = [entry.manifest["service"], entry.generation, entry.nonce, entry.manifest["committed_at"]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _uncommitted(directory: ObjectStoragePath) -> ConfigurationError:
    return ConfigurationError(
        f"manifest: the log under {directory} holds no commit of it, so this landing is not committed. Give "
        "the manifest as the landing task returned it, and leave _log beside the landings"
    )
