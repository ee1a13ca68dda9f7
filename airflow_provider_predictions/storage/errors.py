"""What a failing storage is to a person: which object, what happened, and what to do."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.errors import (
    ConfigurationError,
    ConflictError,
    PredictionsError,
    StorageError,
)
from airflow_provider_predictions.api.limits import MAX_MESSAGE_LENGTH

log = logging.getLogger(__name__)

_QUERY = re.compile(r"\?\S*")


@contextmanager
def explained(
    done: str, target: ObjectStoragePath, *, but: type[Exception] | tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Make what any storage raises an error of this package.

    :param done: what could not be done to the target, such as ``written``.
    :param but: what is left as it is.
    :raises ConfigurationError: where the bucket is missing or the storage refuses.
    :raises StorageError: for all else.
    """
    try:
        yield
    except PredictionsError:
        raise
    except but:
        raise
    # Each library has its own tree of errors, with no root but this one.
    except Exception as error:
        raise _explain(error, f"path: {target} cannot be {done}: {_words(error)}") from None


@contextmanager
def named(argument: str) -> Iterator[None]:
    """Name in errors of the storage the argument that names the landing, where that is not ``path``."""
    try:
        yield
    except (ConfigurationError, ConflictError) as error:
        raise type(error)(re.sub("^path:", f"{argument}:", str(error))) from None


@contextmanager
def worker_disk() -> Iterator[None]:
    """Make what goes wrong with files of this machine an error of this package.

    :raises StorageError: where a disk is full, for example.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"The disk of this worker fails: {_words(error)}. Free space for temporary files, or let TMPDIR "
            "name a larger disk. A retry goes on after the last page that was written"
        ) from None


@contextmanager
def warning_only(root: ObjectStoragePath) -> Iterator[None]:
    """Let nothing fail a task whose landing is committed, or lost anyway."""
    try:
        yield
    except PredictionsError as error:
        log.warning("%s: tidying up failed, and the next run does it: %s", root, error)


def status_of(error: BaseException | None) -> int | None:
    """The HTTP status of what a storage answered, where its library tells."""
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
    return StorageError(f"{what}. A retry goes on from what has landed")


def _words(error: Exception) -> str:
    """What the error says, without the answer's body, and without what a signed URL holds."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error).strip()
    first, *_ = text.splitlines() or ["no answer in time"]
    return _QUERY.sub("", first)[:MAX_MESSAGE_LENGTH].rstrip(".")
