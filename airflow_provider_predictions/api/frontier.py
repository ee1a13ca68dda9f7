"""How far a pass over a list has come, and which rows it has handed out before.

While the rows come in the order of their creation, only one that stands behind the last one handed out can be
a repeat, so hardly any is looked up, and the ids lie in a file. Where they do not, every row is looked up.
"""

from __future__ import annotations

import operator
import os
import tempfile
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from airflow_provider_predictions.api.models import Prediction, as_time

_ADD = "INSERT OR IGNORE INTO seen VALUES (?)"
RECENT_PAGES = 2
"""Pages whose ids are at hand: a list that grows pushes these rows into the next one."""
_IN_MEMORY = 1 << 18
"""Bytes of hashes that stay in memory before they go to a file."""


class Seen:
    """Ids, as hashes in a temporary database: flat in memory, however many there are."""

    def __init__(self) -> None:
        import sqlite3

        # Pages come from whatever thread; one moves a walk at a time.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE seen (hash INTEGER PRIMARY KEY)")
        self._database.execute("BEGIN")

    def add(self, id_: str) -> bool:
        """Remember an id; whether it was new."""
        return self._database.execute(_ADD, (hash(id_),)).rowcount == 1

    def add_hashes(self, hashes: Iterable[int]) -> None:
        """Remember many."""
        self._database.executemany(_ADD, ((hash_,) for hash_ in hashes))

    def __contains__(self, id_: str) -> bool:
        return bool(self._database.execute("SELECT 1 FROM seen WHERE hash = ?", (hash(id_),)).fetchone())


class Notes:
    """Hashes of ids, in a file: cheap to write, and read only when something moved or the order breaks."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  (as long as the walk)

    def add(self, ids: Iterable[str]) -> None:
        """Note ids."""
        self._file.seek(0, os.SEEK_END)
        self._file.write(array("q", map(hash, ids)).tobytes())

    def __iter__(self) -> Iterator[int]:
        self._file.seek(0)
        while block := self._file.read(_IN_MEMORY):
            yield from array("q", block)


class Frontier:
    """The last row that was handed out, and what that says of others.

    :param newest_first: the order that is expected; it is checked, never assumed.
    """

    def __init__(self, *, newest_first: bool = True) -> None:
        self.newest_first = newest_first
        self.moved = False
        """Whether two rows were seen in order; without, an order is not proven."""
        self.last: datetime | None = None
        self._ties: set[str] = set()
        """Ids handed out whose rows were created in the moment of the last one."""
        self._recent: deque[set[str]] = deque(maxlen=RECENT_PAGES)
        self._notes = Notes()
        self._seen: Seen | None = None
        """Every id handed out, once the order is lost."""
        self._earlier: Callable[[], Iterable[str]] = tuple
        self._is_behind: Callable[[datetime, datetime], bool] = operator.gt if newest_first else operator.lt

    @property
    def ordered(self) -> bool:
        """Whether no row was seen out of order."""
        return self._seen is None

    @property
    def proven(self) -> bool:
        """Whether the rows are known to come in order."""
        return self.ordered and self.moved

    def watch(self, times: Sequence[datetime | None]) -> None:
        """Look at the creation times of neighbours in the list."""
        if not self.ordered:
            return
        known = [time for time in times if time]
        neighbours = (known[1:], known[:-1])
        if len(known) < len(times) or any(map(self._is_behind, *neighbours)):
            self._lose_order()
        self.moved = self.moved or any(map(operator.ne, *neighbours))

    def _lose_order(self) -> None:
        self._seen = Seen()
        self._seen.add_hashes(self._noted())

    def _noted(self) -> Notes:
        """What was handed out, also on the way to where the walk was gone on with."""
        earlier, self._earlier = self._earlier, tuple
        self._notes.add(earlier())
        return self._notes

    def knows(self, row: Prediction) -> bool:
        """Whether a row was handed out before."""
        if self._seen:
            return row.id in self._seen
        if self.last and row.created_at == self.last:
            return row.id in self._ties
        return row.id in self._known_behind([row])

    def _known_behind(self, rows: list[Prediction]) -> set[str]:
        """Of the rows behind the frontier, the ids of those that were handed out before."""
        last, is_behind = self.last, self._is_behind
        if self._seen or last is None:
            return set()
        behind = {row.id for row in rows if row.created_at and is_behind(row.created_at, last)}
        older = behind.difference(*self._recent)
        hashes = {hash(id_) for id_ in older}
        found = hashes.intersection(self._noted()) if hashes else hashes
        return {id_ for id_ in behind if id_ not in older or hash(id_) in found}

    def pass_over(self, rows: list[Prediction]) -> list[Prediction]:
        """Of the rows of an answer, those that were not handed out before; now they are.

        A row that is no record has no id to be known by: it is a repeat where a known row comes after it.
        """
        if self._all_pass(rows):
            return rows
        known = self._known_behind(rows)
        fresh: list[Prediction] = []
        unidentified: list[Prediction] = []
        for row in rows:
            if row.fault is not None:
                unidentified.append(row)
            elif self._seen.add(row.id) if self._seen else self._passes(row, known):
                fresh.append(row)
            else:
                unidentified.clear()
        if not self._seen:
            self._note(fresh)
        return fresh + unidentified

    def _all_pass(self, rows: list[Prediction]) -> bool:
        """The common case, quickly: every row was created in a moment of its own before the frontier."""
        times = [row.created_at for row in rows if row.created_at]
        if self._seen or not times or len(times) < len(rows):
            return False
        neighbours = ([self.last, *times], times) if self.last else (times, times[1:])
        if not all(map(self._is_behind, *neighbours)):
            return False
        self.last, self._ties = times[-1], {rows[-1].id}
        self._note(rows)
        return True

    def _passes(self, row: Prediction, known: set[str]) -> bool:
        """Whether a row is new; the frontier moves on to it, unless it was added to the list behind that."""
        created, last = row.created_at, self.last
        if created == last:
            if row.id in self._ties:
                return False
            self._ties.add(row.id)
            return True
        if last and created and self._is_behind(created, last):
            return row.id not in known
        self.last, self._ties = created, {row.id}
        return True

    def _note(self, rows: list[Prediction]) -> None:
        ids = [row.id for row in rows]
        self._notes.add(ids)
        self._recent.append(set(ids))

    def position(self) -> dict[str, Any]:
        """The frontier as JSON; ids beyond the last row's moment are left to who goes on from it."""
        return {
            "newest_first": self.newest_first,
            "ordered": self.ordered,
            "moved": self.moved,
            "last": self.last and self.last.isoformat(),
            "ties": sorted(self._ties),
        }

    @classmethod
    def at(cls, position: dict[str, Any], earlier: Callable[[], Iterable[str]]) -> Frontier:
        """Go on from a position.

        :param earlier: the ids that were handed out on the way there; asked where the order does not tell.
        """
        frontier = cls(newest_first=position["newest_first"])
        frontier.moved = position["moved"]
        frontier.last = as_time(position["last"])
        frontier._ties = set(position["ties"])
        frontier._earlier = earlier
        if not position["ordered"]:
            frontier._lose_order()
        return frontier
