"""The commit: numbered entries, each created once where it is absent, never changed and never removed.

An attempt that began at entry 41 can commit as 42 and as nothing else. So it is over for good as soon as
entry 42 exists, however long it was frozen. No lock, no lease and no clock is needed.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, cast

import msgspec
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.state import Versioned, decode, encode
from airflow_provider_predictions.storage.attempt import Attempt, Generation, Nonce, TaskRun, temporary_name
from airflow_provider_predictions.storage.manifest import Manifest, is_written, moved
from airflow_provider_predictions.storage.objects import create, read

LOG = "_log"


class Entry(Versioned, kw_only=True):
    """One commit under a path.

    :param generation: its number, from 1.
    :param manifest: what it has landed. Lists of commits leave out the parts if there are many.
    :param state: the name of the state after it. None if each landing replaces the one before.
    :param state_sha256: of that state, in hex. None in the state itself.
    """

    generation: Generation
    nonce: Nonce
    task: TaskRun
    committed_at: datetime
    manifest: dict[str, Any]
    state: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{8,}-[0-9a-f]{8}\.json\Z")] | None = None
    state_sha256: str | None = None

    @property
    def unsettled(self) -> list[int]:
        """Earlier generations whose manifest may still be written over a newer one."""
        found: list[int] = self.manifest.get("unsettled", [])
        return found

    def __post_init__(self) -> None:
        """Refuse what is no manifest. Its parts are checked when they are read."""
        msgspec.convert(self.manifest | {"path": "", "parts": []}, Manifest)


class Log:
    """The entries under a path."""

    def __init__(self, root: ObjectStoragePath) -> None:
        self.root = root

    def name(self, generation: int) -> ObjectStoragePath:
        return self.root / LOG / f"{generation:08}.json"

    def read(self, generation: int) -> Entry | None:
        """Read an entry. None if there is none yet.

        :raises ConfigurationError: if it is not what this package wrote.
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
        """Create an entry if there is none.

        :param is_conditional: see ``create``.
        :return: the entry that is there: this one, or that of an attempt that was quicker.
        :raises StorageError: if it is unknown whether it was written.
        """
        name = self.name(entry.generation)
        via = temporary_name(self.root, entry.generation)
        return self._decoded(create(name, encode(entry), is_conditional=is_conditional, via=via), name)

    def manifest_of(self, entry: Entry) -> Manifest:
        """The manifest of a commit, with URLs of where the path lies now.

        :param entry: from the log, the state or the index.
        :raises ConfigurationError: if the log has lost it.
        """
        whole = entry if "parts" in entry.manifest else self.read(entry.generation)
        if whole is None:
            raise ConfigurationError(
                f"path: {self.name(entry.generation)} is missing, which is a commit. Restore it from a backup"
            )
        try:
            return moved(cast("Manifest", whole.manifest), self.directory(entry))
        except (ValueError, LookupError, TypeError):
            raise ConfigurationError(
                f"path: {self.name(entry.generation)} is not a commit of a landing. Restore it from a backup"
            ) from None

    def directory(self, entry: Entry) -> ObjectStoragePath:
        """Where the parts of a commit lie. The path itself if there are none."""
        attempt = Attempt(self.root, entry.generation, entry.task, entry.nonce, shared=entry.state is None)
        return attempt.directory if is_written(entry.manifest) else self.root

    def _exists(self, generation: int) -> bool:
        with suppress(FileNotFoundError):
            read(self.name(generation))
            return True
        return False

    @staticmethod
    def _decoded(content: bytes, name: ObjectStoragePath) -> Entry:
        try:
            return decode(content, Entry)
        except ValueError as error:
            raise ConfigurationError(
                f"path: {name} is {error}. Restore it from a backup, or land under another path"
            ) from None
