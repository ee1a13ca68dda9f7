"""What incremental landings under one path know of each other, step by step."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.errors import ConfigurationError, ConflictError
from airflow_provider_predictions.storage import state
from airflow_provider_predictions.storage.manifest import Part, Totals, manifest
from airflow_provider_predictions.storage.state import LOCK_LIFETIME, State, directory_of

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def after(path: ObjectStoragePath, **changes: object) -> State:
    """A state that a run has left."""
    directory = path / directory_of(1, "first")
    directory.mkdir(exist_ok=True)
    content = manifest(directory, [Part(str(directory / "part-00000.jsonl"), 1, 3, "ab")], Totals(count=1))
    fields = {
        "generation": 1,
        "arguments": "all",
        "watermark": NOON,
        "landed": {"a": NOON, "b\ud800": None},
        "run": "first",
        "attempt": 2,
        "manifest": content,
    }
    return State(**fields | changes)


def test_a_path_where_nothing_has_landed_has_a_state_that_says_so(file_store: ObjectStoragePath) -> None:
    assert state.load(file_store) == State(0, "", None, {}, "", 0, None)


def test_a_state_is_read_as_it_was_saved(file_store: ObjectStoragePath) -> None:
    state.save(file_store, after(file_store))

    assert state.load(file_store) == after(file_store)
    assert {file.name for file in file_store.iterdir()} == {"_state.json", directory_of(1, "first")}
    assert json.loads((file_store / "_state.json").read_text())["watermark"] == "2026-11-01T12:00:00Z"


def test_a_directory_is_called_by_generation_and_run() -> None:
    assert directory_of(7, "run") == "000007-acba2551"
    assert directory_of(7, "other") != directory_of(7, "run")


@pytest.mark.parametrize("generation", [1, 3])
def test_a_run_that_another_one_has_overtaken_does_not_commit(
    file_store: ObjectStoragePath, generation: int
) -> None:
    state.save(file_store, after(file_store))
    with pytest.raises(ConflictError, match=rf"under {file_store} .*its run is first\)"):
        state.save(file_store, State(generation=generation, run="second"))
    assert state.load(file_store).run == "first"

    state.save(file_store, State(generation=2, run="second"))
    assert state.load(file_store).run == "second"


@pytest.mark.parametrize(
    ("lock", "breaks"),
    [
        ({"run": "mine", "time": 0}, True),
        ({"run": "mine", "time": "now"}, True),
        ({"run": "other", "time": LOCK_LIFETIME + 30}, True),
        ({"run": "other", "time": LOCK_LIFETIME - 30}, False),
        ({"run": "other"}, False),
        ([], False),
        ("other", False),
    ],
)
def test_a_lock_is_taken_from_a_run_that_has_died_and_from_no_other(
    file_store: ObjectStoragePath, lock: object, breaks: bool
) -> None:
    if isinstance(lock, dict) and "time" in lock:
        lock["time"] = time.time() - lock["time"] if lock["time"] != "now" else time.time()
    (file_store / "_state.lock").write_text(json.dumps(lock))
    mine = State(generation=1, run="mine")
    if breaks:
        state.save(file_store, mine)
        assert {file.name for file in file_store.iterdir()} == {"_state.json"}
    else:
        with pytest.raises(ConflictError, match=f"another run is committing under {file_store} just now"):
            state.save(file_store, mine)
        assert json.loads((file_store / "_state.lock").read_text()) == lock


def test_a_lock_is_left_by_nobody_also_where_the_commit_fails(file_store: ObjectStoragePath) -> None:
    state.save(file_store, after(file_store))
    with pytest.raises(ConflictError):
        state.save(file_store, State(generation=1, run="second"))

    assert not (file_store / "_state.lock").exists()


@pytest.mark.parametrize("harm", ['{"generation": 1}', "[]", "null", "", '"x"', "[" * 100_000])
def test_what_is_no_state_is_named(file_store: ObjectStoragePath, harm: str) -> None:
    (file_store / "_state.json").write_text(harm)

    with pytest.raises(ConfigurationError, match=rf"path: {file_store}/_state.json is not what this package"):
        state.load(file_store)


def test_a_state_that_names_another_directory_is_none(file_store: ObjectStoragePath) -> None:
    state.save(file_store, after(file_store, run="second"))

    with pytest.raises(ConfigurationError, match="is not what this package wrote"):
        state.load(file_store)


def test_the_manifest_of_the_last_run_is_written_where_it_is_missing_only(
    file_store: ObjectStoragePath,
) -> None:
    last = after(file_store)
    state.rebuild_manifest(file_store, State())
    state.rebuild_manifest(file_store, last)
    found = file_store / directory_of(1, "first") / "_manifest.json"
    assert json.loads(found.read_text()) == last.manifest

    found.write_text("{}")
    state.rebuild_manifest(file_store, last)
    assert found.read_text() == "{}"
