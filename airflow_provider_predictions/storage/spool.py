"""Lines on their way into an object, in a file of this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any


class Spool:
    """Lines that are appended to a file of this machine.

    :param path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = self.size = 0
        self._sha256 = hashlib.sha256()
        self._file: IO[bytes] = path.open("wb")

    def write(self, lines: Sequence[bytes]) -> None:
        """Append lines."""
        content = b"\n".join((*lines, b""))
        self._file.write(content)
        self._sha256.update(content)
        self.count += len(lines)
        self.size += len(content)

    @property
    def sha256(self) -> str:
        """Of the content, in hex."""
        return self._sha256.hexdigest()

    def flush(self) -> None:
        """Give to the operating system what it has not got yet, so that it survives this process."""
        self._file.flush()

    def close(self) -> None:
        """Write no more."""
        self._file.close()

    def facts(self) -> dict[str, Any]:
        """What ``Spool.again`` needs."""
        return {"name": self.path.name, "count": self.count, "size": self.size, "sha256": self.sha256}

    @classmethod
    def again(cls, directory: Path, facts: dict[str, Any]) -> Spool:
        """Go on with a file, without what was written to it and not noted any more.

        :raises ValueError: where it does not hold what was noted.
        """
        spool = cls.__new__(cls)
        spool.path = directory / facts["name"]
        spool.count, spool.size = facts["count"], facts["size"]
        spool._file = spool.path.open("r+b")
        spool._file.truncate(spool.size)
        spool._sha256 = hashlib.sha256()
        while block := spool._file.read(1 << 20):
            spool._sha256.update(block)
        if spool.sha256 != facts["sha256"]:
            raise ValueError(f"{spool.path.name} does not hold what was written to it")
        return spool
