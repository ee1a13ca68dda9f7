"""Collect pages in a file of this machine, and write each part as one object.

Writing straight into an object would publish a truncated one when a page fails: every fsspec store commits
what it has when the file is closed, for whatever reason.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import msgspec

from airflow_provider_predictions.api.filters import utc
from airflow_provider_predictions.api.models import as_time, id_by_content
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.record_batch import RecordBatch
from airflow_provider_predictions.api.wording import counted
from airflow_provider_predictions.storage import checkpoint
from airflow_provider_predictions.storage.attempt import Attempt
from airflow_provider_predictions.storage.checkpoint import Journal, Progress
from airflow_provider_predictions.storage.errors import warning_only
from airflow_provider_predictions.storage.formats.base import RECORDS, Format
from airflow_provider_predictions.storage.manifest import REJECTED, Manifest, Part, manifest
from airflow_provider_predictions.storage.objects import put_file
from airflow_provider_predictions.storage.parts import PartWriter
from airflow_provider_predictions.storage.scratch_dir import Workspace
from airflow_provider_predictions.storage.spool import Spool

log = logging.getLogger(__name__)


class Landing:
    """Write records to storage, from where an earlier attempt was interrupted. A context manager.

    :param attempt: under whose names it writes.
    :param form: of the parts.
    :param records_per_part: the last part holds the rest.
    :param partition_by: None, or ``created_date`` for parts in directories of days.
    :param arguments: a hash of all that decides what lands.
    :param asked: the words of the filters.
    :param abandon: removes what the attempt has written, unless that may be committed.
    :param restore: continues the pass over the list from a position that was given to ``take``. Raises
        ValueError if it cannot; then the landing starts anew.
    """

    def __init__(
        self,
        attempt: Attempt,
        form: Format,
        *,
        records_per_part: int,
        arguments: str,
        partition_by: str | None = None,
        asked: Collection[str] = (),
        restore: Callable[[Landing, dict[str, Any]], None] | None = None,
        abandon: Callable[[], None] | None = None,
    ) -> None:
        self.attempt = attempt
        self._workspace = _workspace(attempt)
        self.writer = PartWriter(attempt, form, records_per_part, partition_by, self._workspace.directory)
        self.arguments = arguments
        self.asked = asked
        self._restore = restore
        self._abandon = abandon or self._remove_copies
        self.progress: Progress
        self._copies: list[Part] = []
        self._is_further = False
        """Whether a checkpoint names a part that this attempt has added to its copies."""
        self._journal = Journal(self.writer.directory)

    def __enter__(self) -> Self:
        try:
            resumed = self._resumed()
            self.progress = resumed or Progress.new(self.arguments, self.attempt.nonce, self.writer.directory)
        except Exception:
            self._remove_copies()
            self._workspace.close(keep=True)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.progress.close()
            self._journal.close()
            if kind and issubclass(kind, Exception) and self._copies and not self._is_further:
                self._abandon()
        finally:
            self._workspace.close(keep=kind is not None)

    def take(self, page: Page, position: dict[str, Any], requests: int) -> None:
        """Write a page.

        :param position: where the list continues after it.
        :param requests: sent so far.
        """
        progress = self.progress
        progress.totals.add(page, self.asked)
        records, rejected, done, old = page.records, RecordBatch(page.rejected), len(progress.parts), []
        for text, count in rejected.texts:
            progress.rejected.write(text, count)
        others = _others(page)
        if records or others:
            progress.ids.write(_ids(records, others), 1)
        while records:
            fitting = records[: self.writer.batch - progress.spool.count]
            for text, count in fitting.texts:
                progress.spool.write(text, count)
            records = records[len(fitting) :]
            if progress.spool.count == self.writer.batch:
                old.append(self._close_batch())
        progress.flush()
        progress.position, progress.requests = position, requests
        closed = len(progress.parts) > done
        if closed:
            checkpoint.save_beside(progress, self.attempt)
        self._journal.save(progress, anew=closed)
        self._is_further = self._is_further or closed
        for file in old:
            file.unlink()

    def finish(self, **facts: Any) -> Manifest:
        """Write the rest.

        :param facts: for the manifest, beside what was counted.
        """
        progress, rejected = self.progress, None
        progress.flush()
        if progress.spool.count:
            self._close_batch()
            self._journal.save(progress, anew=True)
            self._is_further = True
        if progress.rejected.count:
            rejected = self.attempt.path(REJECTED)
            put_file(progress.rejected.path, rejected)
        self._take_over()
        if self.writer.form.shape != RECORDS:
            facts |= {"shape": self.writer.form.shape, "rows": sum(part.rows or 0 for part in progress.parts)}
        if self.writer.partition_by:
            facts["partition_by"] = self.writer.partition_by
        if progress.started_at:
            facts["started_at"] = utc(progress.started_at)
        return manifest(self.attempt.directory, progress.parts, progress.totals, rejected, **facts)

    def identities(self) -> Iterator[tuple[str, datetime | None]]:
        """Id and creation time of each record so far that lands, in the order of the list."""
        for ids, times, _ in self._lines_of_ids():
            yield from zip(ids, map(as_time, times), strict=True)

    def ids_read(self) -> Iterator[str]:
        """Ids of all records so far, also of those that do not land."""
        for ids, _, others in self._lines_of_ids():
            yield from (*ids, *others)

    def _lines_of_ids(self) -> Iterator[tuple[list[str], list[str | None], list[str]]]:
        self.progress.ids.flush()
        with self.progress.ids.path.open("rb") as lines:
            yield from map(json.loads, lines)

    def rejected_ids(self) -> Iterator[str]:
        """Hashes of the rows so far that are no records."""
        self.progress.rejected.flush()
        with self.progress.rejected.path.open("rb") as lines:
            yield from (id_by_content(line.removesuffix(b"\n")) for line in lines)

    def _close_batch(self) -> Path:
        """Write the spool, and begin the next one. The file stays until the checkpoint is saved."""
        progress, spool = self.progress, self.progress.spool
        spool.close()
        parts = self.writer.write(spool, len(progress.parts))
        self._take_over()
        progress.parts += parts
        progress.spool = Spool.new(self.writer.directory / f"part-{len(progress.parts)}")
        return spool.path

    def _resumed(self) -> Progress | None:
        """Continue what an earlier attempt has written, copied to names of this one.

        Until this attempt has one more part, the checkpoint names the earlier attempt's parts, and a failure
        removes the copies. So a retry that makes no progress leaves nothing behind.
        """
        for found in checkpoint.candidates(self.arguments, self.writer.directory, self.attempt):
            try:
                found.resume(self.writer.directory)
                self._copies = [self.writer.copy(part, n, found.nonce) for n, part in enumerate(found.parts)]
                if found.position and self._restore:
                    self._restore(self, found.position)
            except (FileNotFoundError, ValueError) as error:
                log.warning("The checkpoint under %s is ignored: %s", self.attempt.root, error)
                self._remove_copies()
                continue
            parts, records = counted(len(found.parts), "part"), counted(found.spool.count, "more record")
            log.info("Resuming after %s and %s of an attempt that was interrupted", parts, records)
            return found
        return None

    def _take_over(self) -> None:
        """Let the checkpoint name this attempt's copies from now on."""
        if self.progress.nonce != self.attempt.nonce:
            self.progress.parts, self.progress.nonce = self._copies, self.attempt.nonce

    def _remove_copies(self) -> None:
        with warning_only(self.attempt.root):
            self.attempt.remove()


def forget(attempt: Attempt) -> None:
    """Remove what an attempt of this run, which has committed or failed for good, left on this machine."""
    _workspace(attempt).close(keep=False)


def _workspace(attempt: Attempt) -> Workspace:
    key = f"{attempt.root} {attempt.task.run}"
    return Workspace(hashlib.sha256(key.encode()).hexdigest()[:32])


def _others(page: Page) -> list[str]:
    """The ids of the page's records that do not land."""
    if len(page.ids) <= len(page.predictions):
        return []
    landing = {*page.records.ids}
    return [id_ for id_ in page.ids if id_ not in landing]


def _ids(records: RecordBatch, others: list[str]) -> bytes:
    """Ids and creation times of records that land, and ids of others, in one line of JSON."""
    try:
        return msgspec.json.encode((records.ids, records.times, others))
    except UnicodeEncodeError:  # a lone surrogate
        return json.dumps((records.ids, [time and utc(time) for time in records.times], others)).encode()
