"""What incremental landings under one path know of each other.

``_states/00000042-….json`` is the state after commit 42; the log's entry names it. ``_state.json`` is a copy
of the newest for readers. It may be late, so who reads it looks for the log's next entry, too.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec

from airflow_provider_predictions.api.errors import ConfigurationError, ConflictError
from airflow_provider_predictions.storage.log import LOG, Entry, Log
from airflow_provider_predictions.storage.manifest import MANIFEST
from airflow_provider_predictions.storage.objects import create, is_conditional, names, read
from airflow_provider_predictions.storage.stored import Nonce, Number, Stored, decode, encode

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

STATE = "_state.json"
STATES = "_states"
LOOKS = 20
"""How often the newest state is looked for while others commit."""


class State(Stored):
    """What has landed under a path.

    :param generation: how many attempts have committed.
    :param nonce: of the last one.
    :param kind: what is landed there; a path takes one kind of predictions.
    :param watermark: everything older is settled.
    :param landed: what has landed of what is not older, with its creation time.
    :param rejected: rows that are no records and were told of, by their hashes, with when they were met.
    :param recent: the newest commits, oldest first.
    :param index: the name of the object that has the others.
    :param conditional: whether the storage can create an object only where there is none.
    """

    generation: Number = 0
    nonce: Nonce = ""
    kind: str = ""
    watermark: datetime | None = None
    landed: dict[str, datetime | None] = msgspec.field(default_factory=dict)
    rejected: dict[str, datetime] = msgspec.field(default_factory=dict)
    recent: list[Entry] = msgspec.field(default_factory=list)
    index: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{8,}-[0-9a-f]{8}\.gz\Z")] | None = None
    conditional: bool = True

    @property
    def name(self) -> str:
        """Of its object under ``_states``."""
        return f"{self.generation:08}-{self.nonce}.json"

    @property
    def index_name(self) -> str:
        """Of the index under ``_index`` that is written with it."""
        return f"{self.generation:08}-{self.nonce}.gz"


def load(root: ObjectStoragePath) -> State:
    """The state of a path, as it is at this moment; a new one where nothing has landed.

    :raises ConfigurationError: where it is missing beside commits, or cannot be read. To start anew could
        land everything twice.
    :raises ConflictError: where others commit all the time.
    """
    return find(root) or _begin(root)


def find(root: ObjectStoragePath) -> State | None:
    """The state of a path, as it is at this moment; None where nothing lands incrementally there.

    :raises ConfigurationError: where it cannot be read.
    :raises ConflictError: where others commit all the time.
    """
    target, log = root / STATE, Log(root)
    try:
        state = _decoded(read(target), target)
    except FileNotFoundError:
        return None
    for _ in range(LOOKS):
        head = log.head(state.generation)
        if head == state.generation:
            return state
        entry = log.read(head)
        if entry and (newest := _state_of(root, entry, log)):
            return newest
    raise ConflictError(f"path: other runs commit under {root} all the time; a retry cures this")


def _state_of(root: ObjectStoragePath, entry: Entry, log: Log) -> State | None:
    """The state that an entry names; None where a later commit has removed it meanwhile."""
    if entry.state is None:
        raise ConfigurationError(
            f"path: each landing under {root} replaces the one before. Land incrementally under another path"
        )
    target = root / STATES / entry.state
    try:
        return _decoded(read(target), target)
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
        raise ConfigurationError(
            f"path: {target} is {error}. Copy the newest object of {target.parent / STATES} over it, restore "
            "it from a backup, or land under another path"
        ) from None


def _begin(root: ObjectStoragePath) -> State:
    """The state of a path in which nothing has landed."""
    found = names(root)
    if STATES in found:
        raise ConfigurationError(
            f"path: {root / STATE} is missing, although runs have committed there. Copy the newest object of "
            f"{root / STATES} to it, or land under another path"
        )
    if LOG in found or MANIFEST in found:
        raise ConfigurationError(
            f"path: {root} holds a landing that is not incremental; land under another path"
        )
    target = root / STATE
    state = _decoded(create(target, encode(State())), target)
    without = msgspec.structs.replace(state, conditional=False)
    if state == State() and not is_conditional(target, encode(without)):
        return without
    return state
