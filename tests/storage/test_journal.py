"""The checkpoints of this machine: what is left of them where a disk is full."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.storage.attempt import Attempt, TaskRun
from airflow_provider_predictions.storage.checkpoint import Journal, Progress, candidates
from tests.reliability.test_storage_full import no_file_larger_than


def test_a_journal_that_a_full_disk_cuts_short_holds_the_progress_before(tmp_path: Path) -> None:
    progress, journal = Progress.new("arguments", "0" * 8, tmp_path), Journal(tmp_path)
    progress.requests = 1
    journal.save(progress)
    size = tmp_path.joinpath("journal").stat().st_size
    progress.requests = 2
    journal.save(progress)
    progress.requests = 3

    with no_file_larger_than(2 * size + 10):
        with pytest.raises(OSError, match="too large"):
            journal.save(progress)
        journal.close()

    progress.close()
    attempt = Attempt(ObjectStoragePath(tmp_path.as_uri()), 1, TaskRun("run"), "1" * 8)
    (found,) = candidates("arguments", tmp_path, attempt)
    assert found.requests == 2
    assert tmp_path.joinpath("journal").stat().st_size > 2 * size
