"""Where an interrupted landing goes on.

After each page, on this machine; after each part, also beside the parts, for a retry on another machine. Both
say the same: the parts so far, what they hold, the position in the list, and the records not in a part yet.
"""

from __future__ import annotations

import json
import logging
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_predictions.storage.manifest import Part, Totals, read, remove, sizes
from airflow_provider_predictions.storage.workspace import LIFETIME

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

CHECKPOINT = "_checkpoint.jsonl"
_JOURNAL = "journal.jsonl"


@dataclass
class Spool:
    """Lines that are written to a file of this machine.

    :param name: of the file.
    :param count: of lines.
    :param size: in bytes.
    :param crc: of the content.
    """

    name: str
    count: int = 0
    size: int = 0
    crc: int = 0

    def write(self, file: IO[bytes], content: bytes, count: int) -> None:
        """Append lines."""
        file.write(content)
        self.count += count
        self.size += len(content)
        self.crc = zlib.crc32(content, self.crc)

    def is_whole(self, directory: Path) -> bool:
        """Whether the file holds what was written, after cutting off what was not noted any more."""
        try:
            with directory.joinpath(self.name).open("r+b") as file:
                file.truncate(max(self.size, 0))
                crc = 0
                while block := file.read(1 << 20):
                    crc = zlib.crc32(block, crc)
                return (file.tell(), crc) == (self.size, self.crc)
        except OSError:
            return False


@dataclass
class Progress:
    """A landing under way.

    :param arguments: what is landed; progress of other arguments is of no use.
    :param position: where the list is read on; None at its start.
    :param spool: records of the part that is being filled.
    :param rejected: rows that are no records.
    :param requests: sent so far.
    """

    arguments: str
    position: dict[str, Any] | None = None
    parts: list[Part] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    spool: Spool = field(default_factory=lambda: Spool("part-0"))
    rejected: Spool = field(default_factory=lambda: Spool("rejected"))
    requests: int = 0
    saved_at: float = 0

    def to_json(self) -> bytes:
        """In ASCII, whatever the texts hold."""
        self.saved_at = time.time()
        given = vars(self) | {
            "parts": [vars(part) for part in self.parts],
            "totals": self.totals.facts(),
            "spool": vars(self.spool),
            "rejected": vars(self.rejected),
        }
        return json.dumps(given).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Progress:
        """Read what ``to_json`` wrote."""
        given = json.loads(text)
        given["parts"] = [Part(**part) for part in given["parts"]]
        given["totals"] = Totals.from_facts(given["totals"])
        given["spool"], given["rejected"] = Spool(**given["spool"]), Spool(**given["rejected"])
        return cls(**given)

    @property
    def reach(self) -> tuple[int, int, int]:
        """How far it has come, to be compared."""
        return len(self.parts), self.spool.count, self.rejected.count


def save_here(progress: Progress, directory: Path) -> None:
    """Note the progress on this machine: a line at the end of the journal."""
    # Appended, since a file system may flush one that is replaced to the disk; that took 2 ms a page.
    with directory.joinpath(_JOURNAL).open("ab") as journal:
        journal.write(progress.to_json() + b"\n")


def save_beside(progress: Progress, directory: Path, path: ObjectStoragePath) -> None:
    """Put the progress beside the parts, with the lines that are in none of them."""
    lines = [directory.joinpath(spool.name).read_bytes() for spool in (progress.spool, progress.rejected)]
    target = path / CHECKPOINT
    path.fs.pipe_file(target.path, b"".join([progress.to_json(), b"\n", *lines]))


def load(arguments: str, directory: Path, path: ObjectStoragePath) -> Progress:
    """The progress to go on from: the furthest that fits the arguments, or none."""
    found = [progress for progress in (_here(directory), _beside(directory, path)) if progress]
    best = max(
        (progress for progress in found if _is_usable(progress, arguments, path)),
        key=lambda progress: progress.reach,
        default=None,
    )
    if best is None:
        return Progress(arguments)
    log.info(
        "Going on after %d parts and %d more records of an attempt that was interrupted",
        len(best.parts),
        best.spool.count,
    )
    return best


def discard(path: ObjectStoragePath) -> None:
    """Remove the progress beside the parts."""
    remove(path / CHECKPOINT)


def _here(directory: Path) -> Progress | None:
    try:
        # The last line is cut short where the process was killed while it wrote.
        *_, last, _ = directory.joinpath(_JOURNAL).read_bytes().split(b"\n")
        progress = Progress.from_json(last)
    except (OSError, ValueError, LookupError, TypeError):
        return None
    whole = progress.spool.is_whole(directory) and progress.rejected.is_whole(directory)
    return progress if whole else None


def _beside(directory: Path, path: ObjectStoragePath) -> Progress | None:
    try:
        head, _, lines = read(path / CHECKPOINT).partition(b"\n")
        progress = Progress.from_json(head)
    except FileNotFoundError:
        return None
    except (ValueError, LookupError, TypeError):
        log.warning("%s cannot be read; it is ignored", path / CHECKPOINT)
        return None
    cut = progress.spool.size
    for spool, content in ((progress.spool, lines[:cut]), (progress.rejected, lines[cut:])):
        spool.name += "-beside"  # not over the lines of this machine, which may reach further
        directory.joinpath(spool.name).write_bytes(content)
    return progress


def _is_usable(progress: Progress, arguments: str, path: ObjectStoragePath) -> bool:
    if progress.arguments != arguments:
        log.info("The checkpoint under %s is of other arguments or of another run; it is ignored", path)
        return False
    if progress.saved_at < time.time() - LIFETIME:
        log.info("The checkpoint under %s is older than %.0f hours; it is ignored", path, LIFETIME / 3600)
        return False
    if progress.parts:
        there = sizes(path)
        if any(there.get(part.name) != part.bytes for part in progress.parts):
            log.info("The checkpoint under %s names a part that is not there; it is ignored", path)
            return False
    return True
