"""Which landing a manifest names, and its parts, checked before a table is touched."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.cradl import Cradl
from airflow_provider_predictions.api.errors import ConfigurationError, DamagedLandingError
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.vlmrun import VlmRun
from airflow_provider_predictions.storage.errors import named
from airflow_provider_predictions.storage.log import Entry, Log
from airflow_provider_predictions.storage.manifest import MANIFEST, Manifest, name_of, parts_of, read_manifest
from airflow_provider_predictions.storage.parts import fetch
from airflow_provider_predictions.storage.stored import VERSION

MakePath = Callable[[str], ObjectStoragePath]

SERVICES: dict[str, type[Service[Any]]] = {service.name: service for service in (VlmRun, Cradl)}
READ = frozenset(
    {"version", "path", "parts", "count", "service", "format", "compression", "generation", "consistent"}
)
"""What is needed of a manifest."""
_INCREMENT = re.compile(r"(?P<root>.+)/[0-9]{8,}/[0-9a-f]{8}-[0-9a-f]{8}/?")
"""The directory of one incremental landing, with the path that it is of."""


@dataclass(frozen=True)
class CommittedLanding:
    """A landing that the log of its path holds.

    :param directory: where its parts lie.
    :param manifest: as it was committed.
    :param mark: of the landing, and of no other one. It stays the same where the landing is copied.
    :param log: that holds it.
    """

    directory: ObjectStoragePath
    manifest: Manifest
    mark: str
    log: Log

    @property
    def service(self) -> Service[Any]:
        """Whose records they are; it sends nothing."""
        return SERVICES[self.manifest["service"]](base_url="", auth=cast("Any", None))

    @property
    def created(self) -> str:
        """The column of the creation time."""
        return next(column.name for column in self.service.columns if column.envelope == "created_at")

    def fetch(self, directory: Path) -> list[Path]:
        """All parts as files of this machine, in their order, each checked.

        :param directory: where to put copies, or links.
        :raises DamagedLandingError: where a part is missing, or not what the manifest says.
        """
        files = []
        for part in self.manifest["parts"]:
            target = self.directory / name_of(part["uri"])
            files.append(directory / target.name)
            fetch(target, part, files[-1], "manifest", self.log, self.manifest["generation"])
        return files


def committed(given: object, make_path: MakePath) -> CommittedLanding | None:
    """The landing of a manifest; None where it holds no records.

    :param given: the manifest, or the URL of one.
    :raises ConfigurationError: where it is none, or was not committed.
    :raises DamagedLandingError: where it is not what was committed.
    """
    with named("manifest"):
        content, directory = _read(given, make_path)
        # An incremental landing that has found nothing commits nothing.
        if not content["count"] and "incremental" in content and "committed_at" not in content:
            return None
        if content.get("complete") is not True or not content.get("committed_at"):
            raise _uncommitted(directory)
        log, entry = _entry(content, directory, make_path)
        landed = log.landed(entry)
        if entry.manifest.get("committed_at") != content["committed_at"]:
            raise _uncommitted(directory)
        facts = ("parts", "count", "service", "format", "compression")
        if _essence(content, facts) != _essence(landed, facts):
            raise DamagedLandingError(
                f"manifest: is not what was committed as {log.name(entry.generation)}. Give the manifest as "
                "the landing task returned it"
            )
        return CommittedLanding(log.directory(entry), landed, _mark(entry), log) if landed["count"] else None


def _read(given: object, make_path: MakePath) -> tuple[Manifest, ObjectStoragePath]:
    """A manifest, and the directory in which it lies, or says that it does."""
    directory = None
    if isinstance(given, str) or hasattr(given, "fs"):
        url = str(given).strip()
        if not url.endswith(f"/{MANIFEST}"):
            raise ConfigurationError(
                "manifest: must be a manifest, or the URL of one, which ends in /_manifest.json. Give the "
                "landing task's .output, or let the DAG render native objects "
                "(render_template_as_native_obj=True)"
            )
        directory = make_path(url.removesuffix(f"/{MANIFEST}"))
        given = read_manifest(directory)
    if not isinstance(given, Mapping) or not given.keys() >= READ or given["version"] != VERSION:
        raise ConfigurationError(f"manifest: {directory or 'the value'} is no manifest of a landing")
    content = cast("Manifest", dict(given))
    try:
        is_sound = sum(part.count for part in parts_of(content)) == content["count"]
    except (ValueError, LookupError, TypeError):
        is_sound = False
    if not is_sound:
        raise DamagedLandingError("manifest: its parts are not those of a landing, so it was changed")
    if content["service"] not in SERVICES:
        raise ConfigurationError(
            f"manifest: is of the service {content['service']}; there are tables of "
            f"{' and '.join(sorted(SERVICES))} only"
        )
    return content, directory if directory is not None else make_path(content["path"])


def _entry(content: Manifest, directory: ObjectStoragePath, make_path: MakePath) -> tuple[Log, Entry]:
    """The commit of a manifest, with the log that holds it."""
    within = _INCREMENT.fullmatch(str(directory))
    for root in [make_path(within["root"]), directory] if within else [directory]:
        log = Log(root)
        if entry := log.read(content["generation"]):
            return log, entry
    raise _uncommitted(directory)


def _essence(content: Manifest, names: tuple[str, ...]) -> dict[str, Any]:
    """What must be the same, wherever the landing lies."""
    return {name: content[name] for name in names if name != "parts"} | {  # type: ignore[literal-required]
        "parts": parts_of(content)
    }


def _mark(entry: Entry) -> str:
    """What no other landing has: when it was committed, and the random number of the attempt that did.

    The path is no part of it, so that a landing that was copied, or is reached by another connection, is
    the same one. It differs in the first 16 characters, to which Iceberg cuts the bounds of a column.
    """
    facts = [entry.manifest["service"], entry.generation, entry.nonce, entry.manifest["committed_at"]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _uncommitted(directory: ObjectStoragePath) -> ConfigurationError:
    return ConfigurationError(
        f"manifest: the log under {directory} holds no commit of it, so this landing is not committed. Give "
        "the manifest as the landing task returned it, and leave _log beside the landings"
    )
