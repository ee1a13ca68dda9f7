"""Where an interrupted landing goes on.

After each page, on this machine; after each part, also beside the parts, for a retry on another machine. Both
say the same: the parts so far, what they hold, the position in the list, and the records not in a part yet.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_predictions.storage.manifest import CHECKPOINT, MANIFEST, Part, Totals
from airflow_provider_predictions.storage.objects import put, read, sizes
from airflow_provider_predictions.storage.spool import Spool, open_new
from airflow_provider_predictions.storage.workspace import LIFETIME

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

_JOURNAL = "journal.jsonl"
_UNREADABLE = (FileNotFoundError, ValueError, LookupError, TypeError)
"""How a note shows that it is none; a disk or a storage that fails says nothing about it."""


@dataclass
class Progress:
    """A landing under way.

    :param arguments: what is landed; progress of other arguments is of no use.
    :param replaces: the hash of the manifest that was there at the start.
    :param spool: records of the part that is being filled.
    :param rejected: rows that are no records.
    :param position: where the list is read on; None at its start.
    :param requests: sent so far.
    """

    arguments: str
    replaces: str
    spool: Spool
    rejected: Spool
    position: dict[str, Any] | None = None
    parts: list[Part] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    requests: int = 0

    def facts(self) -> dict[str, Any]:
        """The progress as JSON."""
        return vars(self) | {
            "parts": [vars(part) for part in self.parts],
            "totals": self.totals.facts(),
            "spool": self.spool.facts(),
            "rejected": self.rejected.facts(),
            "saved_at": time.time(),
        }

    @classmethod
    def again(cls, facts: dict[str, Any], directory: Path) -> Progress:
        """Go on from what ``facts`` gave."""
        return cls(
            facts["arguments"],
            facts["replaces"],
            Spool.again(directory, facts["spool"]),
            Spool.again(directory, facts["rejected"]),
            facts["position"],
            [Part(**part) for part in facts["parts"]],
            Totals.from_facts(facts["totals"]),
            facts["requests"],
        )


_KEYS = {field.name for field in fields(Progress)} | {"saved_at"}


def save_here(progress: Progress, directory: Path, *, anew: bool) -> None:
    """Note the progress on this machine: a line at the end of the journal.

    :param anew: begin a new journal, so that it does not grow with the list.
    """
    journal, line = directory / _JOURNAL, _line(progress)
    if anew:
        new = directory / f"{_JOURNAL}.new"
        new.write_bytes(line)
        new.replace(journal)
    else:
        # Not replaced each time: a file system may flush a file that is, which took 2 ms a page.
        with journal.open("ab") as lines:
            lines.write(line)


def save_beside(progress: Progress, path: ObjectStoragePath) -> None:
    """Put the progress beside the parts, with the lines that are in none of them."""
    lines = [spool.path.read_bytes() for spool in (progress.spool, progress.rejected)]
    content = b"".join([_line(progress), *lines])
    put(path / CHECKPOINT, content)


def _line(progress: Progress) -> bytes:
    # msgspec would refuse an id that holds half a surrogate pair.
    return json.dumps(progress.facts()).encode() + b"\n"


def load(arguments: str, directory: Path, path: ObjectStoragePath) -> Progress:
    """The progress to go on from: the furthest that fits the arguments, or a new one."""
    committed = _committed(path)
    found = [entry for entry in (_here(directory), _beside(path)) if entry]
    for facts, lines in sorted(found, key=lambda entry: _reach(entry[0]), reverse=True):
        if reason := _useless(facts, arguments, path, committed):
            log.info("The checkpoint under %s is ignored: it %s", path, reason)
            continue
        try:
            if lines is not None:
                _unpack(facts, lines, directory)
            progress = Progress.again(facts, directory)
        except _UNREADABLE as error:
            log.warning("The checkpoint under %s is ignored: %s", path, error)
            continue
        log.info(
            "Going on after %d parts and %d more records of an attempt that was interrupted",
            len(progress.parts),
            progress.spool.count,
        )
        return progress
    return Progress(arguments, _digest(committed), Spool(directory / "part-0"), Spool(directory / "rejected"))


def _committed(path: ObjectStoragePath) -> bytes:
    try:
        return read(path / MANIFEST)
    except FileNotFoundError:
        return b""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _parts(manifest: bytes) -> Any:
    """The parts that a manifest names, if it is one."""
    try:
        return json.loads(manifest)["parts"]
    except _UNREADABLE:
        return None


def _here(directory: Path) -> tuple[dict[str, Any], None] | None:
    try:
        # The last line is cut short where the process was killed while it wrote.
        *_, last, _ = directory.joinpath(_JOURNAL).read_bytes().split(b"\n")
        return _checked(json.loads(last)), None
    except _UNREADABLE:
        return None


def _beside(path: ObjectStoragePath) -> tuple[dict[str, Any], bytes] | None:
    try:
        head, _, lines = read(path / CHECKPOINT).partition(b"\n")
    except FileNotFoundError:
        return None
    try:
        return _checked(json.loads(head)), lines
    except _UNREADABLE:
        log.warning("%s cannot be read; it is ignored", path / CHECKPOINT)
        return None


def _checked(facts: dict[str, Any]) -> dict[str, Any]:
    """What was read, if it is a progress as this version writes it."""
    if facts.keys() != _KEYS:
        raise ValueError("another version wrote it")
    return facts


def _unpack(facts: dict[str, Any], lines: bytes, directory: Path) -> None:
    """Bring lines from beside the parts to this machine, under names of their own."""
    cut = facts["spool"]["size"]
    for name, content in (("spool", lines[:cut]), ("rejected", lines[cut:])):
        facts[name]["name"] = f"beside-{name}"
        with open_new(directory / facts[name]["name"]) as file:
            file.write(content)


def _reach(facts: dict[str, Any]) -> tuple[int, int, int]:
    """How far a progress has come, to be compared."""
    return len(facts["parts"]), facts["spool"]["count"], facts["rejected"]["count"]


def _useless(facts: dict[str, Any], arguments: str, path: ObjectStoragePath, committed: bytes) -> str | None:
    """Why a progress is not to be gone on with.

    :param committed: the manifest that is there, empty where there is none.
    """
    if facts["arguments"] != arguments:
        return "is of other arguments or of another run"
    if facts["saved_at"] < time.time() - LIFETIME:
        return f"is older than {LIFETIME / 3600:.0f} hours"
    # The first part takes the manifest back that it replaces; one that is there later is of who was quicker.
    expected = _digest(b"") if facts["parts"] else facts["replaces"]
    if _digest(committed) != expected and _parts(committed) != facts["parts"]:
        return "was overtaken by an attempt that committed"
    there = sizes(path) if facts["parts"] else {}
    parts = [Part(**part) for part in facts["parts"]]
    if any(there.get(part.name) != part.bytes for part in parts):
        return "names a part that is not there"
    return None
