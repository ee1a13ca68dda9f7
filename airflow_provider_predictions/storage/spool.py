"""Lines on their way into an object, in a file of this machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec


class Spool(msgspec.Struct, dict=True):
    """Lines that are appended to a file of this machine. What is stored of it lets another process go on.

    :param name: of the file.
    :param count: of lines.
    :param size: in bytes.
    :param sha256: of the content, in hex.
    """

    name: str
    count: int = 0
    size: int = 0
    sha256: str = hashlib.sha256().hexdigest()

    @classmethod
    def new(cls, path: Path) -> Self:
        """An empty one.

        :param path: of the file.
        """
        path.write_bytes(b"")
        spool = cls(path.name)
        spool.resume(path)
        return spool

    def resume(self, path: Path) -> None:
        """Go on with its file, without what was written to it and not noted any more.

        :param path: which it has from now on, in the same directory.
        :raises ValueError: where it does not hold what was noted.
        """
        path.with_name(self.name).replace(path)
        os.truncate(path, self.size)
        with path.open("rb") as content:
            self._hash = hashlib.file_digest(content, "sha256")
        if self._hash.hexdigest() != self.sha256:
            raise ValueError(f"{self.name} does not hold what was written to it")
        self.path, self.name, self._file = path, path.name, path.open("ab")

    def write(self, records: Sequence[bytes]) -> None:
        """Append records, each of them one line."""
        content = b"\n".join((*records, b""))
        self._file.write(content)
        self._hash.update(content)
        self.count, self.size = self.count + len(records), self.size + len(content)
        self.sha256 = self._hash.hexdigest()

    def flush(self) -> None:
        """Give to the operating system what it has not got yet, so that it survives this process."""
        self._file.flush()

    def close(self) -> None:
        """Write no more."""
        self._file.close()
