"""The names of one attempt. No other attempt writes, overwrites or removes objects under them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import msgspec
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.storage.objects import is_local, names, remove_files
from airflow_provider_predictions.storage.partitions import FOLDER

DIRECTORY = "[0-9]{8,}/[0-9a-f]{8}-[0-9a-f]{8}"
"""The directory of an attempt under an incremental path."""
_ATTEMPT = r"(?P<run>[0-9a-f]{8})-(?P<nonce>[0-9a-f]{8})"
_FOLDER = re.compile(FOLDER)
DAY = "day-"
"""Marks a part in the directory of a day, which may be the path of another landing, too."""
_OWN = re.compile(rf"(?P<generation>[0-9]{{8,}})/{_ATTEMPT}/.+")
"""An object in the directory of an attempt."""
_TAG = rf"(?P<generation>[0-9]{{8,}})-{_ATTEMPT}(\.[a-z0-9.]+)?"
_TAGGED = re.compile(rf"(part|_[a-z]+)(-[0-9]{{5,}})?\.{_TAG}")
"""An object of an attempt right under the path."""
_OF_A_DAY = re.compile(rf"{FOLDER}/part-[0-9]{{5,}}\.{DAY}{_TAG}")
"""A part of an attempt in the directory of a day under the path."""
_NUMBERED = re.compile(r"([0-9]{8,})-[0-9a-f]{8,}(\.[a-z]+)?")
"""An object of an attempt in a folder that all attempts share."""

Nonce = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{8})?\Z")]
"""Of an attempt; empty where there is none yet. It becomes a part of names, so it holds nothing else."""
Generation = Annotated[int, msgspec.Meta(ge=0)]
"""The number of a commit."""


def path_in_use(path: ObjectStoragePath, task: str | None = None) -> ConfigurationError:
    """The error of a task that would replace what its own run has just written.

    :param task: the other task. None for another instance of the same mapped task.
    """
    if task:
        return ConfigurationError(
            f"path: {path} holds what task {task} has written in this run. Give each task a path of its own, "
            "such as one with {{ ti.task_id }} in it"
        )
    return ConfigurationError(
        f"path: {path} holds what another instance of this mapped task has written in this run. Give each "
        "instance a path of its own, such as one with {{ ti.map_index }} in it"
    )


class TaskRun(msgspec.Struct, frozen=True):
    """Which attempt of which task of which run this is.

    :param run: the task and its run, as text. All attempts have the same.
    :param ti: the id of the task instance, which differs for each attempt. None in Airflow 2.
    :param number: of the attempt, from 1.
    :param tries: Airflow's ``max_tries``: the number of the last attempt but one. It changes when the task is
        cleared, and only then. It grows, unless the DAG has fewer retries by now.
    :param started: when the run started, if known. It changes when a finished run is cleared, and when a run
        is deleted and recreated under the same id.
    :param cleared: Airflow's ``clear_number``: how often the run was cleared. A recreated run begins with 0.
    :param due: Airflow's ``run_after``, if known. A manual run that is recreated has another one.
    """

    run: str
    ti: str | None = None
    number: int = 1
    tries: int = 0
    started: str | None = None
    cleared: int = 0
    due: str | None = None

    @property
    def is_last(self) -> bool:
        """Whether no other attempt follows if this one fails."""
        return self.number > self.tries

    @property
    def key(self) -> str:
        """The run, as a part of names."""
        return hashlib.sha256(self.run.encode()).hexdigest()[:8]

    def is_run_of(self, other: TaskRun) -> bool:
        """Whether both are attempts of one run, which was not deleted and recreated under the same id."""
        if other.run != self.run or not self._shares_run(other):
            return False
        if self.ti and self.ti == other.ti:
            return True
        started, others = as_time(self.started), as_time(other.started)
        if started and others and started != others:
            return started > others and self.number > other.number
        # A recreated run begins with attempt 1 again, under dag.test() even with the same start. Without an
        # id of the task instance, as in Airflow 2, it may also be one attempt that was started twice.
        is_twin = bool(started and others) and not (self.ti and other.ti)
        return self.number != other.number or is_twin

    def is_beside(self, other: TaskRun) -> bool:
        """Whether both are of one run of a DAG: two tasks, or two instances of a mapped task."""
        return self.dag_run == other.dag_run != "" and self.run != other.run and self._shares_run(other)

    def _shares_run(self, other: TaskRun) -> bool:
        """Whether both are of one run, if their runs have the same id: none was recreated between them.

        A run that is cleared when it has finished starts again, as a recreated one does. Airflow counts the
        former.
        """
        if self.due and other.due and self.due != other.due:
            return False
        started, others = as_time(self.started), as_time(other.started)
        if not (started and others) or started == others:
            return True
        return self.cleared > other.cleared if started > others else self.cleared < other.cleared

    @property
    def dag_run(self) -> str:
        """The DAG and its run. Empty outside of Airflow."""
        return " ".join(self.run.split(" ")[:-2]) if self.task_id else ""

    @property
    def task_id(self) -> str:
        """The task in its DAG. Empty outside of Airflow."""
        words = self.run.split(" ")  # DAG, run, task and map index
        return words[-2] if len(words) > 3 else ""

    def is_retry_of(self, other: TaskRun) -> bool:
        """Whether both are attempts of one run, and the task was not cleared between them."""
        is_one_start = not (self.started and other.started) or self.started == other.started
        return self.is_run_of(other) and self.tries == other.tries and is_one_start

    def returns(self, other: TaskRun) -> bool:
        """Whether this attempt lands nothing right under a path where the other has committed.

        One that was frozen before it began may find what a later one has landed and returned.
        """
        is_late = other.number > self.number and other.is_run_of(self)
        return is_late or (self.number > 1 and self.is_retry_of(other))


def new_nonce() -> str:
    """A random name for an attempt. Try numbers are not unique (apache/airflow #59378)."""
    return uuid4().hex[:8]


@dataclass(frozen=True)
class Attempt:
    """An attempt to commit a generation, and the names under which it writes.

    :param root: the path of the landing.
    :param generation: the only one that it can commit.
    :param shared: write right under the path, with tagged names, instead of into a directory of its own.
    """

    root: ObjectStoragePath
    generation: int
    task: TaskRun
    nonce: str
    shared: bool = False
    _written: set[str] = field(default_factory=set, init=False, compare=False)

    @property
    def tag(self) -> str:
        return f"{self.generation:08}{'-' if self.shared else '/'}{self.task.key}-{self.nonce}"

    @property
    def directory(self) -> ObjectStoragePath:
        return self.root if self.shared else self.root / self.tag

    def name(self, stem: str, suffix: str = "") -> str:
        """The name of an object, relative to the path.

        :param stem: such as ``part-00000``, with the directory of its day if it has one.
        """
        if not self.shared:
            return f"{self.tag}/{stem}{suffix}"
        return f"{stem}.{DAY if '/' in stem else ''}{self.tag}{suffix}"

    def path(self, stem: str, suffix: str = "") -> ObjectStoragePath:
        """Where to write an object, which ``remove`` then removes."""
        name = self.name(stem, suffix)
        self._written.add(name)
        return self.root / name

    def predecessors(self) -> list[list[str]]:
        """The objects of each earlier attempt of this run at this generation."""
        found: dict[str, list[str]] = {}
        for name, tag in tagged(self.root, self.generation, shared=self.shared):
            if tag["run"] == self.task.key and tag["nonce"] != self.nonce:
                found.setdefault(tag["nonce"], []).append(name)
        return [*found.values()]

    def remove(self) -> None:
        """Remove all objects of the attempt, once it has lost or failed for good.

        They are not listed, since a listing can fail, or be stale.
        """
        remove_files(self.root, sorted(self._written))


NEW = "_new"


def temporary_name(root: ObjectStoragePath, generation: int) -> Path:
    """The temporary name of a file of a local path, for files that are not under an attempt's own names."""
    return Path(root.path, NEW, f"{generation:08}-{uuid4().hex}")


def remove_unfinished(root: ObjectStoragePath, generation: int) -> None:
    """Remove temporary files that killed writers left, up to a generation that is over."""
    if is_local(root):
        remove_numbered(root, NEW, generation)
        with suppress(OSError):  # not empty, or gone
            Path(root.path, NEW).rmdir()


def remove_numbered(
    root: ObjectStoragePath, folder: str, generation: int, kept: Collection[str | None] = ()
) -> list[str]:
    """Remove the objects of attempts in a folder, up to a generation that is over.

    :param kept: names to keep.
    :return: the names of those that were there.
    """
    listed = names(root / folder)
    found = {name: _NUMBERED.fullmatch(name) for name in listed if name not in kept}
    over = [name for name, number in found.items() if number and int(number[1]) <= generation]
    remove_files(root, [f"{folder}/{name}" for name in over])
    return listed


def tagged(
    root: ObjectStoragePath, generation: int | None, *, shared: bool
) -> list[tuple[str, re.Match[str]]]:
    """The objects of attempts, relative to the path, with the parts of their names.

    :param generation: None for all, which ``shared`` alone allows.
    :param shared: see ``Attempt``.
    """
    if shared:
        listed = names(root)
        if any(map(_FOLDER.fullmatch, listed)):
            listed = names(root, deep=True)
        found = [(name, _TAGGED.fullmatch(name) or _OF_A_DAY.fullmatch(name)) for name in listed]
    else:
        top = f"{generation:08}"
        below = [f"{top}/{name}" for name in names(root / top, deep=True)]
        found = [(name, _OWN.fullmatch(name)) for name in below]
    return [(name, tag) for name, tag in found if tag and generation in (None, int(tag["generation"]))]
