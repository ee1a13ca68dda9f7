"""What a manifest counts and names, and which objects a commit removes."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.errors import ConfigurationError, StorageError
from airflow_provider_predictions.api.models import Page, Prediction
from airflow_provider_predictions.storage import objects
from airflow_provider_predictions.storage.manifest import (
    Part,
    Totals,
    commit,
    manifest,
    moved,
    name_of,
    part_name,
    take_back,
)

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def row(id_: str, status: str, created: datetime | None) -> Prediction:
    return Prediction(id_, status, created, None, b"{}")


def names(path: ObjectStoragePath) -> set[str]:
    return {file.name for file in Path(path.path).iterdir()}


def test_totals_are_those_of_all_pages_and_cross_json() -> None:
    totals, junk = Totals(), Prediction.rejected(b"1", "number instead of an object")
    totals.add(Page((row("a", "failed", NOON), row("b", "completed", NOON + HOUR)), 2, (junk, junk)))
    totals.add(Page((row("c", "failed", None),), 1))
    totals.add(Page((row("d", "failed", NOON - HOUR), row("e", "failed", NOON)), 0, (junk,)))

    facts = json.loads(json.dumps(totals.facts()))

    assert facts == {
        "count": 5,
        "duplicates": 3,
        "rejected": 3,
        "rejected_reasons": {"number instead of an object": 3},
        "statuses": {"completed": 1, "failed": 4},
        "created_min": "2026-11-01T11:00:00Z",
        "created_max": "2026-11-01T13:00:00Z",
    }
    assert Totals.from_facts(facts) == totals
    assert Totals.from_facts(Totals().facts()) == Totals()
    assert totals.rejected == Counter({"number instead of an object": 3})


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"])
def test_a_part_has_a_name_that_is_known_again(suffix: str) -> None:
    assert part_name(7, suffix) == f"part-00007{suffix}"
    assert name_of(f"s3://bucket/{part_name(123456, suffix)}") == f"part-123456{suffix}"


@pytest.mark.parametrize(
    "name", ["part-1.jsonl", "part-00001.jsonl.bz2", "xpart-00001.jsonl", "part-00001.jsonl.new"]
)
def test_another_name_is_that_of_no_part(name: str) -> None:
    with pytest.raises(ValueError, match="another name"):
        name_of(f"s3://bucket/{name}")


def landed(path: ObjectStoragePath, rejected: int = 0) -> dict:
    totals = Totals(count=3, rejected=Counter({"null instead of an object": rejected}))
    part = Part(str(path / "part-00000.jsonl"), 3, 12, "ab")
    return manifest(path, [part], totals, service="vlmrun")


def test_a_manifest_holds_parts_totals_and_facts(file_store: ObjectStoragePath) -> None:
    content = landed(file_store)

    assert content["path"] == str(file_store)
    assert content["parts"] == [
        {"uri": f"{file_store}/part-00000.jsonl", "count": 3, "bytes": 12, "sha256": "ab"}
    ]
    assert (content["count"], content["service"], content["complete"]) == (3, "vlmrun", True)


def test_a_manifest_is_of_the_directory_in_which_it_lies(file_store: ObjectStoragePath) -> None:
    there = moved(landed(file_store), file_store / "other")

    assert there["path"] == f"{file_store}/other"
    assert there["parts"] == [
        {"uri": f"{file_store}/other/part-00000.jsonl", "count": 3, "bytes": 12, "sha256": "ab"}
    ]
    assert there["count"] == 3


@pytest.mark.parametrize("rejected", [0, 2])
def test_a_commit_removes_what_attempts_have_left_and_nothing_else(
    file_store: ObjectStoragePath, rejected: int
) -> None:
    stay = {"part-00000.jsonl", "notes.txt", "mypart-00003.jsonl"}
    go = {"part-00001.jsonl", "part-00000.parquet", "_checkpoint.jsonl", "part-00000.jsonl.12.new", "x.new"}
    for name in stay | go | {"rejected.jsonl"}:
        Path(file_store.path, name).write_text("{}\n")

    commit(file_store, landed(file_store, rejected))

    expected = stay | {"_manifest.json"} | ({"rejected.jsonl"} if rejected else set())
    assert names(file_store) == expected
    assert json.loads((file_store / "_manifest.json").read_text()) == landed(file_store, rejected)
    take_back(file_store)
    take_back(file_store)
    assert names(file_store) == expected - {"_manifest.json"}


# --- objects -----------------------------------------------------------------------------------------


def test_sizes_are_those_of_the_objects_right_under_a_path(file_store: ObjectStoragePath) -> None:
    objects.put(file_store / "a", b"12345")
    objects.put(file_store / "b", b"")

    assert objects.sizes(file_store) == {"a": 5, "b": 0}
    assert objects.sizes(file_store / "nothing") == {}


def test_directories_that_hold_an_object_of_a_name_are_found_in_order(file_store: ObjectStoragePath) -> None:
    for name in ("z/deep/m.json", "a/m.json", "m.json", "b/other.json"):
        Path(file_store.path, name).parent.mkdir(parents=True, exist_ok=True)
        Path(file_store.path, name).write_text("{}")

    assert objects.find(file_store, "m.json") == [".", "a", "z/deep"]
    assert objects.find(file_store / "nothing", "m.json") == []


def test_a_file_becomes_an_object_and_leaves_nothing_else(
    file_store: ObjectStoragePath, tmp_path: Path
) -> None:
    file, copy = tmp_path / "lines", tmp_path / "copy"
    file.write_bytes(b"1\n2\n")
    for _ in range(2):
        objects.put_file(file, file_store / "part")
    objects.get_file(file_store / "part", copy, 4)

    assert copy.read_bytes() == objects.read(file_store / "part") == b"1\n2\n"
    assert names(file_store) == {"part"}
    assert file.samefile((file_store / "part").path)


def test_an_object_is_created_once(file_store: ObjectStoragePath) -> None:
    assert objects.create(file_store / "lock", b"1")
    with pytest.raises(FileExistsError):
        objects.create(file_store / "lock", b"2")

    assert objects.read(file_store / "lock") == b"1"


def test_what_fails_is_named_and_so_is_what_was_done_to_it(
    file_store: ObjectStoragePath, tmp_path: Path
) -> None:
    there = file_store / "there"
    objects.prepare(there)
    objects.prepare(there)
    nowhere = file_store / "no" / "object"
    with pytest.raises(ConfigurationError, match=rf"path: {nowhere} cannot be written: No such file"):
        objects.put(nowhere, b"1")
    with pytest.raises(ConfigurationError, match=rf"path: {nowhere} cannot be written: No such file"):
        objects.put_file(Path(__file__), nowhere)
    with pytest.raises(ConfigurationError, match=rf"path: {nowhere} cannot be written: No such file"):
        objects.create(nowhere, b"1")
    with pytest.raises(StorageError, match=rf"path: {there} cannot be read: Is a directory"):
        objects.read(there)
    with pytest.raises(StorageError, match=rf"path: {there} cannot be removed"):
        objects.remove(there)
    with pytest.raises(FileNotFoundError):
        objects.read(nowhere)
    with pytest.raises(FileNotFoundError):
        objects.get_file(nowhere, tmp_path / "copy", 1)


def test_a_trial_leaves_nothing_and_neither_does_an_attempt_that_is_removed(
    file_store: ObjectStoragePath,
) -> None:
    objects.try_to_write(file_store)
    assert names(file_store) == set()
    for name in ("a", "b"):
        objects.put(file_store / name, b"1")
    objects.remove_all(file_store)

    assert names(file_store) == set()
