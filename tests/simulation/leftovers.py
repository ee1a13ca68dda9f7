"""What attempts leave that are over: nothing for long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tests.simulation import layout
from tests.simulation.attempt import Attempt, InvariantError


class Leftovers:
    """Of one way to land.

    :param authors: whose a nonce is.
    """

    def __init__(self, authors: Mapping[str, Attempt], *, incremental: bool) -> None:
        self._authors = authors
        self._incremental = incremental
        self._known: set[str] = set()
        self._late: set[str] = set()

    def see(self, objects: Mapping[str, bytes]) -> None:
        """Note what was written for a generation that another attempt had committed: it may stay for long."""
        head = len(layout.entries(objects))
        for name in objects.keys() - self._known:
            author = layout.author(name)
            if author and author[0] <= head:
                self._late.add(name)
        self._known = {*objects}

    def found(self, objects: Mapping[str, bytes]) -> list[str]:
        """What nothing names; and what is named and is not there."""
        unnamed = objects.keys() - layout.named(objects, incremental=self._incremental) - self._late
        missing = layout.copies(objects) - objects.keys() if self._incremental else set()
        return [*sorted(unnamed), *(f"no {name}" for name in sorted(missing))]

    def ended(self, attempt: Attempt, objects: Mapping[str, bytes]) -> None:
        """Where there is no room, a retry keeps copies only if it came further than those before it."""
        if "No space left" not in str(attempt.error):
            return
        parts = Counter(layout.author(name) for name in objects if "part-" in name)
        own = {tag: count for tag, count in parts.items() if tag and self._authors[tag[1]] is attempt}
        for (generation, nonce), count in own.items():
            others = [
                other
                for tag, other in parts.items()
                if tag
                and tag[0] == generation
                and tag[1] != nonce
                and self._authors[tag[1]].run == attempt.run
            ]
            if count <= max(others, default=0):
                raise InvariantError(f"worse: {attempt} has no room, and leaves {count} copies of parts")

    def _is_earlier(self, other: tuple[int, str], own: tuple[int, str]) -> bool:
        """Whether another attempt of the run has written for the same commit."""
        is_of_run = self._authors[other[1]].run == self._authors[own[1]].run
        return is_of_run and other[0] == own[0] and other[1] != own[1]
