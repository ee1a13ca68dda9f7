"""Objects under a path: read, put and removed, each in one step, on every kind of storage."""

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
from airflow_provider_predictions.storage.errors import explained, status_of
from airflow_provider_predictions.storage.local import create_file, replacing

LONGEST = 300.0
"""Seconds that reading or writing an object may take, whatever its library tries again meanwhile."""
PIECE = 8 << 20
"""Bytes of a file that are sent at once, and that a store's library holds in memory."""
SLOWEST = 1 << 20
"""Bytes of an object that give it a second more."""
TRIES = 3
"""How often an object is created whose put has failed and that does not lie there."""
_EXISTS = (409, 412)
_UNKNOWN = (400, 405, 501)
"""How stores answer a condition that they do not know."""
_LINKLESS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""How file systems answer that have no hard links, such as vfat, SMB and those of FUSE."""
_MAGIC = re.compile(r"[*?\[]")


def prepare(path: ObjectStoragePath) -> None:
    """Make the directory, where the storage has such a thing."""
    # On an object store, mkdir would create a missing bucket.
    if is_local(path):
        with explained("made", path):
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
    """The objects under a path as they are at this moment, relative to it.

    :param deep: also those in directories below; else these are listed by their names.
    """
    path.fs.invalidate_cache()
    root = path.path.rstrip("/")
    try:
        with explained("listed", path, FileNotFoundError):
            found = _ask(path.fs, "find" if deep else "ls", root, **({} if deep else {"detail": False}))
    except FileNotFoundError:
        return []
    return sorted(str(PurePosixPath(name).relative_to(root)) for name in found)


def read(target: ObjectStoragePath) -> bytes:
    """An object as it is at this moment.

    :raises FileNotFoundError: where there is none.
    """
    # A file system that remembers an old listing does not find what is newer.
    target.fs.invalidate_cache()
    with explained("read", target, FileNotFoundError):
        content: bytes = _ask(target.fs, "cat_file", target.path)
    return content


def get_file(target: ObjectStoragePath, file: Path, size: int) -> None:
    """Copy an object to a file of this machine.

    :param size: of the object, in bytes.
    :raises FileNotFoundError: where there is none.
    """
    with explained("read", target, FileNotFoundError):
        _ask(target.fs, "get_file", target.path, str(file), size=size)


def put(target: ObjectStoragePath, content: bytes, *, via: Path | None = None) -> None:
    """Write a small object in one step, over one that is there.

    :param via: where a file lies until it is whole; by default beside the target.
    """
    with explained("written", target):
        if is_local(target):
            with replacing(Path(target.path), via) as new:
                new.write_bytes(content)
        else:
            _ask(target.fs, "pipe_file", target.path, content, size=len(content))


def put_file(file: Path, target: ObjectStoragePath, *, longest: float = LONGEST) -> None:
    """Make an object of a file of this machine.

    :param longest: seconds, with more for a large file.
    """
    with explained("written", target):
        if not is_local(target):
            size, pieces = file.stat().st_size, _in_pieces(target.fs)
            _ask(target.fs, "put_file", str(file), target.path, size=size, longest=longest, **pieces)
            return
        with replacing(Path(target.path)) as new:
            # Not linked: a part gets the permissions of a new file in its directory.
            shutil.copyfile(file, new)


def _in_pieces(fs: Any) -> dict[str, int]:
    """What makes a file system send a file piece by piece; s3fs would hold one of 100 MB in memory, twice."""
    known = signature(getattr(fs, "_put_file", fs.put_file)).parameters
    pieces = {"chunksize": PIECE, "max_concurrency": 1}
    return {name: value for name, value in pieces.items() if name in known}


def try_to_write(root: ObjectStoragePath, name: str, *, is_conditional: bool = False) -> bool:
    """Put an empty object, try to create it a second time, and remove it.

    :param name: relative to the root.
    :param is_conditional: the storage is known to refuse that.
    :return: whether it refuses to create an object where there is one.
    :raises ConfigurationError: where the bucket is missing or the storage refuses.
    """
    target = root / name
    put(target, b"")
    is_conditional = is_conditional or _is_created_once(target)
    remove_files(root, [name])
    return is_conditional


def _is_created_once(target: ObjectStoragePath) -> bool:
    """Whether the storage refuses to create an object that lies there."""
    for _ in range(TRIES):
        try:
            _create(target, b"")
        except FileExistsError:
            # fsspec's own ``mode="create"`` looks first and then writes, which two can do at once.
            looks = type(target.fs).pipe_file is AbstractFileSystem.pipe_file and not target.fs.async_impl
            return is_local(target) or not looks
        except _Unconditional:  # or something on the way there does not understand this one request
            continue
        return False
    return False


def create(
    target: ObjectStoragePath, content: bytes, *, is_conditional: bool = False, via: Path | None = None
) -> bytes:
    """Put an object where there is none.

    A response that is lost lets a library send the put again, which then meets its own object. So no error is
    believed: what lies there decides. A proxy may refuse one request with a status that says the same as that
    of a storage without conditional puts, so only a storage that refuses each time is one.

    :param is_conditional: the storage is known to have conditional puts, whatever it answers now.
    :param via: see ``put``.
    :return: what lies there. A storage without conditional puts is asked first; two may both find nothing.
    :raises StorageError: where that cannot be found out. The object may lie there, now or later.
    """
    failure: Exception | None = None
    has_no_condition = not is_conditional
    for _ in range(TRIES):
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
        f"path: it is unknown whether {target} was written: {failure}. A retry finds out"
    ) from None


class _Unconditional(Exception):  # noqa: N818  (not an error of anybody)
    """The storage cannot put an object only where there is none."""


def _create(target: ObjectStoragePath, content: bytes, via: Path | None = None) -> None:
    """Put an object where there is none, or raise."""
    with explained("written", target, FileExistsError, _Unconditional):
        try:
            if is_local(target):
                create_file(Path(target.path), content, via)
            else:
                _ask(target.fs, "pipe_file", target.path, content, mode="create")
        except (TypeError, ValueError, NotImplementedError):
            # How file systems say that they do not know the mode.
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
    """Remove an object, if it is there."""
    with suppress(FileNotFoundError), explained("removed", target, FileNotFoundError):
        try:
            _ask(target.fs, "rm_file", target.path)
        except NotImplementedError:  # adlfs before 2026.2
            _ask(target.fs, "rm", target.path)


def remove_files(root: ObjectStoragePath, names: Sequence[str]) -> None:
    """Remove objects, and the directories of a local path that this leaves empty.

    :param names: relative to the root.
    """
    targets = [root / name for name in names]
    if (
        len(targets) > 1
        and hasattr(root.fs, "_bulk_delete")
        and not any(_MAGIC.search(t.path) for t in targets)
    ):
        # One request for a thousand. A name with a wildcard would remove what it matches.
        with explained("removed", root):
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


def _ask(fs: Any, method: str, *args: Any, size: int = 0, longest: float = LONGEST, **kwargs: Any) -> Any:
    """Call a file system, for so long at most; one without an event loop has bounds of its own.

    :param size: in bytes, of what goes over the wire.
    """
    if not fs.async_impl:
        return getattr(fs, method)(*args, **kwargs)
    from fsspec.asyn import sync

    seconds = longest + size / SLOWEST
    return sync(fs.loop, getattr(fs, f"_{method}"), *args, timeout=seconds, **kwargs)
