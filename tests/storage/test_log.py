"""The numbered log: where its head is, who has committed, and what may not be changed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.storage import log as log_module
from airflow_provider_predictions.storage.attempt import TaskRun
from airflow_provider_predictions.storage.log import Entry, Log
from tests.storage.committing import add

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def entry(generation: int, nonce: str = "00000000") -> Entry:
    return Entry(
        generation=generation, nonce=nonce, run="monday", ti=None, attempt=1, committed_at=NOON, manifest={}
    )


@pytest.mark.parametrize("known", [0, 1, 5, 39, 40])
def test_the_head_is_found_from_any_generation_that_is_known(
    file_store: ObjectStoragePath, known: int
) -> None:
    log = Log(file_store)
    for generation in range(1, 41):
        log.commit(entry(generation))

    assert log.head(known) == 40


def test_a_head_that_is_known_costs_one_request(
    file_store: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def read(target: ObjectStoragePath) -> bytes:
        asked.append(target.name)
        raise FileNotFoundError

    monkeypatch.setattr(log_module, "read", read)

    assert Log(file_store).head(41) == 41
    assert asked == ["00000042.json"]


def test_the_first_of_two_commits_stays(file_store: ObjectStoragePath) -> None:
    log = Log(file_store)

    assert log.commit(entry(1, "11111111")).nonce == "11111111"
    assert log.commit(entry(1, "22222222")).nonce == "11111111"
    assert log.read(1) == entry(1, "11111111")
    assert log.read(2) is None


@pytest.mark.parametrize("harm", ['{"generation": 1}', "[]", "", "[" * 100_000, '{"version": 2}'])
def test_a_commit_that_cannot_be_read_is_named(file_store: ObjectStoragePath, harm: str) -> None:
    add(file_store, "monday")
    (file_store / "_log/00000001.json").write_text(harm)

    with pytest.raises(ConfigurationError, match=r"_log/00000001\.json is not a Entry of version 1"):
        Log(file_store).read(1)


@pytest.mark.parametrize(
    ("run", "ti", "number", "is_retry"),
    [
        ("monday", "b", 2, True),
        ("monday", "a", 1, True),
        ("monday", "b", 1, False),
        ("monday", None, 1, False),
        ("tuesday", "a", 2, False),
    ],
)
def test_a_retry_is_another_attempt_of_the_run_or_the_same_one(
    run: str, ti: str | None, number: int, is_retry: bool
) -> None:
    """A run that was deleted and made anew has its first attempt again, as another task instance."""
    committed = Entry(
        generation=1, nonce="0", run="monday", ti="a", attempt=1, committed_at=NOON, manifest={}
    )

    assert TaskRun(run, ti, number).is_retry_of(committed) is is_retry
