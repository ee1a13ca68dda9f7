"""What an attempt does that commits, on every kind of path."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_predictions.api.errors import PredictionsError
from airflow_provider_predictions.api.filters import utc
from airflow_provider_predictions.storage.attempt import Attempt, on_the_way
from airflow_provider_predictions.storage.log import Entry, Log
from airflow_provider_predictions.storage.manifest import Manifest
from airflow_provider_predictions.storage.objects import put, try_to_write

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)


class LandingPath:
    """A path, for one attempt to commit to.

    :param attempt: whose.
    """

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.root = attempt.root
        self.log = Log(attempt.root)
        self.is_conditional = False
        self._may_have_committed = False

    def begin(self) -> None:
        """Show a missing bucket, or a missing right, before the service is asked."""
        trial = self.attempt.name("_trial")
        self.is_conditional = try_to_write(self.root, trial, is_conditional=self.is_conditional)
        if not self.is_conditional:
            log.warning(
                "%s: this storage cannot create an object only where there is none. See to it that one run "
                "lands there at a time", self.root,
            )  # fmt: skip

    def entry(self, content: Manifest, *, state: str | None = None) -> Entry:
        """The commit of a manifest, which is given the time of it.

        :param state: the name of the state after it.
        """
        attempt, now = self.attempt, datetime.now(UTC)
        content["committed_at"] = utc(now)
        return Entry(
            generation=attempt.generation,
            nonce=attempt.nonce,
            task=attempt.task,
            committed_at=now,
            manifest=dict(content),
            state=state,
        )

    def create(self, entry: Entry) -> Entry:
        """Commit. Where another attempt was quicker, what this one has written is removed.

        :return: the entry that lies there: this attempt's, or that of the quicker one.
        :raises StorageError: where it cannot be found out; nothing is removed.
        """
        self._may_have_committed = True
        winner = self.log.commit(entry, is_conditional=self.is_conditional)
        if winner.nonce != self.attempt.nonce:
            self._may_have_committed = False
            self.abandon()
        return winner

    def put(self, name: str, content: bytes) -> None:
        """Put an object that is not under the names of this attempt alone.

        :param name: relative to the path.
        """
        put(self.root / name, content, via=on_the_way(self.root, self.attempt.generation))

    def abandon(self) -> None:
        """Remove what this attempt has written, unless it may be committed."""
        if not self._may_have_committed:
            with warning_only(self.root):
                self.remove()

    def remove(self) -> None:
        """Remove what this attempt has written."""
        self.attempt.remove()


@contextmanager
def warning_only(root: ObjectStoragePath) -> Iterator[None]:
    """Let nothing fail a task whose landing is committed, or lost anyway."""
    try:
        yield
    except PredictionsError as error:
        log.warning("%s: tidying up failed, and the next run does it: %s", root, error)
