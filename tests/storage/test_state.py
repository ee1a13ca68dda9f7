"""What incremental landings under one path know of each other, and what a state that is damaged means."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from msgspec.structs import replace

from airflow_provider_predictions.api.errors import ConfigurationError, ConflictError
from airflow_provider_predictions.api.limits import MAX_LISTED_PARTS, MAX_RECENT_COMMITS
from airflow_provider_predictions.api.state import encode
from airflow_provider_predictions.storage import state
from airflow_provider_predictions.storage.commit import LATE
from airflow_provider_predictions.storage.objects import names
from airflow_provider_predictions.storage.state import State, read_index
from tests.storage.committing import add, replace_all

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_a_path_where_nothing_has_landed_has_a_state_that_says_so(file_store: ObjectStoragePath) -> None:
    assert state.find_state(file_store) is None
    assert state.load_state(file_store) == State() == state.load_state(file_store)


def test_a_state_is_read_as_the_last_commit_left_it(file_store: ObjectStoragePath) -> None:
    known = {"watermark": NOON, "landed": {"a": NOON, "b\ud800": None}, "rejected": {"c": NOON}}
    manifest = add(file_store, "monday", **known)

    found = state.load_state(file_store)

    assert {name: getattr(found, name) for name in known} == known
    assert (found.generation, found.kind, found.conditional) == (1, "vlmrun", True)
    assert [entry.manifest for entry in found.recent] == [manifest]


def test_a_state_is_the_newest_though_its_copy_for_readers_is_late(file_store: ObjectStoragePath) -> None:
    late = None
    for run in range(9):
        add(file_store, f"run {run}")
        late = late or (file_store / "_state.json").read_bytes()
    (file_store / "_state.json").write_bytes(late or b"")

    assert state.load_state(file_store).generation == 9


class Disk:
    """A disk that loses what was not written through when the power fails.

    :param patch: of the calls to the operating system.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._kept: set[int] = set()
        self._fsync = os.fsync
        patch.setattr(os, "fsync", self._write_through)

    def _write_through(self, file: int) -> None:
        self._kept.add(os.fstat(file).st_ino)
        self._fsync(file)

    def lose(self, root: Path) -> None:
        """Empty the files that nobody has written through, except parts."""
        for file in root.rglob("*"):
            if file.is_file() and "part-" not in file.name and file.stat().st_ino not in self._kept:
                os.truncate(file, 0)


def test_no_failure_of_power_blocks_a_path(file_store: ObjectStoragePath, monkeypatch) -> None:
    """Of a directory, whose files a commit names."""
    disk, paths = Disk(monkeypatch), (file_store / "incremental", file_store / "anew")
    for number in range(MAX_RECENT_COMMITS + 2):
        for path, land in zip(paths, (add, replace_all), strict=True):
            land(path, f"run {number}")
            disk.lose(Path(path.path))

    assert (
        state.load_state(paths[0]).generation
        == state.newest_generation(paths[1])[0]
        == MAX_RECENT_COMMITS + 2
    )
    assert read_index(paths[0], state.load_state(paths[0]).index)


def test_few_states_are_kept(file_store: ObjectStoragePath) -> None:
    for run in range(5):
        add(file_store, f"run {run}")

    assert [name[:8] for name in names(file_store / "_states")] == ["00000004", "00000005"]
    add(file_store, "a run that finds nothing", parts=0)
    assert [name[:8] for name in names(file_store / "_states")] == ["00000004", "00000005"]


def test_commits_that_are_many_are_kept_in_an_index(file_store: ObjectStoragePath) -> None:
    manifests = [
        add(file_store, f"run {run}", parts=run % 7 + 1) for run in range(2 * MAX_RECENT_COMMITS + 9)
    ]

    found = state.load_state(file_store)
    entries = [*read_index(file_store, found.index), *found.recent]

    assert [entry.generation for entry in entries] == [*range(1, len(manifests) + 1)]
    assert [entry.manifest["count"] for entry in entries] == [manifest["count"] for manifest in manifests]
    assert [entry.manifest.get("parts") for entry in entries] == [
        manifest["parts"] if len(manifest["parts"]) <= MAX_LISTED_PARTS else None for manifest in manifests
    ]
    assert len(found.recent) <= MAX_RECENT_COMMITS
    assert len(names(file_store / "_index")) <= 2
    assert add(file_store, "run 6", number=2) == manifests[6]


MEMBERS = ("version", "generation", "nonce", "watermark", "landed", "rejected", "recent", "index")


@pytest.mark.parametrize("member", MEMBERS)
def test_a_state_that_cannot_be_read_in_one_of_its_members_is_named(
    file_store: ObjectStoragePath, member: str
) -> None:
    add(file_store, "monday")
    target = file_store / "_state.json"
    target.write_text(json.dumps(json.loads(target.read_text()) | {member: [{"not": "it"}]}))

    with pytest.raises(ConfigurationError, match=r"path: .*/_state\.json is not a State of version 1"):
        state.load_state(file_store)


@pytest.mark.parametrize("harm", ["[]", "null", "", '"x"', "[" * 100_000, '{"generation": 1}'])
def test_what_is_no_state_is_named(file_store: ObjectStoragePath, harm: str) -> None:
    (file_store / "_state.json").write_text(harm)

    with pytest.raises(ConfigurationError, match=r"path: .*/_state\.json is not a State"):
        state.load_state(file_store)


@pytest.mark.parametrize("member", State.__struct_fields__)
def test_a_state_that_lacks_a_member_is_named(file_store: ObjectStoragePath, member: str) -> None:
    add(file_store, "monday", landed={"a": None})
    target = file_store / "_state.json"
    given = json.loads(target.read_text())
    del given[member]
    target.write_text(json.dumps(given))

    with pytest.raises(
        ConfigurationError, match=rf"_state\.json is not a State of version 1: it lacks {member}"
    ):
        state.find_state(file_store)


@pytest.mark.parametrize("change", [{"landed": {}}, {"recent": []}, {"watermark": None}, {"swept": 9}])
def test_a_state_that_was_edited_is_refused(file_store: ObjectStoragePath, change: dict[str, Any]) -> None:
    """Whoever lands from it could land everything twice."""
    add(file_store, "monday", landed={"a": None}, watermark=NOON)
    target = file_store / "_state.json"
    target.write_text(json.dumps(json.loads(target.read_text()) | change))

    with pytest.raises(ConfigurationError, match=r"_state\.json is .*, but not as it was committed: "):
        add(file_store, "tuesday")


def remove(path: ObjectStoragePath, *names: str) -> None:
    for name in names:
        shutil.rmtree(f"{path.path}/{name}") if "." not in name else Path(path.path, name).unlink()


@pytest.mark.parametrize("gone", [("_states",), ("_states", "_log"), ("_states", "_log", "00000002")])
def test_a_state_that_is_gone_with_what_names_it_is_named(
    file_store: ObjectStoragePath, gone: tuple[str, ...]
) -> None:
    for day in ("monday", "tuesday"):
        add(file_store, day)
    remove(file_store, "_state.json", *gone)

    with pytest.raises(ConfigurationError, match=r"_state\.json is missing, although runs have landed there"):
        add(file_store, "wednesday")


def test_directories_of_others_are_no_landings(file_store: ObjectStoragePath) -> None:
    for name in ("20261101", "2026", "00000001/other"):
        (file_store / name).mkdir(parents=True)
        (file_store / name / "part-00000.jsonl").touch()

    assert add(file_store, "monday")["generation"] == 1


def test_a_commit_that_is_gone_is_named(file_store: ObjectStoragePath) -> None:
    """The state of the commit before it would land again what this one has."""
    for day in ("monday", "tuesday"):
        add(file_store, day)
    remove(file_store, "_log/00000002.json")

    with pytest.raises(
        ConfigurationError, match=r"_log/00000002\.json is missing. Restore that from a backup"
    ):
        add(file_store, "wednesday")


@pytest.mark.parametrize("number", [0, 1])
def test_no_run_goes_on_below_a_commit_that_is_gone(file_store: ObjectStoragePath, number: int) -> None:
    """It would commit in its place, land again what later commits have, and remove the parts of others."""
    state.load_state(file_store)
    for day in range(number):
        add(file_store, f"day {day}")
    early = (file_store / "_state.json").read_bytes()
    for day in ("tuesday", "wednesday"):
        add(file_store, day)
    (file_store / "_state.json").write_bytes(early)
    lost = file_store / f"_log/{number + 1:08}.json"
    content = lost.read_bytes()
    lost.unlink()

    words = rf"_log/{number + 1:08}\.json is missing, although there is .*_states/{number + 2:08}-"
    with pytest.raises(ConfigurationError, match=words):
        add(file_store, "thursday")

    lost.write_bytes(content)
    (file_store / "_states/Thumbs.db").touch()
    assert add(file_store, "thursday")["generation"] == number + 3


def test_a_state_that_is_gone_beside_commits_is_named(file_store: ObjectStoragePath) -> None:
    add(file_store, "monday")
    (file_store / "_state.json").unlink()

    with pytest.raises(ConfigurationError, match=r"_state\.json is missing.*Copy the object of"):
        add(file_store, "tuesday")

    newest = names(file_store / "_states")[-1]
    (file_store / "_state.json").write_bytes((file_store / "_states" / newest).read_bytes())
    assert len(add(file_store, "tuesday")["parts"]) == 1


def test_a_state_that_no_commit_names_is_refused(file_store: ObjectStoragePath) -> None:
    """Somebody has copied what an attempt left that was killed before its commit."""
    add(file_store, "monday")
    killed = replace(state.load_state(file_store), generation=2, nonce="c0ffee00")
    (file_store / "_states" / killed.name).write_bytes(encode(killed))
    whole = (file_store / "_state.json").read_bytes()
    (file_store / "_state.json").write_bytes(encode(killed))

    with pytest.raises(
        ConfigurationError, match=rf"{killed.name}, whose commit .*_log/00000002\.json is missing.*: Copy"
    ):
        add(file_store, "wednesday")

    (file_store / "_state.json").write_bytes(whole)
    assert add(file_store, "wednesday")["generation"] == 2


def test_an_index_that_is_gone_or_damaged_is_named(file_store: ObjectStoragePath) -> None:
    for run in range(MAX_RECENT_COMMITS):
        add(file_store, f"run {run}")
    (name,) = names(file_store / "_index")
    index = file_store / "_index" / name
    whole = index.read_bytes()

    for harm in (b"", whole[:-9], whole[:20] + b"xx" + whole[22:], gzip.compress(b"{}")):
        index.write_bytes(harm)
        with pytest.raises(ConfigurationError, match=r"path: .*_index/.* is damaged"):
            add(file_store, "run 1", number=2)
    index.unlink()
    with pytest.raises(ConfigurationError, match=r"path: .*_index/.* is missing"):
        add(file_store, "run 1", number=2)


def test_an_index_that_a_newer_one_has_replaced_is_read_by_a_retry(file_store: ObjectStoragePath) -> None:
    for run in range(MAX_RECENT_COMMITS):
        add(file_store, f"run {run}")
    slow = state.load_state(file_store)
    for run in range(MAX_RECENT_COMMITS - LATE - 1):
        add(file_store, f"later run {run}")
    add(file_store, "a run that finds nothing", parts=0)

    with pytest.raises(ConflictError, match="newer index has replaced"):
        read_index(file_store, slow.index)


def test_a_path_takes_one_way_to_land(file_store: ObjectStoragePath) -> None:
    add(file_store / "incremental", "monday")
    replace_all(file_store / "anew", "monday")

    with pytest.raises(ConfigurationError, match="holds incremental landings; land under another path"):
        replace_all(file_store / "incremental", "tuesday")
    with pytest.raises(ConfigurationError, match="holds a landing that is not incremental"):
        add(file_store / "anew", "tuesday")


@pytest.mark.parametrize("what", ["_state.json", "_manifest.json"])
def test_a_path_of_an_earlier_version_is_refused(file_store: ObjectStoragePath, what: str) -> None:
    (file_store / what).write_text('{"generation": "1", "parts": []}')

    with pytest.raises(ConfigurationError, match=rf"{what} is not .*(land|Land) .*under another"):
        (add if what == "_state.json" else replace_all)(file_store, "monday")
