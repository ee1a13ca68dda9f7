"""Where an interrupted landing resumes.

After each page, on this machine; after each part, also beside the parts, for a retry on another machine.
Both say the same: the parts so far, what they hold, the position in the list, the ids of all records, and the
records that are in no part yet.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_predictions.storage.attempt import Attempt
from airflow_provider_predictions.storage.manifest import Part, Totals
from airflow_provider_predictions.storage.objects import put, read
from airflow_provider_predictions.storage.spool import Spool, SpoolState, open_new
from airflow_provider_predictions.storage.stored import Nonce, Stored, decode, encode
from airflow_provider_predictions.storage.workspace import LIFETIME

log = logging.getLogger(__name__)

CHECKPOINT = "_checkpoint"
_JOURNAL = "journal"


class Checkpoint(Stored):
    """A landing under way.

    :param arguments: what is landed; a checkpoint of other arguments is of no use.
    :param nonce: of the attempt under whose names the parts lie.
    :param position: where the list is read on; None at its start.
    :param requests: sent so far.
    :param spool: records of the part that is being filled.
    :param rejected: rows that are no records.
    :param ids: of all records, a line for each page.
    :param ids_from: how many bytes of the ids are in earlier checkpoints of the attempt.
    """

    arguments: str
    nonce: Nonce
    position: dict[str, Any] | None
    parts: list[Part]
    totals: Totals
    requests: int
    spool: SpoolState
    rejected: SpoolState
    ids: SpoolState
    ids_from: int
    saved_at: float

    @property
    def reach(self) -> tuple[int, int, int]:
        """How far the landing has come, to be compared."""
        return len(self.parts), self.spool.count, self.rejected.count


@dataclass
class Progress:
    """What a landing has written so far, with its open files.

    :param ids_saved: how many bytes of the ids are beside the parts.
    """

    arguments: str
    nonce: str
    spool: Spool
    rejected: Spool
    ids: Spool
    position: dict[str, Any] | None = None
    parts: list[Part] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    requests: int = 0
    ids_saved: int = 0

    @classmethod
    def new(cls, arguments: str, nonce: str, directory: Path) -> Progress:
        """A landing at its start."""
        part, rejected, ids = (Spool(directory / name) for name in ("part-0", "rejected", "ids"))
        return cls(arguments, nonce, part, rejected, ids)

    @classmethod
    def resumed(cls, found: Checkpoint, directory: Path) -> Progress:
        """A landing that goes on.

        :raises ValueError: where a file does not hold what was noted.
        """
        names = f"part-{len(found.parts)}", "rejected", "ids"
        spools = zip(names, (found.spool, found.rejected, found.ids), strict=True)
        part, rejected, ids = (Spool.again(directory / name, spool) for name, spool in spools)
        return cls(
            found.arguments, found.nonce, part, rejected, ids,
            found.position, found.parts, found.totals, found.requests,
        )  # fmt: skip

    def checkpoint(self) -> Checkpoint:
        """All of it, to be stored."""
        return Checkpoint(
            arguments=self.arguments,
            nonce=self.nonce,
            position=self.position,
            parts=self.parts,
            totals=self.totals,
            requests=self.requests,
            spool=self.spool.state(),
            rejected=self.rejected.state(),
            ids=self.ids.state(),
            ids_from=self.ids_saved,
            saved_at=time.time(),
        )

    def flush(self) -> None:
        """Let the files survive this process."""
        for spool in (self.spool, self.rejected, self.ids):
            spool.flush()

    def close(self) -> None:
        """Write no more."""
        for spool in (self.spool, self.rejected, self.ids):
            spool.close()


def save_here(progress: Progress, directory: Path, *, anew: bool) -> None:
    """Note the progress on this machine: a line at the end of the journal.

    :param anew: begin a new journal, so that it does not grow with the list.
    """
    journal, line = directory / _JOURNAL, encode(progress.checkpoint()) + b"\n"
    if anew:
        new = directory / f"{_JOURNAL}.new"
        new.write_bytes(line)
        new.replace(journal)
    else:
        # Not replaced each time: a file system may flush a file that is, which took 2 ms a page.
        with journal.open("ab") as lines:
            lines.write(line)


def save_beside(progress: Progress, attempt: Attempt) -> None:
    """Put the progress beside the parts, with new ids and the lines that are in no part."""
    with progress.ids.path.open("rb") as ids:
        ids.seek(progress.ids_saved)
        content = [encode(progress.checkpoint()), b"\n", ids.read()]
    content += [spool.path.read_bytes() for spool in (progress.spool, progress.rejected)]
    put(attempt.path(f"{CHECKPOINT}-{len(progress.parts) - 1:05}"), b"".join(content))
    progress.ids_saved = progress.ids.size


def candidates(arguments: str, directory: Path, attempt: Attempt) -> Iterator[Checkpoint]:
    """Checkpoints from which an attempt can resume, the furthest first, with their files in a directory.

    :param arguments: of the attempt.
    :param directory: of this machine.
    """
    found = [entry for entry in (_here(directory), _beside(attempt, directory)) if entry]
    for checkpoint in sorted(found, key=lambda entry: entry.reach, reverse=True):
        if checkpoint.arguments != arguments:
            reason = "is of other arguments or of another run, or was overtaken by a commit"
        elif checkpoint.saved_at < time.time() - LIFETIME:
            reason = f"is older than {LIFETIME / 3600:.0f} hours"
        else:
            yield checkpoint
            continue
        log.info("The checkpoint under %s is ignored: it %s", attempt.root, reason)


def _here(directory: Path) -> Checkpoint | None:
    try:
        # The last line may be cut short: the process was killed while it wrote.
        *_, last, _ = directory.joinpath(_JOURNAL).read_bytes().split(b"\n")
        return decode(last, Checkpoint)
    except (FileNotFoundError, ValueError):
        return None


def _beside(attempt: Attempt, directory: Path) -> Checkpoint | None:
    """That of an earlier attempt of this run which has come furthest."""
    if attempt.task.number < 2:
        return None
    found = {
        earlier: sorted(name for name in names if f"{CHECKPOINT}-" in name)
        for earlier, names in attempt.predecessors().items()
    }
    furthest = max(found, key=lambda earlier: found[earlier][-1:], default=None)
    if furthest is None or not found[furthest]:
        return None
    try:
        return _fetched(attempt, found[furthest], directory)
    except (FileNotFoundError, ValueError) as error:
        log.warning("The checkpoint of an earlier attempt under %s is ignored: %s", attempt.root, error)
        return None


def _fetched(attempt: Attempt, names: list[str], directory: Path) -> Checkpoint:
    """Bring a checkpoint to this machine, under names of its own.

    :param names: of the attempt's checkpoints, which hold its ids one after the other.
    """
    with open_new(directory / "beside-ids") as ids:
        for name in names:
            head, _, lines = read(attempt.root / name).partition(b"\n")
            checkpoint = decode(head, Checkpoint)
            if checkpoint.ids_from != ids.tell():
                raise ValueError(f"{name} does not follow the one before")
            cut = checkpoint.ids.size - checkpoint.ids_from
            ids.write(lines[:cut])
    end = cut + checkpoint.spool.size
    for spool, name, content in (
        (checkpoint.spool, "beside-spool", lines[cut:end]),
        (checkpoint.rejected, "beside-rejected", lines[end:]),
    ):
        spool.name = name
        with open_new(directory / name) as file:
            file.write(content)
    checkpoint.ids.name = "beside-ids"
    return checkpoint
