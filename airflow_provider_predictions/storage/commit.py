"""A path, for one attempt to commit to.

On an incremental path, a commit adds to those before. On any other path it replaces them, and
``_manifest.json`` right under the path shows a whole landing at any time.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import ObjectStoragePath
from msgspec.structs import replace

from airflow_provider_predictions.api.errors import ConfigurationError, ConflictError
from airflow_provider_predictions.api.filters import utc
from airflow_provider_predictions.api.limits import MAX_RECENT_COMMITS
from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.api.state import encode
from airflow_provider_predictions.storage.attempt import (
    Attempt,
    TaskRun,
    new_nonce,
    path_in_use,
    remove_unfinished,
    temporary_name,
)
from airflow_provider_predictions.storage.errors import warning_only
from airflow_provider_predictions.storage.log import Entry, Log
from airflow_provider_predictions.storage.manifest import MANIFEST, Manifest, as_json, is_written
from airflow_provider_predictions.storage.objects import names, put, remove_files, try_to_write
from airflow_provider_predictions.storage.state import (
    INDEX,
    STATE,
    STATES,
    State,
    encode_index,
    find_state,
    load_state,
    newest_generation,
    read_index,
    sweep_states,
    without_parts,
)
from airflow_provider_predictions.storage.sweep import sweep

_MINUTE = len("2026-11-28T21:41")

log = logging.getLogger(__name__)

LATE = 24
"""After so many commits, a generation is swept again, of what a frozen attempt has written since."""
_UNKNOWN = datetime.min.replace(tzinfo=UTC)


class LandingPath:
    """A path, for one attempt to commit to.

    :param root: the directory that the user names.
    :param task: the attempt of an Airflow task that lands.
    :param kind: which predictions land there incrementally. None if each landing replaces the one before.
    :raises ConfigurationError: if something else lands there, or its state cannot be read.
    """

    def __init__(self, root: ObjectStoragePath, task: TaskRun, kind: str | None = None) -> None:
        self.root, self.kind, self.log = root, kind, Log(root)
        self.unsettled: list[int] = []
        if kind is None:
            head, self.unsettled = newest_generation(root)
            self.state = State(generation=head)
        else:
            self.state = load_state(root)
        if kind and self.state.generation and self.state.kind != kind:
            raise ConfigurationError(
                f"path: {root} holds predictions of {self.state.kind}, and this task lands {kind}. "
                "Land them under another path"
            )
        self.attempt = Attempt(root, self.state.generation + 1, task, new_nonce(), shared=kind is None)
        self.is_conditional = self.state.conditional
        self._may_have_committed = False

    def begin(self) -> None:
        """Find a missing bucket or permission before the first request to the service."""
        trial = self.attempt.name("_trial")
        self.is_conditional = try_to_write(self.root, trial, is_conditional=self.is_conditional)
        if not self.is_conditional:
            log.warning(
                "%s: this storage cannot create an object only where there is none. Let only one run "
                "land there at a time", self.root,
            )  # fmt: skip

    def find_committed(self) -> Manifest | None:
        """The manifest that an earlier attempt of this run has committed. None if there is none.

        On an incremental path, later commits of other runs do not matter. On any other path, only a retry
        gets the manifest, or an attempt that a later one has overtaken. A task that was cleared lands anew.

        :raises ConfigurationError: if another task of this run, or another instance of this mapped task, has
            landed here. On an incremental path, two tasks may.
        """
        head = self.log.read(self.state.generation) if self.state.generation and not self.kind else None
        self._require_own([head] if head else self.state.recent)
        entry = self._of_run(_commits(self.state, self.attempt)) if self.kind else head
        if entry is None or not (self.kind or self.attempt.task.returns(entry.task)):
            return None
        return self._returned(entry)

    def commit(self, content: Manifest, state: State | None = None) -> Manifest:
        """Commit what this attempt has landed, or remove it if another attempt was quicker.

        :param state: the new state of an incremental path.
        :return: the manifest of this attempt, or of the attempt of this run that was quicker.
        :raises ConflictError: if another run was quicker on an incremental path, or this run after a clear.
        :raises ConfigurationError: if another run was quicker. A retry would replace what it has landed.
        :raises StorageError: if it is unknown who was, or the manifest cannot be written for readers. Nothing
            is removed.
        """
        attempt, now = self.attempt, datetime.now(UTC)
        content["committed_at"] = utc(now)
        if content.get("started_at", "")[:_MINUTE] == content["committed_at"][:_MINUTE]:
            del content["started_at"]  # keeps the XComs of many landings small
        if self.unsettled:
            content["unsettled"] = self.unsettled
        if state and not is_written(content):
            content["path"] = str(self.root)
        entry = Entry(
            generation=attempt.generation,
            nonce=attempt.nonce,
            task=attempt.task,
            committed_at=now,
            manifest=dict(content),
        )
        if state:
            entry, state = self._note(entry, state)
        self._may_have_committed = True
        winner = self.log.commit(entry, is_conditional=self.is_conditional)
        if winner.nonce == attempt.nonce:
            self._publish(entry, content, state)
            return content
        self._may_have_committed = False
        self.abandon()
        if state:
            own = self._of_run(_commits(load_state(self.root), attempt))
        else:
            own = self._own(winner)
            if own:  # unless another run has replaced it
                head, self.unsettled = newest_generation(self.root)
                winner = self.log.read(head) or winner
                own = self._own(winner)
        if own:
            return self._returned(own)
        overtaken = f"path: another run landed under {self.root} while this one did ({winner.task.run})."
        if state:
            raise ConflictError(f"{overtaken} What it landed is committed; a retry lands the rest")
        if winner.task.run == attempt.task.run:
            raise ConflictError(
                f"{overtaken} It has the same name, as after a clear. A retry returns what this run has "
                "committed, or lands again"
            )
        raise ConfigurationError(
            f"{overtaken} Give each run a path of its own, such as one with {{{{ ds }}}} in it, or let one "
            "run at a time land there"
        )

    def end_without_commit(self, content: Manifest) -> Manifest:
        """Tidy up after an incremental run that has found nothing new. It commits nothing.

        :return: the manifest that another attempt of this run has committed meanwhile, or the empty one.
        """
        content["path"] = str(self.root)
        self._sweep_earlier()
        sweep_states(self.root, self.state, keep=2)
        own = self._of_run(_commits(find_state(self.root) or self.state, self.attempt))
        return self._returned(own) if own else content

    def abandon(self) -> None:
        """Remove what this attempt has written, unless that may be committed."""
        if self._may_have_committed:
            return
        with warning_only(self.root):
            self.attempt.remove()
            own = f"{self.attempt.generation:08}-{self.attempt.nonce}."
            for folder in (STATES, INDEX) if self.kind else ():
                left = [name for name in names(self.root / folder) if own in name]
                remove_files(self.root, [f"{folder}/{name}" for name in left])

    def _own(self, entry: Entry) -> Entry | None:
        """A commit right under the path, if this attempt returns it after it has lost to it."""
        task = self.attempt.task
        return entry if task.returns(entry.task) or task.is_retry_of(entry.task) else None

    def _returned(self, entry: Entry) -> Manifest:
        """The manifest that another attempt of this run has committed, and may not have written any more."""
        content = self.log.manifest_of(entry)
        if self.kind:
            self._show(entry, content)
        elif entry.generation in self.unsettled:
            # The attempt that has committed may be frozen, and write its manifest later.
            self._publish(entry, {**content, "unsettled": self.unsettled})
        else:
            with warning_only(self.root):
                self._sweep(entry)
        return content

    def _require_own(self, commits: Iterable[Entry]) -> None:
        """Refuse a path where another task of this run has landed."""
        for other in (entry.task for entry in commits if entry.task.is_beside(self.attempt.task)):
            if other.task_id == self.attempt.task.task_id:
                raise path_in_use(self.root)
            if not self.kind:
                raise path_in_use(self.root, other.task_id)

    def _of_run(self, commits: Iterable[Entry]) -> Entry | None:
        """The newest commit of this run.

        After a clear, a deleted run of the same id cannot be told from it but by its earlier start, and a
        frozen attempt of that one may have committed later.
        """
        own = [entry for entry in commits if self.attempt.task.is_run_of(entry.task)]
        return max(own, key=lambda entry: as_time(entry.task.started) or _UNKNOWN, default=None)

    def _note(self, entry: Entry, state: State) -> tuple[Entry, State]:
        """Write the state after a commit.

        :return: the commit, which names that state, and the state.
        """
        sweep_states(self.root, self.state, keep=1)  # beside the one that is written now
        state = replace(
            state,
            generation=entry.generation,
            nonce=entry.nonce,
            kind=self.kind or "",
            conditional=self.is_conditional,
            swept=self._sweep_earlier(),
        )
        entry = replace(entry, state=state.name)
        recent = [*state.recent, without_parts(entry)]
        if len(recent) >= MAX_RECENT_COMMITS:
            older, recent = recent[: -LATE - 1], recent[-LATE - 1 :]
            self._put(f"{INDEX}/{state.index_name}", encode_index(read_index(self.root, state.index) + older))
            state = replace(state, index=state.index_name)
        state = replace(state, recent=recent)
        stored = encode(state)
        self._put(f"{STATES}/{state.name}", stored)
        return replace(entry, state_sha256=hashlib.sha256(stored).hexdigest()), state

    def _publish(self, entry: Entry, content: Manifest, state: State | None = None) -> None:
        """Write copies for readers, and remove what is over.

        :raises StorageError: if the manifest cannot be written. A retry writes it.
        """
        if state:
            with warning_only(self.root):
                self._put(STATE, encode(state))
        elif self.log.read(entry.generation + 1) is None:
            self._show(entry, content)  # before the parts go that the old manifest names
            with warning_only(self.root):
                self._show_newer(entry.generation)
        else:  # a newer manifest may be there
            return
        with warning_only(self.root):
            self._sweep(entry)
        if state:
            self._show(entry, content)

    def _show_newer(self, generation: int) -> None:
        """Write the manifest of a newer commit again if that of this generation is over it.

        A library sends a put again whose answer was lost, and others may have committed meanwhile.
        """
        while self.log.read(generation + 1):
            generation, unsettled = newest_generation(self.root)
            if generation in unsettled and (entry := self.log.read(generation)):
                self._show(entry, {**self.log.manifest_of(entry), "unsettled": unsettled})

    def _show(self, entry: Entry, content: Manifest) -> None:
        """Write the manifest beside its parts."""
        if self.attempt.shared or is_written(content):
            directory = self.log.directory(entry)
            put(
                directory / MANIFEST, as_json(content), via=temporary_name(self.root, self.attempt.generation)
            )

    def _put(self, name: str, content: bytes) -> None:
        """Write an object that is not under this attempt's own names."""
        put(self.root / name, content, via=temporary_name(self.root, self.attempt.generation))

    def _sweep_earlier(self) -> int:
        """Tidy up after earlier commits, and write their missing copies of the manifest.

        :return: the commit up to which nothing is left to do.
        """
        swept, head = self.state.swept, self.state.generation
        recent = self.state.recent
        # As long as nothing can be removed, commits leave the list of recent ones unswept.
        unlisted = map(self.log.read, range(swept + 1, recent[0].generation if recent else 0))
        with warning_only(self.root):
            for entry in (*filter(None, unlisted), *recent):
                if entry.generation > swept or entry.generation == head + 1 - LATE:
                    kept = self._sweep(entry)
                    if kept and not any(name.endswith(f"/{MANIFEST}") for name in kept):
                        self._show(entry, self.log.manifest_of(entry))
                    swept = max(swept, entry.generation)
            remove_unfinished(self.root, head)
        return swept

    def _sweep(self, entry: Entry) -> list[str]:
        return sweep(self.log, entry, self.unsettled, shared=self.attempt.shared)


def _commits(state: State, attempt: Attempt) -> Iterator[Entry]:
    """All commits under an incremental path that may be of the run of the attempt, newest first."""
    yield from reversed(state.recent)
    # A first attempt has no earlier ones, unless its run began many commits ago.
    if attempt.task.number > 1:
        yield from reversed(read_index(attempt.root, state.index))
