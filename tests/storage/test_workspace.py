"""The workspace of a landing on its machine: whose it is, what is left there, and what is swept."""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_predictions.sandbox.faults import App, Message, Receive, Send
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.shelf import Shelf
from airflow_provider_predictions.storage.workspace import Workspace
from tests.compat import let_threads_execute
from tests.storage.landings import Machine, assert_all, essence, names

DAY = 24 * 3600.0


class Held:
    """ASGI middleware that lets one request wait until the test lets it go.

    :param app: the sandbox.
    :param number: of the request.
    """

    def __init__(self, app: App, number: int) -> None:
        self.app = app
        self.waits = threading.Event()
        self._before = number

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        self._before -= 1
        if self._before == 0:
            self._loop, self._go = asyncio.get_running_loop(), asyncio.Event()
            self.waits.set()
            await self._go.wait()
        await self.app(scope, receive, send)

    def go(self) -> None:
        """Let it go."""
        self._loop.call_soon_threadsafe(self._go.set)


@pytest.fixture
def held(connections: Sandbox) -> Iterator[Held]:
    """The sandbox, which holds the eighth request that it gets."""
    before = connections.wire.app
    connections.wire.app = held = Held(before, 8)
    yield held
    connections.wire.app = before


def test_two_landings_at_once_share_no_workspace(
    land, shelf: Shelf, held: Held, machine: Machine, file_store, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_threads_execute(monkeypatch)
    shelf.fill(300)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(land)
        assert held.waits.wait(60)

        second = land()
        left = machine.left()
        held.go()

    assert essence(first.result()) == essence(second)
    assert_all(first.result(), shelf)
    assert len(left) == 1
    assert machine.left() == []


def test_nothing_is_left_on_the_machine_after_a_landing(land, shelf: Shelf, machine, file_store) -> None:
    shelf.fill(100)

    land()

    assert machine.left() == []
    assert "_checkpoint.jsonl" not in names(file_store)


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
    land, interrupted, shelf: Shelf, machine, occupy
) -> None:
    shelf.fill(500)
    occupy(machine.home)
    before = everything(machine.tmp)

    interrupted(after=10)
    between = everything(machine.tmp)
    manifest = land()

    assert_all(manifest, shelf)
    assert between == everything(machine.tmp) == before


def everything(directory: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_uid) for path in directory.rglob("*"))


def test_old_workspaces_are_swept_unless_somebody_is_at_work_there(land, shelf: Shelf, machine) -> None:
    shelf.fill(3)
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
