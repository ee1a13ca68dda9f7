"""Commits that add to what lies under a path: each record lands once, in the first run that finds it finished."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from airflow_provider_predictions.api.arguments import utc
from airflow_provider_predictions.api.errors import ConfigurationError, ConflictError, PredictionsError
from airflow_provider_predictions.storage.attempt import Attempt, TaskRun, new_nonce, tagged
from airflow_provider_predictions.storage.checkpoint import CHECKPOINT
from airflow_provider_predictions.storage.index import (
    INDEX,
    RECENT,
    Committed,
    compacted,
    read_index,
)
from airflow_provider_predictions.storage.log import Entry, Log
from airflow_provider_predictions.storage.manifest import MANIFEST, Manifest, as_json, moved
from airflow_provider_predictions.storage.objects import names, put, remove_files
from airflow_provider_predictions.storage.state import STATE, STATES, State, load
from airflow_provider_predictions.storage.stored import encode

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

_NUMBERED = re.compile(r"([0-9]{8,})-[0-9a-f]{8}\.(json|gz)")

LATE = 24
"""A generation is swept again so many commits later, of what a frozen attempt has written since."""


class IncrementalPath:
    """A path of incremental landings, for one attempt to commit to.

    :param root: the path.
    :param task: whose attempt.
    :param kind: which predictions land there.
    :raises ConfigurationError: where other predictions land there, or its state cannot be read.
    """

    def __init__(self, root: ObjectStoragePath, task: TaskRun, kind: str) -> None:
        self.root = root
        self.state = load(root)
        if self.state.generation and self.state.kind != kind:
            raise ConfigurationError(
                f"path: {root} holds predictions of {self.state.kind}, and this task lands {kind}. "
                "Land them under another path"
            )
        self.kind = kind
        self.attempt = Attempt(root, self.state.generation + 1, task, new_nonce())
        self.may_have_committed = False
        if not self.state.conditional:
            log.warning(
                "%s: this storage cannot create an object only where there is none. See to it that one run "
                "lands there at a time", root,
            )  # fmt: skip

    def earlier(self) -> Manifest | None:
        """What an earlier attempt of this run has committed, whoever has committed since."""
        found = self._of_run(self.state)
        if found and found["path"] != str(self.root):
            with warning_only(self.root):  # it may have died before it wrote this
                put(type(self.root)(found["path"]) / MANIFEST, as_json(found))
        return found

    def commit(self, content: Manifest, state: State) -> Manifest:
        """Commit what an attempt has landed.

        :param state: with what is known now.
        :return: the manifest of the run: of this attempt, or of the one of this run that was quicker.
        :raises ConflictError: where another run was quicker. What this attempt has written is removed.
        :raises StorageError: where it cannot be found out; nothing is removed.
        """
        attempt, now = self.attempt, datetime.now(UTC)
        content["committed_at"] = utc(now)
        has_written = bool(content["parts"] or content["rejected"])
        if not has_written:
            content["path"] = str(self.root)
        done = Committed.of(content, attempt.task, attempt.tag if has_written else "", now)
        index, recent = compacted(self.root, state.index, [*state.recent, done], attempt.nonce)
        state = replace(
            state,
            generation=attempt.generation,
            nonce=attempt.nonce,
            kind=self.kind,
            index=index,
            recent=recent,
        )
        put(self.root / STATES / state.name, encode(state))
        entry = Entry(
            generation=attempt.generation, nonce=attempt.nonce, run=attempt.task.run, ti=attempt.task.ti,
            attempt=attempt.task.number, committed_at=now, manifest=dict(content), state=state.name,
        )  # fmt: skip
        self.may_have_committed = True
        winner = Log(self.root).commit(entry)
        if winner.nonce == attempt.nonce:
            self._publish(content, state)
            return content
        self.may_have_committed = False
        self.abandon()
        if earlier := self._of_run(load(self.root)):
            return earlier
        raise ConflictError(
            f"path: another run landed under {self.root} while this one did ({winner.run}). What it landed is "
            "committed; a retry lands the rest"
        )

    def nothing(self, content: Manifest) -> Manifest:
        """A run that has found nothing new commits nothing.

        :return: what an attempt of this run has committed meanwhile, else the empty manifest.
        """
        content["path"] = str(self.root)
        with warning_only(self.root):
            self._sweep(self.state)
        return self._of_run(load(self.root)) or content

    def abandon(self) -> None:
        """Remove what this attempt has written, unless it may be committed."""
        if self.may_have_committed:
            return
        with warning_only(self.root):
            self.attempt.remove()
            own = f"{self.attempt.generation:08}-{self.attempt.nonce}."
            for folder in (STATES, INDEX):
                remove_files(
                    self.root, [f"{folder}/{name}" for name in names(self.root / folder) if own in name]
                )

    def _of_run(self, state: State) -> Manifest | None:
        """What an attempt of this run has committed."""
        task = self.attempt.task
        for done in self._commits(state):
            if task.is_retry_of(done.run, done.ti, done.attempt):
                entry = Log(self.root).read(done.generation)
                if entry is None:
                    raise ConfigurationError(f"path: {Log(self.root).name(done.generation)} is missing")
                directory = self.root / done.directory if done.directory else self.root
                return moved(cast("Manifest", entry.manifest), directory)
        return None

    def _commits(self, state: State) -> Iterable[Committed]:
        yield from reversed(state.recent)
        # The first attempt of a run has nothing behind it, unless the run is hundreds of commits old.
        if self.attempt.task.number > 1:
            yield from reversed(read_index(self.root, state.index))

    def _publish(self, content: Manifest, state: State) -> None:
        """Write copies for readers, and remove what is over. It is committed, so nothing here fails the task."""
        with warning_only(self.root):
            put(self.root / STATE, encode(state))
            if content["parts"] or content["rejected"]:
                put(self.attempt.directory / MANIFEST, as_json(content))
            self._sweep(state)
            self._sweep_states(state)

    def _sweep(self, state: State) -> None:
        """Remove what attempts have left that did not commit.

        An attempt at a generation can commit nothing once the generation has its entry, so all that the entry
        does not name is over, however long an attempt is frozen. A generation without an entry is never swept.
        """
        for generation in (state.generation, state.generation - LATE):
            of = [done for done in state.recent if done.generation == generation]
            if of:
                keep = of[0].directory
                found = [name for name, _ in tagged(self.root, generation, shared=False)]
                remove_files(
                    self.root,
                    [name for name in found if not name.startswith(f"{keep}/") or f"/{CHECKPOINT}-" in name],
                )

    def _sweep_states(self, state: State) -> None:
        """Keep the newest state and the one before, which a reader may have been told of."""
        last = state.generation
        old = [
            name for name in names(self.root / STATES)
            if (number := _number(name)) < last - 1 or (number == last and name != state.name)
        ]  # fmt: skip
        remove_files(self.root, [f"{STATES}/{name}" for name in old])
        if state.index and state.index.through == last:
            old = [
                name for name in names(self.root / INDEX)
                if (number := _number(name)) < last - RECENT or (number == last and name != state.index.name)
            ]  # fmt: skip
            remove_files(self.root, [f"{INDEX}/{name}" for name in old])


def _number(name: str) -> float:
    """The generation in the name of a state or an index; none of another name is old."""
    found = _NUMBERED.fullmatch(name)
    return int(found[1]) if found else math.inf


@contextmanager
def warning_only(root: ObjectStoragePath) -> Iterator[None]:
    """Let nothing fail a task whose landing is committed, or lost anyway."""
    try:
        yield
    except PredictionsError as error:
        log.warning("%s: tidying up failed, and the next run does it: %s", root, error)
