"""Commits that replace what lies under a path: ``_manifest.json`` shows a whole landing at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.storage.attempt import (
    Attempt,
    TaskRun,
    new_nonce,
    remove_unfinished,
    tagged,
)
from airflow_provider_predictions.storage.checkpoint import CHECKPOINT
from airflow_provider_predictions.storage.commit import LandingPath, warning_only
from airflow_provider_predictions.storage.log import Entry, Log
from airflow_provider_predictions.storage.manifest import MANIFEST, Manifest, as_json, name_of
from airflow_provider_predictions.storage.objects import read, remove_files
from airflow_provider_predictions.storage.stored import NotStoredError, Number, Stored, decode

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


class ReplacedPath(LandingPath):
    """A path of which each landing replaces the one before, for one attempt to commit to.

    The attempt that commits may be frozen before it shows its manifest, and show it over a newer one, months
    later. So the parts of a generation stay until its manifest, or a newer one, was seen by who commits next;
    until then it is unsettled.

    :param root: the path.
    :param task: whose attempt.
    :raises ConfigurationError: where something else lies there.
    """

    def __init__(self, root: ObjectStoragePath, task: TaskRun) -> None:
        shown = _shown(root)
        generation, unsettled = shown.generation, shown.unsettled
        head = Log(root).head(generation)
        if head != generation:
            entry = Log(root).read(head)
            if entry is None or entry.state is not None:
                raise ConfigurationError(f"path: {root} holds incremental landings; land under another path")
            unsettled = [*entry.unsettled, head]
        # Its own author has shown it, unless it says so itself.
        settled = {generation} - {*shown.unsettled}
        self.unsettled = sorted({*unsettled} - settled)
        self._is_shown = head == generation
        super().__init__(Attempt(root, head + 1, task, new_nonce(), shared=True))

    def earlier(self) -> Manifest | None:
        """What an earlier attempt of this run has committed, and died before it could say so.

        A task that was cleared lands anew.
        """
        entry = self.log.read(self.attempt.generation - 1) if self.attempt.task.number > 1 else None
        if entry is None or not self._is_retry_of(entry):
            return None
        content = self.log.landed(entry)
        if self._is_shown:
            with warning_only(self.root):
                self._sweep(content)
        else:
            # The attempt that has committed may be frozen, and show it later, too.
            self._publish({**content, "unsettled": sorted({*entry.unsettled, entry.generation})})
        return content

    def _is_retry_of(self, entry: Entry) -> bool:
        task = self.attempt.task
        if task.tries is not None:
            return task.is_retry_of(entry.task)
        # Outside of Airflow, what a successful attempt removes tells that it died before.
        left = tagged(self.root, entry.generation, shared=True)
        has_died = any(tag["nonce"] == entry.nonce and name.startswith(CHECKPOINT) for name, tag in left)
        return task.is_run_of(entry.task) and self._is_shown and has_died

    def commit(self, content: Manifest) -> Manifest:
        """Commit what an attempt has landed.

        :return: the manifest of the run: of this attempt, or of the one of this run that was quicker.
        :raises ConfigurationError: where another run was quicker: a retry would replace what it has landed.
        :raises StorageError: where it cannot be found out, or the manifest cannot be shown; nothing is
            removed.
        """
        if self.unsettled:
            content["unsettled"] = self.unsettled
        winner = self.create(self.entry(content))
        if winner.nonce == self.attempt.nonce:
            self._publish(content)
            return content
        if self.attempt.task.is_run_of(winner.task):
            return self.log.landed(winner)
        raise ConfigurationError(
            f"path: another run landed under {self.root} while this one did ({winner.task.run}). Give each "
            "run a path of its own, such as one with {{ ds }} in it, or let one run at a time land there"
        )

    def _publish(self, content: Manifest) -> None:
        """Show the manifest, once, and remove what no shown manifest can name any more."""
        if self.log.read(content["generation"] + 1) is not None:
            return
        self.put(MANIFEST, as_json(content))
        with warning_only(self.root):
            self._sweep(content)

    def _sweep(self, content: Manifest) -> None:
        generation = content["generation"]
        kept = {name_of(part["uri"]) for part in content["parts"]}
        kept |= {name.rpartition("/")[2] for name in (content["rejected_uri"],) if name}
        entries = {number: self.log.read(number) for number in self.unsettled}
        authors = {number: entry.nonce for number, entry in entries.items() if entry}
        over = [
            name for name, tag in tagged(self.root, None, shared=True)
            if (number := int(tag["generation"])) <= generation and name not in kept
            and (authors.get(number) != tag["nonce"] or name.startswith(CHECKPOINT))
        ]  # fmt: skip
        remove_files(self.root, over)
        remove_unfinished(self.root, generation)


class Shown(Stored, omit_defaults=True):
    """What the next landing needs of the manifest that lies there."""

    generation: Number
    unsettled: list[Number] = msgspec.field(default_factory=list)


def _shown(root: ObjectStoragePath) -> Shown:
    """The manifest that lies there; of generation 0 where there is none."""
    target = root / MANIFEST
    try:
        return decode(read(target), Shown)
    except FileNotFoundError:
        return Shown(generation=0)
    except NotStoredError:
        raise ConfigurationError(
            f"path: {target} is not what this version of the package writes. Remove it, or land under "
            "another path"
        ) from None
