"""What a manifest counts and names, and which objects a commit removes."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from msgspec.structs import replace

from airflow_provider_predictions.api.errors import ConfigurationError, PredictionsError
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.page import Observed, Page
from airflow_provider_predictions.api.state import Versioned, decode, encode
from airflow_provider_predictions.storage import objects
from airflow_provider_predictions.storage.attempt import Attempt, TaskRun, new_nonce
from airflow_provider_predictions.storage.manifest import (
    Part,
    Totals,
    manifest,
    moved,
    name_of,
)


class Kept(Versioned, kw_only=True):
    """Counts as a checkpoint has them."""

    totals: Totals


NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def row(id_: str, status: str, created: datetime | None) -> Prediction:
    return Prediction(id_, status, created, None, b"{}")


def names(path: ObjectStoragePath) -> set[str]:
    return {file.name for file in Path(path.path).iterdir()}


def test_totals_are_those_of_all_pages_and_cross_json() -> None:
    totals, junk = Totals(), Prediction.rejected(b"1", "number instead of an object")
    records = row("a", "failed", NOON), row("b", "completed", NOON + HOUR)
    observed = Observed.of([*records, row("dropped", "odd", NOON)])
    totals.add(Page(records, 2, (junk, junk), observed))
    totals.add(Page((row("c", "failed", None),), 1))
    totals.add(Page((row("d", "failed", NOON - HOUR), row("e", "failed", NOON)), 0, (junk,)))
    lacking = [replace(row(str(n), "failed", None), lacks_values="gone") for n in range(12)]
    for missing in lacking:
        totals.add(Page((missing,)))

    facts = json.loads(json.dumps(totals.facts()))

    assert facts == {
        "count": 17,
        "looked_at": 3,
        "duplicates": 3,
        "rejected": 3,
        "rejected_reasons": {"number instead of an object": 3},
        "values_missing": 12,
        "values_missing_reasons": {"gone": 12},
        "values_missing_ids": [str(n) for n in range(10)],
        "statuses": {"completed": 1, "failed": 16},
        "created_min": "2026-11-01T11:00:00Z",
        "created_max": "2026-11-01T13:00:00Z",
    }
    assert decode(encode(Kept(totals=totals)), Kept).totals == totals
    assert totals.rejected == {"number instead of an object": 3}


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"])
@pytest.mark.parametrize("shared", [False, True])
def test_a_part_has_a_name_that_is_known_again(
    file_store: ObjectStoragePath, suffix: str, shared: bool
) -> None:
    attempt = Attempt(file_store, 123_456_789, TaskRun("monday"), new_nonce(), shared=shared)
    part = attempt.path("part-123456", suffix)

    assert name_of(str(part)) == part.name


@pytest.mark.parametrize(
    "name", ["part-1.jsonl", "part-00001.jsonl.bz2", "xpart-00001.jsonl", "part-00001.jsonl.new"]
)
def test_another_name_is_that_of_no_part(name: str) -> None:
    with pytest.raises(ValueError, match="another name"):
        name_of(f"s3://bucket/{name}")


def landed(path: ObjectStoragePath, rejected: int = 0) -> dict:
    totals = Totals(count=3, rejected={"null instead of an object": rejected})
    part = Part("part-00000.jsonl", 3, 12, "ab")
    return manifest(path, [part], totals, service="vlmrun")


def test_a_manifest_holds_parts_totals_and_facts(file_store: ObjectStoragePath) -> None:
    content = landed(file_store)

    assert content["path"] == str(file_store)
    url = f"{file_store.path}/part-00000.jsonl"
    facts = {"uri": f"{file_store}/part-00000.jsonl", "url": url, "count": 3, "bytes": 12, "sha256": "ab"}
    assert content["parts"] == [facts]
    assert (content["count"], content["service"], content["complete"]) == (3, "vlmrun", True)


def test_a_manifest_is_of_the_directory_in_which_it_lies(file_store: ObjectStoragePath) -> None:
    there = moved(landed(file_store), file_store / "other")

    assert there["path"] == f"{file_store}/other"
    uri, url = (f"{place}/other/part-00000.jsonl" for place in (file_store, file_store.path))
    assert there["parts"] == [{"uri": uri, "url": url, "count": 3, "bytes": 12, "sha256": "ab"}]
    assert there["count"] == 3


# --- objects -----------------------------------------------------------------------------------------


def test_names_are_those_of_the_objects_under_a_path(file_store: ObjectStoragePath) -> None:
    for name in ("z/deep/m", "a/m", "m"):
        objects.put(file_store / name, b"1")

    assert objects.names(file_store) == ["a", "m", "z"]
    assert objects.names(file_store, deep=True) == ["a/m", "m", "z/deep/m"]
    assert objects.names(file_store / "nothing") == objects.names(file_store / "nothing", deep=True) == []


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


def test_a_part_has_the_permissions_of_a_new_file_in_its_directory(
    file_store: ObjectStoragePath, tmp_path: Path
) -> None:
    """So does its group, where the directory gives its own to new files."""
    file, directory = tmp_path / "lines", Path(file_store.path)
    file.write_bytes(b"1\n")
    file.chmod(0o600)
    os.chown(directory, -1, 4321)
    directory.chmod(0o2775)

    objects.put_file(file, file_store / "part")
    objects.put(file_store / "small", b"1")
    objects.create(file_store / "entry", b"1")
    (directory / "new").touch()

    for name in ("part", "small", "entry"):
        found, new = (directory / name).stat(), (directory / "new").stat()
        assert (found.st_mode, found.st_gid) == (new.st_mode, new.st_gid)


def test_a_file_is_created_once(file_store: ObjectStoragePath) -> None:
    assert objects.create(file_store / "log/1", b"1") == b"1"
    assert objects.create(file_store / "log/1", b"2") == b"1"

    assert objects.read(file_store / "log/1") == b"1"
    assert names(file_store / "log") == {"1"}


def test_what_fails_is_named_and_so_is_what_was_done_to_it(
    file_store: ObjectStoragePath, tmp_path: Path
) -> None:
    there = file_store / "there"
    objects.prepare(there)
    objects.prepare(there)
    (file_store / "file").write_bytes(b"")
    nowhere = file_store / "file" / "object"
    with pytest.raises(PredictionsError, match=rf"path: {nowhere} cannot be written: "):
        objects.put(nowhere, b"1")
    with pytest.raises(PredictionsError, match=rf"path: {nowhere} cannot be written: "):
        objects.put_file(Path(__file__), nowhere)
    with pytest.raises(ConfigurationError, match=rf"path: {there} cannot be read: Is a directory"):
        objects.read(there)
    with pytest.raises(ConfigurationError, match=rf"path: {there} cannot be removed"):
        objects.remove(there)
    with pytest.raises(FileNotFoundError):
        objects.read(file_store / "nothing")
    with pytest.raises(FileNotFoundError):
        objects.get_file(file_store / "nothing", tmp_path / "copy", 1)


def test_a_trial_leaves_nothing_and_neither_do_objects_that_are_removed(
    file_store: ObjectStoragePath,
) -> None:
    assert objects.try_to_write(file_store, "deep/down/trial")
    for name in ("a/b/c", "a/d", "e"):
        objects.put(file_store / name, b"1")
    objects.remove_files(file_store, ["a/b/c", "a/d", "nothing"])

    assert names(file_store) == {"e"}
