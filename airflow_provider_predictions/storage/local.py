"""Write files of this machine so that they appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from airflow_provider_predictions.api.errors import StorageError
from airflow_provider_predictions.api.limits import MAX_PUT_ATTEMPTS

UNFINISHED = ".new"
"""The suffix of a file that is not whole yet."""


def sha256_of(file: Path) -> str:
    """The SHA-256 of the content, in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextmanager
def replacing(target: Path, via: Path | None = None) -> Iterator[Path]:
    """Open a temporary file that takes the target's name once it is whole.

    :param via: the temporary file. By default, it lies beside the target.
    """
    with _unfinished(target, via) as new:
        yield new
        new.replace(target)


def replace_file(target: Path, content: bytes, via: Path | None = None) -> None:
    """Write a small file, and replace one that is there. It is whole even if the machine loses power.

    :param via: see ``replacing``.
    """
    with replacing(target, via) as new:
        _write_through(new, content)


def _write_through(file: Path, content: bytes) -> None:
    with file.open("wb") as new:
        new.write(content)
        new.flush()
        os.fsync(new.fileno())


def create_file(target: Path, content: bytes, via: Path | None = None) -> None:
    """Create a file if there is none. It is whole even if the machine loses power.

    :param via: see ``replacing``.
    :raises FileExistsError: if there is one.
    """
    with _unfinished(target, via) as new:
        _write_through(new, content)
        os.link(new, target)
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


@contextmanager
def _unfinished(target: Path, via: Path | None) -> Iterator[Path]:
    """A temporary file for another one, whose directory is created if it is missing."""
    new = via or target.with_name(f"{target.name}.{uuid4().hex}{UNFINISHED}")
    try:
        for _ in range(MAX_PUT_ATTEMPTS):
            # Another run removes directories that are empty.
            with suppress(FileNotFoundError):
                target.parent.mkdir(parents=True, exist_ok=True)
                new.parent.mkdir(parents=True, exist_ok=True)
                new.touch(exist_ok=False)
                break
        yield new
    except FileNotFoundError:
        # This happens to an attempt that was overtaken. It is no missing bucket.
        raise StorageError(
            f"path: {target} cannot be written: its directory was removed meanwhile. A retry finds out why"
        ) from None
    finally:
        new.unlink(missing_ok=True)
