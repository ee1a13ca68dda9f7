"""The commit: numbered entries, each created once where it is absent, never changed and never removed.

An attempt that began at entry 41 can commit as 42 and as nothing else. So it is over for good as soon as
entry 42 exists, however long it was frozen. No lock, no lease and no clock is needed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, cast

import msgspec
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.storage.attempt import Attempt, TaskRun, on_the_way
from airflow_provider_predictions.storage.manifest import Manifest, moved
from airflow_provider_predictions.storage.objects import create, read
from airflow_provider_predictions.storage.stored import Nonce, Number, Stored, decode, encode

LOG = "_log"


class Entry(Stored):
    """One commit under a path.

    :param generation: its number, from 1.
    :param nonce: of the attempt that has committed.
    :param task: whose.
    :param manifest: what it has landed; in a list of commits without its parts, where these are many.
    :param state: the name of the state after it; None where each landing replaces the one before.
    :param state_sha256: of that state, in hex; None in the state itself.
    """

    generation: Number
    nonce: Nonce
    task: TaskRun
    committed_at: datetime
    manifest: dict[str, Any]
    state: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{8,}-[0-9a-f]{8}\.json\Z")] | None = None
    state_sha256: str | None = None

    @property
    def unsettled(self) -> list[int]:
        """Earlier generations whose manifest may still be put over a newer one."""
        found: list[int] = self.manifest.get("unsettled", [])
        return found

    def __post_init__(self) -> None:
        """Refuse what is no manifest; its parts are checked where they are read."""
        msgspec.convert(self.manifest | {"path": "", "parts": []}, Manifest)


class Log:
    """The entries under a path.

    :param root: the path.
    """

    def __init__(self, root: ObjectStoragePath) -> None:
        self.root = root

    def name(self, generation: int) -> ObjectStoragePath:
        """Where an entry lies."""
        return self.root / LOG / f"{generation:08}.json"

    def read(self, generation: int) -> Entry | None:
        """An entry; None where there is none yet.

        :raises ConfigurationError: where it is not what this package wrote.
        """
        name = self.name(generation)
        try:
            return self._decoded(read(name), name)
        except FileNotFoundError:
            return None

    def head(self, known: int) -> int:
        """The newest generation. One request finds that nobody has committed since.

        :param known: a generation that exists, or 0.
        """
        low, stride = known, 1
        while self._exists(low + stride):
            low, stride = low + stride, stride * 2
        high = low + stride
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._exists(middle) else (low, middle)
        return low

    def commit(self, entry: Entry, *, is_conditional: bool = False) -> Entry:
        """Create an entry where it is absent.

        :param is_conditional: see ``create``.
        :return: the entry that lies there: this one, or that of the attempt that was quicker.
        :raises StorageError: where it is unknown whether it lies there.
        """
        name = self.name(entry.generation)
        via = on_the_way(self.root, entry.generation)
        return self._decoded(create(name, encode(entry), is_conditional=is_conditional, via=via), name)

    def landed(self, entry: Entry) -> Manifest:
        """What a commit has landed, with the URLs that this has now.

        :param entry: as the log, the state or the index has it.
        :raises ConfigurationError: where the log has it no more.
        """
        whole = entry if "parts" in entry.manifest else self.read(entry.generation)
        if whole is None:
            raise ConfigurationError(
                f"path: {self.name(entry.generation)} is missing, a commit. Restore it from a backup"
            )
        try:
            return moved(cast("Manifest", whole.manifest), self.directory(entry))
        except (ValueError, LookupError, TypeError):
            raise ConfigurationError(
                f"path: {self.name(entry.generation)} is no commit of a landing. Restore it from a backup"
            ) from None

    def directory(self, entry: Entry) -> ObjectStoragePath:
        """Where the parts of a commit lie; the path itself, where it has none."""
        is_shared, is_written = entry.state is None, entry.manifest["count"] or entry.manifest["rejected"]
        attempt = Attempt(self.root, entry.generation, entry.task, entry.nonce, shared=is_shared)
        return attempt.directory if is_written else self.root

    def _exists(self, generation: int) -> bool:
        try:
            read(self.name(generation))
        except FileNotFoundError:
            return False
        return True

    @staticmethod
    def _decoded(content: bytes, name: ObjectStoragePath) -> Entry:
        try:
            return decode(content, Entry)
        except ValueError as error:
            raise ConfigurationError(
                f"path: {name} is {error}. Restore it from a backup, or land under another path"
            ) from None
