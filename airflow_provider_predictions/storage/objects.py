"""Objects under a path: read, put and removed, each in one step, on every kind of storage."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from inspect import signature
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_provider_predictions.storage.failures import explained, status_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

UNFINISHED = ".new"
"""How the name of a file ends that is not whole yet."""


LONGEST = 300.0
"""Seconds that reading or writing an object may take, whatever its library tries again meanwhile."""
PIECE = 8 << 20
"""Bytes of a file that are sent at once, and that a store's library holds in memory."""
SLOWEST = 1 << 20
"""Bytes of an object that give it a second more."""
_EXISTS = (409, 412)
_UNKNOWN = (400, 405, 501)
"""How stores answer a condition that they do not know."""


def prepare(path: ObjectStoragePath) -> None:
    """Make the directory, where the storage has such a thing."""
    # On an object store, mkdir would create a missing bucket.
    if is_local(path):
        with explained("made", path):
            path.mkdir(parents=True, exist_ok=True)


def is_local(path: ObjectStoragePath) -> bool:
    """Whether a path is a directory of this machine."""
    return path.protocol in ("", "file", "local")


def sizes(path: ObjectStoragePath) -> dict[str, int]:
    """The objects right under a path, and how many bytes each has, as they are at this moment."""
    path.fs.invalidate_cache()
    try:
        with explained("listed", path, but=FileNotFoundError):
            found = _ask(path.fs, "ls", path.path, detail=True)
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
        with explained("listed", path, but=FileNotFoundError):
            found = [PurePosixPath(file) for file in _ask(path.fs, "find", root)]
    except FileNotFoundError:
        return []
    return sorted(str(file.parent.relative_to(root)) for file in found if file.name == name)


def read(target: ObjectStoragePath) -> bytes:
    """An object as it is at this moment.

    :raises FileNotFoundError: where there is none.
    """
    # A file system that remembers an old listing does not find what is newer.
    target.fs.invalidate_cache()
    with explained("read", target, but=FileNotFoundError):
        content: bytes = _ask(target.fs, "cat_file", target.path)
    return content


def get_file(target: ObjectStoragePath, file: Path, size: int) -> None:
    """Copy an object to a file of this machine.

    :param size: of the object, in bytes.
    :raises FileNotFoundError: where there is none.
    """
    with explained("read", target, but=FileNotFoundError):
        _ask(target.fs, "get_file", target.path, str(file), size=size)


def put(target: ObjectStoragePath, content: bytes) -> None:
    """Write a small object in one step, over one that is there."""
    with explained("written", target):
        if is_local(target):
            with _replacing(target) as new:
                new.write_bytes(content)
        else:
            _ask(target.fs, "pipe_file", target.path, content, size=len(content))


def put_file(file: Path, target: ObjectStoragePath, *, longest: float = LONGEST) -> None:
    """Make a file of this machine an object; on the same file system it is both, so it must not change.

    :param longest: seconds, with more for a large file.
    """
    with explained("written", target):
        if not is_local(target):
            size, pieces = file.stat().st_size, _in_pieces(target.fs)
            _ask(target.fs, "put_file", str(file), target.path, size=size, longest=longest, **pieces)
            return
        with _replacing(target) as new:
            try:
                os.link(file, new)
            except OSError:
                shutil.copyfile(file, new)


def _in_pieces(fs: Any) -> dict[str, int]:
    """What makes a file system send a file piece by piece; s3fs would hold one of 100 MB in memory, twice."""
    known = signature(getattr(fs, "_put_file", fs.put_file)).parameters
    pieces = {"chunksize": PIECE, "max_concurrency": 1}
    return {name: value for name, value in pieces.items() if name in known}


def try_to_write(path: ObjectStoragePath) -> None:
    """Put an empty object under a path, and remove it.

    :raises ConfigurationError: where the bucket is missing or the storage refuses.
    """
    trial = path / f"_trial{UNFINISHED}"
    put(trial, b"")
    remove(trial)


def create(target: ObjectStoragePath, content: bytes) -> bool:
    """Put an object, unless there is one.

    :return: False where the storage cannot do that.
    :raises FileExistsError: where there is one.
    """
    with explained("written", target, but=FileExistsError):
        try:
            if is_local(target):
                # fsspec's put looks first and then writes, which two can do at once.
                with target.open("xb") as file:
                    file.write(content)
            else:
                _ask(target.fs, "pipe_file", target.path, content, mode="create")
        except (TypeError, ValueError, NotImplementedError):
            # How file systems say that they do not know the mode.
            return False
        except Exception as error:
            status = status_of(error)
            if status in _EXISTS:
                raise FileExistsError(target.path) from None
            if status in _UNKNOWN:
                return False
            raise
    return True


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
    with suppress(FileNotFoundError), explained("removed", target, but=FileNotFoundError):
        try:
            _ask(target.fs, "rm_file", target.path)
        except NotImplementedError:  # adlfs before 2026.2
            _ask(target.fs, "rm", target.path)


def remove_all(path: ObjectStoragePath) -> None:
    """Remove what an attempt put under a path that was never committed."""
    for name in sizes(path):
        remove(path / name)


def _ask(fs: Any, method: str, *args: Any, size: int = 0, longest: float = LONGEST, **kwargs: Any) -> Any:
    """Call a file system, for so long at most; one without an event loop has bounds of its own.

    :param size: in bytes, of what goes over the wire.
    """
    if not fs.async_impl:
        return getattr(fs, method)(*args, **kwargs)
    from fsspec.asyn import sync

    seconds = longest + size / SLOWEST
    return sync(fs.loop, getattr(fs, f"_{method}"), *args, timeout=seconds, **kwargs)
