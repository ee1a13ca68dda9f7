"""Pages become parts: spooled to a file of this machine, then put as one object.

Writing straight into an object would publish a truncated one when a page fails: every fsspec store commits
what it has when the file is closed, whatever the reason.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_predictions.api.models import Page
from airflow_provider_predictions.storage import checkpoint
from airflow_provider_predictions.storage.formats import Format
from airflow_provider_predictions.storage.manifest import REJECTED, Part, part_name, take_back
from airflow_provider_predictions.storage.objects import get_file, put_file, try_to_write
from airflow_provider_predictions.storage.spool import Spool
from airflow_provider_predictions.storage.workspace import Workspace

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


class Landing:
    """Records on their way to storage; goes on where an earlier attempt was interrupted. A context manager.

    :param path: the directory; one landing each.
    :param form: of the parts.
    :param records_per_part: how many records a part holds; the last one holds the rest.
    :param arguments: all that decides what lands, as text.
    """

    def __init__(
        self, path: ObjectStoragePath, form: Format, *, records_per_part: int, arguments: str
    ) -> None:
        self.path = path
        self.form = form
        self.records_per_part = records_per_part
        self._workspace = Workspace(hashlib.sha256(str(path).encode()).hexdigest()[:32])
        self._directory = self._workspace.directory
        self.progress = checkpoint.load(arguments, self._directory, path)
        # The line that a full disk has cut short must not be gone on with.
        self._anew = True

    def __enter__(self) -> Self:
        if self.progress.position is None:
            # A missing bucket, or a missing right, shows before the service is asked.
            try_to_write(self.path)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.progress.spool.close()
            self.progress.rejected.close()
        finally:
            self._workspace.close(keep=kind is not None)

    def take(self, page: Page, position: dict[str, Any], requests: int) -> None:
        """Write a page.

        :param position: where the list is read on behind it.
        :param requests: sent so far.
        """
        progress = self.progress
        progress.totals.add(page)
        progress.rejected.write([row.raw for row in page.rejected])
        records = [row.raw for row in page.predictions]
        done = len(progress.parts)
        old = []
        while records:
            room = self.records_per_part - progress.spool.count
            progress.spool.write(records[:room])
            records = records[room:]
            if progress.spool.count == self.records_per_part:
                old.append(self._close_part())
        progress.spool.flush()
        progress.rejected.flush()
        progress.position, progress.requests = position, requests
        closed = len(progress.parts) > done
        if closed:
            checkpoint.save_beside(progress, self.path)
        checkpoint.save_here(progress, self._directory, anew=closed or self._anew)
        self._anew = False
        for file in old:
            file.unlink()

    def finish(self) -> None:
        """Write what is left."""
        if self.progress.spool.count:
            self._close_part()
            checkpoint.save_here(self.progress, self._directory, anew=True)
        if self.progress.rejected.count:
            put_file(self.progress.rejected.path, self.path / REJECTED)

    def identities(self) -> Iterator[tuple[str, datetime | None]]:
        """Id and creation time of each record so far, newest part last."""
        for part in self.progress.parts:
            with tempfile.NamedTemporaryFile(dir=self._directory) as copy:
                get_file(self.path / part.name, Path(copy.name), part.bytes)
                yield from self.form.identities(Path(copy.name))
        self.progress.spool.flush()
        with self.progress.spool.path.open("rb") as lines:
            for line in lines:
                row = self.form.service.row(line.rstrip(b"\n"))
                yield row.id, row.created_at

    def _close_part(self) -> Path:
        """Put the spool as a part, and begin the next one; the lines stay until that is noted."""
        progress, spool = self.progress, self.progress.spool
        number = len(progress.parts)
        spool.close()
        content = self.form.convert(spool.path, self._directory / "converted")
        size, sha256 = spool.size, spool.sha256
        if content != spool.path:
            with content.open("rb") as file:
                sha256, size = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
        if number == 0:
            take_back(self.path)
        target = self.path / part_name(number, self.form.suffix)
        put_file(content, target)
        progress.parts.append(Part(str(target), spool.count, size, sha256))
        progress.spool = Spool(self._directory / f"part-{number + 1}")
        return spool.path
