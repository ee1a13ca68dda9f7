"""What incremental landings under one path know of each other: ``_state.json``, whose put is the commit."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_predictions.api.arguments import utc
from airflow_provider_predictions.api.errors import ConfigurationError, ConflictError
from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.storage.manifest import MANIFEST, Manifest, commit
from airflow_provider_predictions.storage.objects import create, put, read, remove

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

STATE = "_state.json"
LOCK = "_state.lock"
LOCK_LIFETIME = 600.0
"""Seconds after which a lock is taken from a run that must have died between two puts."""


@dataclass
class State:
    """What has landed under a path.

    :param generation: how many runs have committed.
    :param arguments: what is landed there; a path takes one kind of predictions.
    :param watermark: everything older is settled.
    :param landed: what has landed of what is not older, with its creation time.
    :param run: which run committed last, and ``attempt`` of it.
    :param manifest: of that run.
    """

    generation: int = 0
    arguments: str = ""
    watermark: datetime | None = None
    landed: dict[str, datetime | None] = field(default_factory=dict)
    run: str = ""
    attempt: int = 0
    manifest: Manifest | None = None

    def to_json(self) -> bytes:
        """In ASCII, whatever the ids hold."""
        times = {id_: created and utc(created) for id_, created in self.landed.items()}
        given = asdict(self) | {"watermark": self.watermark and utc(self.watermark), "landed": times}
        return json.dumps(given).encode()

    @classmethod
    def from_json(cls, text: bytes) -> State:
        """Read what ``to_json`` wrote."""
        given = json.loads(text)
        given["watermark"] = as_time(given["watermark"])
        given["landed"] = {id_: as_time(created) for id_, created in given["landed"].items()}
        return cls(**given)


def load(path: ObjectStoragePath) -> State:
    """The state of a path, as it is at this moment.

    :raises ConfigurationError: where it cannot be read; to start anew could land everything twice.
    """
    try:
        text = read(path / STATE)
    except FileNotFoundError:
        return State()
    try:
        return State.from_json(text)
    except (ValueError, LookupError, TypeError):
        raise ConfigurationError(
            f"path: {path / STATE} is not what this package wrote. Restore it, or land under another path"
        ) from None


def save(path: ObjectStoragePath, state: State) -> None:
    """Commit a run, unless another one has committed since the state was loaded.

    :raises ConflictError: where one has.
    """
    with _locked(path, state.run):
        current = load(path)
        if current.generation != state.generation - 1:
            raise ConflictError(
                f"path: another run landed under {path} while this one did (its run is "
                f"{current.run or 'unknown'}). What it landed is committed; a retry lands the rest"
            )
        put(path / STATE, state.to_json())


def rebuild_manifest(path: ObjectStoragePath, state: State) -> None:
    """Write the manifest of the last run, if that run was interrupted between its two puts."""
    if state.manifest:
        target = type(path)(state.manifest["path"])
        try:
            read(target / MANIFEST)
        except FileNotFoundError:
            log.info("%s is missing; it is written from %s", target / MANIFEST, path / STATE)
            commit(target, state.manifest)


@contextmanager
def _locked(path: ObjectStoragePath, run: str) -> Iterator[None]:
    """Keep other runs from committing, where the storage can create an object only if it is absent."""
    lock = path / LOCK
    content = json.dumps({"run": run, "time": time.time()}).encode()
    try:
        try:
            known = create(lock, content)
        except FileExistsError:
            _break(lock, run)
            known = create(lock, content)
    except FileExistsError:
        raise ConflictError(
            f"path: another run is committing under {path} just now; a retry cures this"
        ) from None
    if not known:
        log.debug(
            "%s:// cannot create an object only if it is absent; generations are compared", path.protocol
        )
    try:
        yield
    finally:
        remove(lock)


def _break(lock: ObjectStoragePath, run: str) -> None:
    """Remove a lock whose run has died, or which an earlier attempt of this run has left."""
    try:
        content = read(lock)
    except FileNotFoundError:
        return
    try:
        held = json.loads(content)
    except ValueError:
        return
    if held["run"] == run or held["time"] < time.time() - LOCK_LIFETIME:
        log.warning("%s is left over from a run that died; it is removed", lock)
        remove(lock)
