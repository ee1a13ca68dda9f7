"""What attempts leave that are over: nothing for long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

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
        self._whole: set[str] = set()
        """All that was ever written to its end."""

    def see(self, objects: Mapping[str, bytes]) -> None:
        """Note what was written for a generation that another attempt had committed: it may stay for long."""
        head = len(layout.entries(objects))
        for name in objects.keys() - self._known:
            author = layout.author(name)
            if author and author[0] <= head:
                self._late.add(name)
        self._known = {*objects}
        self._whole |= {name for name in objects if not name.endswith(".new")}

    def found(self, objects: Mapping[str, bytes]) -> list[str]:
        """What nothing names; and what is named and is not there."""
        unnamed = objects.keys() - layout.named(objects, incremental=self._incremental) - self._late
        missing = layout.copies(objects) - objects.keys() if self._incremental else set()
        return [*sorted(unnamed), *(f"no {name}" for name in sorted(missing))]

    def ended(self, attempt: Attempt, objects: Mapping[str, bytes]) -> None:
        """Where there is no room, a retry keeps its copies only if it came further, or cannot remove them."""
        copied = max(_parts(attempt.read).values(), default=0)
        if not copied or "No space left" not in str(attempt.error) or attempt.failed & {"rm", "remove"}:
            return
        committed = {commit.nonce for commit in layout.commits(objects, incremental=self._incremental)}
        wrote = _parts(self._whole)  # another attempt that has committed may have removed some
        for tag, count in _parts(objects).items():
            if tag[1] not in committed and self._authors[tag[1]] is attempt and wrote[tag] <= copied:
                raise InvariantError(f"worse: {attempt} has no room, and leaves {count} copies of parts")


def _parts(names: Iterable[str]) -> Counter[tuple[int, str]]:
    """How many parts there are of each attempt at a commit."""
    return Counter(tag for name in names if "part-" in name and (tag := layout.author(name)))
