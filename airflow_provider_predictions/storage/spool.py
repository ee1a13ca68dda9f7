"""Lines on their way into an object, in a file of this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import msgspec

_BLOCK = 1 << 20


def open_new(path: Path) -> IO[bytes]:
    """Open a file to be written, never one that was there: that may be an object by now, too."""
    path.unlink(missing_ok=True)
    return path.open("xb")


class SpoolState(msgspec.Struct):
    """A spool as it is stored.

    :param name: of its file.
    :param count: of lines.
    :param size: in bytes.
    :param sha256: of the content, in hex.
    """

    name: str
    count: int
    size: int
    sha256: str


class Spool:
    """Lines that are appended to a file of this machine.

    :param path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = self.size = 0
        self._sha256 = hashlib.sha256()
        self._file = open_new(path)

    def write(self, records: Sequence[bytes]) -> None:
        """Append records, each of them one line."""
        self._append(b"\n".join((*records, b"")))
        self.count += len(records)

    def _append(self, content: bytes) -> None:
        self._file.write(content)
        self._sha256.update(content)
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

    def state(self) -> SpoolState:
        """What ``Spool.again`` needs."""
        return SpoolState(self.path.name, self.count, self.size, self.sha256)

    @classmethod
    def again(cls, path: Path, state: SpoolState) -> Spool:
        """Go on with a file, without what was written to it and not noted any more.

        :param path: of the file that goes on; the other one lies beside it.
        :param state: of the other one.
        :raises ValueError: where that does not hold what was noted.
        """
        old = path.with_name(state.name)
        spool = cls(path.with_suffix(".new"))
        with old.open("rb") as content:
            while block := content.read(min(_BLOCK, state.size - spool.size)):
                spool._append(block)
        if spool.sha256 != state.sha256:
            raise ValueError(f"{old.name} does not hold what was written to it")
        spool.path, spool.count = spool.path.replace(path), state.count
        return spool
