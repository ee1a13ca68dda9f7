"""JSON Lines: one record per line, byte for byte as the service sent it."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from airflow_provider_predictions.storage.formats.base import SUFFIXES, Format

GZIP_LEVEL = 6


class JsonLines(Format):
    """One record per line, byte for byte as the service sent it."""

    name = "jsonl"

    @property
    def suffix(self) -> str:
        return f".jsonl{SUFFIXES[self.compression]}"

    def convert(self, lines: Path, target: Path) -> Path:
        if self.compression is None:
            return lines
        with lines.open("rb") as source, _compressing(target, self.compression) as out:
            shutil.copyfileobj(source, out, 1 << 20)
        return target


@contextmanager
def _compressing(target: Path, compression: str) -> Iterator[BinaryIO]:
    with target.open("wb") as raw:
        if compression == "gzip":
            # Neither name nor time in the header: equal records make equal objects.
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0, compresslevel=GZIP_LEVEL) as out:
                yield cast("BinaryIO", out)
        else:
            import zstandard

            with zstandard.ZstdCompressor().stream_writer(raw, closefd=False) as out:
                yield cast("BinaryIO", out)
