"""Attempts at one path: who commits, what the others return, and what they leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.errors import ConfigurationError, ConflictError, StorageError
from airflow_provider_predictions.storage.attempt import TaskRun, remove_numbered
from airflow_provider_predictions.storage.commit import LATE, LandingPath
from airflow_provider_predictions.storage.local import create_file, replacing
from airflow_provider_predictions.storage.manifest import Manifest
from airflow_provider_predictions.storage.objects import names, put
from tests.storage.committing import add, is_whole, replace_all, write


def incremental(path: ObjectStoragePath, run: str, number: int = 1) -> LandingPath:
    return LandingPath(path, TaskRun(run, number=number), "vlmrun")


def commit(target: LandingPath) -> Callable[[], object]:
    content = write(target.attempt)
    return lambda: target.commit(content, target.state)


def test_a_frozen_attempt_returns_what_its_retry_has_committed(file_store: ObjectStoragePath) -> None:
    frozen = commit(incremental(file_store, "monday", 1))
    manifest = add(file_store, "monday", 2)

    assert frozen() == manifest
    assert is_whole(manifest)


def test_a_run_gets_its_manifest_whoever_has_committed_since(file_store: ObjectStoragePath) -> None:
    manifest = add(file_store, "monday")
    for day in ("tuesday", "wednesday"):
        add(file_store, day)

    assert add(file_store, "monday", 2) == manifest


def test_of_two_runs_at_once_the_slower_one_fails_and_leaves_nothing(file_store: ObjectStoragePath) -> None:
    slower = incremental(file_store, "tuesday")
    late = commit(slower)
    manifest = add(file_store, "monday")

    with pytest.raises(ConflictError, match=r"another run landed under .*\(monday\).*a retry lands the rest"):
        late()

    assert is_whole(manifest)
    assert not any(slower.attempt.nonce in name for name in names(file_store, deep=True))


def test_what_a_dead_attempt_has_left_goes_with_the_next_run(file_store: ObjectStoragePath) -> None:
    dead = incremental(file_store, "monday")
    write(dead.attempt)

    assert add(file_store, "tuesday", parts=0)["parts"] == []
    assert any(dead.attempt.nonce in name for name in names(file_store, deep=True))  # it may still commit

    add(file_store, "tuesday", 2)
    assert not any(dead.attempt.nonce in name for name in names(file_store, deep=True))


@pytest.mark.parametrize("killed", [1, 3])
def test_what_runs_have_left_that_were_killed_behind_their_commits_goes_with_the_next(
    file_store: ObjectStoragePath, killed: int
) -> None:
    """So does a copy of the manifest that they did not write."""
    dead, manifests = [], []
    for run in range(killed):
        dead.append(incremental(file_store, "dead"))
        write(dead[-1].attempt)
        manifests.append(add(file_store, f"run {run}"))
        write(dead[-1].attempt)  # what the run had not removed yet
        (ObjectStoragePath(manifests[-1]["path"]) / "_manifest.json").unlink()

    add(file_store, "last")

    found = names(file_store, deep=True)
    assert not any(attempt.attempt.nonce in name for attempt in dead for name in found)
    for content in manifests:
        assert json.loads((ObjectStoragePath(content["path"]) / "_manifest.json").read_bytes()) == content


def test_a_run_that_finds_nothing_tidies_up_too(file_store: ObjectStoragePath) -> None:
    dead = incremental(file_store, "monday")
    add(file_store, "tuesday")
    write(dead.attempt)

    add(file_store, "wednesday", parts=0)

    assert not any(dead.attempt.nonce in name for name in names(file_store, deep=True))
    assert names(file_store) == ["00000001", "_log", "_state.json", "_states"]


def test_what_a_frozen_attempt_writes_later_goes_in_time(file_store: ObjectStoragePath) -> None:
    frozen = incremental(file_store, "frozen")
    add(file_store, "first")
    add(file_store, "second")
    write(frozen.attempt)

    for run in range(LATE):
        add(file_store, f"run {run}")

    assert not any(frozen.attempt.nonce in name for name in names(file_store, deep=True))


def test_what_a_frozen_attempt_writes_just_before_it_is_swept_again_goes_too(
    file_store: ObjectStoragePath,
) -> None:
    frozen = incremental(file_store, "frozen")
    for run in range(LATE):
        add(file_store, f"run {run}")
    write(frozen.attempt)

    add(file_store, "the last")

    assert not any(frozen.attempt.nonce in name for name in names(file_store, deep=True))


def test_a_commit_without_records_has_the_path_itself(file_store: ObjectStoragePath) -> None:
    target = incremental(file_store, "only rows that are no records")

    content = target.commit(write(target.attempt, parts=0), target.state)

    assert content["path"] == str(file_store)


def test_what_is_over_is_removed_and_nothing_newer(file_store: ObjectStoragePath) -> None:
    for number in range(1, 5):
        put(file_store / f"_new/{number:08}-{'ab' * 16}.json", b"")

    remove_numbered(file_store, "_new", 2, kept={f"{1:08}-{'ab' * 16}.json"})

    assert [int(name[:8]) for name in names(file_store / "_new")] == [1, 3, 4]


def test_a_file_is_created_once(tmp_path: Path) -> None:
    create_file(tmp_path / "new/file", b"first")

    with pytest.raises(FileExistsError):
        create_file(tmp_path / "new/file", b"second")

    assert (tmp_path / "new/file").read_bytes() == b"first"


def test_a_commit_is_one_though_the_copies_for_readers_fail(file_store: ObjectStoragePath) -> None:
    target = incremental(file_store, "monday")
    content = write(target.attempt)
    state_file = Path(file_store.path, "_state.json")
    state_file.unlink()
    state_file.mkdir()

    assert target.commit(content, target.state) == content


def test_a_manifest_copy_that_was_not_written_is_written_by_the_retry(file_store: ObjectStoragePath) -> None:
    manifest = add(file_store, "monday")
    copy = ObjectStoragePath(manifest["path"]) / "_manifest.json"
    copy.unlink()

    add(file_store, "monday", 2)

    assert json.loads(copy.read_bytes()) == manifest


@pytest.mark.parametrize("parts", [0, 1])
def test_a_manifest_copy_that_was_not_written_is_written_by_an_attempt_that_was_overtaken(
    file_store: ObjectStoragePath, parts: int
) -> None:
    slower = incremental(file_store, "monday", 2)
    manifest = add(file_store, "monday")
    copy = ObjectStoragePath(manifest["path"]) / "_manifest.json"
    copy.unlink()

    content = write(slower.attempt, parts)
    found = slower.commit(content, slower.state) if parts else slower.end_without_commit(content)

    assert json.loads(copy.read_bytes()) == manifest == found


def test_an_attempt_whose_files_were_swept_may_be_retried(file_store: ObjectStoragePath) -> None:
    """It was overtaken while it wrote a part."""
    slower = incremental(file_store, "tuesday")

    with (  # noqa: PT012
        pytest.raises(StorageError, match=r"its directory was removed meanwhile. A retry finds out why"),
        replacing(Path(slower.attempt.path("part-00000", ".jsonl").path)) as new,
    ):
        new.write_bytes(b"{}\n")
        add(file_store, "monday")


STRANGE = (".nfs0001", "_new/.nfs0001", "_states/.nfs0001", "_index/x", "_log/.nfs0001", "00000001/.nfs0001")


@pytest.mark.parametrize("land", [add, replace_all])
def test_names_that_no_landing_gives_are_left_alone(
    file_store: ObjectStoragePath, land: Callable[..., Manifest]
) -> None:
    """NFS gives such a name to a file that is removed while it is open."""
    land(file_store, "monday")
    for name in STRANGE:
        Path(file_store.path, name).parent.mkdir(exist_ok=True)
        Path(file_store.path, name).touch()

    for day in ("tuesday", "wednesday"):
        assert is_whole(land(file_store, day))

    assert {*STRANGE} <= {*names(file_store, deep=True)}


# --- each landing replaces the one before ------------------------------------------------------------


def shown(path: ObjectStoragePath) -> dict:
    return json.loads((path / "_manifest.json").read_bytes())


def cleared(path: ObjectStoragePath, number: int, tries: int) -> Manifest:
    """What an attempt of Monday's run returns."""
    target = LandingPath(path, TaskRun("monday", number=number, tries=tries, started="2026-11-01T12:00:00Z"))
    return target.find_committed() or target.commit(write(target.attempt))


def test_a_retry_returns_what_its_run_has_landed_and_a_cleared_task_lands_anew(
    file_store: ObjectStoragePath,
) -> None:
    first = cleared(file_store, 1, tries=2)
    (file_store / "_manifest.json").unlink()  # it was killed before it had shown it

    assert cleared(file_store, 2, tries=2) == first
    assert shown(file_store) == first | {"unsettled": [1]}  # the first attempt may still show it
    again = cleared(file_store, 3, tries=4)
    assert again == shown(file_store) != first
    assert is_whole(again)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'{"version": 1}', b'{"version": 0, "generation": 1}']
)
def test_a_manifest_that_no_landing_has_left_is_refused(
    file_store: ObjectStoragePath, content: bytes
) -> None:
    (file_store / "_manifest.json").write_bytes(content)

    with pytest.raises(ConfigurationError, match=r"_manifest\.json is not what this version .*Remove it"):
        replace_all(file_store, "monday")


def test_a_landing_replaces_the_one_before_and_its_parts(file_store: ObjectStoragePath) -> None:
    first, second = (replace_all(file_store, day) for day in ("monday", "tuesday"))

    assert shown(file_store) == second
    assert is_whole(second)
    assert not is_whole(first)


@pytest.mark.parametrize("runs", [["tuesday"], ["monday", "tuesday"]])
def test_an_attempt_that_was_overtaken_by_another_run_fails_and_replaces_nothing(
    file_store: ObjectStoragePath, runs: list[str]
) -> None:
    """Also if the other run has replaced what an earlier attempt of this one has landed."""
    slower = LandingPath(file_store, TaskRun("monday", number=2))
    content = write(slower.attempt)
    *_, manifest = [replace_all(file_store, run) for run in runs]

    with pytest.raises(ConfigurationError, match=r"another run landed .*\(tuesday\)\. Give each run"):
        slower.commit(content)

    assert shown(file_store) == manifest
    assert is_whole(manifest)


def test_an_attempt_that_was_overtaken_by_its_retry_returns_its_manifest(
    file_store: ObjectStoragePath,
) -> None:
    frozen = LandingPath(file_store, TaskRun("monday", number=1))
    content = write(frozen.attempt)
    manifest = replace_all(file_store, "monday", 2)

    assert frozen.commit(content) == manifest == shown(file_store)


def test_a_manifest_whose_attempt_died_before_it_wrote_it_is_written_by_the_one_that_lost_to_it(
    file_store: ObjectStoragePath,
) -> None:
    slower = LandingPath(file_store, TaskRun("monday", number=2))
    content = write(slower.attempt)
    manifest = replace_all(file_store, "monday")
    (file_store / "_manifest.json").unlink()

    assert slower.commit(content) == manifest

    assert shown(file_store) == manifest | {"unsettled": [1]}


def test_a_cleared_task_does_not_return_what_an_attempt_from_before_the_clear_commits_first(
    file_store: ObjectStoragePath,
) -> None:
    again = TaskRun("monday", number=2, tries=2, started="2026-11-01T13:00:00Z", cleared=1)
    before, after = (
        LandingPath(file_store, TaskRun("monday", started="2026-11-01T12:00:00Z")),
        LandingPath(file_store, again),
    )
    content = write(after.attempt)
    before.commit(write(before.attempt))

    with pytest.raises(ConflictError, match="same name, as after a clear"):
        after.commit(content)


@pytest.mark.parametrize(
    "retry",
    [
        pytest.param(TaskRun("monday", number=2, started="2026-11-01T12:00:00Z"), id="a retry"),
        pytest.param(
            TaskRun("monday", number=2, tries=1, started="2026-11-01T13:00:00Z", cleared=1), id="cleared"
        ),
    ],
)
def test_an_attempt_that_was_frozen_before_it_began_replaces_nothing_of_a_later_one(
    file_store: ObjectStoragePath, retry: TaskRun
) -> None:
    target = LandingPath(file_store, retry)
    manifest = target.commit(write(target.attempt))

    frozen = LandingPath(file_store, TaskRun("monday", number=1, started="2026-11-01T12:00:00Z"))

    assert frozen.find_committed() == manifest
    made_anew = TaskRun("monday", number=1, started="2026-11-01T14:00:00Z")
    assert LandingPath(file_store, made_anew).find_committed() is None


def test_a_manifest_that_is_shown_late_has_its_parts(file_store: ObjectStoragePath) -> None:
    """Its attempt was frozen between its commit and the manifest, and woke after another commit."""
    first = replace_all(file_store, "monday")
    old = (file_store / "_manifest.json").read_bytes()
    (file_store / "_manifest.json").unlink()

    second = replace_all(file_store, "tuesday")
    (file_store / "_manifest.json").write_bytes(old)

    assert is_whole(first)
    assert second["unsettled"] == [1]
    third = replace_all(file_store, "wednesday")
    assert third["unsettled"] == [2]
    assert [is_whole(content) for content in (first, second, third)] == [False, True, True]


def test_two_instances_of_a_mapped_task_do_not_land_under_one_path(file_store: ObjectStoragePath) -> None:
    for kind in (None, "vlmrun"):
        path = file_store / str(kind)
        first = LandingPath(path, TaskRun("dag monday land 0", started="2026-11-01T12:00:00Z"), kind)
        content = write(first.attempt)
        first.commit(content, first.state if kind else None)

        for number in (1, 2):
            sibling = TaskRun("dag monday land 1", number=number, started="2026-11-01T12:00:00Z")
            with pytest.raises(ConfigurationError, match=r"another instance of .* \{\{ ti\.map_index \}\}"):
                LandingPath(path, sibling, kind).find_committed()
        start_again = "2026-11-01T13:00:00Z"
        sibling = TaskRun("dag monday land 1", number=2, tries=1, started=start_again, cleared=1)
        with pytest.raises(ConfigurationError, match=r"another instance of .* \{\{ ti\.map_index \}\}"):
            LandingPath(path, sibling, kind).find_committed()
        for other in ("dag tuesday land 1", "other monday land 1", "dag tuesday other 1"):
            assert (
                LandingPath(path, TaskRun(other, started="2026-11-01T12:00:00Z"), kind).find_committed()
                is None
            )
        retried = TaskRun("dag monday land 0", number=2, started="2026-11-01T12:00:00Z")
        assert LandingPath(path, retried, kind).find_committed() == content


def test_a_task_does_not_replace_what_another_task_of_its_run_has_landed(
    file_store: ObjectStoragePath,
) -> None:
    start, restart = "2026-11-01T12:00:00Z", "2026-11-01T13:00:00Z"
    first = LandingPath(file_store, TaskRun("dag monday land -1", started=start))
    content = first.commit(write(first.attempt))

    for number in (1, 2):
        other = TaskRun("dag monday again -1", number=number, started=start)
        with pytest.raises(ConfigurationError, match=r"task land has written .* \{\{ ti\.task_id \}\}"):
            LandingPath(file_store, other).find_committed()
    cleared = TaskRun("dag monday again -1", number=2, started=restart, cleared=1)
    with pytest.raises(ConfigurationError, match="task land has written"):
        LandingPath(file_store, cleared).find_committed()
    assert is_whole(content)

    rerun = LandingPath(file_store, TaskRun("dag monday again -1", started=restart))
    assert rerun.find_committed() is None
    rerun.commit(write(rerun.attempt))
    assert not is_whole(content)


def test_two_tasks_of_a_run_land_under_one_incremental_path(file_store: ObjectStoragePath) -> None:
    for task in ("land", "again"):
        target = LandingPath(file_store, TaskRun(f"dag monday {task} -1"), "vlmrun")
        assert target.find_committed() is None
        target.commit(write(target.attempt), target.state)
