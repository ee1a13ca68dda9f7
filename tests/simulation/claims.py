"""What a commit says has landed, against the list as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from datetime import datetime
from typing import Any

from tests.simulation import layout
from tests.simulation.attempt import Attempt, InvariantError
from tests.simulation.layout import Commit
from tests.simulation.listing import FINISHED, Arguments


class Claims:
    """A commit holds what its arguments say.

    :param authors: whose a nonce is.
    :param arguments: those of an attempt.
    """

    def __init__(self, authors: Mapping[str, Attempt], arguments: Callable[[Attempt], Arguments]) -> None:
        self._authors = authors
        self._arguments = arguments
        self._seen: dict[str, int] = {}
        self._committed: list[Attempt] = []

    @property
    def newest(self) -> Attempt | None:
        """Who committed last."""
        return self._committed[-1] if self._committed else None

    def by(self, commit: Commit) -> tuple[str, int]:
        """The life of the run that a commit is of."""
        attempt = self._authors.get(commit.nonce)
        return attempt.life if attempt else (commit.run or "", 0)

    def is_of(self, commit: Commit, attempt: Attempt) -> bool:
        """Whether a commit may be taken for one of the run of an attempt.

        A run that was deleted and one that was made again cannot be told apart, if a task of one was cleared.
        """
        author = self._authors.get(commit.nonce)
        if author is None or author.run != attempt.run:
            return False
        return author.life == attempt.life or bool(author.which.clears or attempt.which.clears)

    def after(self, commit: Commit) -> int:
        """How many steps were taken when it was first seen."""
        return self._seen[commit.nonce]

    def check(
        self,
        commit: Commit,
        steps: int,
        objects: Mapping[str, bytes],
        ids: Set[str],
        watermark: datetime | None = None,
    ) -> None:
        """Of a commit that is new.

        :param ids: all that is committed now, as far as it is told apart.
        :param watermark: what was older did not matter.
        """
        attempt = self._authors.get(commit.nonce)
        if attempt is None or commit.nonce in self._seen:
            return
        self._seen[commit.nonce] = steps
        arguments = self._arguments(attempt)
        self._committed.append(attempt)
        rows = [row for name, _ in commit.parts for row in layout.rows(objects[name])]
        if wrong := [row["id"] for row in rows if not arguments.wants(row)]:
            raise InvariantError(f"claims: {attempt} has committed {wrong}, which its arguments leave out")
        wanted = {
            row["id"]
            for row in attempt.listed
            if row["status"] in FINISHED
            and arguments.wants(row)
            and (watermark is None or (layout.as_time(row["created_at"]) or watermark) >= watermark)
        }
        if missing := wanted - ids:
            raise InvariantError(
                f"claims: {attempt} has committed without {sorted(missing)}, which it claims"
            )

    def in_order(self) -> None:
        """No attempt has replaced what a later one of its run has just landed, and returned."""
        *_, before, newest = [None, None, *self._committed]
        if before and newest and before.life == newest.life and before.number > newest.number:
            raise InvariantError(f"stale: {newest} has replaced what {before} has landed")

    def left_out(self, rows: Iterable[dict[str, Any]]) -> set[str]:
        """What some commit has rightly left out for good."""
        found = set()
        for attempt in self._committed:
            arguments = self._arguments(attempt)
            found |= {row["id"] for row in rows if not arguments.wants(row)}
            if arguments.max_age:
                found |= {row["id"] for row in attempt.listed if row["status"] not in FINISHED}
        return found
