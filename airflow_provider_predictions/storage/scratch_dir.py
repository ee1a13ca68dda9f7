"""A directory of this machine for what is not in storage yet. It survives a kill."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from airflow_provider_predictions.api.limits import MAX_RESUME_SECONDS


class Workspace:
    """A directory for one path, which one process holds at a time.

    When a process dies, the next one that lands under this path on this machine gets the directory. If
    another process or another user holds it, a private one is used.

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
        """Release the directory.

        :param keep: leave it to the next attempt. A private one is removed in any case.
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
    """Remove directories that no process came back for."""
    for directory in home.iterdir():
        # Another process may remove it first.
        with suppress(OSError):
            if directory.stat().st_mtime < time.time() - 2 * MAX_RESUME_SECONDS:
                with _hold(directory):
                    shutil.rmtree(directory, ignore_errors=True)
