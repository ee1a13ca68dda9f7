"""The numbered log: where its head is, who has committed, and what may not be changed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from msgspec.structs import replace

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.storage import log as log_module
from airflow_provider_predictions.storage.attempt import TaskRun
from airflow_provider_predictions.storage.log import Entry, Log
from tests.storage.committing import NOTHING, add

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def entry(generation: int, nonce: str = "00000000") -> Entry:
    return Entry(
        generation=generation,
        nonce=nonce,
        task=TaskRun("monday"),
        committed_at=NOON,
        manifest=NOTHING,
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

    with pytest.raises(ConfigurationError, match=r"_log/00000001\.json is not an Entry of version 1"):
        Log(file_store).read(1)


EARLIER, START, LATER = (f"2026-11-01T{hour}:00:00Z" for hour in (11, 12, 13))
COMMITTED = TaskRun("monday", "a", 1, tries=2, started=START, due=START)


@pytest.mark.parametrize(
    ("task", "is_run", "is_retry"),
    [
        pytest.param(COMMITTED, True, True, id="the same attempt, started twice"),
        pytest.param(replace(COMMITTED, ti="b", number=2), True, True, id="a retry"),
        pytest.param(replace(COMMITTED, number=2, tries=3), True, False, id="cleared in its run"),
        pytest.param(
            replace(COMMITTED, number=2, tries=3, started=LATER, cleared=1),
            *(True, False),
            id="cleared after its run",
        ),
        *(
            pytest.param(
                replace(COMMITTED, number=2, tries=tries, started=LATER, cleared=1),
                *(True, False),
                id=f"cleared after its run with {tries - 1} retries",
            )
            for tries in (1, 2)
        ),
        pytest.param(replace(COMMITTED, ti="b", started=LATER), False, False, id="a run made anew"),
        pytest.param(
            replace(COMMITTED, ti="d", number=3, tries=4, started=EARLIER, cleared=1),
            *(False, False),
            id="a task that was cleared before its run was made anew",
        ),
        pytest.param(replace(COMMITTED, ti="b"), False, False, id="a run made anew by dag.test()"),
        pytest.param(replace(COMMITTED, ti=None), True, True, id="an attempt of Airflow 2, started twice"),
        pytest.param(
            replace(COMMITTED, ti="c", number=2, started=LATER), False, False, id="a retry in a run made anew"
        ),
        pytest.param(
            replace(COMMITTED, ti="c", number=2, tries=3, started=LATER),
            *(False, False),
            id="a retry in a run made anew with more retries",
        ),
        pytest.param(
            replace(COMMITTED, ti="c", number=2, tries=3, started=LATER, cleared=1, due=LATER),
            *(False, False),
            id="a manual run that was made anew and cleared",
        ),
        pytest.param(replace(COMMITTED, run="tuesday", number=2), False, False, id="another run"),
        pytest.param(TaskRun("monday", "b", 2), True, False, id="another attempt, where no more is known"),
        pytest.param(TaskRun("monday", "a", 1), True, False, id="the same attempt, where no more is known"),
        pytest.param(TaskRun("monday", "b", 1), False, False, id="a first attempt, where no more is known"),
    ],
)
def test_a_retry_is_told_from_a_task_that_was_cleared_and_a_run_that_was_made_anew(
    task: TaskRun, is_run: bool, is_retry: bool
) -> None:
    assert (task.is_run_of(COMMITTED), task.is_retry_of(COMMITTED)) == (is_run, is_retry)
