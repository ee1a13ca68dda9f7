"""Lines on their way into an object, in a file of this machine."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Self

import msgspec


class Spool(msgspec.Struct, dict=True):
    """Lines that are appended to a file of this machine. Another process can continue from its fields.

    :param size: in bytes.
    """

    name: str
    count: int = 0
    size: int = 0
    sha256: str = hashlib.sha256().hexdigest()

    @classmethod
    def new(cls, path: Path) -> Self:
        """Create an empty one."""
        path.write_bytes(b"")
        spool = cls(path.name)
        spool.resume(path)
        return spool

    def resume(self, path: Path) -> None:
        """Continue the file, without lines that were written after the last save.

        :param path: the new name of the file, in the same directory.
        :raises ValueError: if the file does not hold what was saved.
        """
        path.with_name(self.name).replace(path)
        os.truncate(path, self.size)
        with path.open("rb") as content:
            self._hash = hashlib.file_digest(content, "sha256")
        if self._hash.hexdigest() != self.sha256:
            raise ValueError(f"{self.name} does not hold what was written to it")
        self.path, self.name, self._file = path, path.name, path.open("ab")

    def write(self, records: bytes | memoryview, count: int) -> None:
        """Append records.

        :param records: with line breaks between them.
        """
        for content in (records, b"\n"):
            self._file.write(content)
            self._hash.update(content)
            self.size += len(content)
        self.count += count
        self.sha256 = self._hash.hexdigest()

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()
