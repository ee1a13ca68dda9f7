"""Where an interrupted landing resumes.

A landing saves a checkpoint on this machine after each page. After each part, it also saves one beside the
parts, for a retry on another machine. Both hold the parts so far and their totals, the position in the list,
the ids of all records that were read, and the records that are in no part yet.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import msgspec

from airflow_provider_predictions.api.limits import MAX_RESUME_SECONDS
from airflow_provider_predictions.api.state import Versioned, decode, encode
from airflow_provider_predictions.storage.attempt import Attempt, Nonce
from airflow_provider_predictions.storage.manifest import Part, Totals
from airflow_provider_predictions.storage.objects import get_file, put_file
from airflow_provider_predictions.storage.spool import Spool

log = logging.getLogger(__name__)

CHECKPOINT = "_checkpoint"
_JOURNAL = "journal"


class Progress(Versioned, kw_only=True):
    """What a landing has written so far.

    :param arguments: a hash. A landing with another one cannot resume from this.
    :param nonce: of the attempt under whose names the parts lie.
    :param spool: records of the part that is being filled.
    :param ids: of all records that were read, one line for each page.
    :param position: where to continue the list. None at its start.
    :param ids_saved: how many bytes of the ids are in earlier checkpoints of the attempt.
    :param started_at: when the first attempt began to read the list. None in checkpoints of older versions.
    """

    arguments: str
    nonce: Nonce
    spool: Spool
    rejected: Spool
    ids: Spool
    position: dict[str, Any] | None = None
    parts: list[Part] = msgspec.field(default_factory=list)
    totals: Totals = msgspec.field(default_factory=Totals)
    requests: int = 0
    ids_saved: int = 0
    saved_at: float = 0.0
    started_at: datetime | None = None

    @classmethod
    def new(cls, arguments: str, nonce: str, directory: Path) -> Progress:
        part, rejected, ids = (Spool.new(directory / name) for name in ("part-0", "rejected", "ids"))
        spools: Any = {"spool": part, "rejected": rejected, "ids": ids}
        return cls(arguments=arguments, nonce=nonce, started_at=datetime.now(UTC), **spools)

    def resume(self, directory: Path) -> None:
        """Open its files to continue them.

        :raises ValueError: if a file does not hold what was noted.
        """
        self.spool.resume(directory / f"part-{len(self.parts)}")
        self.rejected.resume(directory / "rejected")
        self.ids.resume(directory / "ids")
        self.ids_saved = 0

    @property
    def spools(self) -> tuple[Spool, Spool, Spool]:
        return self.spool, self.rejected, self.ids

    @property
    def reach(self) -> tuple[int, int, int]:
        """How far the landing has come, for comparison."""
        return len(self.parts), self.spool.count, self.rejected.count

    def stored(self) -> bytes:
        self.saved_at = time.time()
        return encode(self) + b"\n"

    def flush(self) -> None:
        """Hand everything to the operating system, so that it survives this process."""
        for spool in self.spools:
            spool.flush()

    def close(self) -> None:
        for spool in self.spools:
            spool.close()


class Journal:
    """Saves progress on this machine, in a file that stays open. Opening it takes longer than writing a line.

    Lines are appended, since some file systems flush a file that is replaced, which took 2 ms a page.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / _JOURNAL
        self._file: IO[bytes] | None = None

    def save(self, progress: Progress, *, anew: bool = False) -> None:
        """Save the progress as the last line.

        :param anew: start a new file, so that it does not grow with the list. The first line does so, too,
            since the last line of an earlier attempt may be truncated.
        """
        new = None
        if anew or not self._file:
            self.close()
            new = self._path.with_suffix(".new")
            self._file = new.open("wb")
        self._file.write(progress.stored())
        self._file.flush()
        if new:
            new.replace(self._path)

    def close(self) -> None:
        """Close the file. A full disk is no error here, since ``save`` has raised it."""
        if self._file:
            with suppress(OSError):
                self._file.close()


def save_beside(progress: Progress, attempt: Attempt) -> None:
    """Save the progress beside the parts, with new ids and the lines that are in no part.

    By way of a file, since the first checkpoint after a resume holds the ids of all records before it.
    """
    file = progress.ids.path.with_name("beside")
    with file.open("wb") as content:
        content.write(progress.stored())
        for spool in (progress.ids, progress.spool, progress.rejected):
            with spool.path.open("rb") as lines:
                lines.seek(progress.ids_saved if spool is progress.ids else 0)
                shutil.copyfileobj(lines, content)
    put_file(file, attempt.path(f"{CHECKPOINT}-{len(progress.parts) - 1:05}"))
    file.unlink()
    progress.ids_saved = progress.ids.size


def candidates(arguments: str, directory: Path, attempt: Attempt) -> Iterator[Progress]:
    """The progress that an attempt can resume from, the furthest first, with its files in the directory."""
    found = [progress for progress in (_here(directory), _beside(attempt, directory)) if progress]
    for progress in sorted(found, key=lambda progress: progress.reach, reverse=True):
        if progress.arguments != arguments:
            reason = "is of other arguments or of another run, or was overtaken by a commit"
        elif progress.saved_at < time.time() - MAX_RESUME_SECONDS:
            reason = f"is older than {MAX_RESUME_SECONDS / 3600:.0f} hours"
        else:
            yield progress
            continue
        log.info("The checkpoint under %s is ignored: it %s", attempt.root, reason)


def _here(directory: Path) -> Progress | None:
    try:
        # The last line may be cut short: the process was killed while it wrote.
        *_, last, _ = directory.joinpath(_JOURNAL).read_bytes().split(b"\n")
        return decode(last, Progress)
    except (FileNotFoundError, ValueError):
        return None


def _beside(attempt: Attempt, directory: Path) -> Progress | None:
    """The furthest progress that an earlier attempt of this run has saved in storage."""
    if attempt.task.number < 2:
        return None
    found = [sorted(name for name in names if f"{CHECKPOINT}-" in name) for names in attempt.predecessors()]
    try:
        furthest = max(filter(None, found), key=lambda names: names[-1], default=None)
        return _fetched(attempt, furthest, directory) if furthest else None
    except (FileNotFoundError, ValueError) as error:
        log.warning("The checkpoint of an earlier attempt under %s is ignored: %s", attempt.root, error)
        return None


def _fetched(attempt: Attempt, names: list[str], directory: Path) -> Progress:
    """Copy a checkpoint to this machine.

    :param names: of all checkpoints of the attempt, since each holds a piece of the ids.
    """
    file, ids = directory / "beside", directory / "beside-ids"
    ids.write_bytes(b"")
    for name in names:
        get_file(attempt.root / name, file)
        with file.open("rb") as lines:
            progress = decode(lines.readline(), Progress)
            if progress.ids_saved != ids.stat().st_size:
                raise ValueError(f"{name} does not follow the one before")
            _append(ids, lines, progress.ids.size - progress.ids_saved)
            rest = lines.tell()
    with file.open("rb") as lines:
        lines.seek(rest)
        for spool, name in ((progress.spool, "beside-spool"), (progress.rejected, "beside-rejected")):
            directory.joinpath(name).write_bytes(b"")
            _append(directory / name, lines, spool.size)
    file.unlink()
    for spool, name in zip(progress.spools, ("spool", "rejected", "ids"), strict=True):
        spool.name = f"beside-{name}"
    return progress


def _append(file: Path, lines: IO[bytes], size: int) -> None:
    """Append the next bytes of a checkpoint to a file, block by block."""
    with file.open("ab") as end:
        while block := lines.read(min(size, 1 << 20)):
            size -= end.write(block)
