"""Read, write and remove objects, each in one step, on every kind of storage."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from inspect import signature
from pathlib import Path, PurePosixPath
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec import AbstractFileSystem

from airflow_provider_predictions.api.errors import ConfigurationError, StorageError
from airflow_provider_predictions.api.limits import MAX_PUT_ATTEMPTS, MIN_SPEED, PIECE_BYTES, STORAGE_SECONDS
from airflow_provider_predictions.storage.errors import status_of, storage_errors
from airflow_provider_predictions.storage.local import create_file, replace_file, replacing

_EXISTS = (409, 412)
_UNKNOWN = (400, 405, 501)
"""The status of stores that do not know conditional puts."""
_LINKLESS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""The errors of file systems without hard links, such as vfat, SMB and those of FUSE."""
_MAGIC = re.compile(r"[*?\[]")


def prepare(path: ObjectStoragePath) -> None:
    """Create the directory, if the storage has directories."""
    # On an object store, mkdir would create a missing bucket.
    if is_local(path):
        with storage_errors("made", path):
            try:
                path.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError):
                raise ConfigurationError(
                    f"path: {path}, or a directory above it, is a file; land in a directory"
                ) from None


def is_local(path: ObjectStoragePath) -> bool:
    """Whether a path is a directory of this machine."""
    return path.protocol in ("", "file", "local")


def names(path: ObjectStoragePath, *, deep: bool = False) -> list[str]:
    """List the objects under a path, relative to it, past any cache.

    :param deep: list what is in directories below, instead of their names.
    """
    path.fs.invalidate_cache()
    root = path.path.rstrip("/")
    try:
        with storage_errors("listed", path, FileNotFoundError):
            found = _find(path.fs, root) if deep else _ask(path.fs, "ls", root, detail=False)
    except FileNotFoundError:
        return []
    return sorted(str(PurePosixPath(name).relative_to(root)) for name in found)


def _find(fs: AbstractFileSystem, directory: str) -> list[str]:
    """The files in a directory and below it."""
    if fs.async_impl or getattr(fs.find, "__func__", None) is not AbstractFileSystem.find:
        found: list[str] = _ask(fs, "find", directory)
        return found
    # fsspec's own ``find`` takes a directory that cannot be listed for an empty one.
    files = []
    for entry in fs.ls(directory, detail=True):
        if entry["type"] != "directory":
            files.append(entry["name"])
        else:
            with suppress(FileNotFoundError):  # removed meanwhile
                files += _find(fs, entry["name"])
    return files


def read(target: ObjectStoragePath) -> bytes:
    """Read an object, past any cache.

    :raises FileNotFoundError: if there is none.
    """
    # A cached listing hides newer objects.
    target.fs.invalidate_cache()
    with storage_errors("read", target, FileNotFoundError):
        content: bytes = _ask(target.fs, "cat_file", target.path)
    return content


def read_start(target: ObjectStoragePath, size: int, longest: float) -> bytes:
    """Read the first bytes of an object.

    :param size: bytes, at most.
    :param longest: seconds.
    :raises FileNotFoundError: if there is none.
    """
    with storage_errors("read", target, FileNotFoundError):
        content: bytes = _ask(target.fs, "cat_file", target.path, start=0, end=size, longest=longest)
    return content


def get_file(target: ObjectStoragePath, file: Path, size: int = 0) -> None:
    """Copy an object to a file of this machine.

    :param size: of the object, in bytes. A large one gets more time.
    :raises FileNotFoundError: if there is none.
    """
    with storage_errors("read", target, FileNotFoundError):
        pieces = _in_pieces(target.fs, "get_file")
        _ask(target.fs, "get_file", target.path, str(file), size=size, **pieces)


def put(target: ObjectStoragePath, content: bytes, *, via: Path | None = None) -> None:
    """Write a small object in one step, and replace one that is there.

    :param via: the temporary file on a local path. By default, it lies beside the target.
    """
    with storage_errors("written", target):
        if is_local(target):
            replace_file(Path(target.path), content, via)
        else:
            _ask(target.fs, "pipe_file", target.path, content, size=len(content))


def put_file(file: Path, target: ObjectStoragePath, *, longest: float = STORAGE_SECONDS) -> None:
    """Copy a file of this machine to an object.

    :param longest: seconds. A large file gets more.
    :raises FileNotFoundError: if the file is gone.
    """
    size = file.stat().st_size
    with storage_errors("written", target):
        if not is_local(target):
            pieces = _in_pieces(target.fs, "put_file")
            _ask(target.fs, "put_file", str(file), target.path, size=size, longest=longest, **pieces)
            return
        with replacing(Path(target.path)) as new:
            # Copied, not linked, so that a part gets the permissions of a new file in its directory.
            shutil.copyfile(file, new)


def _in_pieces(fs: Any, call: str) -> dict[str, int]:
    """Arguments that copy a file piece by piece. Without them, s3fs holds hundreds of megabytes in memory.

    :param call: ``put_file`` or ``get_file``.
    """
    known = signature(getattr(fs, f"_{call}", getattr(fs, call))).parameters
    pieces = {"chunksize": PIECE_BYTES, "max_concurrency": 1}
    return {name: value for name, value in pieces.items() if name in known}


def try_to_write(root: ObjectStoragePath, name: str, *, is_conditional: bool = False) -> bool:
    """Put an empty object, try to create it a second time, and remove it.

    :param name: relative to the root.
    :param is_conditional: the storage is known to refuse the second one.
    :return: whether the storage refuses to create an object that exists.
    :raises ConfigurationError: if the bucket is missing or the storage refuses access.
    """
    target = root / name
    put(target, b"")
    is_conditional = is_conditional or _is_created_once(target)
    remove_files(root, [name])
    return is_conditional


def _is_created_once(target: ObjectStoragePath) -> bool:
    """Whether the storage refuses to create an object that exists."""
    for _ in range(MAX_PUT_ATTEMPTS):
        try:
            _create(target, b"")
        except FileExistsError:
            # fsspec's own ``mode="create"`` looks and then writes, so two writers can both succeed.
            looks = type(target.fs).pipe_file is AbstractFileSystem.pipe_file and not target.fs.async_impl
            return is_local(target) or not looks
        except _Unconditional:  # or a proxy did not understand this one request
            continue
        return False
    return False


def create(
    target: ObjectStoragePath, content: bytes, *, is_conditional: bool = False, via: Path | None = None
) -> bytes:
    """Put an object if there is none.

    If a response is lost, a library sends the put again, which then meets its own object. So no error is
    believed: what is there decides. A proxy may refuse one request with the status of a storage without
    conditional puts. So a storage counts as one only if it refuses each time.

    :param is_conditional: the storage is known to have conditional puts.
    :param via: see ``put``.
    :return: the object that is there. Without conditional puts, two writers may both find nothing and write.
    :raises StorageError: if it is unknown what is there. The object may appear later.
    """
    failure: Exception | None = None
    has_no_condition = not is_conditional
    for _ in range(MAX_PUT_ATTEMPTS):
        try:
            _create(target, content, via)
            return content
        except Exception as error:
            failure = error
        with suppress(FileNotFoundError):
            return read(target)
        if isinstance(failure, ConfigurationError):  # refused
            raise failure
        has_no_condition &= isinstance(failure, _Unconditional)
    if has_no_condition:
        put(target, content, via=via)
        return content
    raise StorageError(
        f"path: it is unknown whether {target} was written: {failure}. A retry checks"
    ) from None


class _Unconditional(Exception):  # noqa: N818  (not an error of anybody)
    """The storage cannot put an object only where there is none."""


def _create(target: ObjectStoragePath, content: bytes, via: Path | None = None) -> None:
    """Put an object if there is none, or raise."""
    with storage_errors("written", target, FileExistsError, _Unconditional):
        try:
            if is_local(target):
                create_file(Path(target.path), content, via)
            else:
                _ask(target.fs, "pipe_file", target.path, content, mode="create")
        except (TypeError, ValueError, NotImplementedError):
            # What file systems raise that do not know the mode.
            raise _Unconditional("it knows no conditional put") from None
        except Exception as error:
            if is_local(target) and getattr(error, "errno", None) in _LINKLESS:
                raise _Unconditional(str(error)) from None
            if (status := status_of(error)) in _UNKNOWN:
                raise _Unconditional(f"it answers {status} to a conditional put") from None
            if status in _EXISTS:
                raise FileExistsError(target.path) from None
            raise


def remove(target: ObjectStoragePath) -> None:
    with suppress(FileNotFoundError), storage_errors("removed", target, FileNotFoundError):
        try:
            _ask(target.fs, "rm_file", target.path)
        except NotImplementedError:  # adlfs before 2026.2
            _ask(target.fs, "rm", target.path)


def remove_files(root: ObjectStoragePath, names: Sequence[str]) -> None:
    """Remove objects, and directories of a local path that become empty.

    :param names: relative to the root.
    """
    targets = [root / name for name in names]
    if (
        len(targets) > 1
        and hasattr(root.fs, "_bulk_delete")
        and not any(_MAGIC.search(t.path) for t in targets)
    ):
        # One request for a thousand objects. A name with a wildcard would remove what it matches.
        with storage_errors("removed", root):
            _ask(root.fs, "rm", [target.path for target in targets])
    else:
        for target in targets:
            remove(target)
    if is_local(root):
        below = {Path(root.path, parent) for name in names for parent in PurePosixPath(name).parents[:-1]}
        for directory in sorted(below, reverse=True):
            # Not empty, or gone already.
            with suppress(OSError):
                directory.rmdir()


def _ask(
    fs: Any, method: str, *args: Any, size: int = 0, longest: float = STORAGE_SECONDS, **kwargs: Any
) -> Any:
    """Call a file system with a time limit. One without an event loop has limits of its own.

    :param size: bytes to transfer.
    """
    if not fs.async_impl:
        return getattr(fs, method)(*args, **kwargs)
    from fsspec.asyn import sync

    seconds = longest + size / MIN_SPEED
    return sync(fs.loop, getattr(fs, f"_{method}"), *args, timeout=seconds, **kwargs)
