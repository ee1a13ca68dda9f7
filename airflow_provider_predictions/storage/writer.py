"""Pages become parts: spooled to a temporary file, then put as one object.

Writing straight into an object would publish a truncated one when a page fails: every fsspec store commits
what it has when the file is closed, whatever the reason.
"""

from __future__ import annotations

import gzip
import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain, islice
from typing import IO, TYPE_CHECKING

import msgspec

from airflow_provider_predictions.api.models import Page
from airflow_provider_predictions.storage.manifest import Part, Totals, part_name, take_back

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

SUFFIXES = {None: "", "gzip": ".gz"}


def write_parts(
    pages: Iterable[Page],
    path: ObjectStoragePath,
    *,
    compression: str | None = None,
    records_per_part: int,
) -> tuple[list[Part], Totals]:
    """Write the records of all pages as JSON Lines, one object a part.

    :param compression: None or ``gzip``.
    :return: the parts, and what they hold.
    """
    totals = Totals()
    lines = _lines(pages, totals)
    parts: list[Part] = []
    for first in lines:
        target = path / part_name(len(parts), SUFFIXES[compression])
        part = chain((first,), islice(lines, records_per_part - 1))
        parts.append(_put(part, target, compression, first=not parts))
    return parts, totals


def line(raw: bytes) -> bytes:
    """A record as one line: as it was sent, or without the white space where that spans lines."""
    if b"\n" in raw or b"\r" in raw:
        raw = msgspec.json.format(raw, indent=-1)
    return raw + b"\n"


def _lines(pages: Iterable[Page], totals: Totals) -> Iterator[bytes]:
    for page in pages:
        totals.duplicates += page.duplicates
        for prediction in page.predictions:
            totals.add(prediction)
            yield line(prediction.raw)


def _put(lines: Iterable[bytes], target: ObjectStoragePath, compression: str | None, *, first: bool) -> Part:
    with tempfile.NamedTemporaryFile(prefix="predictions-") as spool:
        count = 0
        with _compressing(spool, compression) as out:
            for count, text in enumerate(lines, 1):  # noqa: B007  (the last count is the number of lines)
                out.write(text)
        spool.seek(0)
        sha256 = hashlib.file_digest(spool, "sha256").hexdigest()
        size = spool.tell()
        if first:
            take_back(target.parent)
        target.fs.put_file(spool.name, target.path)
    return Part(uri=str(target), count=count, bytes=size, sha256=sha256)


def _compressing(
    spool: IO[bytes], compression: str | None
) -> AbstractContextManager[gzip.GzipFile | IO[bytes]]:
    if compression == "gzip":
        # Neither name nor time in the header: equal records make equal objects.
        return gzip.GzipFile(filename="", fileobj=spool, mode="wb", mtime=0)
    return nullcontext(spool)
