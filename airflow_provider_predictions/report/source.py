"""Find the landings of a report, and check that they are what their manifests say."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, cast

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.report.window import Window
from airflow_provider_predictions.storage import landed as storage
from airflow_provider_predictions.storage.errors import named
from airflow_provider_predictions.storage.log import Entry, Log
from airflow_provider_predictions.storage.manifest import MANIFEST, Manifest, moved, read_manifest
from airflow_provider_predictions.storage.objects import is_local, names
from airflow_provider_predictions.storage.state import STATE, State, find, read_index

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

SKEW = timedelta(hours=1)
"""How far the clocks of workers and of a service may differ."""
_ENTRY = re.compile(r"(?P<root>(?:.*/)?)_log/(?P<generation>[0-9]{8,})\.json")
_MANIFEST = re.compile(r"(?P<root>(?:.*?/)??)([0-9]{8,}/[0-9a-f]{8}-[0-9a-f]{8}/)?_manifest\.json")
"""A manifest, with the path that it is of: it lies there, or in the directory of an incremental landing."""


@dataclass(frozen=True)
class Landed(storage.Landed):
    """A landing that a report may read."""

    @property
    def key(self) -> tuple[str, int]:
        """Identifies the landing. Its path alone does not: commits without records have no directory."""
        where = os.path.realpath(self.path.path) if is_local(self.path) else str(self.path)
        return where, self.manifest["generation"]

    @property
    def committed(self) -> datetime | None:
        """When it was committed; None if the manifest does not say."""
        return as_time(self.manifest.get("committed_at"))

    @property
    def order(self) -> tuple[datetime, int, list[str]]:
        """Sorts landings by commit, and those of one moment by content, so that names do not matter."""
        sums = [part["sha256"] for part in self.manifest.get("parts", ())]
        return self.committed or datetime.min.replace(tzinfo=UTC), self.manifest["generation"], sums

    @property
    def statuses(self) -> frozenset[str] | None:
        """The filter on statuses; None for all."""
        given = self.manifest["filters"]["statuses"]
        return None if given is None else frozenset(given)

    def outside(self, window: Window) -> Literal["older", "newer"] | None:
        """Whether all records were created before the oldest period or after the newest."""
        oldest, newest = as_time(self.manifest["created_min"]), as_time(self.manifest["created_max"])
        if newest and newest < window.starts[-1]:
            return "older"
        return "newer" if oldest and oldest >= window.end else None


def landings(
    source: Iterable[Any], make_path: Callable[[str], ObjectStoragePath], window: Window
) -> list[Landed]:
    """Find the landings of a source, each once, in the order of their commits.

    Commits under an incremental path that are older than the window may be left out.

    :param source: manifests, their URLs, paths of landings, and directories above some.
    :raises ConfigurationError: if nothing has landed there.
    """
    found: dict[tuple[str, int], Landed] = {}
    for given in source:
        with named("source"):
            for landed in _landings(given, make_path, window):
                landed.check_shape("source")  # also of those that are not read
                found.setdefault(landed.key, landed)
    return sorted(found.values(), key=attrgetter("order"))


def _landings(given: Any, make_path: Callable[[str], ObjectStoragePath], window: Window) -> list[Landed]:
    if isinstance(given, Mapping):
        if "path" not in given:
            raise ConfigurationError("source: holds an object that is no manifest: it has no path")
        path = make_path(str(given["path"]))
        return [_landed(given, path)] if "parts" in given else _under(path, window)
    text = str(given)
    if text.endswith(f"/{MANIFEST}"):
        return [_newest(make_path(text.removesuffix(f"/{MANIFEST}")))]
    return _under(make_path(text), window)


def _under(path: ObjectStoragePath, window: Window) -> list[Landed]:
    """The incremental landings under a path, or all landings in and below it."""
    state = find(path)
    found = _committed(path, state, window) if state else _below(path, window)
    if not found:
        raise ConfigurationError(
            f"source: there is no {MANIFEST} in {path} or below it: nothing has landed there, or a landing "
            "was interrupted"
        )
    return found


def _committed(root: ObjectStoragePath, state: State, window: Window) -> list[Landed]:
    """The commits of an incremental path. Those outside of the window are not located."""
    log, entries = Log(root), state.recent
    # What was committed before the oldest period was created before it.
    if entries and entries[0].committed_at + SKEW > window.starts[-1]:
        entries = read_index(root, state.index) + entries
    found = []
    for entry in entries:
        landed = Landed(root, cast("Manifest", entry.manifest), root)
        found.append(landed if landed.outside(window) else _of_log(log, entry))
    return found


def _below(path: ObjectStoragePath, window: Window) -> list[Landed]:
    """All landings in a directory and below it."""
    listed = names(path, deep=True)
    heads: dict[str, int] = {}
    for entry in filter(None, map(_ENTRY.fullmatch, listed)):
        heads[entry["root"]] = max(int(entry["generation"]), heads.get(entry["root"], 0))
    found = []
    for below, head in heads.items():
        root = _join(path, below)
        if f"{below}{STATE}" in listed and (state := find(root)):
            found += _committed(root, state, window)
        else:
            found.append(_replacing(root, head))
    for name in filter(None, map(_MANIFEST.fullmatch, listed)):
        # The log says what is committed, where there is one.
        if name["root"] not in heads:
            directory = _join(path, name[0].removesuffix(MANIFEST))
            content = read_manifest(directory)
            # The reports that lie there have a manifest, too.
            if not (isinstance(content, dict) and "files" in content):
                found.append(_landed(content, directory))
    return found


def _replacing(root: ObjectStoragePath, head: int) -> Landed:
    """The newest commit of a path that each landing replaces."""
    log = Log(root)
    entry = log.read(head)
    if entry is None or entry.state is not None:
        missing = root / STATE if entry else log.name(head)
        raise ConfigurationError(f"source: {missing} is missing, although runs have committed there")
    return _of_log(log, entry)


def _newest(path: ObjectStoragePath) -> Landed:
    """The landing with the manifest in a directory, or the one that has replaced it since."""
    landed = _landed(read_manifest(path), path)
    generation = landed.manifest["generation"]
    head = Log(path).head(generation)
    return landed if head == generation else _replacing(path, head)


def _of_log(log: Log, entry: Entry) -> Landed:
    return Landed(log.directory(entry), log.landed(entry), log.root)


def _join(path: ObjectStoragePath, below: str) -> ObjectStoragePath:
    """A directory below a path. On an object store ``path / "."`` would be another one."""
    return path / below.rstrip("/") if below else path


def _landed(content: Any, path: ObjectStoragePath) -> Landed:
    """Check a manifest, and relocate it to the directory it was read from."""
    manifest = storage.as_manifest(content, path / MANIFEST, "source")
    return Landed(path, moved(manifest, path), path)
