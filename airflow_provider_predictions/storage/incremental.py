"""Commits that add to what lies under a path: each record lands once, when it is finished."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from airflow_provider_predictions.api.errors import ConfigurationError, ConflictError
from airflow_provider_predictions.storage.attempt import (
    Attempt,
    TaskRun,
    new_nonce,
    remove_numbered,
    remove_unfinished,
    tagged,
)
from airflow_provider_predictions.storage.checkpoint import CHECKPOINT
from airflow_provider_predictions.storage.commit import LandingPath, warning_only
from airflow_provider_predictions.storage.index import INDEX, RECENT, listed, packed, read_index
from airflow_provider_predictions.storage.local import UNFINISHED
from airflow_provider_predictions.storage.log import Entry
from airflow_provider_predictions.storage.manifest import MANIFEST, Manifest, as_json
from airflow_provider_predictions.storage.objects import names, put, remove_files
from airflow_provider_predictions.storage.state import STATE, STATES, State, find, load
from airflow_provider_predictions.storage.stored import encode

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

LATE = 24
"""A generation is swept again so many commits later, of what a frozen attempt has written since."""


class IncrementalPath(LandingPath):
    """A path of incremental landings, for one attempt to commit to.

    :param root: the path.
    :param task: whose attempt.
    :param kind: which predictions land there.
    :raises ConfigurationError: where other predictions land there, or its state cannot be read.
    """

    def __init__(self, root: ObjectStoragePath, task: TaskRun, kind: str) -> None:
        self.state = load(root)
        if self.state.generation and self.state.kind != kind:
            raise ConfigurationError(
                f"path: {root} holds predictions of {self.state.kind}, and this task lands {kind}. "
                "Land them under another path"
            )
        super().__init__(Attempt(root, self.state.generation + 1, task, new_nonce()))
        self.kind = kind
        self.is_conditional = self.state.conditional

    def earlier(self) -> Manifest | None:
        """What an earlier attempt of this run has committed, whoever has committed since."""
        found = self._of_run(self.state)
        if found and _is_written(found):  # it may have died before it wrote this
            put(type(self.root)(found["path"]) / MANIFEST, as_json(found))
        return found

    def commit(self, content: Manifest, state: State) -> Manifest:
        """Commit what an attempt has landed.

        :param state: with what is known now.
        :return: the manifest of the run: of this attempt, or of the one of this run that was quicker.
        :raises ConflictError: where another run was quicker. What this attempt has written is removed.
        :raises StorageError: where it cannot be found out, or the manifest cannot be written beside the
            parts; nothing is removed.
        """
        attempt = self.attempt
        if not _is_written(content):
            content["path"] = str(self.root)
        state = replace(
            state,
            generation=attempt.generation,
            nonce=attempt.nonce,
            kind=self.kind,
            conditional=self.is_conditional,
            swept=self._sweep_earlier(),
        )
        entry = self.entry(content, state=state.name)
        state = self._noting(state, entry)
        stored = encode(state)
        self.put(f"{STATES}/{state.name}", stored)
        winner = self.create(replace(entry, state_sha256=hashlib.sha256(stored).hexdigest()))
        if winner.nonce == attempt.nonce:
            self._publish(content, state)
            return content
        if earlier := self._of_run(load(self.root)):
            return earlier
        raise ConflictError(
            f"path: another run landed under {self.root} while this one did ({winner.task.run}). What it "
            "landed is committed; a retry lands the rest"
        )

    def nothing(self, content: Manifest) -> Manifest:
        """A run that has found nothing new commits nothing.

        :return: what an attempt of this run has committed meanwhile, else the empty manifest.
        """
        content["path"] = str(self.root)
        self._sweep_earlier()
        with warning_only(self.root):
            self._sweep_states(self.state)
        return self._of_run(find(self.root) or self.state) or content

    def remove(self) -> None:
        """Remove what this attempt has written."""
        super().remove()
        own = f"{self.attempt.generation:08}-{self.attempt.nonce}."
        for folder in (STATES, INDEX):
            remove_files(self.root, [f"{folder}/{name}" for name in names(self.root / folder) if own in name])

    def _noting(self, state: State, entry: Entry) -> State:
        """A state that lists a commit, too."""
        recent = [*state.recent, listed(entry)]
        if len(recent) < RECENT:
            return replace(state, recent=recent)
        older, recent = recent[: -LATE - 1], recent[-LATE - 1 :]
        self.put(f"{INDEX}/{state.index_name}", packed(read_index(self.root, state.index) + older))
        return replace(state, recent=recent, index=state.index_name)

    def _of_run(self, state: State) -> Manifest | None:
        """What an attempt of this run has committed."""
        own = filter(lambda entry: self.attempt.task.is_run_of(entry.task), self._commits(state))
        return next(map(self.log.landed, own), None)

    def _commits(self, state: State) -> Iterator[Entry]:
        yield from reversed(state.recent)
        # The first attempt of a run has nothing behind it, unless the run is many commits old.
        if self.attempt.task.number > 1:
            yield from reversed(read_index(self.root, state.index))

    def _publish(self, content: Manifest, state: State) -> None:
        """Write copies for readers, and remove what is over.

        :raises StorageError: where readers would miss the manifest; a retry writes it.
        """
        with warning_only(self.root):
            self.put(STATE, encode(state))
        with warning_only(self.root):
            self._sweep(state.recent[-1])
            remove_unfinished(self.root, state.generation)
            self._sweep_states(state)
        if _is_written(content):
            put(self.attempt.directory / MANIFEST, as_json(content))

    def _sweep_earlier(self) -> int:
        """Tidy up behind earlier commits, and give them the copy that was not written.

        :return: up to which commit nothing is left to do.
        """
        swept, head = self.state.swept, self.state.generation
        late = head + 1 - LATE
        with warning_only(self.root):
            for generation in (*((late,) if 0 < late <= swept else ()), *range(swept + 1, head + 1)):
                entry = next((e for e in self.state.recent if e.generation == generation), None)
                if entry := entry or self.log.read(generation):
                    names = self._sweep(entry)
                    if names and not any(name.endswith(f"/{MANIFEST}") for name in names):
                        put(self.log.directory(entry) / MANIFEST, as_json(self.log.landed(entry)))
                swept = max(swept, generation)
            remove_unfinished(self.root, head)
        return swept

    def _sweep(self, entry: Entry) -> list[str]:
        """Remove what attempts have left that did not commit.

        An attempt at a generation can commit nothing once the generation has its entry, so all that the
        entry does not name is over, however long an attempt is frozen. A generation without an entry is
        never swept.

        :return: the names of what is committed.
        """
        found = tagged(self.root, entry.generation, shared=False)
        over = {
            name for name, tag in found
            if tag["nonce"] != entry.nonce or f"/{CHECKPOINT}-" in name or name.endswith(UNFINISHED)
        }  # fmt: skip
        remove_files(self.root, sorted(over))
        return [name for name, _ in found if name not in over]

    def _sweep_states(self, state: State) -> None:
        """Keep the newest state and index and the ones before, which a reader may have been told of."""
        remove_numbered(self.root, STATES, state.generation, {entry.state for entry in state.recent[-2:]})
        if state.index == state.index_name:
            remove_numbered(self.root, INDEX, state.generation, {state.index, self.state.index})


def _is_written(content: Manifest) -> bool:
    """Whether a landing has a directory."""
    return bool(content["parts"] or content["rejected"])
