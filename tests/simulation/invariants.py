"""What must hold after every step, of every attempt that succeeds, and at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from tests.simulation import layout
from tests.simulation.layout import Commit
from tests.simulation.world import Attempt, Violation


class Invariants(Protocol):
    """Of one way to land."""

    def check(self, objects: Mapping[str, bytes], steps: int) -> None:
        """After a step."""

    def ended(self, attempt: Attempt) -> None:
        """After an attempt has succeeded."""

    def complete(self, ids: set[str]) -> None:
        """At the end."""


class Incremental:
    """All that was ever committed stays; no record lands twice; each run has one commit."""

    def __init__(self) -> None:
        self._ever: dict[str, Commit] = {}
        self._first: dict[str, tuple[Commit, int]] = {}
        self._ids: set[str] = set()

    def check(self, objects: Mapping[str, bytes], steps: int) -> None:
        """After a step: parts, records and state."""
        for commit in layout.commits(objects):
            self._ever.setdefault(commit.name, commit)
            if commit.run:
                self._first.setdefault(commit.run, (commit, steps))
        landed = [record for commit in self._ever.values() for record in records(commit, objects)]
        self._ids = once(id_ for id_, _ in landed)
        if noted := layout.noted(objects):
            wanted = {id_ for id_, created in landed if _is_noted(created, noted.watermark)}
            if not wanted <= noted.ids <= self._ids:
                raise Violation(f"disagree: {sorted(wanted ^ noted.ids)} of state and manifests")

    def ended(self, attempt: Attempt) -> None:
        """A success returns the first commit of its run, unless it began before and found nothing."""
        result = layout.returned(attempt.result, incremental=True)
        first, steps = self._first.get(attempt.run, (None, attempt.began))
        if first and first.name == result.name:
            return
        if result.parts or (first and attempt.began > steps):
            raise Violation(
                f"forgotten: {attempt} returns {attempt.outcome}, and its run had committed "
                f"{len(first.parts) if first else 'no'} parts in {first and first.name}"
            )

    def complete(self, ids: set[str]) -> None:
        """All that finished has landed."""
        if missing := ids - self._ids:
            raise Violation(f"missing: {sorted(missing)} were never committed")


class Anew:
    """Whoever reads sees a whole landing, once there is one."""

    def __init__(self) -> None:
        self._ever: set[tuple[tuple[str, str], ...]] = set()
        self._shown: list[Commit] = []
        self._ids: set[str] = set()

    def check(self, objects: Mapping[str, bytes], steps: int) -> None:
        """After a step: what is shown, and its parts."""
        before, self._shown = self._shown, layout.shown(objects)
        if before and not self._shown:
            raise Violation("neither: a landing was there, and none is now")
        for commit in self._shown:
            self._ever.add(commit.parts)
            self._ids = once(id_ for id_, _ in records(commit, objects))

    def ended(self, attempt: Attempt) -> None:
        """A success returns what was shown at some time."""
        if layout.returned(attempt.result, incremental=False).parts not in self._ever:
            raise Violation(f"uncommitted: {attempt} returns {attempt.outcome}, which nobody could read")

    def complete(self, ids: set[str]) -> None:
        """The last landing is shown, and is all of the list."""
        if missing := ids ^ self._ids:
            raise Violation(f"missing: {sorted(missing)} are only in one of the list and the landing")


def records(commit: Commit, objects: Mapping[str, bytes]) -> list[tuple[str, datetime | None]]:
    """Of a commit whose parts are there as it says."""
    found = []
    for name, sha256 in commit.parts:
        if name not in objects:
            raise Violation(f"lost: {name} of a committed manifest is not there")
        if layout.sha256(objects[name]) != sha256:
            raise Violation(f"changed: {name} is not what a committed manifest says")
        found += layout.records(objects[name])
    return found


def once(ids: Iterable[str]) -> set[str]:
    """Ids, each of which is there once."""
    counted = Counter(ids)
    if doubled := sorted(id_ for id_, count in counted.items() if count > 1):
        raise Violation(f"doubled: {doubled} are in two committed parts")
    return set(counted)


def _is_noted(created: datetime | None, watermark: datetime | None) -> bool:
    return created is None or watermark is None or created >= watermark
