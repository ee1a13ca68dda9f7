"""Attempts that begin, commit and die in drawn orders under a path so long that it has an index."""

from __future__ import annotations

import random
from contextlib import suppress
from operator import itemgetter

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.errors import ConflictError
from airflow_provider_predictions.api.limits import MAX_RECENT_COMMITS
from airflow_provider_predictions.storage.attempt import TaskRun
from airflow_provider_predictions.storage.commit import LandingPath
from airflow_provider_predictions.storage.log import Log
from airflow_provider_predictions.storage.manifest import Manifest
from airflow_provider_predictions.storage.state import load_state, read_index
from tests.storage.committing import add, is_whole, write


class Attempts:
    """Runs with up to three attempts each; some of them are under way at once."""

    def __init__(self, root: ObjectStoragePath, seed: int) -> None:
        self.root, self.rng = root, random.Random(seed)
        self.tries: dict[str, int] = {}
        self.committed: dict[str, Manifest] = {}
        self.under_way: list[tuple[str, LandingPath, Manifest]] = []

    def begin(self) -> None:
        """One of a new run, or of one that is known. What its run has committed is what it returns."""
        known = [run for run, tries in self.tries.items() if tries < 3]
        run = self.rng.choice([*known[-4:], f"run {len(self.tries)}"])
        self.tries[run] = self.tries.get(run, 0) + 1
        target = LandingPath(self.root, TaskRun(run, number=self.tries[run]), "vlmrun")
        assert target.find_committed() == self.committed.get(run)
        if run not in self.committed:
            self.under_way.append((run, target, write(target.attempt, self.rng.choice([1, 6]))))

    def end(self) -> None:
        """One that is killed, or that commits unless another one was quicker."""
        run, target, content = self.under_way.pop(self.rng.randrange(len(self.under_way)))
        if self.rng.random() < 0.8:
            with suppress(ConflictError):
                landed = target.commit(content, target.state)
                assert self.committed.setdefault(run, landed) == landed


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_state_index_and_log_agree_whoever_commits(file_store: ObjectStoragePath, seed: int) -> None:
    for run in range(MAX_RECENT_COMMITS - 5):
        add(file_store, f"before {run}")
    attempts = Attempts(file_store, seed)

    for _ in range(60):
        attempts.begin()
        if len(attempts.under_way) > attempts.rng.randrange(3):
            attempts.end()

    state, log = load_state(file_store), Log(file_store)
    listed = [*read_index(file_store, state.index), *state.recent]
    assert state.index
    assert [entry.generation for entry in listed] == [*range(1, state.generation + 1)]
    assert all(is_whole(log.manifest_of(entry)) for entry in listed)
    landed = [log.manifest_of(entry) for entry in listed[MAX_RECENT_COMMITS - 5 :]]
    assert landed == sorted(attempts.committed.values(), key=itemgetter("generation"))
