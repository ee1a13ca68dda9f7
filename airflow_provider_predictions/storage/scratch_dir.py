"""A directory of this machine in which a landing keeps what is not in storage yet; it survives a kill."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

LIFETIME = 24 * 3600.0
"""Seconds for which an interrupted landing is gone on with; older ones start anew."""


class Workspace:
    """A directory for one path, which one process holds at a time. A context manager.

    A process that dies leaves it to the next that lands under this path on this machine. Where another one
    is at work, or the directory is somebody else's, a private one is used.

    :param key: of the path, as a file name.
    """

    def __init__(self, key: str) -> None:
        home = Path(tempfile.gettempdir(), f"airflow-predictions-{os.getuid()}")
        self.directory = home / key
        self._lock: IO[str] | None = None
        try:
            home.mkdir(mode=0o700, exist_ok=True)
            if home.is_symlink() or home.stat().st_uid != os.getuid():
                raise OSError(f"{home} belongs to somebody else")
            home.chmod(0o700)
            _sweep(home)
            self.directory.mkdir(exist_ok=True)
            self._lock = _hold(self.directory)
        except BlockingIOError:
            self.directory = Path(tempfile.mkdtemp(prefix="private-", dir=home))
        except OSError:
            self.directory = Path(tempfile.mkdtemp(prefix="airflow-predictions-"))

    def close(self, *, keep: bool) -> None:
        """Let go of the directory.

        :param keep: leave it to the next attempt; a private one is of no use to it.
        """
        if not (keep and self._lock):
            shutil.rmtree(self.directory, ignore_errors=True)
        if self._lock:
            self._lock.close()


def _hold(directory: Path) -> IO[str]:
    lock = directory.joinpath("lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(directory.joinpath("lock").stat(), os.fstat(lock.fileno())):
            raise BlockingIOError("the directory was just removed")
    except OSError:
        lock.close()
        raise
    return lock


def _sweep(home: Path) -> None:
    """Remove what nobody came back for."""
    for directory in home.iterdir():
        # Another process may be quicker to remove it.
        with suppress(OSError):
            if directory.stat().st_mtime < time.time() - 2 * LIFETIME:
                with _hold(directory):
                    shutil.rmtree(directory, ignore_errors=True)
