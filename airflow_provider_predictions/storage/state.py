"""The state that incremental landings under one path share.

``_states/00000042-….json`` is the state after commit 42; the log's entry names it. ``_state.json`` is a copy
of the newest for readers. It may be late, so its readers look for the log's next entry, too.

The state lists the newest commits; the others are in one more object, the index. So a reader finds the
landings of a window in three reads, however many there are.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from contextlib import suppress
from datetime import datetime
from typing import Annotated

import msgspec
from airflow.providers.common.compat.sdk import ObjectStoragePath
from msgspec.structs import replace

from airflow_provider_predictions.api.errors import ConfigurationError, ConflictError
from airflow_provider_predictions.api.incremental import Memory
from airflow_provider_predictions.api.limits import MAX_LISTED_PARTS, MAX_STATE_READS
from airflow_provider_predictions.api.state import Versioned, decode, encode
from airflow_provider_predictions.storage.attempt import (
    Generation,
    Nonce,
    remove_numbered,
    tagged,
    temporary_name,
)
from airflow_provider_predictions.storage.errors import warning_only
from airflow_provider_predictions.storage.log import LOG, Entry, Log
from airflow_provider_predictions.storage.manifest import MANIFEST, Manifest
from airflow_provider_predictions.storage.objects import create, names, read

STATE = "_state.json"
STATES = "_states"
INDEX = "_index"


class State(Memory, kw_only=True):
    """What has landed under a path.

    :param kind: which predictions land there. A path takes one kind.
    :param rejected: hashes of rows that are no records and were reported, with the time when they were met.
    :param recent: the newest commits, oldest first.
    :param index: the name of the object that lists the others.
    :param swept: the commit up to which attempts that did not commit have left nothing, except what a frozen
        one writes later.
    :param conditional: whether the storage has refused to create an object that exists.
    """

    generation: Generation = 0
    nonce: Nonce = ""
    kind: str = ""
    rejected: dict[str, datetime] = msgspec.field(default_factory=dict)
    recent: list[Entry] = msgspec.field(default_factory=list)
    index: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{8,}-[0-9a-f]{8}\.gz\Z")] | None = None
    swept: Generation = 0
    conditional: bool = False

    @property
    def name(self) -> str:
        """The name of its object under ``_states``."""
        return f"{self.generation:08}-{self.nonce}.json"

    @property
    def index_name(self) -> str:
        """The name of the index under ``_index`` that is written with it."""
        return f"{self.generation:08}-{self.nonce}.gz"


def load_state(root: ObjectStoragePath) -> State:
    """Read the current state of a path. A new one if nothing has landed.

    :raises ConfigurationError: if it is missing beside commits, or cannot be read. Starting anew could land
        everything twice.
    :raises ConflictError: if others commit all the time.
    """
    found = _find(root)
    if found and found[1].generation:
        _require_commit(root, *found)
    return found[1] if found else _begin(root)


def _require_commit(root: ObjectStoragePath, content: bytes, state: State) -> None:
    """Refuse a state that no commit names: one that was edited, or that of an attempt that did not commit."""
    log = Log(root)
    commit, entry = log.name(state.generation), log.read(state.generation)
    if entry is None:
        wrong = f"whose commit {commit} is missing. Restore that from a backup. If no backup has it:"
    elif entry.state != state.name:
        wrong = f"which {commit} does not name."
    elif entry.state_sha256 != hashlib.sha256(content).hexdigest():
        wrong = f"but not as it was committed: {commit} has another sha256."
    else:
        return
    raise ConfigurationError(f"path: {root / STATE} is {state.name}, {wrong} {_way_out(root)}")


def sweep_states(root: ObjectStoragePath, state: State, *, keep: int) -> None:
    """Remove old states and indexes. A reader that still wants one gets the current one.

    :param keep: how many of the newest states stay. With two, a damaged path can go back by one commit.
    :raises ConfigurationError: if the next commit is gone, although there is the state of a later one: no
        attempt writes the state of commit 43 before it has read commit 42.
    """
    stored: list[str] = []
    with warning_only(root):
        kept = {entry.state for entry in state.recent[-keep:]}
        stored = remove_numbered(root, STATES, state.generation, kept)
        if state.index == state.index_name:
            remove_numbered(root, INDEX, state.generation, {state.index})
    log, following = Log(root), state.generation + 1
    numbers = ((name.partition("-")[0], name) for name in stored)
    later = [name for number, name in numbers if number.isdecimal() and int(number) > following]
    if later and log.read(following) is None:
        raise ConfigurationError(
            f"path: {log.name(following)} is missing, although there is {root / STATES / later[-1]}. Restore "
            "it from a backup"
        )


def find_state(root: ObjectStoragePath) -> State | None:
    """Read the current state of a path. None if nothing lands incrementally there.

    :raises ConfigurationError: if it cannot be read.
    :raises ConflictError: if others commit all the time.
    """
    found = _find(root)
    return found and found[1]


def _find(root: ObjectStoragePath) -> tuple[bytes, State] | None:
    """The current state of a path, as bytes and decoded."""
    target, log = root / STATE, Log(root)
    try:
        content = read(target)
    except FileNotFoundError:
        return None
    state = _decoded(content, target)
    for _ in range(MAX_STATE_READS):
        head = log.head(state.generation)
        if head == state.generation:
            return content, state
        entry = log.read(head)
        if entry and (newest := _state_of(root, entry, log)):
            return newest
    raise ConflictError(f"path: other runs keep committing under {root}; a retry may succeed")


def newest_generation(root: ObjectStoragePath) -> tuple[int, list[int]]:
    """The newest generation of a path that each landing replaces, and those that are unsettled.

    :raises ConfigurationError: if something else lies there.
    """
    target, log, known, unsettled = root / MANIFEST, Log(root), 0, []
    with suppress(FileNotFoundError):
        content = read(target)
        try:
            found = msgspec.convert(json.loads(content), Manifest)
        except (ValueError, RecursionError):
            raise ConfigurationError(
                f"path: {target} is not what this version of the package writes. Remove it, or land under "
                "another path"
            ) from None
        known, unsettled = found["generation"], found.get("unsettled", [])
    head = log.head(known)
    if head == known:
        return head, unsettled
    entry = log.read(head)
    if entry is None or entry.state is not None:
        raise ConfigurationError(f"path: {root} holds incremental landings; land under another path")
    # The attempt that committed it has written it, unless the manifest says that it is unsettled.
    settled = {known} - {*unsettled}
    return head, sorted({*entry.unsettled, head} - settled)


def _state_of(root: ObjectStoragePath, entry: Entry, log: Log) -> tuple[bytes, State] | None:
    """The state that an entry names. None if a later commit has removed it meanwhile."""
    if entry.state is None:
        raise ConfigurationError(
            f"path: each landing under {root} replaces the one before. Land incrementally under another path"
        )
    target = root / STATES / entry.state
    try:
        content = read(target)
        return content, _decoded(content, target)
    except FileNotFoundError:
        if log.read(entry.generation + 1) is None:
            raise ConfigurationError(
                f"path: {target} is missing, which {log.name(entry.generation)} names. Restore it from a "
                "backup, or land under another path"
            ) from None
        return None


def _decoded(content: bytes, target: ObjectStoragePath) -> State:
    try:
        return decode(content, State)
    except ValueError as error:
        restored = "Restore it from a backup, or land under another path"
        way_out = _way_out(target.parent) if target.name == STATE else restored
        raise ConfigurationError(f"path: {target} is {error}. {way_out}") from None


def _way_out(root: ObjectStoragePath) -> str:
    return (
        f"Copy the object of {root / STATES} that the newest object of {root / LOG} names as its state to "
        f"{root / STATE}, restore that from a backup, or land under another path"
    )


def _begin(root: ObjectStoragePath) -> State:
    """The state of a path in which nothing has landed."""
    found, log, target = names(root), Log(root), root / STATE
    numbers = [int(name) for name in found if name.isdecimal()]
    if {LOG, STATES, MANIFEST}.intersection(found) or any(tagged(root, n, shared=False) for n in numbers):
        if state := find_state(root):  # another run was quicker
            return state
        entry = log.read(log.head(0))
        if MANIFEST in found or (entry and entry.state is None):
            raise ConfigurationError(
                f"path: {root} holds a landing that is not incremental; land under another path"
            )
        raise ConfigurationError(
            f"path: {target} is missing, although runs have landed there. {_way_out(root)}"
        )
    return _decoded(create(target, encode(State()), via=temporary_name(root, 1)), target)


class Index(Versioned, kw_only=True):
    """Commits that are no longer in the state, oldest first."""

    commits: list[Entry]


def without_parts(entry: Entry) -> Entry:
    """A commit as the state and the index list it."""
    manifest = entry.manifest
    if len(manifest["parts"]) <= MAX_LISTED_PARTS:
        return entry
    return replace(entry, manifest={name: fact for name, fact in manifest.items() if name != "parts"})


def read_index(root: ObjectStoragePath, name: str | None) -> list[Entry]:
    """The commits that are no longer in the state, oldest first.

    :param name: of the index. None if there is none yet.
    :raises ConfigurationError: if it is missing or cannot be read.
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


def encode_index(commits: list[Entry]) -> bytes:
    """An index of commits, as it is stored."""
    return gzip.compress(encode(Index(commits=commits)), mtime=0)
