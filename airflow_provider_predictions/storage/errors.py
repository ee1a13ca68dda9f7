"""Errors of a storage, in words for a person: which object, what happened, and what to do."""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.errors import (
    ConfigurationError,
    ConflictError,
    DamagedLandingError,
    PredictionsError,
    StorageError,
)
from airflow_provider_predictions.api.limits import MAX_MESSAGE_LENGTH

log = logging.getLogger(__name__)

_QUERY = re.compile(r"\?\S*")
_OF_THE_PATH = (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EROFS)
"""A local path that no retry can write to."""


def storage_errors(
    done: str, target: ObjectStoragePath, *but: type[Exception]
) -> AbstractContextManager[None]:
    """Turn what any storage raises into an error of this package.

    :param done: what could not be done to the target, such as ``written``.
    :param but: errors that pass unchanged.
    :raises ConfigurationError: if the bucket is missing or the storage refuses access.
    :raises StorageError: for everything else.
    """
    return replaced_errors(
        lambda error: _explain(error, f"path: {target} cannot be {done}: {_words(error)}"), *but
    )


@contextmanager
def replaced_errors(
    explain: Callable[[Exception], PredictionsError], *but: type[Exception]
) -> Iterator[None]:
    """Replace errors of other libraries. Each has its own tree of errors, with no root but ``Exception``."""
    unchanged: tuple[type[Exception], ...] = (PredictionsError, *but)
    try:
        yield
    except unchanged:
        raise
    except Exception as error:
        raise explain(error) from None


@contextmanager
def extra(*names: str, argument: str = "") -> Iterator[None]:
    """Say which extras of the package bring a library that cannot be imported.

    :param argument: what the message begins with, such as ``"file_format: "``.
    """
    try:
        yield
    except ImportError as error:
        which = f"extra{'s' * (len(names) > 1)} {' and '.join(names)}"
        raise ConfigurationError(
            f"{argument}{error.name} is not installed. Install the {which} of airflow-provider-predictions"
        ) from None


@contextmanager
def named(argument: str) -> Iterator[None]:
    """Let errors name another argument than ``path``, if another one names the landing."""
    try:
        yield
    except (ConfigurationError, ConflictError, DamagedLandingError, StorageError) as error:
        raise type(error)(re.sub("^path:", f"{argument}:", str(error))) from None


@contextmanager
def worker_disk() -> Iterator[None]:
    """Turn errors of files of this machine into one of this package.

    :raises StorageError: if the disk is full, for example, or something has removed a file.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise StorageError(
            f"A temporary file of this worker is gone: {error.filename}. Let nothing clean that directory "
            "while tasks run, or let TMPDIR name another one. A retry resumes after the last complete part"
        ) from None
    except OSError as error:
        raise StorageError(
            f"The disk of this worker fails: {_words(error)}. Free space for temporary files, or set TMPDIR "
            "to a larger disk. A retry resumes after the last page that was written"
        ) from None


@contextmanager
def warning_only(root: ObjectStoragePath) -> Iterator[None]:
    """Log errors as warnings. The landing is committed, or lost anyway."""
    try:
        yield
    except PredictionsError as error:
        log.warning("%s: cleanup failed; the next run cleans up: %s", root, error)


def status_of(error: BaseException | None) -> int | None:
    """The HTTP status of a storage's response, if its library tells."""
    while error:
        response = getattr(error, "response", None)
        if isinstance(response, dict):  # botocore
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        else:  # azure's, gcsfs's
            status = getattr(error, "status_code", None) or getattr(error, "code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__
    return None


def _explain(error: Exception, what: str) -> PredictionsError:
    status = status_of(error)
    if isinstance(error, FileNotFoundError) or status == 404:
        return ConfigurationError(f"{what}. Create its bucket, container or directory, or correct path")
    if isinstance(error, PermissionError) or status in (401, 403):
        return ConfigurationError(
            f"{what}. Let the connection in path, or the worker's user, list, read, write and delete there"
        )
    if isinstance(error, OSError) and error.errno in _OF_THE_PATH:
        return ConfigurationError(f"{what}. Correct path, or what lies there")
    return StorageError(f"{what}. A retry may succeed")


def _words(error: Exception) -> str:
    """The first line of the error, without a response's body and the query of a signed URL."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error).strip()
    first, *_ = text.splitlines() or ["no answer in time"]
    return _QUERY.sub("", first)[:MAX_MESSAGE_LENGTH].rstrip(".")
