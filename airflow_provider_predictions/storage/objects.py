"""Objects under a path: read, put and removed, each in one step, on every kind of storage."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

UNFINISHED = ".new"
"""How the name of a file ends that is not whole yet."""


def prepare(path: ObjectStoragePath) -> None:
    """Make the directory, where the storage has such a thing."""
    # On an object store, mkdir would create a missing bucket.
    if is_local(path):
        path.mkdir(parents=True, exist_ok=True)


def is_local(path: ObjectStoragePath) -> bool:
    """Whether a path is a directory of this machine."""
    return path.protocol in ("", "file", "local")


def sizes(path: ObjectStoragePath) -> dict[str, int]:
    """The objects right under a path, and how many bytes each has, as they are at this moment."""
    path.fs.invalidate_cache()
    try:
        found = path.fs.ls(path.path, detail=True)
    except FileNotFoundError:
        return {}
    return {PurePosixPath(entry["name"]).name: entry["size"] for entry in found}


def find(path: ObjectStoragePath, name: str) -> list[str]:
    """The directories below a path, itself included, in which an object of that name lies, in order.

    :return: relative to the path.
    """
    path.fs.invalidate_cache()
    root = path.path.rstrip("/")
    try:
        found = [PurePosixPath(file) for file in path.fs.find(root)]
    except FileNotFoundError:
        return []
    return sorted(str(file.parent.relative_to(root)) for file in found if file.name == name)


def read(target: ObjectStoragePath) -> bytes:
    """An object as it is at this moment.

    :raises FileNotFoundError: where there is none.
    """
    # A file system that remembers an old listing does not find what is newer.
    target.fs.invalidate_cache()
    content: bytes = target.fs.cat_file(target.path)
    return content


def put(target: ObjectStoragePath, content: bytes) -> None:
    """Write a small object in one step, over one that is there."""
    if is_local(target):
        with _replacing(target) as new:
            new.write_bytes(content)
    else:
        target.fs.pipe_file(target.path, content)


def put_file(file: Path, target: ObjectStoragePath) -> None:
    """Make a file of this machine an object; on the same file system it is both, so it must not change."""
    if is_local(target):
        with _replacing(target) as new:
            try:
                os.link(file, new)
            except OSError:
                shutil.copyfile(file, new)
    else:
        target.fs.put_file(str(file), target.path)


@contextmanager
def _replacing(target: ObjectStoragePath) -> Iterator[Path]:
    """A file that takes the target's name when it is whole, so that nobody reads half of it."""
    new = Path(f"{target.path}.{uuid4().hex}{UNFINISHED}")
    try:
        yield new
        new.replace(target.path)
    finally:
        new.unlink(missing_ok=True)


def remove(target: ObjectStoragePath) -> None:
    """Remove an object, if it is there."""
    with suppress(FileNotFoundError):
        target.fs.rm_file(target.path)


def remove_all(path: ObjectStoragePath) -> None:
    """Remove what an attempt put under a path that was never committed."""
    for name in sizes(path):
        remove(path / name)
