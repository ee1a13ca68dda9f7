"""Find the landings under a path.

Errors name the argument ``path``; ``errors.named`` gives it another name.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, cast

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.storage.attempt import DIRECTORY
from airflow_provider_predictions.storage.landed import Landed, Span, as_manifest
from airflow_provider_predictions.storage.log import Entry, Log
from airflow_provider_predictions.storage.manifest import MANIFEST, Manifest, moved, read_manifest
from airflow_provider_predictions.storage.objects import names
from airflow_provider_predictions.storage.state import INDEX, STATE, State, find_state, read_index

SKEW = timedelta(hours=1)
"""How far the clocks of workers and of a service may differ."""
_ENTRY = re.compile(r"(?P<root>(?:.*/)?)_log/(?P<generation>[0-9]{8,})\.json")
_MANIFEST = re.compile(rf"(?P<root>(?:.*?/)??)({DIRECTORY}/)?_manifest\.json")
"""A manifest, with the path that it is of: it lies there, or in the directory of an incremental landing."""


def under(path: ObjectStoragePath, span: Span) -> list[Landed]:
    """The incremental landings under a path, or all landings in and below it.

    :param span: incremental landings from before it may be left out.
    :raises ConfigurationError: if there is none.
    """
    state = find_state(path)
    found = _committed(path, state, span) if state else _below(path, span)
    if not found:
        raise ConfigurationError(
            f"path: there is no {MANIFEST} in {path} or below it: nothing has landed there, or a landing was "
            "interrupted"
        )
    return found


def newest(path: ObjectStoragePath) -> Landed:
    """The landing with the manifest in a directory, or the one that has replaced it since."""
    landed = of_manifest(read_manifest(path), path)
    generation = landed.manifest["generation"]
    head = Log(path).head(generation)
    return landed if head == generation else _replacing(path, head)


def of_manifest(content: Any, path: ObjectStoragePath) -> Landed:
    """Check a manifest, and relocate it to the directory it was read from."""
    manifest = as_manifest(content, path / MANIFEST, "path")
    return Landed(path, moved(manifest, path), path)


def _committed(root: ObjectStoragePath, state: State, span: Span) -> list[Landed]:
    """The commits of an incremental path. Those outside of the span are not located.

    :raises ConfigurationError: if the lists of commits lack one, because they were changed.
    """
    log, entries = Log(root), state.recent
    first = listed = state.generation - len(entries) + 1
    # What was committed before the span was created before it.
    if not entries or entries[0].committed_at + SKEW > span[0]:
        entries, first = read_index(root, state.index) + entries, 1
    lacking = {*range(first, state.generation + 1)} - {entry.generation for entry in entries}
    if lacking:
        where = root / INDEX / state.index if state.index and min(lacking) < listed else root / STATE
        raise ConfigurationError(
            f"path: {where} does not list commit {min(lacking)}, so it was changed. Restore it from a backup"
        )
    found = []
    for entry in entries:
        landed = Landed(root, cast("Manifest", entry.manifest), root)
        found.append(landed if landed.outside(span) else _of_log(log, entry))
    return found


def _below(path: ObjectStoragePath, span: Span) -> list[Landed]:
    """All landings in a directory and below it."""
    listed = names(path, deep=True)
    heads: dict[str, int] = {}
    for entry in filter(None, map(_ENTRY.fullmatch, listed)):
        heads[entry["root"]] = max(int(entry["generation"]), heads.get(entry["root"], 0))
    found = []
    for below, head in heads.items():
        root = _join(path, below)
        if f"{below}{STATE}" in listed and (state := find_state(root)):
            found += _committed(root, state, span)
        else:
            found.append(_replacing(root, head))
    for name in filter(None, map(_MANIFEST.fullmatch, listed)):
        # The log says what is committed, where there is one.
        if name["root"] not in heads:
            directory = _join(path, name[0].removesuffix(MANIFEST))
            content = read_manifest(directory)
            # The reports that lie there have a manifest, too.
            if not (isinstance(content, dict) and "files" in content):
                found.append(of_manifest(content, directory))
    return found


def _replacing(root: ObjectStoragePath, head: int) -> Landed:
    """The newest commit of a path that each landing replaces."""
    log = Log(root)
    entry = log.read(head)
    if entry is None or entry.state is not None:
        missing = root / STATE if entry else log.name(head)
        raise ConfigurationError(f"path: {missing} is missing, although runs have committed there")
    return _of_log(log, entry)


def _of_log(log: Log, entry: Entry) -> Landed:
    return Landed(log.directory(entry), log.manifest_of(entry), log.root)


def _join(path: ObjectStoragePath, below: str) -> ObjectStoragePath:
    """A directory below a path. On an object store ``path / "."`` would be another one."""
    return path / below.rstrip("/") if below else path
