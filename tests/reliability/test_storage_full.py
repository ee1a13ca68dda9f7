"""What a landing does when a disk is full: that of its worker, or that of a local path."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.api.errors import StorageError
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.given import ARGUMENTS
from tests.reliability.storage import (
    assert_landed,
    assert_nothing_partial,
    expected,
    note,
    pages,
)
from tests.storage.processes import Forks

DISKS = ["the worker's disk is full", "the disk of a local path is full"]


def test_a_full_disk_of_the_worker_ends_well(
    connections: Sandbox, land, tmp_path: Path, record_property, seconds
) -> None:
    target, begin = tmp_path / "landed", seconds()

    with (
        no_file_larger_than(len(expected(connections)[0]) // 2),
        pytest.raises(StorageError, match=r"The disk of this worker fails: .*set TMPDIR to a larger disk"),
    ):
        land(target.as_uri(), 1)

    assert seconds() - begin < 10
    assert_goes_on(DISKS[0], lambda: land(target.as_uri(), 2), target, connections, record_property)


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Let this process write no file beyond a size, as where the disk is full there."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def assert_goes_on(
    case: str, retry: Callable[[], Any], there: Path, sandbox: Sandbox, record_property: Any
) -> None:
    """An attempt has left nothing partial, and the next one lands all.

    :param there: the directory as a reader sees it.
    """
    parts, asked = expected(sandbox), pages(sandbox)
    sandbox.wire.clear()
    found = objects(there)
    assert not [name for name in found if name.endswith(".new")]
    assert_nothing_partial(found, parts)
    assert_landed(retry(), objects(there), parts)
    again = len(set(pages(sandbox)) & set(asked))
    assert again <= 2
    row = case, "`StorageError`", "yes", "10", f"{len(asked)} / local"
    note(record_property, *row, f"lands all; {again} pages asked for again")


def objects(directory: Path) -> dict[str, bytes]:
    """The files below a directory, by names relative to it."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


@dataclass(frozen=True)
class Machine:
    """Where landings run in processes of their own.

    :param small: a directory on a file system with little room, which only these processes have.
    """

    forks: Forks
    small: Path

    @property
    def room(self) -> Path:
        """The small directory, seen from here."""
        return self.forks.root / str(self.small).lstrip("/")

    def land(self, sandbox: Sandbox, path: str, attempt: int, answer: Path) -> tuple[Any, str]:
        """The manifest, None where there is none, and the log."""
        environment = sandbox.environment() | {"TMPDIR": os.environ["TMPDIR"]}
        arguments = {"path": path, **ARGUMENTS}
        order = {"arguments": arguments, "environment": environment, "answer": str(answer)}
        self.forks.ask(wait=self.forks.ask(land="vlmrun", attempt=attempt, **order))
        return json.loads(answer.read_bytes()), answer.with_suffix(".log").read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    small = tmp_path / "small"
    small.mkdir()
    mount = f"mount -t tmpfs -o size=512k small {small}"
    within = ("unshare", "--user", "--map-root-user", "--mount")
    if subprocess.run([*within, "sh", "-c", mount], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    forks = Forks(*within, "sh", "-c", f'{mount} && exec "$@"', "sh")
    forks.ready()
    yield Machine(forks, small)
    forks.stop()


@pytest.mark.faults
@pytest.mark.usefixtures("land")
def test_a_full_disk_of_the_target_ends_well(
    connections: Sandbox, machine: Machine, tmp_path: Path, record_property, seconds
) -> None:
    ballast, path = machine.room / "ballast", f"{machine.small.as_uri()}/landed"
    ballast.write_bytes(b"0" * (512 * 1024 - sum(map(len, expected(connections))) // 2))
    begin = seconds()

    manifest, log = machine.land(connections, path, 1, tmp_path / "1.json")

    assert seconds() - begin < 10
    assert manifest is None
    assert re.search("StorageError: path: .* cannot be written: No space left on device. A retry", log), log
    ballast.unlink()
    again = tmp_path / "2.json"
    there = machine.room / "landed"
    assert_goes_on(
        DISKS[1], lambda: machine.land(connections, path, 2, again)[0], there, connections, record_property
    )
