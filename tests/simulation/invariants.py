"""What must hold after every step, of every attempt that succeeds, and at the end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from tests.simulation import layout
from tests.simulation.attempt import Attempt, InvariantError
from tests.simulation.claims import Claims
from tests.simulation.layout import Commit, Noted


class Invariants(Protocol):
    """Of one way to land."""

    def check(self, objects: Mapping[str, bytes], steps: int) -> None:
        """After a step."""

    def ended(self, attempt: Attempt) -> None:
        """After an attempt has succeeded."""

    def failed(self, attempt: Attempt) -> None:
        """After an attempt has failed."""

    def newest(self) -> Attempt | None:
        """Who committed last."""

    def complete(self, rows: Sequence[dict[str, Any]]) -> None:
        """At the end."""


class Log:
    """Commits are numbered without a gap, and stay as they are."""

    def __init__(self) -> None:
        self._entries: dict[str, bytes] = {}

    def check(self, objects: Mapping[str, bytes]) -> None:
        """After a step."""
        found = layout.entries(objects)
        for name, content in self._entries.items():
            if found.get(name) != content:
                raise InvariantError(f"log: {name} was changed or removed")
        self._entries = found
        numbers = [int("".join(filter(str.isdigit, name))) for name in found]
        if numbers != [*range(1, len(numbers) + 1)]:
            raise InvariantError(f"log: {numbers} are not numbered without a gap")


class Incremental:
    """All that was ever committed stays; no record lands twice; each run has one commit.

    :param claims: what commits hold.
    """

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._log = Log()
        self._parts: dict[str, str] = {}
        self._first: dict[tuple[str, int], tuple[Commit, int]] = {}
        self._names: dict[tuple[str, int], set[str]] = defaultdict(set)
        self._ids: set[str] = set()
        self._watermark: datetime | None = None

    def check(self, objects: Mapping[str, bytes], steps: int) -> None:
        """After a step: parts, records and state."""
        self._log.check(objects)
        commits = layout.commits(objects, incremental=True)
        for commit in commits:
            for name, sha256 in commit.parts:
                if self._parts.setdefault(name, sha256) != sha256:
                    raise InvariantError(f"changed: two committed manifests disagree about {name}")
            if commit.run:
                self._first.setdefault(self._claims.by(commit), (commit, steps))
                self._names[self._claims.by(commit)].add(commit.name)
        landed = records(self._parts.items(), objects)
        self._ids = once(id_ for id_, _ in landed)
        for commit in commits:
            self._claims.check(commit, steps, objects, self._ids, self._watermark)
        if noted := layout.noted(objects):
            agree(landed, noted)
            self._watermark = noted.watermark

    def ended(self, attempt: Attempt) -> None:
        """A success returns the first commit of its run, unless it began before and found nothing.

        A task that was cleared may land the rest, too. Where its run has committed nothing, it cannot be told
        from a run of the same id that was deleted.
        """
        result = layout.returned(attempt.result, incremental=True)
        first, steps = self._first.get(attempt.life, (None, attempt.began))
        lives = [
            life for life in self._names if life == attempt.life or (not first and life[0] == attempt.run)
        ]
        if attempt.which.clears and any(result.name in self._names[life] for life in lives):
            return
        if first and first.name == result.name:
            return
        if result.parts or (first and attempt.began > steps):
            raise InvariantError(
                f"forgotten: {attempt} returns {attempt.outcome}, and its run had committed "
                f"{len(first.parts) if first else 'no'} parts in {first and first.name}"
            )

    def newest(self) -> Attempt | None:
        """Who committed last."""
        return self._claims.newest

    def failed(self, attempt: Attempt) -> None:
        """A retry cures whatever may happen here, but arguments that no other landing there has."""
        newest = self.newest()
        is_other = newest is not None and newest.which.arguments != attempt.which.arguments
        is_refused = is_other and "holds predictions of" in str(attempt.error)
        if not is_refused and not getattr(attempt.error, "retryable", False):
            raise InvariantError(f"final: {attempt} fails for good: {attempt.outcome}")

    def complete(self, rows: Sequence[dict[str, Any]]) -> None:
        """All that finished has landed."""
        if missing := {row["id"] for row in rows} - self._ids - self._claims.left_out(rows):
            raise InvariantError(f"missing: {sorted(missing)} were never committed")


class Anew:
    """Whoever reads sees a whole landing, once there is one.

    :param claims: what commits hold.
    """

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._log = Log()
        self._ever: set[tuple[tuple[str, str], ...]] = set()
        self._committed: list[Commit] = []
        self._ids: set[str] = set()
        self._newest_shown = -1

    def check(self, objects: Mapping[str, bytes], steps: int) -> None:
        """After a step: what is shown, and its parts."""
        self._log.check(objects)
        self._committed = layout.commits(objects, incremental=False)
        if self._committed:  # older ones may have lost their parts
            newest = self._committed[-1]
            ids = once(id_ for id_, _ in records(newest.parts, objects))
            self._claims.check(newest, steps, objects, ids)
            self._claims.in_order()
        self.see(layout.shown(objects), objects)

    def see(self, shown: list[Commit], objects: Mapping[str, bytes]) -> None:
        """As readers do.

        :param shown: what they may take for the landing.
        """
        if self._ever and not shown:
            raise InvariantError("neither: a landing was there, and none is now")
        for commit in shown:
            self._ever.add(commit.parts)
            self._ids = once(id_ for id_, _ in records(commit.parts, objects))
            places = [n for n, one in enumerate(self._committed) if one.parts == commit.parts]
            self._newest_shown = max([self._newest_shown, *places])

    def ended(self, attempt: Attempt) -> None:
        """A success returns a commit, of its own run; a task that was cleared lands anew."""
        parts = layout.returned(attempt.result, incremental=False).parts
        own = [
            commit
            for commit in self._committed
            if commit.parts == parts and self._claims.is_of(commit, attempt)
        ]
        if not own:
            raise InvariantError(f"uncommitted: {attempt} returns {attempt.outcome}, which is no commit")
        if own[-1] is self._committed[-1] and self._newest_shown < len(self._committed) - 1:
            raise InvariantError(f"hidden: readers have seen only older ones than {attempt} returns")
        if not any(self._claims.after(commit) > attempt.which.lands_since for commit in own):
            raise InvariantError(f"old: {attempt} was cleared, and returns {attempt.outcome} of before")

    def newest(self) -> Attempt | None:
        """Who committed last."""
        return self._claims.newest

    def failed(self, attempt: Attempt) -> None:
        """A retry cures whatever may happen here, but that it would replace what another run has landed."""
        others = (
            commit
            for commit in self._committed
            if self._claims.by(commit) != attempt.life and self._claims.after(commit) > attempt.began
        )
        is_overtaken = "another run landed" in str(attempt.error) and any(others)
        if not is_overtaken and not getattr(attempt.error, "retryable", False):
            raise InvariantError(f"final: {attempt} fails for good: {attempt.outcome}")

    def complete(self, rows: Sequence[dict[str, Any]]) -> None:
        """The last landing is shown, and is all of the list."""
        if missing := {row["id"] for row in rows} ^ self._ids:
            raise InvariantError(f"missing: {sorted(missing)} are only in one of the list and the landing")


def records(
    parts: Iterable[tuple[str, str]], objects: Mapping[str, bytes]
) -> list[tuple[str, datetime | None]]:
    """Of parts that are there with their sha256."""
    found = []
    for name, sha256 in parts:
        if name not in objects:
            raise InvariantError(f"lost: {name} of a committed manifest is not there")
        if layout.sha256(objects[name]) != sha256:
            raise InvariantError(f"changed: {name} is not what a committed manifest says")
        found += layout.records(objects[name])
    return found


def once(ids: Iterable[str]) -> set[str]:
    """Ids, each of which is there once."""
    counted = Counter(ids)
    if doubled := sorted(id_ for id_, count in counted.items() if count > 1):
        raise InvariantError(f"doubled: {doubled} are in two committed parts")
    return set(counted)


def agree(landed: Iterable[tuple[str, datetime | None]], noted: Noted) -> None:
    """The state knows what has landed of what is not older than its watermark, and nothing else."""
    times = dict(landed)
    wanted = {id_ for id_, time in times.items() if not (time and noted.watermark) or time >= noted.watermark}
    if not wanted <= noted.ids <= set(times):
        raise InvariantError(
            f"disagree: only one of the state and the manifests has {sorted(wanted ^ noted.ids)}"
        )
