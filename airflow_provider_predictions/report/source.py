"""Which landings a report reads, and whether they are what their manifests say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_predictions.api.errors import ConfigurationError, DamagedLandingError
from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.report.window import Window
from airflow_provider_predictions.storage.manifest import MANIFEST, Manifest, PartFacts, moved, name_of
from airflow_provider_predictions.storage.objects import get_file, is_local, names, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import ObjectStoragePath


READ = frozenset(
    {
        "path",
        "service",
        "parts",
        "rejected_reasons",
        "inconsistency",
        "created_min",
        "created_max",
        "complete",
    }
)
"""What a report needs of a manifest."""


@dataclass(frozen=True)
class Landed:
    """A landing, and the directory in which it lies now."""

    path: ObjectStoragePath
    manifest: Manifest

    @contextmanager
    def part(self, facts: PartFacts, directory: Path) -> Iterator[Path]:
        """A part as a file of this machine, checked.

        :param directory: where to put a copy, where one is needed.
        :raises DamagedLandingError: where it is missing, or not what the manifest says.
        """
        target = self.path / name_of(facts["uri"])
        file = Path(target.path if is_local(target) else directory / target.name)
        try:
            if not is_local(target):
                get_file(target, file, facts["bytes"])
            with file.open("rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
        except FileNotFoundError:
            raise DamagedLandingError(f"source: {target} is missing, which the manifest names") from None
        try:
            if found != facts["sha256"]:
                raise DamagedLandingError(
                    f"source: {target} is not what its manifest says: {file.stat().st_size} bytes with "
                    f"sha256 {found[:12]}…, of {facts['bytes']} bytes with {facts['sha256'][:12]}…. "
                    "Land it again"
                )
            yield file
        finally:
            if not is_local(target):
                file.unlink()

    def is_older(self, window: Window) -> bool:
        """Whether all of its records were created before the period that is compared with."""
        newest = as_time(self.manifest["created_max"])
        return newest is not None and newest < window.before


def landings(source: object, make_path: Callable[[str], ObjectStoragePath]) -> list[Landed]:
    """The landings that a source names, each once, of one service.

    :param source: a manifest, its URL, a directory with manifests in it or below it, or several of these.
    :raises ConfigurationError: where there is no manifest, or manifests of both services.
    """
    found: dict[str, Landed] = {}
    for given in each(source):
        for landed in _landings(given, make_path):
            found.setdefault(str(landed.path), landed)
    if not found:
        raise ConfigurationError(
            "source: is empty; give a manifest, or a URL such as s3://aws_default@bucket/predictions"
        )
    services = sorted({landed.manifest["service"] for landed in found.values()})
    if len(services) > 1:
        raise ConfigurationError(f"source: holds landings of {' and '.join(services)}; make a report of each")
    return list(found.values())


def each(source: object) -> Iterator[Any]:
    """What a source consists of: manifests and URLs.

    :raises ConfigurationError: where it holds something else.
    """
    if source is None:
        return
    if isinstance(source, str | Mapping | PurePath) or hasattr(source, "fs"):
        yield source
    elif hasattr(source, "__iter__"):
        for given in source:
            yield from each(given)
    else:
        raise ConfigurationError(f"source: must be manifests or URLs; found {type(source).__name__}")


def _landings(given: Any, make_path: Callable[[str], ObjectStoragePath]) -> list[Landed]:
    if isinstance(given, Mapping):
        if "path" not in given:
            raise ConfigurationError("source: holds an object that is no manifest: it has no path")
        path = make_path(str(given["path"]))
        return [Landed(path, _checked(given, path))] if "parts" in given else [_read(path)]
    text = str(given).strip()
    if text[:1] in ("{", "["):
        raise ConfigurationError(
            "source: holds text that is no URL. Give the landing task's .output, or let the DAG render "
            "native objects (render_template_as_native_obj=True)"
        )
    if not text:
        return []
    if text.endswith(f"/{MANIFEST}"):
        return [_read(make_path(text.removesuffix(f"/{MANIFEST}")))]
    return _below(make_path(text))


def _below(path: ObjectStoragePath) -> list[Landed]:
    """All landings in a directory, in the order of their names."""
    found_names = [PurePath(name) for name in names(path, deep=True)]
    directories = [path / str(name.parent) for name in found_names if name.name == MANIFEST]
    contents = [(directory, _parse(directory)) for directory in directories]
    found = [
        Landed(directory, _checked(content, directory))
        for directory, content in contents
        # The reports that lie there have a manifest, too.
        if not (isinstance(content, dict) and "files" in content)
    ]
    if not found:
        raise ConfigurationError(
            f"source: there is no {MANIFEST} in {path} or below it: nothing has landed there, or a landing "
            "was interrupted"
        )
    return found


def _read(path: ObjectStoragePath) -> Landed:
    try:
        return Landed(path, _checked(_parse(path), path))
    except FileNotFoundError:
        raise ConfigurationError(
            f"source: there is no {path / MANIFEST}: nothing has landed there, or a landing was interrupted"
        ) from None


def _parse(path: ObjectStoragePath) -> Any:
    try:
        return json.loads(read(path / MANIFEST))
    except (ValueError, RecursionError):
        return None


def _checked(content: Any, path: ObjectStoragePath) -> Manifest:
    is_manifest = isinstance(content, Mapping) and content.keys() >= READ
    try:
        if not is_manifest or content["complete"] is not True:
            raise ValueError("something is missing")
        return moved(cast("Manifest", content), path)
    except (ValueError, LookupError, TypeError):
        raise ConfigurationError(f"source: {path / MANIFEST} is no manifest of a landing") from None
