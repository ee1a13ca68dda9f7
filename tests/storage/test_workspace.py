"""The workspace of a landing on its machine: whose it is, what is left there, and what is swept."""

from __future__ import annotations

import fcntl
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_predictions.api.errors import StorageError
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.store import RecordStore
from airflow_provider_predictions.storage.scratch_dir import Workspace
from tests.compat import let_threads_execute
from tests.held import held
from tests.storage.landings import Machine, assert_all, essence, names

DAY = 24 * 3600.0


def test_two_landings_at_once_share_no_workspace(
    land,
    connections: Sandbox,
    record_store: RecordStore,
    machine: Machine,
    file_store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_threads_execute(monkeypatch)
    record_store.fill(300)
    with ThreadPoolExecutor() as pool, held(connections, 8) as eighth:
        first = pool.submit(land)
        eighth.came()

        second = land()
        left = machine.left()

    assert essence(first.result()) == essence(second)
    assert_all(first.result(), record_store)
    assert len(left) == 1
    assert machine.left() == []


def test_nothing_is_left_on_the_machine_after_a_landing(
    land, record_store: RecordStore, machine, file_store
) -> None:
    record_store.fill(100)

    land()

    assert machine.left() == []
    assert "_checkpoint.jsonl" not in names(file_store)


@pytest.mark.parametrize("service_name", ["vlmrun"])
@pytest.mark.parametrize("arguments", [{}, {"compression": "gzip"}, {"file_format": "parquet"}])
@pytest.mark.parametrize("what", ["part-*", "ids", "*"])
def test_a_landing_whose_temporary_files_were_cleaned_away_is_resumed(
    land,
    connections: Sandbox,
    record_store: RecordStore,
    machine: Machine,
    store,
    arguments: dict[str, str],
    what: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_threads_execute(monkeypatch)
    record_store.fill(200)
    given = {"path": str(store / "landed"), "prefetch": 0} | arguments
    with ThreadPoolExecutor() as pool, held(connections, 6) as sixth:
        first = pool.submit(land, **given)
        sixth.came()
        for file in machine.home.glob(f"*/{what}"):
            file.unlink()
        sixth.go()
        with pytest.raises(StorageError, match=r"A temporary file of this worker is gone: .*TMPDIR"):
            first.result()

    manifest = land(**given)

    assert essence(manifest) == essence(land(**given | {"path": str(store / "whole")}))


def test_the_workspace_is_for_its_owner_only(begun) -> None:
    assert begun.home.stat().st_mode & 0o077 == 0
    assert len(begun.left()) == 1


def link(home: Path) -> None:
    home.with_name("target").mkdir()
    home.symlink_to(home.with_name("target"))


def dangling_link(home: Path) -> None:
    home.symlink_to(home.with_name("nowhere"))


def file(home: Path) -> None:
    home.write_text("")


def directory_of_somebody_else(home: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a directory away")
    home.mkdir()
    os.chown(home, 12345, 12345)


@pytest.mark.parametrize("occupy", [link, dangling_link, file, directory_of_somebody_else])
def test_what_somebody_else_put_in_its_place_is_not_used(
    land, interrupted, record_store: RecordStore, machine, occupy
) -> None:
    record_store.fill(500)
    occupy(machine.home)
    before = everything(machine.tmp)

    interrupted(after=10)
    between = everything(machine.tmp)
    manifest = land()

    assert_all(manifest, record_store)
    assert between == everything(machine.tmp) == before


def everything(directory: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_uid) for path in directory.rglob("*"))


def test_old_workspaces_are_swept_unless_somebody_is_at_work_there(
    land, record_store: RecordStore, machine
) -> None:
    record_store.fill(3)
    held = Workspace("held")
    for name, days in {"old": 3, "new": 1, "held": 3}.items():
        machine.home.joinpath(name).mkdir(exist_ok=True)
        machine.home.joinpath(name, "part-0").write_text("{}\n")
        then = time.time() - days * DAY
        os.utime(machine.home / name, (then, then))

    land()
    left = machine.left()
    held.close(keep=False)

    assert left == ["held", "new"]
    assert machine.left() == ["new"]


def test_a_workspace_that_is_let_go_can_be_held_again(machine) -> None:
    first = Workspace("key")
    second = Workspace("key")
    first.close(keep=True)
    third = Workspace("key")

    assert second.directory.parent == machine.home
    assert first.directory == third.directory == machine.home / "key"
    with third.directory.joinpath("lock").open("w") as lock, pytest.raises(OSError, match="unavailable"):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    second.close(keep=True)
    third.close(keep=False)
    assert machine.left() == []
