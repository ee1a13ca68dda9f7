"""How far a pass over a list has come, and which rows it has handed out before.

While the rows come in the order of their creation, only one that stands behind the last one handed out can be
a repeat, so hardly any is looked up, and the ids lie in a file. Where they do not, every row is looked up.
"""

from __future__ import annotations

import operator
import tempfile
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from airflow_provider_predictions.api.limits import MAX_RECENT_PAGES as RECENT_PAGES
from airflow_provider_predictions.api.limits import MAX_SPOOLED_BYTES as _IN_MEMORY
from airflow_provider_predictions.api.limits import MAX_TIES
from airflow_provider_predictions.api.models import Prediction, as_time


class Index:
    """Ids, as hashes in a temporary database: flat in memory, however many there are."""

    def __init__(self, hashes: Iterable[int]) -> None:
        import sqlite3

        # Pages come from whatever thread; one moves a walk at a time.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE seen (hash INTEGER PRIMARY KEY)")
        self._database.execute("BEGIN")
        self.add(hashes)

    def add(self, hashes: Iterable[int]) -> None:
        """Remember ids."""
        self._database.executemany("INSERT OR IGNORE INTO seen VALUES (?)", ((hash_,) for hash_ in hashes))

    def __contains__(self, id_: str) -> bool:
        return bool(self._database.execute("SELECT 1 FROM seen WHERE hash = ?", (hash(id_),)).fetchone())


class Notes:
    """Hashes of ids, in a file: cheap to write, and read only when an id is looked up for the first time."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  (as long as the walk)

    def add(self, hashes: Iterable[int]) -> None:
        """Note ids."""
        self._file.write(array("q", hashes).tobytes())

    def __iter__(self) -> Iterator[int]:
        self._file.seek(0)
        while block := self._file.read(_IN_MEMORY):
            yield from array("q", block)


class SeenRows:
    """The last row that was handed out, and what that says of others.

    :param newest_first: the order that is expected; it is checked, never assumed.
    """

    def __init__(self, *, newest_first: bool = True) -> None:
        self.newest_first = newest_first
        self.ordered = True
        """Whether no row was seen out of order."""
        self.moved = False
        """Whether two rows were seen in order; without, an order is not proven."""
        self.last: datetime | None = None
        self._ties: set[str] = set()
        """Ids handed out whose rows were created in the moment of the last one, up to ``MAX_TIES``."""
        self._recent: deque[set[str]] = deque(maxlen=RECENT_PAGES)
        self._noted: Notes | Index = Notes()
        """Every id handed out."""
        self._earlier: Callable[[], Iterable[str]] = tuple
        self._is_behind: Callable[[datetime, datetime], bool] = operator.gt if newest_first else operator.lt

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
        self.ordered = len(known) == len(times) and not any(map(self._is_behind, *neighbours))
        self.moved = self.moved or any(map(operator.ne, *neighbours))

    def knows(self, row: Prediction) -> bool:
        """Whether a row was handed out before."""
        is_tie = self.ordered and row.created_at == self.last
        if self.ordered and not is_tie and self._lies_ahead(row):
            return False
        if row.id in self._ties or any(row.id in page for page in self._recent):
            return True
        if is_tie and len(self._ties) < MAX_TIES:
            return False
        return row.id in self._index()

    def _lies_ahead(self, row: Prediction) -> bool:
        last, created = self.last, row.created_at
        return last is None or created is None or self._is_behind(last, created)

    def _index(self) -> Index:
        """Every id handed out, also on the way to where the walk was gone on with; made when first needed."""
        if isinstance(self._noted, Notes):
            self._noted = Index(chain(map(hash, self._earlier()), self._noted))
        return self._noted

    def drop_known(self, rows: list[Prediction]) -> list[Prediction]:
        """Of the rows of an answer, those that were not handed out before; now they are.

        A row that is no record has no id to be known by: it is a repeat where a known row comes after it.
        """
        if self._all_pass(rows):
            return rows
        fresh: dict[str, Prediction] = {}
        unidentified: list[Prediction] = []
        for row in rows:
            if row.fault is not None:
                unidentified.append(row)
            elif row.id in fresh or self.knows(row):
                unidentified.clear()
            else:
                fresh[row.id] = row
                self._pass(row)
        self._note(fresh)
        return [*fresh.values(), *unidentified]

    def _all_pass(self, rows: list[Prediction]) -> bool:
        """The common case, quickly: every row was created in a moment of its own before the frontier."""
        times = [row.created_at for row in rows if row.created_at]
        if not self.ordered or not times or len(times) < len(rows):
            return False
        neighbours = ([self.last, *times], times) if self.last else (times, times[1:])
        if not all(map(self._is_behind, *neighbours)):
            return False
        self.last, self._ties = times[-1], {rows[-1].id}
        self._note([row.id for row in rows])
        return True

    def _pass(self, row: Prediction) -> None:
        """Move on to a row, unless it was added to the list behind the frontier."""
        if not self.ordered:
            return
        if row.created_at == self.last:
            if len(self._ties) < MAX_TIES:
                self._ties.add(row.id)
        elif self._lies_ahead(row):
            self.last, self._ties = row.created_at, {row.id}

    def _note(self, ids: Iterable[str]) -> None:
        known = set(ids)
        self._noted.add(map(hash, known))
        self._recent.append(known)

    def state(self) -> dict[str, Any]:
        """The frontier as JSON; ids beyond the last row's moment are left to who goes on from it."""
        return {
            "newest_first": self.newest_first,
            "ordered": self.ordered,
            "moved": self.moved,
            "last": self.last and self.last.isoformat(),
            "ties": sorted(self._ties),
        }

    @classmethod
    def at(cls, state: dict[str, Any], earlier: Callable[[], Iterable[str]]) -> SeenRows:
        """Go on from a position.

        :param earlier: the ids that were handed out on the way there; asked where the order does not tell.
        """
        seen = cls(newest_first=state["newest_first"])
        seen.ordered, seen.moved = state["ordered"], state["moved"]
        seen.last = as_time(state["last"])
        seen._ties = set(state["ties"])
        seen._earlier = earlier
        return seen
