"""Read a file of a report, if the task itself wrote it.

Users can write XComs, and others can write to the storage. So neither is believed alone: the XCom holds the
hash of each file, and the manifest in the storage names the task instance. A forged XCom shows only a file
whose content its author knows already.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.limits import MAX_SHOW_SECONDS, MAX_SHOWN_BYTES
from airflow_provider_predictions.operators.report_record import ReportRecord
from airflow_provider_predictions.storage.manifest import MANIFEST
from airflow_provider_predictions.storage.objects import read_start

SCHEMES = frozenset({"", "file", "local", "s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "adl"})
_NAME = re.compile(r"report\.html|summary\.json|[a-z0-9_]{1,60}\.csv")
_log = logging.getLogger(__name__)


class Refused(Exception):  # noqa: N818  (an answer to the reader, not a failure)
    """A file that is not shown.

    :param status: of the response.
    :param reason: a sentence for the reader, without paths of the storage.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def record_of(value: Any) -> ReportRecord | None:
    """The record in the value of an XCom. None if it is something else, such as a reference of a backend.

    Airflow's own decoder is not used: it builds the classes that the value names.
    """
    try:
        return msgspec.convert(json.loads(value) if isinstance(value, str) else value, ReportRecord)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors, too
        return None


def content_of(record: ReportRecord, instance: list[Any], name: str, roots: Sequence[str]) -> bytes:
    """A file of a report, as the task instance wrote it.

    :param instance: DAG, run, task and map index.
    :param name: of the file.
    :param roots: URLs below which reports may be. Empty for any.
    :raises Refused: if the file is not what the task wrote, too large, or cannot be read.
    """
    file = record.files.get(name)
    if file is None or not _NAME.fullmatch(name):
        raise Refused(404, "This report has no such file.")
    if file.bytes > MAX_SHOWN_BYTES:
        size, most = round(file.bytes / 2**20), MAX_SHOWN_BYTES >> 20
        raise Refused(413, f"{name} has {size} MB. Airflow shows at most {most} MB. Open it in the storage.")
    _check_url(record.path, roots)
    try:
        path = ObjectStoragePath(record.path)
        manifest = json.loads(_read(path / MANIFEST))
        if not isinstance(manifest, dict) or manifest.get("recorded_by") != instance:
            raise _replaced()
        content = _read(path / name)
    except Refused:
        raise
    except Exception as error:  # no file, no credentials, no file system for the scheme, a damaged manifest
        _log.warning("The report of %r cannot be read: %s", instance, error)
        raise Refused(404, f"The report cannot be read from here.{_hint(record.path)}") from None
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise _replaced()
    return content


def _check_url(url: str, roots: Sequence[str]) -> None:
    """Refuse a URL that a report task cannot have recorded, or that is outside of the roots."""
    scheme, separator, rest = url.rpartition("://") if url.count("://") == 1 else ("", "", url)
    is_plain = not separator and not rest.startswith("/")
    # fsspec reads a URL after "::" through that before it.
    if scheme not in SCHEMES or is_plain or ".." in rest.split("/") or "::" in url:
        raise Refused(409, "What is recorded for this task is not a report.")
    if roots and not any(_is_within(url, root) for root in roots):
        raise Refused(409, "The report is outside of the setting report_roots.")


def _is_within(url: str, root: str) -> bool:
    url, root = _real(url), _real(root).rstrip("/")
    return url == root or url.startswith(f"{root}/")


def _real(url: str) -> str:
    """A URL, of a local path with its links followed."""
    scheme, separator, path = url.partition("://")
    if not separator or scheme in ("file", "local"):
        return f"file://{os.path.realpath(path if separator else url)}"
    return url


def _read(target: ObjectStoragePath) -> bytes:
    content = read_start(target, MAX_SHOWN_BYTES + 1, MAX_SHOW_SECONDS)
    if len(content) > MAX_SHOWN_BYTES:
        raise ValueError("it is larger than recorded")
    return content


def _replaced() -> Refused:
    return Refused(409, "The report is not the one that this task wrote. It was replaced or changed.")


def _hint(url: str) -> str:
    is_local = url.partition("://")[0] in ("file", "local") or url.startswith("/")
    return " It is on the disk of a worker." if is_local else " The log of the API server says why."
