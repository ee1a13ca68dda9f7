"""Write each part as one object."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from airflow_provider_predictions.api.limits import MAX_PARTS_PER_BATCH
from airflow_provider_predictions.storage.attempt import Attempt
from airflow_provider_predictions.storage.formats.base import Format
from airflow_provider_predictions.storage.local import sha256_of
from airflow_provider_predictions.storage.manifest import Part
from airflow_provider_predictions.storage.objects import get_file, put_file
from airflow_provider_predictions.storage.partitions import Piece, split
from airflow_provider_predictions.storage.spool import Spool


@dataclass(frozen=True)
class PartWriter:
    """Writes the parts of an attempt.

    :param records_per_part: at most.
    :param partition_by: ``created_date`` for parts in the directories of days; None for parts without.
    :param directory: on this machine, for files that are not uploaded yet.
    """

    attempt: Attempt
    form: Format
    records_per_part: int
    partition_by: str | None
    directory: Path

    @property
    def batch(self) -> int:
        """How many records to collect before they are written."""
        return self.records_per_part * (MAX_PARTS_PER_BATCH if self.partition_by else 1)

    def write(self, spool: Spool, number: int) -> list[Part]:
        """Write the lines of a spool as a part, or as parts by day.

        :param number: of the first one.
        """
        pieces = [Piece("", spool.path, spool.count)]
        if self.partition_by:
            pieces = split(spool.path, self.form.service, self.records_per_part, self.directory)
        parts = []
        for n, piece in enumerate(pieces, number):
            content = self.form.convert(piece.lines, self.directory / "converted")
            sha256 = spool.sha256 if content == spool.path else sha256_of(content)
            name = self._put(content, piece.folder, n)
            parts.append(Part(name, piece.count, content.stat().st_size, sha256, self.form.rows(content)))
            if piece.lines != spool.path:
                piece.lines.unlink()
        return parts

    def copy(self, part: Part, number: int, nonce: str) -> Part:
        """Copy a part of an earlier attempt, since that attempt may still remove its own.

        :param nonce: of the earlier attempt.
        :raises ValueError: if it is not what was written.
        """
        file = self.directory / "copied"
        get_file(replace(self.attempt, nonce=nonce).directory / part.name, file, part.bytes)
        if sha256_of(file) != part.sha256:
            raise ValueError(f"{part.name} is not what an earlier attempt has written")
        folder, _, _ = part.name.rpartition("/")
        return structs.replace(part, name=self._put(file, folder, number))

    def _put(self, file: Path, folder: str, number: int) -> str:
        """Write a part. Return its name."""
        target = self.attempt.path(f"{folder}/part-{number:05}".lstrip("/"), self.form.suffix)
        put_file(file, target)
        return f"{folder}/{target.name}".lstrip("/")
